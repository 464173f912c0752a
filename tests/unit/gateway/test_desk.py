"""When a lane counts as full, for commands that come in great number at once."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from booking_lane.clients import async_client
from booking_lane.settings import LaneSettings
from gateway.booking.desk import Ask, Desk
from gateway.wire.problems import ProblemError
from tests.unit.booking_lane.asks import reserve

EVENT = 1
ALWAYS_TAKEN = 3 * 2
"""Of a lane that is not busy: two batches beside the one under way, of two commands each."""


async def test_commands_that_are_let_in_at_once_fill_the_lane_before_they_are_submitted(redis_url: str) -> None:
    engine, jobs = create_async_engine("postgresql+psycopg://nobody@localhost:1/none"), async_client(redis_url)
    desk = Desk(LaneSettings(count=1, batch_max=2, batches_unfinished_max=1), engine, jobs)
    desk._clock_offset_ms = 0
    go_on = asyncio.Event()

    async def permit(command_id: uuid.UUID) -> None:
        await go_on.wait()
        raise ProblemError("not_admitted")

    async def booked(fan: int) -> None:
        desk.refuse_if_full(EVENT)
        await desk.book(Ask(reserve(EVENT, fan, (1, 1, fan)), None, 0, permit))

    asked = [asyncio.create_task(booked(fan)) for fan in range(1, ALWAYS_TAKEN + 4)]
    await asyncio.sleep(0)
    assert desk.is_full(EVENT)
    assert [task.done() for task in asked] == [False] * ALWAYS_TAKEN + [True] * 3
    go_on.set()
    refused = await asyncio.gather(*asked, return_exceptions=True)
    codes = [one.document["code"] for one in refused if isinstance(one, ProblemError)]
    assert codes == ["not_admitted"] * ALWAYS_TAKEN + ["overloaded"] * 3
    assert not desk.is_full(EVENT), "who was refused comes no more"
    with pytest.raises(ProblemError, match="not_admitted"):
        await booked(99)
    await desk.close()
    await jobs.aclose()
    await engine.dispose()
