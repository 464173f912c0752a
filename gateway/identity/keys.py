"""The site's keys in a gateway, read anew within a second of a change."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

import psycopg

from db.connections.small_reads import SmallReads
from db.keys.signing_keys import READ_KEYS, KeyRow
from waiting_room.key_ring import KeyRing, SealedElsewhereError

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 0.5
SEALED_PAUSE_SECONDS: Final = 30.0
"""Only a person mends it, so that it is not told twice a second."""


class SiteKeys:
    """Keeps the ring that everything in this process signs and verifies with."""

    def __init__(self, reads: SmallReads, secret: str) -> None:
        self._reads = reads
        self.ring = KeyRing(secret)

    async def keep(self) -> None:
        """Look for changes for as long as the process runs. While Postgres is away the keys stay as they are."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.refresh()
            except (psycopg.Error, OSError) as error:
                logger.warning("the keys are not read: %s", error)
            except SealedElsewhereError as error:
                logger.error("%s: give every process the same ADMITONE_SECRET", error)
                await asyncio.sleep(SEALED_PAUSE_SECONDS)

    async def refresh(self) -> None:
        """Read the keys.

        Raises:
            psycopg.Error, OSError: Postgres does not answer.
            SealedElsewhereError: the site's secret is another one than the keys were sealed with.
        """
        self.ring.take(tuple(KeyRow._make(row) for row in await self._reads.rows(READ_KEYS)))
