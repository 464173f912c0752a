"""Reads that may be old, beside a real standby: fresh enough, or of the primary, and nobody waits or fails for it."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from admitone.crowd import CrowdPlan, run_crowd
from admitone.doctor import replica as doctor
from admitone.doctor.site import open_site
from admitone.settings import Settings
from booking_lane.results import JobRecord
from db.audit.invariants import audit
from db.connections import replica
from db.connections.engines import create_engine
from db.connections.old_reads import OldReads
from db.connections.small_reads import SmallReads
from db.events.seed import RoomSeed, seed_demo
from db.migrate import migrate
from db.settings import DatabaseSettings
from gateway.hall.halls import Halls
from tests.client import Fan
from tests.ending import dispose
from tests.factories import environ_of, make_event, set_seats
from tests.faults.postgres import FaultyPostgres, Standby
from tests.faults.proxy import Proxy
from tests.integration.gateway.test_own_reads import verifying
from tests.services import Services
from tests.waiting import await_that

SECONDS_MAX = 20.0
FAR_BEHIND_SECONDS = 30.0
"""A standby with this delay has nothing of what the test has just written."""
PATIENT_SECONDS = 60.0


@dataclass
class Pair:
    """A primary, and a standby that is reached through a proxy."""

    primary: FaultyPostgres
    standby: Standby
    proxy: Proxy
    replica_url: str

    def settings(self, lag_seconds_max: float = 1.0) -> DatabaseSettings:
        return DatabaseSettings(
            url=self.primary.url, replica_url=self.replica_url, replica_lag_seconds_max=lag_seconds_max
        )


@pytest.fixture(scope="module")
def servers(servers_folder: Path) -> Iterator[Pair]:
    with contextlib.ExitStack() as stack:
        primary = FaultyPostgres(servers_folder / "lag-primary", durable=False)
        primary.start()
        stack.callback(primary.stop)
        with primary.connect() as connection:
            # What is committed is in the log, so that the log says where a standby stands.
            connection.execute("ALTER SYSTEM SET synchronous_commit = on")
            connection.execute("SELECT pg_reload_conf()")
        migrate(primary.url)
        standby = Standby(servers_folder / "lag-standby", primary, synchronous=False)
        standby.start()
        stack.callback(standby.stop)
        proxy, url = Proxy.before(standby.url)
        stack.callback(proxy.stop)
        yield Pair(primary, standby, proxy, url)


@pytest.fixture
def pair(servers: Pair) -> Iterator[Pair]:
    servers.standby.delay(0)
    yield servers
    servers.standby.delay(0)
    servers.proxy.silent = servers.proxy.refusing = False


@contextlib.asynccontextmanager
async def reading(settings: DatabaseSettings) -> AsyncIterator[OldReads]:
    """The reads of a gateway that measures the lag."""
    engine = create_engine(settings.url, 2)
    reads = OldReads(engine, settings)
    keeper = asyncio.create_task(reads.keep())
    yield reads
    keeper.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await keeper
    await reads.close()
    await dispose(engine)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS_MAX):
        while not condition():  # noqa: ASYNC110 - a server's log has no event for it
            await asyncio.sleep(0.02)


async def notice(connection: AsyncConnection) -> str | None:
    """The notice of the newest event."""
    found: str | None = await connection.scalar(text("SELECT notice FROM event ORDER BY event_id DESC LIMIT 1"))
    return found


def write(pair: Pair, event_id: int, words: str) -> None:
    with pair.primary.connect() as connection:
        connection.execute("UPDATE event SET notice = %s WHERE event_id = %s", (words, event_id))


async def test_a_fresh_replica_is_read_and_one_that_is_behind_is_not(pair: Pair) -> None:
    event_id = make_event(pair.primary.url)
    async with reading(pair.settings()) as reads:
        assert await reads.read(notice) == "", "nothing is known of the replica yet, so the primary is read"
        assert reads.made == {"primary": 1}
        await until(lambda: reads.is_fresh)
        assert await reads.read(notice) == ""
        assert reads.made["replica"] == 1
        assert reads.lag_seconds is not None
        assert reads.lag_seconds <= 1.0

        pair.standby.delay(FAR_BEHIND_SECONDS)
        write(pair, event_id, "doors at eight")
        await until(lambda: not reads.is_fresh)
        assert await reads.read(notice) == "doors at eight"
        pair.standby.delay(0)
        await until(lambda: reads.is_fresh)
        assert await reads.read(notice) == "doors at eight"


async def test_what_a_reader_does_not_accept_is_read_from_the_primary(pair: Pair) -> None:
    event_id = make_event(pair.primary.url)
    async with reading(pair.settings(PATIENT_SECONDS)) as reads:
        await until(lambda: reads.is_fresh)
        pair.standby.delay(FAR_BEHIND_SECONDS)
        write(pair, event_id, "moved to the large hall")
        assert await reads.read(notice) == "", "a minute is allowed"
        assert await reads.read(notice, lambda found: found != "") == "moved to the large hall"


@pytest.mark.parametrize("how", ["silent", "cut"])
async def test_a_replica_that_goes_away_fails_no_read(pair: Pair, how: str) -> None:
    make_event(pair.primary.url)
    async with reading(pair.settings()) as reads:
        await until(lambda: reads.is_fresh)
        await reads.read(notice)
        began_at = time.monotonic()
        if how == "silent":
            pair.proxy.silent = True
        else:
            pair.proxy.refusing = True
            pair.proxy.cut()
        # This one goes to the replica, which is not known to be away.
        assert await reads.read(notice) == ""
        assert time.monotonic() - began_at < SECONDS_MAX
        await until(lambda: not reads.is_fresh)
        pair.proxy.silent = pair.proxy.refusing = False
        await until(lambda: reads.is_fresh)
        before = reads.made["replica"]
        await reads.read(notice)
        assert reads.made["replica"] == before + 1


async def test_a_hall_is_brought_up_to_the_primary_by_the_next_comparison(pair: Pair) -> None:
    event_id = make_event(pair.primary.url)
    async with reading(pair.settings(PATIENT_SECONDS)) as reads:
        await until(lambda: reads.is_fresh)
        pair.standby.delay(FAR_BEHIND_SECONDS)
        book(pair, event_id, 1)
        halls = Halls(reads._primary, reads)
        hall = await halls.hall(event_id)
        assert (hall.version, hall.taken) == (0, {}), "the first reading may be old"
        small_reads = SmallReads(pair.primary.url, "admitone-test")
        async with verifying(halls, small_reads):
            await until(lambda: hall.version == 1)
        await small_reads.close()
        assert hall.taken == {(1, 1, 1): "booked"}


async def test_a_hall_shows_what_its_gateway_has_answered(pair: Pair) -> None:
    event_id = make_event(pair.primary.url)
    async with reading(pair.settings(PATIENT_SECONDS)) as reads:
        await until(lambda: reads.is_fresh)
        pair.standby.delay(FAR_BEHIND_SECONDS)
        halls = Halls(reads._primary, reads)
        for version in (1, 2):
            book(pair, event_id, version)
            body = b'{"status":"succeeded","result":{"version":%d}}' % version
            # The first answer comes before the hall was ever read.
            halls.note_answered(JobRecord(7, event_id, "checkout", b"", True, body))
            assert len((await halls.current(event_id)).taken) == version
        book(pair, event_id, 3)
        assert len((await halls.current(event_id, version_min=3)).taken) == 3, "a reader names a version"


def book(pair: Pair, event_id: int, version: int) -> None:
    with pair.primary.connect() as connection, connection.transaction():
        set_seats(connection, event_id, [(1, 1, version)], "booked", None, None)
        connection.execute("UPDATE event SET version = %s WHERE event_id = %s", (version, event_id))


def test_a_command_reads_a_replica_that_has_caught_up(pair: Pair) -> None:
    def server_of(connection: psycopg.Connection[tuple[object, ...]]) -> object:
        return connection.execute("SELECT pg_is_in_recovery(), current_setting('transaction_read_only')").fetchone()

    urls = {"database_url": pair.primary.url, "replica_url": pair.replica_url}
    with replica.connect(name="admitone-test", **urls) as connection:
        assert server_of(connection) == (True, "on")
    assert audit(pair.primary.url, replica_url=pair.replica_url) == audit(pair.primary.url)
    pair.standby.delay(FAR_BEHIND_SECONDS)
    make_event(pair.primary.url)
    with replica.connect(name="admitone-test", **urls) as connection:
        assert server_of(connection) == (False, "on")
    pair.proxy.refusing = True
    with replica.connect(name="admitone-test", **urls) as connection:
        assert server_of(connection) == (False, "on")


def test_the_doctor_says_how_the_replica_is(pair: Pair) -> None:
    settings = Settings(db=pair.settings())

    def says(settings: Settings) -> tuple[str, str]:
        with open_site(settings, (), "") as site:
            (found,) = doctor.examine(site)
        return found.level.name, found.says

    assert says(settings)[0] == "OK"
    pair.standby.delay(FAR_BEHIND_SECONDS)
    make_event(pair.primary.url)
    assert says(settings) == ("WARNING", "The replica is more than 1 s behind, so the primary answers its reads")
    pair.proxy.refusing = True
    assert says(settings)[1].startswith("The replica does not answer")
    itself = Settings(db=DatabaseSettings(url=pair.primary.url, replica_url=pair.primary.url))
    assert says(itself) == ("WARNING", "The replica is no standby, so it is not read")


async def test_nobody_misses_their_own_purchase_beside_a_replica_a_second_behind(
    pair: Pair, redis_url: str, tmp_path: Path
) -> None:
    """The replica is read all the time, for the lag that is allowed is longer."""
    pair.standby.delay(1.0)
    event_id = seed_demo(pair.primary.url, room=RoomSeed(rate_per_minute=60_000, capacity=30))
    environ = environ_of(
        pair.primary.url,
        redis_url,
        {"ADMITONE_DB_REPLICA_URL": pair.replica_url, "ADMITONE_DB_REPLICA_LAG_SECONDS_MAX": "10"},
    )
    services = Services(environ, tmp_path)
    try:
        services.worker()
        gateway = services.gateway()
        ledger = tmp_path / "ledger.jsonl"
        plan = CrowdPlan(
            base_url=gateway.url,
            event_id=event_id,
            fans=12,
            rate_per_second=20,
            seats_per_fan=2,
            best_available=0.5,
            duration_seconds_max=60,
            ledger=ledger,
        )
        report = await run_crowd(plan, quiet=True)
        assert report.clean, (report, services.report())
        # Events that this gateway has not read yet are read from the replica.
        fan = Fan.arrive(gateway.url)
        await_that(lambda: b"admitone_replica_fresh 1.0" in fan.get("/metrics").content, what="fresh")
        other = make_event(pair.primary.url)
        await_that(lambda: fan.get(f"/api/events/{other}/seats").status == 200)
        assert fan.get("/api/events").status == 200
        (reads,) = re.findall(rb'admitone_old_reads_total{server="replica"} (\S+)', fan.get("/metrics").content)
        assert float(reads) > 0
    finally:
        services.stop()
    # The tests above book by hand and keep no books.
    broken = {row["event_id"] for violation in audit(pair.primary.url, ledger=ledger) for row in violation.rows}
    assert event_id not in broken
