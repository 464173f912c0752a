"""Keeps the search's index at Elasticsearch: writes what has changed, and builds the index where there is none.

It is no channel of the outbox: an event that changed many times is written once, and what is written is its newest
state (`db.search.index.changes`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Final

import psycopg
from elasticsearch import AsyncElasticsearch, NotFoundError

from db.connections import primary
from db.search.index.building import EVENTS_AT_ONCE_MAX, apply_changes, build_if_needed
from db.search.index.client import FAILURES, client_of
from db.search.index.documents import Connection
from db.search.index.settings import SearchIndexSettings

logger = logging.getLogger(__name__)

TURN_SECONDS: Final = 0.5
AWAY_PAUSE_SECONDS: Final = 2.0
CONNECT_SECONDS: Final = 3


class Indexer:
    """The work of one process. Any number of them may run: one at a time writes."""

    def __init__(self, database_url: str, settings: SearchIndexSettings) -> None:
        self._database_url = database_url
        self._settings = settings
        self._is_built = False
        self._is_away = False

    async def run(self, stop: asyncio.Event) -> None:
        """Keep the index until ``stop`` is set."""
        client = client_of(self._settings, seconds=self._settings.write_seconds)
        connection: Connection | None = None
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                pause = TURN_SECONDS
                turn = None
                try:
                    if connection is None or connection.closed:
                        connection = await primary.connect_async(
                            self._database_url, "admitone-search", connect_seconds=CONNECT_SECONDS
                        )
                    turn = asyncio.create_task(self._turn(connection, client))
                    await asyncio.wait({turn, stopping}, return_when=asyncio.FIRST_COMPLETED)
                    if not turn.done():
                        break
                    if turn.result() == EVENTS_AT_ONCE_MAX:
                        continue
                    self._on_answer()
                except NotFoundError:
                    # Somebody deleted the index.
                    self._is_built = False
                except (*FAILURES, psycopg.Error, OSError) as error:
                    self._on_away(error)
                    pause = AWAY_PAUSE_SECONDS
                finally:
                    if turn is not None and not turn.done():
                        turn.cancel()
                        await asyncio.gather(turn, return_exceptions=True)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(stopping), pause)
        finally:
            stopping.cancel()
            await client.close()
            if connection is not None:
                await connection.close()

    async def _turn(self, connection: Connection, client: AsyncElasticsearch) -> int:
        if not self._is_built:
            await build_if_needed(connection, client, self._settings.name)
            self._is_built = True
        return await apply_changes(connection, client, self._settings.name)

    def _on_answer(self) -> None:
        if self._is_away:
            logger.info("the search's index is written again")
        self._is_away = False

    def _on_away(self, error: Exception) -> None:
        if not self._is_away:
            logger.warning("changes wait for the search's index: %s", error)
        self._is_away = True
