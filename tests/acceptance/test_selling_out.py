"""The end of a sale, told honestly: seats in holds, seats that come back, a line that is let go, and opened again."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Iterator

import pytest

from db.events.seed import RoomSeed, TicketTypePlan
from tests.acceptance.conftest import Site
from tests.acceptance.test_waiting_room import await_that
from tests.client import Fan
from waiting_room.line import Slots

GATEWAYS = 2
HOLD_SECONDS = 8
ENVIRON = {"ADMITONE_HOLD_SECONDS": str(HOLD_SECONDS), "ADMITONE_HOLD_GRACE_SECONDS": "1"}
PAIR = (TicketTypePlan(ticket_type="Box", price=100, rows=1, seats_per_row=2),)
BOTH = [(1, 1, 1), (1, 1, 2)]
TWO_INSIDE = RoomSeed(rate_per_minute=60_000, capacity=2, line_cap=3)


@pytest.fixture
def event_id(site: Site) -> int:
    return site.event(hall=PAIR, room=TWO_INSIDE)


@pytest.fixture
def fans(site: Site) -> Iterator[Fan]:
    """Strangers, on one gateway and the other in turn."""
    return (site.fan(number % GATEWAYS) for number in range(100))


def all_held(event_id: int, fan: Fan) -> bool:
    return bool((fan.poll(event_id).json["stock"] or {}).get("mayReturn"))


def test_seats_that_come_back_go_to_the_first_in_line(event_id: int, fans: Iterator[Fan]) -> None:
    holder, first, second, refresher = next(fans), next(fans), next(fans), next(fans)
    holder.join(event_id)
    hold = holder.hold(event_id, BOTH)
    await_that(lambda: all_held(event_id, holder))
    assert [fan.join(event_id).json["state"] for fan in (first, second)] == ["waiting", "waiting"]
    with first.line(event_id) as line, second.line(event_id) as behind:
        told = line.data("place")
        stock = dict(told["stock"])
        ends_at = dt.datetime.fromisoformat(stock.pop("lastHoldEndsAt"))
        assert stock == {"free": 0, "held": 2, "mayReturn": 2}
        assert abs(ends_at - dt.datetime.fromisoformat(hold["expiresAt"])) < dt.timedelta(milliseconds=2)
        assert told["etaSeconds"] is None, "nobody can know"
        assert told["mayRunOut"]
        assert first.poll(event_id).json["stock"] == told["stock"], "a poll tells the same"
        until = time.monotonic() + 4 * HOLD_SECONDS
        while not any(event.event == "called" for event in line.seen):
            # Who only refreshes gets nothing: no seat without a pass, no pass before those in line.
            assert refresher.reserve(event_id, BOTH).code == "not_admitted"
            assert refresher.join(event_id).json["state"] == "waiting"
            assert time.monotonic() < until, "the hold has lapsed, and nobody was called"
            _hear(line)
        assert second.reserve(event_id, BOTH).code == "not_admitted"
        assert not any(event.event == "called" for event in behind.seen)
        assert first.claim(event_id).status == 200
        first.buy(event_id, BOTH)


def _hear(line: object) -> None:
    """Take in what the stream has said."""
    try:
        line.next("called", seconds_max=0.2)  # type: ignore[attr-defined]
    except AssertionError:
        return


def test_the_line_is_told_once_that_all_is_sold_and_let_go(site: Site, event_id: int, fans: Iterator[Fan]) -> None:
    buyer, *waiting = (next(fans) for _ in range(4))
    buyer.join(event_id)
    hold = buyer.hold(event_id, BOTH)
    await_that(lambda: all_held(event_id, buyer))
    for fan in waiting:
        assert fan.join(event_id).json["state"] == "waiting"
    late = next(fans)
    assert late.join(event_id).code == "line_full"
    lines = [fan.line(event_id) for fan in waiting]
    assert buyer.checkout(event_id, hold["reservationId"]).result
    for line in lines:
        events = [event.event for event in line.rest()]
        assert events.count("sold_out") == 1
        assert events[-1] == "sold_out", "and then the stream has ended"
        line.close()
    with waiting[0].line(event_id) as again:
        assert [event.event for event in again.rest()][-1] == "sold_out", "who reconnects is told so at once"
    for asker in (waiting[0], late, next(fans)):
        for answer in (asker.join(event_id), asker.poll(event_id)):
            assert (answer.json["state"], answer.json["roomState"]) == ("sold_out", "sold_out"), answer.content
    assert late.reserve(event_id, BOTH).code == "not_admitted"

    # Seats that are given back after all, as a worker tells of them, open the line again in its old order.
    with site.redis() as redis:
        Slots(redis).set_stock(event_id, free=2, held=0, version=1_000_000)
    await_that(lambda: [fan.poll(event_id).json["position"] for fan in waiting] == [1, 2, 3])
    with waiting[2].line(event_id) as quickest:
        # The door waits for the others; tests/property/test_returned.py sees it open.
        place = json.loads(quickest.next("place").data)
        assert (place["position"], place["etaSeconds"]) == (3, None)
        assert waiting[2].reserve(event_id, BOTH).code == "not_admitted"
