"""``admitone room``: shows and steers a room from the command line, by the same rule as the console."""

from __future__ import annotations

from admitone.settings import Settings
from booking_lane.clients import async_client
from db.connections.engines import create_engine
from db.rooms.rooms import room
from db.rooms.steering import Ask, steer
from gateway.line.counts import Counts
from gateway.line.registry import RoomRegistry
from waiting_room.line import Line


async def show_or_steer(settings: Settings, event_id: int, ask: Ask | None, why: str) -> str:
    """Steer the room as asked, or leave it as it is if ``ask`` is None; gives its numbers as text.

    Raises:
        UnknownRoomError: the event has no room.
        SteeringRefusedError: the room cannot be steered so.
    """
    engine = create_engine(settings.db.url, 1, "admitone-room")
    client = async_client(settings.redis.url, connections_max=2)
    line = Line(client)
    rooms = RoomRegistry(engine, line, settings.line)
    try:
        async with engine.begin() as connection:
            if ask is None:
                row = await room(connection, event_id)
            else:
                row = await steer(connection, event_id, ask, "command line", why)
        await rooms.configure(row)
        counts = await Counts(engine, line, rooms, settings.hold.grace_seconds).of(event_id)
        assert counts is not None
        return (
            f"event {event_id}: {row.state}, {row.rate_per_minute} a minute, capacity {row.capacity}, "
            f"line cap {row.line_cap}, lobby {row.lobby_minutes} minutes, priority share {row.priority_share}%; "
            f"in the lobby {counts.lobby}, waiting {counts.waiting} ({counts.priority} with priority), "
            f"called {counts.called}, admitted {counts.admitted}"
        )
    finally:
        await client.aclose(close_connection_pool=True)
        await engine.dispose()
