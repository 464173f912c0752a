"""`admitone rehearse` on a real site: its verdict, its hidden copy, and that nothing of it is left over."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from db.events.seed import RoomSeed, TicketTypePlan
from db.rehearsals.rehearsals import copy_event, remove_copy
from gateway.identity.sessions import Identity
from tests.acceptance.conftest import Site
from tests.client import Client

SMALL = (TicketTypePlan(ticket_type="General", price=4900, rows=10, seats_per_row=20),)
OPEN = RoomSeed(rate_per_minute=6000, capacity=500, line_cap=500)
SHORT = ("--arrive", "1", "--minutes", "1", "--no-shows", "0", "--json", "--quiet")
FAST = ("--fast", *SHORT)
SECONDS_MAX = 110
ENVIRON = {
    "ADMITONE_AUTOPILOT_P95_MS": "10000",
    "ADMITONE_JOINS_PER_MINUTE": "20",
    "ADMITONE_SESSIONS_PER_MINUTE": "20",
}
"""Latencies of a busy test machine are no subject here; the limits per address would stop a crowd from one address."""

pytestmark = pytest.mark.timeout(240)


def rehearse(site: Site, event_id: int, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, verdict and standard error."""
    done = site.services.run("rehearse", str(event_id), "--url", site.url, *arguments, seconds_max=SECONDS_MAX)
    return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr


EVENT_TABLES = ("event", "ticket", "seat", "room", "reservation", "purchase", "booking_command")


def event_data(site: Site, event_id: int) -> list[Any]:
    with psycopg.connect(site.database_url) as connection:
        return [
            # The room's epoch and its opening are noted by workers, whenever they come by.
            connection.execute(
                f"SELECT to_jsonb(t) - '{{epoch,opened_for}}'::text[] FROM {table} t WHERE {event} = %s"
                " ORDER BY t::text",
                (event_id,),
            ).fetchall()
            for table, event in (
                *((name, "event_id") for name in EVENT_TABLES),
                ("change_log", "subject = 'room' AND subject_id"),
            )
        ]


def lines_of_no_event(site: Site) -> int:
    """Lines of the change log about rooms and events that are gone."""
    with psycopg.connect(site.database_url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM change_log"
            " WHERE subject IN ('room', 'event') AND subject_id NOT IN (SELECT event_id FROM event)"
        ).fetchone()
    assert row is not None
    return int(row[0])


def copies(site: Site) -> list[int]:
    with psycopg.connect(site.database_url) as connection:
        return [row[0] for row in connection.execute("SELECT event_id FROM event WHERE rehearsal_of IS NOT NULL")]


def test_a_sale_is_rehearsed_and_nothing_of_it_is_left(site: Site) -> None:
    event_id = site.event(hall=SMALL, room=OPEN)
    fan = site.admitted_fan(event_id)
    assert fan.reserve(event_id, [(1, 1, 1)]).json["status"] == "succeeded"
    before = event_data(site, event_id)

    code, verdict, error = rehearse(site, event_id, "--fans", "60", *FAST)

    assert code == 0, (verdict, error)
    assert verdict["fit"], verdict
    assert verdict["sustainedPerMinute"] > 0
    assert lines_of_no_event(site) == 0
    facts = verdict["facts"]
    assert facts["audit"] == []
    assert facts["joined"] == 60
    assert facts["configured"]["errors"] == {}
    assert verdict["bottleneck"]["code"] in ("fans", "rate", "seats"), verdict["bottleneck"]
    assert {one["setting"] for one in verdict["suggestions"]} == {"ratePerMinute", "capacity", "lineCap", "gateways"}
    assert event_data(site, event_id) == before
    assert copies(site) == []
    with psycopg.connect(site.database_url) as connection:
        row = connection.execute("SELECT count(*) FROM purchase").fetchone()
    assert row == (0,)
    left = {int(key.split(b"{")[1].split(b"}")[0]) for key in site.redis().scan_iter(match="room:{*}:*")}
    assert left <= {event_id}


def test_the_copy_is_hidden_from_everybody_but_its_fans(site: Site) -> None:
    event_id = site.event(hall=SMALL, room=OPEN)
    copy = _copy(site, event_id)
    try:
        stranger, fan = site.client(), site.fan()
        assert [one["eventId"] for one in stranger.get("/api/events").json["events"]].count(copy) == 0
        assert stranger.get("/api/events?q=Rehearsal").json["events"] == []
        assert "Rehearsal of" not in stranger.get("/", Accept="text/html").content.decode()
        for client in (stranger, fan):
            for path in (f"/api/initial-call/{copy}", f"/api/events/{copy}/seats", f"/api/events/{copy}/live"):
                assert client.get(path).code == "unknown_event", path
        with pytest.raises(urllib.error.HTTPError) as page:
            urllib.request.urlopen(f"{site.url}/events/{copy}", timeout=30)
        page.value.close()
        assert page.value.code == 404
        for answer in (
            fan.post(f"/api/queue/{copy}", None),
            fan.get(f"/api/queue/{copy}"),
            fan.get(f"/api/queue/{copy}/stream"),
            fan.get(f"/api/queue/{copy}/receipt"),
            fan.post(f"/api/queue/{copy}/claim", None),
            fan.post("/api/reserve", {"eventId": copy, "bestAvailable": {"ticketTypeId": 1, "quantity": 1}}),
            fan.get(f"/api/reservations?eventId={copy}"),
        ):
            assert (answer.status, answer.code) == (404, "unknown_event"), answer.content

        ours = _rehearsing(site, copy)
        assert ours.get(f"/api/initial-call/{copy}").json["event"]["name"] == "Rehearsal of Nachtflug"
        assert ours.post(f"/api/queue/{copy}", None).status == 201
    finally:
        _remove(site, copy)


def test_a_rehearsals_session_is_of_no_use_elsewhere_nor_afterwards(site: Site) -> None:
    event_id = site.event(hall=SMALL, room=OPEN)
    copy, other = _copy(site, event_id), _copy(site, event_id)
    ours = _rehearsing(site, copy)
    try:
        for answer in (
            ours.post(f"/api/queue/{event_id}", None),
            ours.get(f"/api/queue/{event_id}"),
            ours.get(f"/api/queue/{event_id}/receipt"),
            ours.post("/api/reserve", {"eventId": event_id, "bestAvailable": {"ticketTypeId": 1, "quantity": 1}}),
            ours.post("/api/checkout", {"eventId": event_id, "reservationId": "0b5a3bd6-7a0f-4f3a-8f3c-0a0a0a0a0a0a"}),
        ):
            assert (answer.status, answer.code) == (401, "session_invalid"), answer.content
        assert ours.post(f"/api/queue/{other}", None).code == "unknown_event"
        # A session that names an event on sale, were one ever signed, exempts from nothing.
        assert _rehearsing(site, event_id).post(f"/api/queue/{event_id}", None).code == "session_invalid"
        # On the copy the limit of an address, 20 joins a minute here, is none; an ordinary fan's stays what it was.
        assert [_rehearsing(site, copy).post(f"/api/queue/{copy}", None).status for _ in range(30)] == [201] * 30
        over = _rehearsing(site, copy, seconds=-1)
        assert over.post(f"/api/queue/{copy}", None).code == "session_invalid"
    finally:
        _remove(site, copy)
        _remove(site, other)
    until = time.monotonic() + 30
    while ours.get(f"/api/initial-call/{copy}").status != 404 and time.monotonic() < until:
        time.sleep(0.1)
    assert ours.get(f"/api/initial-call/{copy}").code == "unknown_event"
    assert (
        ours.post("/api/reserve", {"eventId": copy, "bestAvailable": {"ticketTypeId": 1, "quantity": 1}}).code
        == "unknown_event"
    )


@pytest.mark.long
def test_the_door_is_found_to_set_the_pace_and_a_copy_is_kept_until_removed(site: Site) -> None:
    """Two rehearsals at a time, for they are of two events: of a small capacity, and of a small line."""
    narrow = site.event(hall=SMALL, room=dataclasses.replace(OPEN, rate_per_minute=60_000, capacity=3))
    short = site.event(hall=SMALL, room=dataclasses.replace(OPEN, line_cap=40))
    with ThreadPoolExecutor(2) as both:
        of_narrow = both.submit(rehearse, site, narrow, "--fans", "18", *SHORT, "--think", "1")
        of_short = both.submit(rehearse, site, short, "--fans", "60", *FAST, "--keep")

    code, verdict, error = of_narrow.result()
    assert code == 0, (verdict, error)
    assert verdict["bottleneck"]["code"] == "capacity", verdict

    code, verdict, error = of_short.result()
    assert code == 1, (verdict, error)
    assert verdict["bottleneck"]["code"] == "line_cap", verdict
    assert verdict["facts"]["turnedAway"] == 20
    (cap,) = (one for one in verdict["suggestions"] if one["setting"] == "lineCap")
    assert (cap["now"], cap["value"]) == (40, 75)

    (kept,) = copies(site)
    with psycopg.connect(site.database_url) as connection:
        state = connection.execute("SELECT state FROM room WHERE event_id = %s", (kept,)).fetchone()
    assert state == ("closed",)
    assert site.client().get(f"/api/initial-call/{kept}").code == "unknown_event"
    assert "rehearsal_left" in site.services.run("doctor", "--json").stdout
    removed = site.services.run("rehearse", str(short), "--remove", seconds_max=SECONDS_MAX)
    assert (removed.returncode, removed.stdout) == (0, f"Removed 1 copies of event {short}.\n"), removed.stderr
    assert copies(site) == []
    assert list(site.redis().scan_iter(match=f"room:{{{kept}}}:*")) == []


@pytest.mark.long
def test_who_interrupts_it_leaves_no_copy(site: Site) -> None:
    event_id = site.event(hall=SMALL, room=dataclasses.replace(OPEN, rate_per_minute=60))
    running = site.services.start("rehearse", str(event_id), "--url", site.url, "--fans", "50", "--arrive", "1")
    until = time.monotonic() + 60
    while "sale as configured" not in running.text():
        assert running.process.poll() is None, running.text()
        assert time.monotonic() < until, running.text()
        time.sleep(0.1)
    assert len(copies(site)) == 1
    with ThreadPoolExecutor(2) as both:
        second = both.submit(rehearse, site, event_id, "--fans", "1", *FAST)
        doctor = both.submit(site.services.run, "doctor", "--json")
    code, _, error = second.result()
    assert (code, "being rehearsed already" in error) == (2, True), error
    assert "rehearsal_left" not in doctor.result().stdout
    running.process.terminate()
    try:
        assert running.process.wait(60) == 2, running.text()
    except subprocess.TimeoutExpired:
        pytest.fail(running.text())
    assert copies(site) == []


def test_an_unknown_event_cannot_be_rehearsed(site: Site) -> None:
    code, _, error = rehearse(site, 4_000_000, "--fans", "1", *FAST)
    assert (code, error.strip()) == (2, "There is no event 4000000.")


def _copy(site: Site, event_id: int) -> int:
    with psycopg.connect(site.database_url, autocommit=True) as connection:
        made = copy_event(connection, event_id)
        connection.execute("UPDATE room SET state = 'open', revision = 2 WHERE event_id = %s", (made.event_id,))
    return made.event_id


def _remove(site: Site, copy: int) -> None:
    with psycopg.connect(site.database_url, autocommit=True) as connection:
        assert remove_copy(connection, copy)


def _rehearsing(site: Site, event_id: int, seconds: int = 60) -> Client:
    identity = Identity(site.services.environ["ADMITONE_SECRET"], session_seconds=60, open_auth=False, secure=False)
    client = site.client()
    client.headers["Authorization"] = f"Bearer {identity.new_rehearsal_fan(event_id, seconds)[0]}"
    return client


@pytest.fixture(autouse=True)
def _a_minute_of_its_own(site: Site) -> Iterator[None]:
    """The limits per address are small here, and count for all tests."""
    yield
    for key in site.redis().scan_iter(match="allow:*"):
        site.redis().delete(key)
