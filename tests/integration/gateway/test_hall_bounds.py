"""What a gateway keeps of halls is bounded by their number and by their seats."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db.connections.engines import create_engine
from gateway.hall.halls import Halls
from gateway.hall.settings import HallSettings
from gateway.wire.stream import Stream
from tests.ending import dispose
from tests.factories import HALL, make_event

SEATS = sum(one.quantity for one in HALL)


class Silent:
    """A stream that is open, and keeps nothing."""

    closed = False

    def write(self, frame: bytes) -> bool:
        return True


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(database_url, 2)
    yield engine
    await dispose(engine)


@pytest.mark.parametrize(
    ("settings", "is_kept"),
    [
        (HallSettings(), True),
        (HallSettings(seats_max=2 * SEATS), True),
        (HallSettings(seats_max=2 * SEATS - 1), False),
        (HallSettings(halls_max=1), False),
    ],
)
async def test_the_hall_that_was_not_used_for_longest_is_dropped_beyond_the_bounds(
    database_url: str, engine: AsyncEngine, settings: HallSettings, is_kept: bool
) -> None:
    first, second = make_event(database_url), make_event(database_url)
    halls = Halls(engine, settings=settings)
    hall = await halls.current(first)
    assert hall.quantity == SEATS
    await halls.current(second)
    assert (await halls.current(first) is hall) == is_kept


async def test_a_hall_with_streams_stays(database_url: str, engine: AsyncEngine) -> None:
    first, second = make_event(database_url), make_event(database_url)
    halls = Halls(engine, settings=HallSettings(halls_max=1))
    hall = await halls.current(first)
    hall.subscribe(cast(Stream, Silent()), None)
    await halls.current(second)
    assert await halls.current(first) is hall
