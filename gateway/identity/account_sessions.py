"""Which sessions of accounts were ended before their time: in memory, read from Postgres several times a second.

A fan's request asks neither Postgres nor Redis whether its session is good, because no booking may wait for that. A
session that somebody signs out of is refused everywhere within `LOOK_SECONDS`, and at this gateway at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

import psycopg

from db.accounts.sessions import READ_ENDED, EndedSession
from db.connections.small_reads import SmallReads

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 0.4
OVERLAP_SECONDS: Final = 60.0
"""A look goes back so far, because a transaction that ended a session may commit after a look that came later."""
AWAY_SECONDS_MAX: Final = OVERLAP_SECONDS / 2
"""After a longer time without a look all ended sessions are read anew."""


class EndedSessions:
    """The ended sessions whose tokens would still be valid.

    Args:
        now: the clock that ends tokens (Unix time, seconds).
    """

    def __init__(self, reads: SmallReads, now: Callable[[], float]) -> None:
        self._reads = reads
        self._now = now
        self._ends_at: dict[str, float] = {}
        self._read_at: float | None = None
        self._on_ended: list[Callable[[int, str], None]] = []

    def __contains__(self, session_id: object) -> bool:
        return session_id in self._ends_at

    def on_ended(self, end: Callable[[int, str], None]) -> None:
        """Have ``end`` called with the fan and the id of each session that is ended from now on."""
        self._on_ended.append(end)

    def note(self, session: EndedSession) -> None:
        """Note that a session was ended."""
        if session.session_id in self._ends_at:
            return
        self._ends_at[session.session_id] = session.ends_at_seconds
        for end in self._on_ended:
            end(session.user_id, session.session_id)

    async def refresh(self) -> None:
        """Read what was ended since the last look.

        Raises:
            psycopg.Error, OSError: Postgres does not answer.
        """
        now = asyncio.get_running_loop().time()
        is_recent = self._read_at is not None and now - self._read_at < AWAY_SECONDS_MAX
        for row in await self._reads.rows(READ_ENDED, seconds=OVERLAP_SECONDS if is_recent else None):
            self.note(EndedSession._make(row))
        if not is_recent:
            self._forget()
        self._read_at = now

    async def keep(self) -> None:
        """Look for ended sessions for as long as the process runs."""
        looks = 0
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.refresh()
            except (psycopg.Error, OSError) as error:
                logger.warning("ended sessions of accounts are not read: %s", error)
            looks += 1
            if looks % 1000 == 0:
                self._forget()

    def _forget(self) -> None:
        now = self._now()
        self._ends_at = {jti: ends_at for jti, ends_at in self._ends_at.items() if ends_at > now}
