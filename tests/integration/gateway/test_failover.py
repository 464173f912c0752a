"""A failover to a standby that had not heard of the last bookings, by a URL that names both servers."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from pathlib import Path

from booking_lane.results import Count, EventChange, SeatChange
from db.connections.engines import create_engine
from db.connections.small_reads import SmallReads
from db.migrate import migrate
from gateway.hall.halls import Halls
from tests.factories import make_event, set_seats
from tests.faults.postgres import FaultyPostgres, Standby, url_of_both
from tests.integration.gateway.test_own_reads import verifying
from tests.waiting import await_that

SECONDS_MAX = 30.0


def book(server: FaultyPostgres, event_id: int, version: int) -> EventChange:
    """Book a seat; return the news of it."""
    with server.connect() as connection, connection.transaction():
        set_seats(connection, event_id, [(1, 1, version)], "booked", None, None)
        connection.execute("UPDATE event SET version = %s WHERE event_id = %s", (version, event_id))
    return EventChange(event_id, version, (SeatChange(1, 1, version, "booked"),), (Count(1, 60 - version, 0),))


async def test_a_hall_ahead_of_the_new_primary_follows_it_back(servers_folder: Path) -> None:
    with contextlib.ExitStack() as stack:
        primary = FaultyPostgres(servers_folder / "lost-primary", durable=False)
        primary.start()
        stack.callback(primary.stop)
        migrate(primary.url)
        standby = Standby(servers_folder / "lost-standby", primary, synchronous=False)
        standby.start()
        stack.callback(standby.stop)
        event_id = make_event(primary.url)
        engine = create_engine(url_of_both(primary, standby), 2)
        halls = Halls(engine)
        hall = await halls.hall(event_id)

        told = [book(primary, event_id, 1)]
        with standby.connect() as connection:
            await_that(lambda: connection.execute("SELECT FROM event WHERE version = 1").fetchone() is not None)
        standby.stop_following()
        told += [book(primary, event_id, version) for version in (2, 3)]
        for change in told:
            halls.on_change(change)
        assert (hall.version, len(hall.taken)) == (3, 3)

        # A connection that its server ends would be closed by nobody.
        await engine.dispose()
        primary.end(signal.SIGKILL)
        standby.promote()
        reads = SmallReads(url_of_both(primary, standby), "admitone-test")
        async with verifying(halls, reads), asyncio.timeout(SECONDS_MAX):
            while hall.version != 1:  # noqa: ASYNC110 - a hall has no event for it
                await asyncio.sleep(0.02)
        assert hall.taken == {(1, 1, 1): "booked"}
        assert hall.abandoned == 3, "versions 2 and 3 will be given anew, to other bookings"
        await reads.close()
        await engine.dispose()
