"""The storm on seats that everybody wants, and the proof that its tests can fail.

One lane and three workers on it, so that only locks keep transactions apart. With them each seat is sold once;
without them (negative control) the audit or the database must notice; without the unique index either, seats
are sold twice. A control that stays clean would mean that the storm proves nothing: `make test-long` runs the controls.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from admitone.fan.ledger import Ledger
from booking_lane.alive import alive_workers
from booking_lane.lane import queue_name
from db.audit.invariants import audit
from db.events.seed import RoomSeed, TicketTypePlan
from tests.acceptance.conftest import Site
from tests.client import Fan
from tests.services import Service, start_module
from tests.storming import FANS, SEATS, TRIES, Storm, storm

GATEWAYS = 2
WORKERS = 0
AUDITED = False
ENVIRON = {"ADMITONE_LANES": "1", "ADMITONE_BATCH_MAX": "6", "ADMITONE_BATCHES_UNFINISHED_MAX": "4"}
HALL = (TicketTypePlan(ticket_type="General", price=4900, rows=2, seats_per_row=10),)
NO_DOOR = RoomSeed(state="off")
"""As many fans as there are seats would be let in at a time."""
LANE_WORKERS = 3
STORMS_MAX = 4
"""A control's workers may by chance never meet at a seat in one storm, least of all on a busy machine."""
START_SECONDS_MAX = 60
PAUSE_SECONDS = {"locks": 0.02, "lockless": 0.3}
"""Between decision and writing at most: wide enough that transactions of several workers overlap."""


@contextmanager
def lane_workers(site: Site, folder: Path, locks: str) -> Iterator[list[Service]]:
    """Three worker pools on the one lane."""
    started = []
    try:
        for number in range(LANE_WORKERS):
            log = folder / f"{locks}-{number}.log"
            arguments = ("tests.lockless_worker", locks, str(PAUSE_SECONDS[locks]))
            process = start_module(*arguments, log=log, environ=site.services.environ)
            started.append(Service(f"{locks}-{number}", process, log))
        # The first alone would have given all seats away before the others are there.
        with site.redis() as client:
            until = time.monotonic() + START_SECONDS_MAX
            while len(alive_workers(client, queue_name(0))) < LANE_WORKERS:
                assert time.monotonic() < until, "the lane's workers did not come up"
                time.sleep(0.05)
        yield started
    finally:
        for service in started:
            service.stop()


def crowd(site: Site, ledger: Ledger) -> list[Fan]:
    def arrive(number: int) -> Fan:
        # Who begins at the same seat is at another gateway: their commands meet in the lane, not in one batch.
        return Fan.arrive(site.gateways[number // len(SEATS) % 2].url, ledger)

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(arrive, range(FANS)))


def urls(site: Site) -> list[str]:
    return [gateway.url for gateway in site.gateways]


def seats_sold_twice(site: Site) -> int:
    with psycopg.connect(site.database_url) as connection:
        row = connection.execute(
            """
            SELECT count(*) FROM (SELECT FROM purchase_detail WHERE cancelled_at IS NULL
             GROUP BY event_id, ticket_type_id, row_number, seat_number HAVING count(*) > 1) AS twice
            """
        ).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.long
def test_with_locks_each_seat_is_sold_once(site: Site, tmp_path: Path) -> None:
    event_id = site.event(hall=HALL, room=NO_DOOR)
    path = tmp_path / "ledger.jsonl"
    with Ledger(path) as ledger, lane_workers(site, tmp_path, "locks") as workers:
        found = storm(crowd(site, ledger), event_id, urls(site))
    assert found.held == dict.fromkeys(SEATS, 1)
    assert found.bought == dict.fromkeys(SEATS, 1)
    assert found.reserves == {"held": len(SEATS), "seats_taken": found.reserves["seats_taken"]}
    assert found.reserves["seats_taken"] >= (FANS - len(SEATS)) * TRIES, "the rest tried in vain"
    assert found.checkouts == {"bought": 2 * len(SEATS)}, "an impatient second click gets the same purchase"
    for answer in found.answers:
        if answer.code == "seats_taken":
            assert len(answer.problem["seats"]) == 1
            assert answer.problem["detail"]
    document = site.client().get(f"/api/initial-call/{event_id}?minVersion=1").json
    assert [(ticket["availableCount"], ticket["heldCount"]) for ticket in document["tickets"]] == [(0, 0)]
    assert audit(site.database_url, ledger=path) == [], [worker.text()[-2000:] for worker in workers]


@pytest.mark.long
def test_without_locks_the_audit_or_the_database_notices(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    found = Storm()
    with Ledger(path) as ledger, lane_workers(site, tmp_path, "lockless") as workers:
        for _ in range(STORMS_MAX):
            found = storm(crowd(site, ledger), site.event(hall=HALL, room=NO_DOOR), urls(site), buy=False)
            logs = "".join(worker.text() for worker in workers)
            noticed = {name for name in ("DeadlockDetected", "UniqueViolation") if name in logs}
            if noticed or max(found.held.values()) > 1:
                break
    broken = {violation.invariant for violation in audit(site.database_url, ledger=path)}
    assert "told_holds_apart" in broken or noticed, (broken, found.reserves)
    assert max(found.held.values()) > 1 or noticed, "some seat was promised to two fans"


@pytest.mark.long
def test_without_locks_and_index_seats_are_sold_twice(site: Site, tmp_path: Path) -> None:
    with psycopg.connect(site.database_url) as connection:
        connection.execute("DROP INDEX uq_purchase_detail_live_seat")
    assert seats_sold_twice(site) == 0
    path = tmp_path / "ledger.jsonl"
    found = Storm()
    with Ledger(path) as ledger, lane_workers(site, tmp_path, "lockless"):
        for _ in range(STORMS_MAX):
            found = storm(crowd(site, ledger), site.event(hall=HALL, room=NO_DOOR), urls(site))
            if seats_sold_twice(site):
                break
    broken = {violation.invariant for violation in audit(site.database_url, ledger=path)}
    assert seats_sold_twice(site) > 0, (found.checkouts, broken)
    assert "told_seat_sold_once" in broken
    assert max(found.bought.values()) > 1
