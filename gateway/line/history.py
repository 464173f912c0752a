"""The last hour of each room in numbers, for the console's charts: a bounded stream a room in Redis, so that a reload,
or another gateway, shows the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, cast

import msgspec
import redis.asyncio

from db.rooms.rooms import RoomRow
from gateway.contract.rooms import RoomAnswer, RoomHistory
from waiting_room.keys import HOUR, room_key

POINT_SECONDS: Final = 5
POINTS_MAX: Final = 3600 // POINT_SECONDS
KEPT_SECONDS: Final = 2 * 3600
ROOMS_MAX: Final = 100
"""Rooms noted: the newest that are neither off nor closed."""
TURN_KEY: Final = "room:hour:turn"
_COLUMNS: Final = tuple(
    field.name for field in msgspec.structs.fields(RoomHistory) if field.name not in ("seconds", "at", "errors")
)


class _Point(msgspec.Struct, array_like=True):
    figures: list[int | float | None]
    errors: int


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Point).decode


def charted(rows: Iterable[RoomRow]) -> list[RoomRow]:
    """The rooms worth noting, `ROOMS_MAX` at most."""
    open_rows = [row for row in rows if row.state not in ("off", "closed")]
    return sorted(open_rows, key=lambda row: -row.event_id)[:ROOMS_MAX]


async def take_turn(client: redis.asyncio.Redis) -> bool:
    """Whether it is time for another point, and this process' turn to note it.

    Raises:
        redis.RedisError
    """
    return bool(await client.set(TURN_KEY, b"", nx=True, px=POINT_SECONDS * 1000))


async def note(client: redis.asyncio.Redis, rooms: Sequence[RoomAnswer]) -> None:
    """Add a point to each room's hour.

    Raises:
        redis.RedisError
    """
    async with client.pipeline(transaction=False) as pipe:
        for room in rooms:
            point = _Point([getattr(room, name) for name in _COLUMNS], sum(room.errors.values()))
            pipe.xadd(_key(room.event_id), {"p": _encode(point)}, maxlen=POINTS_MAX, approximate=False)
            pipe.expire(_key(room.event_id), KEPT_SECONDS)
        await pipe.execute()


async def hour(client: redis.asyncio.Redis, event_id: int) -> RoomHistory:
    """The room's last hour.

    Raises:
        redis.RedisError
    """
    now_seconds, _ = await client.time()
    since_ms = (int(now_seconds) - 3600) * 1000
    found = cast(
        list[tuple[bytes, dict[bytes, bytes]]],
        await client.xrange(_key(event_id), min=str(since_ms), count=POINTS_MAX),
    )
    points = [_decode(fields[b"p"]) for _, fields in found]
    columns: dict[str, Any] = {
        name: tuple(point.figures[number] for point in points) for number, name in enumerate(_COLUMNS)
    }
    return RoomHistory(
        seconds=POINT_SECONDS,
        at=tuple(int(moment.partition(b"-")[0]) / 1000 for moment, _ in found),
        errors=tuple(point.errors for point in points),
        **columns,
    )


def _key(event_id: int) -> str:
    return room_key(event_id, HOUR)
