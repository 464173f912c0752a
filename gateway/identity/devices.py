"""Kinds of devices, known by a name that is good for one sale: how many sessions of an event have the same kind.

A page sends a hash of a few things that it knows of its browser. Here it is hashed again with the event's salt, which
is a random number in Redis, and nothing is kept but the count. Once nobody of the sale has come for a day, the salt is
gone, and with it the way from a device to its name.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from typing import Final, cast

from redis import asyncio as aioredis

from waiting_room.keys import device_salt_key

SALT_SECONDS: Final = 24 * 3600
KEPT_SECONDS: Final = 3600.0
SALTS_MAX: Final = 1_000
"""Salts that are read at a time; the devices of further events are not counted meanwhile."""
NAME_BYTES: Final = 8


class Devices:
    """The salts of the events that fans join.

    Args:
        now: the clock by which a salt in memory is read again (seconds).
    """

    def __init__(self, line_redis: aioredis.Redis, now: Callable[[], float]) -> None:
        self._redis = line_redis
        self._now = now
        self._salts: dict[int, tuple[bytes, float]] = {}
        self._wanted: set[int] = set()

    def name(self, event_id: int, fingerprint: str) -> str | None:
        """What the device is called in this sale; None until its salt was read, for which no request waits."""
        kept = self._salts.get(event_id)
        if kept is None:
            if len(self._wanted) < SALTS_MAX:
                self._wanted.add(event_id)
            return None
        return hmac.digest(kept[0], fingerprint.encode(), hashlib.sha256)[:NAME_BYTES].hex()

    async def refresh(self) -> None:
        """Read the salts of events that were asked for since, make those that are missing, and forget those that were
        read an hour ago: a sale that goes on asks for its salt again.

        Raises:
            redis.RedisError: Redis does not answer.
        """
        now = self._now()
        for event_id in list(self._wanted):
            key, made = device_salt_key(event_id), secrets.token_bytes(16)
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.set(key, made, nx=True, get=True)
                pipe.expire(key, SALT_SECONDS)
                found, _ = await pipe.execute()
            self._salts[event_id] = (made if found is None else cast(bytes, found)), now
            self._wanted.discard(event_id)
        self._salts = {event: kept for event, kept in self._salts.items() if now - kept[1] < KEPT_SECONDS}
