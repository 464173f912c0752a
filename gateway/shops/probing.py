"""Looks at shops: asks each shop's probe URL again and again, and keeps how long the answer took.

One gateway looks at a time, whichever comes first; the others see it in Redis. A look is a plain GET without cookies
that follows no redirect, and of the answer only its status and its end are read.
"""

from __future__ import annotations

import asyncio
import errno
import importlib
import logging
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from redis.exceptions import RedisError

from db.patience import Turns
from db.rooms.rooms import RoomRow
from db.rooms.states import RoomState
from db.shops.probes import Networks, may_be_asked
from gateway.line.registry import RoomRegistry
from gateway.shops.settings import ShopSettings
from waiting_room.shop_figures import Look, ShopFigures, rest_seconds

# The first look loads it, because a gateway without shops starts without it.
if TYPE_CHECKING:
    import aiohttp
    from aiohttp import AddrInfoType

logger = logging.getLogger(__name__)

USER_AGENT: Final = "Admit-One-Probe/1"
BYTES_MAX: Final = 1_048_576
"""A look ends after so much of an answer."""
CHUNK_BYTES: Final = 65_536
LOOKS_AT_ONCE_MAX: Final = 50
ROUNDS_SHARE: Final = 0.25
"""How often this process asks whether a look is due, in shares of the pause between two looks."""


class NotAllowedError(OSError):
    """The host has an address that no probe may reach."""


class ShopProbes:
    """Looks at the shops of this site.

    Args:
        public_only: connect to public addresses, and to the networks of the settings, alone.
        now: the clock that figures are dated by (Unix time, seconds).
    """

    def __init__(
        self,
        rooms: RoomRegistry,
        figures: ShopFigures,
        settings: ShopSettings,
        *,
        public_only: bool,
        now: Callable[[], float],
    ) -> None:
        self._rooms = rooms
        self._figures = figures
        self._settings = settings
        self._networks: Networks = settings.networks
        self._public_only = public_only
        self._now = now
        self._looking: dict[int, asyncio.Task[None]] = {}
        self._session: aiohttp.ClientSession | None = None

    async def keep_looking(self) -> None:
        """Look for as long as the process runs."""
        while True:
            await asyncio.sleep(self._settings.probe_seconds * ROUNDS_SHARE)
            turns = Turns("a look at a shop", (RedisError, OSError))
            for row in list(self._rooms.rows.values()):
                if self._is_looked_at(row) and len(self._looking) < LOOKS_AT_ONCE_MAX:
                    with turns.of(f"event {row.event_id}"):
                        await self._begin(row.event_id)
            turns.end()

    def _is_looked_at(self, row: RoomRow) -> bool:
        if row.shop is None or not row.shop.probe_url or row.state is RoomState.OFF:
            return False
        return row.event_id not in self._looking

    async def _begin(self, event_id: int) -> None:
        if await self._figures.may_look(event_id, self._settings.probe_seconds_max + self._settings.probe_seconds):
            task = asyncio.get_running_loop().create_task(self._look(event_id))
            self._looking[event_id] = task
            task.add_done_callback(lambda _: self._looking.pop(event_id, None))

    async def _look(self, event_id: int) -> None:
        row = self._rooms.rows.get(event_id)
        if row is None or row.shop is None:
            return
        look = await self.look(row.shop.probe_url)
        try:
            await self._figures.note(event_id, look, rest_seconds(look.ms, self._settings.probe_seconds))
        except (RedisError, OSError) as error:
            logger.warning("event %d: a look at its shop was not kept: %s", event_id, error)

    async def look(self, url: str) -> Look:
        """Ask the URL once. It raises only when it is cancelled."""
        # In a thread, because loading takes a good twentieth of a second.
        await asyncio.to_thread(importlib.import_module, "aiohttp")
        import aiohttp

        began = time.perf_counter()
        is_failed = True
        try:
            async with self._client().get(url, allow_redirects=False) as answer:
                left = BYTES_MAX
                while left > 0 and (chunk := await answer.content.read(min(left, CHUNK_BYTES))):
                    left -= len(chunk)
                is_failed = answer.status >= 500
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            logger.debug("a look at %s failed: %s", url, error)
        return Look(self._now(), round(1000 * (time.perf_counter() - began), 1), is_failed)

    async def close(self) -> None:
        """End the connections."""
        for task in self._looking.values():
            task.cancel()
        if self._session is not None:
            await self._session.close()

    def _client(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=LOOKS_AT_ONCE_MAX, socket_factory=self._allowed_socket if self._public_only else None
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=self._settings.probe_seconds_max),
                headers={"User-Agent": USER_AGENT, "Cache-Control": "no-cache"},
            )
        return self._session

    def _allowed_socket(self, address: AddrInfoType) -> socket.socket:
        """A socket for an address that was just resolved. It is connected to just this address, so the check holds."""
        if not may_be_asked(str(address[4][0]), self._networks):
            raise NotAllowedError(errno.EACCES, "the host has an address that no probe may reach")
        return socket.socket(*address[:3])
