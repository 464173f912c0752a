"""The booking engine against a table of seats: thousands of commands in batches of any kind."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from msgspec import structs

from booking_lane.commands import Cancel
from db.audit.invariants import audit
from db.booking import fans, outcomes, purchases
from db.booking.holds import Hold
from db.booking.seats import SeatNow
from tests.property.engine_machine import GRACE_SECONDS, machine_on
from workers.engine.book import Book
from workers.engine.commands import RULES
from workers.engine.free_rows import FreeRows, KeptRows

pytestmark = pytest.mark.deep

STEPS = 20


def test_no_sequence_of_batches_parts_the_engine_from_its_model(database_url: str) -> None:
    with machine_on(database_url) as machine:
        run_state_machine_as_test(
            machine, settings=settings(stateful_step_count=STEPS, suppress_health_check=list(HealthCheck))
        )
    print(machine.happened.total(), "commands", machine.happened)
    broken = audit(database_url, grace_seconds=GRACE_SECONDS)
    assert broken == [], broken


def forgets_outcomes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(outcomes, "READ_OUTCOMES", outcomes.READ_OUTCOMES + " WHERE false\n")
    patch.setattr(outcomes, "WRITE_OUTCOMES", outcomes.RECORD_OUTCOMES)


def counts_no_purchases(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fans, "READ_FANS", fans.READ_FANS.replace("WHERE d.cancelled_at IS NULL", "WHERE false"))


def keeps_stale_rows(patch: pytest.MonkeyPatch) -> None:
    def take(self: KeptRows, event_id: int, version: int) -> dict[tuple[int, int], FreeRows]:
        return self._kept.pop(event_id, (-1, {}))[1]

    patch.setattr(KeptRows, "take", take)


def holds_for_ever(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SeatNow, "is_free", lambda self, now: self.status == "available")


def gives_back_what_others_hold(patch: pytest.MonkeyPatch) -> None:
    real: Callable[..., Any] = Book.give_back

    def give_back(self: Book, hold: Any, state: str) -> None:
        for seat in hold.seats:
            now = self.seats.get((hold.event_id, *seat))
            if now is not None and now.status == "reserved":
                now.reservation_id = hold.reservation_id
        real(self, hold, state)

    patch.setattr(Book, "give_back", give_back)


def sells_lapsed_holds(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Book, "keeps_seats", lambda self, hold: hold.is_open)


def refunds_twice(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(purchases, "WRITE_CANCELLED_DETAILS", purchases.WRITE_CANCELLED_DETAILS + "   AND false\n")


def cancels_others_purchases(patch: pytest.MonkeyPatch) -> None:
    rule = RULES[Cancel]

    def cancel(book: Book, command: Any) -> Any:
        bought = book.purchases.get(command.purchase_id)
        return rule.decide(book, structs.replace(command, user_id=bought.user_id) if bought else command)

    patch.setitem(RULES, Cancel, dataclasses.replace(rule, decide=cancel))


def counts_ended_holds(patch: pytest.MonkeyPatch) -> None:
    grace = dt.timedelta(seconds=GRACE_SECONDS)
    patch.setattr(Hold, "is_live", lambda self, now: self.keeps_seats(now, grace))


SABOTAGES: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "outcomes are not remembered": forgets_outcomes,
    "purchases do not count for the limit": counts_no_purchases,
    "free rows are kept whatever happened since": keeps_stale_rows,
    "lapsed seats stay held": holds_for_ever,
    "a lapsed hold frees its successor's seats": gives_back_what_others_hold,
    "a lapsed hold is sold": sells_lapsed_holds,
    "cancelled seats stay live": refunds_twice,
    "anybody cancels": cancels_others_purchases,
    "a hold counts past the end that its fan was shown": counts_ended_holds,
}
EVERYDAY = {"outcomes are not remembered", "a lapsed hold is sold"}
"""Two show every day that the machine notices; `make test-deep` shows it of all."""


@pytest.mark.parametrize(
    "sabotage", [pytest.param(name, marks=[] if name in EVERYDAY else [pytest.mark.long]) for name in SABOTAGES]
)
def test_control_the_machine_notices(database_url: str, monkeypatch: pytest.MonkeyPatch, sabotage: str) -> None:
    """Within ten times the examples it is given every day; most in the first few."""
    assert settings.default is not None
    budget = settings(
        max_examples=10 * settings.default.max_examples,
        stateful_step_count=STEPS,
        phases=[Phase.generate],
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    SABOTAGES[sabotage](monkeypatch)
    with machine_on(database_url) as machine, pytest.raises(AssertionError):
        run_state_machine_as_test(machine, settings=budget)
