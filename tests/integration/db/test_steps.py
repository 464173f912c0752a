"""Of gateways that look for due steps at the same moment, one sets them."""

from __future__ import annotations

import asyncio
import datetime as dt

from sqlalchemy import func, select, update

from db.change_log.changes import Subject, change_rows, select_changes
from db.connections.engines import create_engine
from db.events.seed import RoomSeed, seed_demo
from db.rooms.rooms import RoomRow
from db.rooms.steering import Ask
from db.rooms.steps import DUE_ROOMS, schedule, set_due, steps
from db.tables.rooms import RoomStep

GATEWAYS = 8


async def test_one_of_many_sets_a_step(database_url: str) -> None:
    event_id = seed_demo(database_url, room=RoomSeed(rate_per_minute=300))
    engine = create_engine(database_url, pool_max=GATEWAYS)
    async with engine.begin() as connection:
        now: dt.datetime = (await connection.execute(select(func.clock_timestamp()))).scalar_one()
        soon = now + dt.timedelta(hours=1)
        step, room = await schedule(connection, event_id, soon, Ask(dials={"rate_per_minute": 200}), "Ada", "")
        assert room.revision == 2
        assert await steps(connection, event_id) == [step]
        assert (await connection.exec_driver_sql(DUE_ROOMS)).all() == []
    async with engine.begin() as connection:
        await connection.execute(update(RoomStep).values(at=now))
        assert (await connection.exec_driver_sql(DUE_ROOMS)).all() == [(event_id,)]
    together = asyncio.Barrier(GATEWAYS)

    async def gateway() -> RoomRow | None:
        async with engine.begin() as connection:
            await connection.execute(select(1))
            await together.wait()
            return await set_due(connection, event_id)

    found = await asyncio.gather(*(gateway() for _ in range(GATEWAYS)))
    (changed,) = (room for room in found if room is not None)
    assert (changed.rate_per_minute, changed.revision) == (200, 3)
    async with engine.begin() as connection:
        rows = change_rows(await connection.exec_driver_sql(*select_changes(Subject.ROOM, event_id)))
        assert [row.field for row in rows] == ["rate_per_minute", "steps"]
        assert await set_due(connection, event_id) is None
    await engine.dispose()
