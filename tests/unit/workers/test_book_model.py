from __future__ import annotations

import uuid
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from booking_lane.commands import Command
from tests.unit.booking_lane.asks import best, cancel, checkout, extend, release, reserve, sweep
from tests.unit.workers.hall import EVENT, GRACE_SECONDS, HOLD_SECONDS, SEATS, Hall

fans = st.integers(1, 3)
seats = st.lists(st.sampled_from((*SEATS, (1, 9, 9))), min_size=1, max_size=3, unique=True).map(
    lambda chosen: tuple(sorted(chosen))
)
asks = st.one_of(
    st.tuples(st.just("reserve"), fans, seats),
    st.tuples(st.just("best"), fans, st.tuples(st.integers(1, 3), st.integers(1, 4))),
    st.tuples(st.just("checkout"), fans, seats),
    st.tuples(st.sampled_from(["checkout hold", "checkout seats of", "release", "extend"]), fans, st.integers(0, 8)),
    st.tuples(st.just("own checkout"), fans, st.integers(0, 8)),
    st.tuples(st.sampled_from(["cancel", "own cancel"]), fans, st.integers(0, 8)),
    st.tuples(st.just("sweep"), fans, st.none()),
)
batches = st.lists(
    st.tuples(
        st.sampled_from([1, 1, HOLD_SECONDS // 2, HOLD_SECONDS, HOLD_SECONDS + GRACE_SECONDS]),
        st.lists(asks, min_size=1, max_size=6),
    ),
    min_size=1,
    max_size=6,
)


def command_of(ask: tuple[str, int, Any], hall: Hall) -> Command:
    what, fan, which = ask
    holds = list(hall.model.holds.items())
    key, hold = holds[which % len(holds)] if isinstance(which, int) and holds else (uuid.UUID(int=9), None)
    match what:
        case "reserve":
            return reserve(EVENT, fan, *which)
        case "best":
            return best(EVENT, fan, *which)
        case "checkout":
            return checkout(EVENT, fan, *which)
        case "checkout hold":
            return checkout(EVENT, fan, hold=key)
        case "own checkout":
            return checkout(EVENT, hold.fan if hold else fan, hold=key)
        case "checkout seats of":
            return checkout(EVENT, hold.fan if hold else fan, *(hold.seats if hold else ((1, 1, 1),)))
        case "release":
            return release(EVENT, hold.fan if hold and fan > 1 else fan, key)
        case "extend":
            return extend(EVENT, hold.fan if hold and fan > 1 else fan, key, 40 * fan)
        case "cancel" | "own cancel":
            purchase = (
                uuid.UUID(int=9) if hold is None or hold.purchase_id is None else uuid.UUID(str(hold.purchase_id))
            )
            some = hold.seats[: which % 3] if hold else ()
            return cancel(EVENT, hold.fan if hold and what == "own cancel" else fan, purchase, *some)
        case _:
            return sweep(EVENT)


@given(batches)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_book_agrees_with_a_naive_table_of_seats(
    batches: list[tuple[int, list[tuple[str, int, Any]]]],
) -> None:
    """Every decision, and that counts equal seats by status after every batch: see `Hall.book`."""
    hall = Hall()
    for seconds, batch in batches:
        hall.pass_time(seconds)
        hall.book(*[command_of(ask, hall) for ask in batch])
