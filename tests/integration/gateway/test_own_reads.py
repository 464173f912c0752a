"""A reader sees what this gateway has answered, however late the news of it come, and whatever Postgres loses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import cast

import msgspec
import psycopg
import pytest
from sqlalchemy.pool import QueuePool

from booking_lane.results import Count, EventChange, JobRecord, SeatChange, version_told
from db.connections.engines import create_engine
from db.connections.small_reads import SmallReads
from gateway.hall import hall as hall_module
from gateway.hall import halls as halls_module
from gateway.hall.hall import Hall
from gateway.hall.halls import Halls
from gateway.wire.stream import Stream
from tests.ending import dispose
from tests.factories import make_event, set_seats

FAN = 7
DELAY_SECONDS = 0.15
LONG_SECONDS = 60.0
AT_ONCE_SECONDS_MAX = 20.0
"""Far less than `LONG_SECONDS`, for which a reader would wait that waits at all; far more than a busy machine takes."""


@dataclass
class Site:
    """The halls of a gateway, and a Postgres whose one event the test books by hand."""

    halls: Halls
    event_id: int
    connection: psycopg.Connection[tuple[object, ...]]
    reads: SmallReads

    def commit(self, version: int, number: int, status: str = "booked") -> EventChange:
        """Commit a seat's change as ``version``; return the news of it, which are not sent yet."""
        set_seats(self.connection, self.event_id, [(1, 1, number)], status, None, None)
        self.connection.execute("UPDATE event SET version = %s WHERE event_id = %s", (version, self.event_id))
        self.connection.commit()
        return EventChange(self.event_id, version, (SeatChange(1, 1, number, status),), (Count(1, 60 - version, 0),))

    def answer(self, version: int, user_id: int = FAN) -> None:
        """Answer a fan with the outcome of a job at that version."""
        body = msgspec.json.encode({"status": "succeeded", "result": {"version": version}})
        self.halls.note_answered(JobRecord(user_id, self.event_id, "reserve", b"", True, body))

    def send(self, change: EventChange) -> None:
        self.halls.on_change(change)

    def shown(self, hall: Hall) -> list[list[object]]:
        found: list[list[object]] = msgspec.json.decode(hall.seats_rendered().body)["taken"]
        return found


class Frames:
    """Keeps what a hall writes to a stream; a real stream writes to uvicorn's connection."""

    closed = False

    def __init__(self, hall: Hall, last_version: int | None = None) -> None:
        self.written: list[bytes] = []
        hall.subscribe(cast(Stream, self), last_version)

    def write(self, frame: bytes) -> bool:
        self.written.append(frame)
        return True


@pytest.fixture
async def site(database_url: str) -> AsyncIterator[Site]:
    engine = create_engine(database_url, 2)
    with psycopg.connect(database_url) as connection:
        reads = SmallReads(database_url, "admitone-test")
        yield Site(Halls(engine), make_event(connection), connection, reads)
    await reads.close()
    await dispose(engine)


@asynccontextmanager
async def verifying(halls: Halls, reads: SmallReads) -> AsyncIterator[None]:
    task = asyncio.get_running_loop().create_task(halls.verify(reads))
    yield
    # A connection that is cancelled while it is made is closed by nobody.
    pool = cast(QueuePool, halls._engine.sync_engine.pool)
    while pool.checkedout():  # noqa: ASYNC110 - a pool has no event for it
        await asyncio.sleep(0.01)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.fixture
def long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(halls_module, "MIN_VERSION_SECONDS_MAX", LONG_SECONDS)


def test_an_outcome_tells_its_version() -> None:
    assert version_told(b'{"status":"succeeded","result":{"reservationId":"x","version":12}}') == 12
    assert version_told(b'{"status":"failed","problem":{"code":"seat_taken","version":3}}') == 3
    assert version_told(b'{"status":"failed","problem":{"code":"timed_out"}}') == -1


@pytest.mark.usefixtures("long_waits")
async def test_a_read_after_an_answer_waits_for_the_news_of_it(site: Site) -> None:
    assert (await site.halls.current(site.event_id)).version == 0
    change = site.commit(1, 1)
    site.answer(1)
    began_at = time.monotonic()
    asyncio.get_running_loop().call_later(DELAY_SECONDS, site.send, change)
    hall = await site.halls.current(site.event_id)
    assert (hall.version, site.shown(hall)) == (1, [[1, 1, 1, "booked"]])
    assert DELAY_SECONDS <= time.monotonic() - began_at < AT_ONCE_SECONDS_MAX
    began_at = time.monotonic()
    await site.halls.current(site.event_id)
    assert time.monotonic() - began_at < AT_ONCE_SECONDS_MAX, "waited once"


async def test_news_that_are_lost_are_read_from_postgres(site: Site) -> None:
    await site.halls.current(site.event_id)
    site.commit(1, 1)
    site.answer(1)
    async with verifying(site.halls, site.reads):
        hall = await site.halls.current(site.event_id)
    assert site.shown(hall) == [[1, 1, 1, "booked"]]


@pytest.mark.usefixtures("long_waits")
async def test_a_booking_does_not_wait(site: Site) -> None:
    await site.halls.current(site.event_id)
    site.answer(1)
    began_at = time.monotonic()
    assert (await site.halls.hall(site.event_id)).version == 0
    assert time.monotonic() - began_at < AT_ONCE_SECONDS_MAX


async def test_news_that_come_while_the_event_is_read_are_not_lost(site: Site) -> None:
    """The first reading too: its snapshot may be from before the change."""
    reading = asyncio.get_running_loop().create_task(site.halls.hall(site.event_id))
    await asyncio.sleep(0)
    hall = site.halls._halls[site.event_id]
    assert hall.lock.locked()
    assert hall.version < 0
    site.send(site.commit(1, 1))
    assert (await reading).version == 1
    async with hall.lock:
        site.send(site.commit(2, 2))
        site.answer(2)
        read = asyncio.get_running_loop().create_task(site.halls.current(site.event_id))
        await asyncio.sleep(0.05)
        assert not read.done(), "the change is known, and not shown yet"
        await site.halls._load(hall)
    assert (await read).version == 2


async def test_a_large_hall_shows_a_fan_the_own_booking(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """While rendering is too dear for every version, other readers get the last rendering without a wait."""
    monkeypatch.setattr(hall_module, "RENDER_SECONDS_MAX", 0.0)
    monkeypatch.setattr(hall_module, "RENDER_SHARE", 0.0)
    hall = await site.halls.current(site.event_id)
    changes = [site.commit(version, version) for version in (1, 2)]
    # From here to the next look Postgres is not asked: a quarter of a second later all would be rendered anew.
    assert site.shown(hall) == []
    for change in changes:
        site.send(change)
        site.answer(change.version, FAN + change.version)
    assert site.shown(hall) == [], "rendered a moment ago"
    slept: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        slept.append(seconds)
        await sleep(seconds)

    monkeypatch.setattr(asyncio, "sleep", noted)
    assert (await hall.seats_for(99)).version == 0
    assert slept == [], "a fan who was answered nothing waits for nothing"
    mine, other = await asyncio.gather(hall.seats_for(FAN + 2), hall.seats_for(FAN + 1))
    assert mine.version == 2
    assert mine is other, "one rendering for both"
    assert slept
    assert max(slept) <= hall_module.SEATS_SECONDS


async def test_a_small_hall_is_rendered_at_every_version(site: Site) -> None:
    hall = await site.halls.current(site.event_id)
    for version in range(1, 8):
        assert len(site.shown(hall)) == version - 1
        site.send(site.commit(version, version))
    assert len(site.shown(hall)) == 7


# -- Postgres goes back


async def test_a_hall_ahead_of_postgres_is_read_anew_and_its_streams_are_told(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    hall = await site.halls.current(site.event_id)
    for version in range(1, 6):
        site.send(site.commit(version, version))
    stream = Frames(hall)
    site.commit(3, 5, "available")  # a standby that never heard of versions 4 and 5 takes over
    began_at = time.monotonic()
    async with verifying(site.halls, site.reads):
        while hall.version != 3:
            assert time.monotonic() - began_at < AT_ONCE_SECONDS_MAX, "not noticed"
            await asyncio.sleep(0.02)
    assert len(site.shown(hall)) == 4
    assert b"event: snapshot" in stream.written[-1]
    assert b'"version":3' in stream.written[-1]
    # A client that had version 4 of the lost ones is not brought up to date by changes to another version 4.
    site.send(site.commit(4, 9))
    assert b"event: snapshot" in Frames(hall, last_version=4).written[-1]
    monkeypatch.setattr(halls_module, "MIN_VERSION_SECONDS_MAX", LONG_SECONDS)
    began_at = time.monotonic()
    await site.halls.current(site.event_id, version_min=5)
    assert time.monotonic() - began_at < AT_ONCE_SECONDS_MAX, "a version that is lost is not waited for"


async def test_a_version_that_is_given_anew_is_noticed_before_postgres_is_compared(site: Site) -> None:
    hall = await site.halls.current(site.event_id)
    for version in range(1, 6):
        site.send(site.commit(version, version))
    hall.loaded_at -= 10  # no message of the first reading can still be on its way
    site.commit(3, 5, "available")
    site.send(site.commit(4, 9))
    began_at = time.monotonic()
    while hall.version != 4:
        assert time.monotonic() - began_at < AT_ONCE_SECONDS_MAX
        await asyncio.sleep(0.02)
    assert [1, 1, 9, "booked"] in site.shown(hall)
    assert [1, 1, 5, "booked"] not in site.shown(hall)


async def test_an_answer_that_postgres_has_lost_delays_one_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    await site.halls.current(site.event_id)
    site.answer(40)
    await site.halls.current(site.event_id)
    monkeypatch.setattr(halls_module, "MIN_VERSION_SECONDS_MAX", LONG_SECONDS)
    site.answer(40)  # the job's record outlived its version: it is polled again
    began_at = time.monotonic()
    assert (await site.halls.current(site.event_id)).version == 0
    assert time.monotonic() - began_at < AT_ONCE_SECONDS_MAX
