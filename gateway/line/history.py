"""The figures of each room over the last hour, for the console's charts.

Redis keeps them in one bounded stream for each room, so that the console shows the same after a reload and at every
gateway.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Final, cast

import msgspec
import redis.asyncio

from db.rooms.rooms import RoomRow
from db.rooms.states import RoomState
from gateway.contract.rooms import RoomAnswer, RoomHistory
from gateway.line.figures import RoomFigures
from gateway.line.registry import RoomRegistry
from waiting_room.keys import FIGURES_HISTORY, room_key

POINT_SECONDS: Final = 5
LOOK_SECONDS: Final = POINT_SECONDS / 4
"""Each gateway looks this often whether the next point is due, because any of them may be the first to record it."""
POINTS_MAX: Final = 3600 // POINT_SECONDS
KEPT_SECONDS: Final = 2 * 3600
ROOMS_MAX: Final = 100
RECORDER_KEY: Final = "room:hour:turn"
"""The gateway that sets this key records the point. The key lives until the next point is due."""
_COLUMNS: Final = tuple(
    field.name for field in msgspec.structs.fields(RoomHistory) if field.name not in ("seconds", "at", "errors")
)


class _Point(msgspec.Struct, array_like=True):
    figures: list[int | float | None]
    errors: int


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Point).decode


class History:
    """Records and reads the rooms' histories. There is no leader: the first gateway records each point for all."""

    def __init__(self, line_redis: redis.asyncio.Redis, rooms: RoomRegistry, figures: RoomFigures) -> None:
        self._redis = line_redis
        self._rooms = rooms
        self._figures = figures

    async def keep_recorded(self) -> None:
        """Record every room's figures for as long as the process runs."""
        while True:
            if await self._redis.set(RECORDER_KEY, b"", nx=True, px=POINT_SECONDS * 1000):
                rows = recorded_rooms(self._rooms.rows.values())
                await self._record(await self._figures.of_rooms(rows, with_gateways=False, glance=True))
            await asyncio.sleep(LOOK_SECONDS)

    async def _record(self, rooms: Sequence[RoomAnswer]) -> None:
        async with self._redis.pipeline(transaction=False) as pipe:
            for room in rooms:
                point = _Point([getattr(room, name) for name in _COLUMNS], room.faults)
                pipe.xadd(_key(room.event_id), {"p": _encode(point)}, maxlen=POINTS_MAX, approximate=False)
                pipe.expire(_key(room.event_id), KEPT_SECONDS)
            await pipe.execute()

    async def last_hour(self, event_id: int) -> RoomHistory:
        """The room's figures over the last hour.

        Raises:
            redis.RedisError: Redis does not answer.
        """
        now_seconds, _ = await self._redis.time()
        since_ms = (int(now_seconds) - 3600) * 1000
        entries = cast(
            list[tuple[bytes, dict[bytes, bytes]]],
            await self._redis.xrange(_key(event_id), min=str(since_ms), count=POINTS_MAX),
        )
        points = [_decode(fields[b"p"]) for _, fields in entries]
        columns: dict[str, Any] = {
            name: tuple(point.figures[number] for point in points) for number, name in enumerate(_COLUMNS)
        }
        return RoomHistory(
            seconds=POINT_SECONDS,
            at=tuple(int(moment.partition(b"-")[0]) / 1000 for moment, _ in entries),
            errors=tuple(point.errors for point in points),
            **columns,
        )


def recorded_rooms(rows: Iterable[RoomRow]) -> list[RoomRow]:
    """The rooms to record: at most `ROOMS_MAX`, the newest of all that are neither off nor closed."""
    open_rows = [row for row in rows if row.state not in (RoomState.OFF, RoomState.CLOSED)]
    return sorted(open_rows, key=lambda row: -row.event_id)[:ROOMS_MAX]


def _key(event_id: int) -> str:
    return room_key(event_id, FIGURES_HISTORY)
