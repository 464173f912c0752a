"""Knocks at Postgres: whether it still takes new connections. One gateway's knock counts for all.

Sessions that there are go on while a server takes no new ones, and nothing that they can ask tells of it. But each
knock makes Postgres fork a process. So a gateway that finds that somebody has just knocked at the same server does not.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any, Final

import redis.asyncio
from psycopg import AsyncConnection
from redis.exceptions import RedisError

AGAIN_SECONDS: Final = 0.6
"""A knock is repeated after so long, by one gateway."""
KNOCKED_SECONDS: Final = 1.2
"""And after so long by every gateway for itself: whoever was to repeat it has not told of an answer."""
TURN_SECONDS: Final = 0.4
KNOCK_SECONDS_MAX: Final = 1.0
REDIS_SECONDS_MAX: Final = 0.3
"""Whether somebody has knocked is asked for so long: a gateway may always knock by itself."""

SSL_REQUEST: Final = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
"""Every Postgres answers this request with one byte, see
https://www.postgresql.org/docs/current/protocol-message-formats.html.
"""


class Knocks:
    """Knocks for this process, and learns of the others' knocks.

    Args:
        client: the jobs' Redis.
    """

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._client = client
        self.made = 0

    async def knocked(self, connection: AsyncConnection[Any]) -> float:
        """How many seconds ago the server of this connection answered a knock; knocks if that is too long ago.

        Raises:
            OSError: the server takes no connections, or does not answer in time.
        """
        host, port = connection.info.host, connection.info.port
        is_socket = host.startswith("/")
        at = host if is_socket else connection.info.hostaddr or host
        # A socket is of one machine.
        key = f"postgres:knocked:{socket.gethostname() if is_socket else ''}{at}:{port}"
        redis_answers = False
        with contextlib.suppress(RedisError, OSError):
            async with asyncio.timeout(REDIS_SECONDS_MAX):
                left_ms = int(await self._client.pttl(key))
                seconds_ago = max(0.0, KNOCKED_SECONDS - left_ms / 1000)
                if left_ms >= 0 and (seconds_ago < AGAIN_SECONDS or not await self._takes_turn(key)):
                    return seconds_ago
                redis_answers = True
        await _knock(at, port)
        self.made += 1
        if redis_answers:
            with contextlib.suppress(RedisError, OSError):
                async with asyncio.timeout(REDIS_SECONDS_MAX):
                    await self._client.set(key, b"", px=round(KNOCKED_SECONDS * 1000))
        return 0.0

    async def _takes_turn(self, key: str) -> bool:
        return bool(await self._client.set(f"{key}:turn", b"", nx=True, px=round(TURN_SECONDS * 1000)))


async def _knock(address: str, port: int) -> None:
    async with asyncio.timeout(KNOCK_SECONDS_MAX):
        if address.startswith("/"):
            reader, writer = await asyncio.open_unix_connection(f"{address}/.s.PGSQL.{port}")
        else:
            reader, writer = await asyncio.open_connection(address, port)
        try:
            writer.write(SSL_REQUEST)
            await reader.readexactly(1)
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError("Postgres hung up") from error
        finally:
            writer.transport.abort()
