"""Holds that end: two seconds and two seconds' grace instead of ten minutes."""

from __future__ import annotations

import datetime as dt
import time

import psycopg
import pytest

from admitone.fan.seats import seats_of
from tests.acceptance.conftest import Site
from tests.client import Fan

HOLD_SECONDS = 2
GRACE_SECONDS = 2
ENVIRON = {"ADMITONE_HOLD_SECONDS": str(HOLD_SECONDS), "ADMITONE_HOLD_GRACE_SECONDS": str(GRACE_SECONDS)}
SWEEP_SECONDS = 3


@pytest.fixture(scope="module")
def event_id(site: Site) -> int:
    return site.event()


@pytest.fixture
def fan(site: Site, event_id: int) -> Fan:
    return site.admitted_fan(event_id)


def sleep_past(expires_at: str, seconds: float) -> None:
    """Sleep until so long after a hold's end; Postgres runs on this machine, by the same clock."""
    end = dt.datetime.fromisoformat(expires_at) + dt.timedelta(seconds=seconds)
    time.sleep(max(0.0, (end - dt.datetime.now(dt.UTC)).total_seconds()))


def test_the_end_is_the_promised_one(fan: Fan, event_id: int) -> None:
    before = dt.datetime.now(dt.UTC)
    ends_at = dt.datetime.fromisoformat(fan.hold(event_id, [(1, 6, 1)])["expiresAt"])
    assert before <= ends_at - dt.timedelta(seconds=HOLD_SECONDS) <= dt.datetime.now(dt.UTC)


def test_a_checkout_within_the_grace_still_counts(site: Site, fan: Fan, event_id: int) -> None:
    hold = fan.hold(event_id, [(1, 1, 1)])
    rival = site.admitted_fan(event_id)
    sleep_past(hold["expiresAt"], 0.1)
    assert fan.get(f"/api/reservations?eventId={event_id}").json["reservations"] == [], "shown as over"
    assert rival.reserve(event_id, [(1, 1, 1)]).code == "seats_taken", "kept for its owner"
    assert seats_of(fan.checkout(event_id, hold["reservationId"]).result["details"]) == [(1, 1, 1)]


def test_past_its_shown_end_a_hold_is_in_nobodys_way_but_the_others(site: Site) -> None:
    event_id = site.event(seats_per_fan_max=2)
    fan, rival = site.admitted_fan(event_id), site.admitted_fan(event_id)
    seats = [(1, 5, 1), (1, 5, 2)]
    hold = fan.hold(event_id, seats)
    sleep_past(hold["expiresAt"], 0.05)
    counts = site.client().get(f"/api/initial-call/{event_id}").json["tickets"][0]
    assert counts["heldCount"] == 2, "for others the seats are held until the grace is over"
    taken = site.client().get(f"/api/events/{event_id}/seats").json["taken"]
    assert sorted(taken) == [[*seat, "reserved"] for seat in seats]
    again = fan.hold(event_id, seats)
    assert again["reservationId"] != hold["reservationId"]
    assert again["expiresAt"] > hold["expiresAt"]
    assert rival.reserve(event_id, seats).code == "seats_taken"
    sleep_past(again["expiresAt"], 0.05)
    others = fan.hold(event_id, [(1, 6, 1), (1, 6, 2)])
    assert fan.checkout(event_id, again["reservationId"]).code == "hold_expired", "it could not be bought beside them"
    assert seats_of(fan.checkout(event_id, others["reservationId"]).result["details"]) == [(1, 6, 1), (1, 6, 2)]


def test_a_lapsed_hold_is_gone_and_its_seats_are_free_at_once(site: Site, fan: Fan, event_id: int) -> None:
    hold = fan.hold(event_id, [(1, 2, 1), (1, 2, 2)])
    rival = site.admitted_fan(event_id)
    sleep_past(hold["expiresAt"], GRACE_SECONDS)
    # Before any sweep can have come: the next reserve needs none.
    theirs = rival.hold(event_id, [(1, 2, 2), (1, 2, 3)])
    for late in (fan.checkout(event_id, hold["reservationId"]), fan.checkout(event_id, seats=[(1, 2, 1), (1, 2, 2)])):
        assert (late.code, late.problem["status"]) == ("hold_expired", 409)
    bought = rival.checkout(event_id, theirs["reservationId"]).result
    assert seats_of(bought["details"]) == [(1, 2, 2), (1, 2, 3)]


def test_best_available_finds_lapsed_seats_at_once(site: Site, fan: Fan) -> None:
    event_id = site.event()
    fan.join(event_id)
    rival = site.admitted_fan(event_id)
    hold = fan.hold(event_id, [(2, 1, seat) for seat in range(1, 9)])
    for row in (2, 3):
        site.admitted_fan(event_id).buy(event_id, [(2, row, seat) for seat in range(1, 9)])
    hold = fan.hold(event_id, [(2, 1, seat) for seat in range(1, 9)])
    sleep_past(hold["expiresAt"], GRACE_SECONDS)
    assert seats_of(rival.reserve(event_id, best=(2, 8)).result["seats"]) == [(2, 1, seat) for seat in range(1, 9)]


def test_what_fans_see_follows_by_the_sweep(site: Site) -> None:
    event_id = site.event()
    fan = site.admitted_fan(event_id)
    with site.client().stream(f"/api/events/{event_id}/live") as live:
        live.next("snapshot")
        hold = fan.hold(event_id, [(1, 1, 1), (1, 1, 2), (2, 1, 1)])
        assert live.data("seats")["tickets"][0]["heldCount"] == 2
        assert live.data("seats", seconds_max=HOLD_SECONDS + GRACE_SECONDS + SWEEP_SECONDS)["seats"] == [
            [1, 1, 1, "available"], [1, 1, 2, "available"], [2, 1, 1, "available"],
        ]  # fmt: skip
        late = dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(hold["expiresAt"])
        assert dt.timedelta(seconds=GRACE_SECONDS) <= late < dt.timedelta(seconds=GRACE_SECONDS + SWEEP_SECONDS)
    document = site.client().get(f"/api/initial-call/{event_id}").json
    assert [(ticket["availableCount"], ticket["heldCount"]) for ticket in document["tickets"]] == [(60, 0), (24, 0)]
    assert site.client().get(f"/api/events/{event_id}/seats").json["taken"] == []
    with psycopg.connect(site.database_url) as connection:
        state = connection.execute("SELECT state FROM reservation WHERE event_id = %s", (event_id,)).fetchall()
    assert state == [("lapsed",)]
    assert fan.release(event_id, hold["reservationId"]).json["status"] in ("succeeded", "failed")
    # A new hold of the same seats is a new one, with an end of its own.
    again = fan.hold(event_id, [(1, 1, 1), (1, 1, 2), (2, 1, 1)])
    assert again["reservationId"] != hold["reservationId"]
    assert again["expiresAt"] > hold["expiresAt"]


def test_a_second_add_does_not_prolong_the_first(fan: Fan, event_id: int) -> None:
    first = fan.hold(event_id, [(1, 3, 1)])
    time.sleep(0.2)
    fan.hold(event_id, [(1, 3, 2)])
    assert fan.reserve(event_id, [(1, 3, 1), (1, 3, 2)]).code == "seats_taken"
    assert fan.hold(event_id, [(1, 3, 1)])["expiresAt"] == first["expiresAt"]
    sleep_past(first["expiresAt"], GRACE_SECONDS)
    assert fan.checkout(event_id, first["reservationId"]).code == "hold_expired"


def test_an_old_retry_is_told_what_was_though_it_lapsed(fan: Fan, event_id: int) -> None:
    told = fan.reserve(event_id, [(1, 4, 1)], key="before the end")
    sleep_past(told.result["expiresAt"], GRACE_SECONDS)
    assert fan.reserve(event_id, [(1, 4, 1)], key="before the end").json == told.json
    assert fan.reserve(event_id, [(1, 4, 1)]).result["reservationId"] != told.result["reservationId"]
