"""The catalogue over an index, which Postgres stands in for while the index is away.

The index says which events a search finds and in which order, and Postgres says what there is to know of them now. So
no seat is shown that was sold a second ago, and no event that is off the programme already.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

from elasticsearch import ApiError, AsyncElasticsearch

from db.connections.old_reads import OldReads
from db.search.index.client import FAILURES, client_of, is_away
from db.search.index.settings import SearchIndexSettings
from db.search.reading import read_found
from gateway.search.catalogue import Catalogue, Hits, Place, Search
from gateway.search.elastic import Found, Index
from gateway.search.suggestions import SOURCES_MAX, suggestions

logger = logging.getLogger(__name__)


class IndexedCatalogue:
    """`Catalogue` over the index, and over ``stand_in`` where the index fails or is slow.

    A failure sends every search to the stand-in for ``away_seconds``, those that wait for the index just then as well.
    So a server that is silent costs one timeout, and not one for each search. Then one search tries it again.

    Attributes:
        answered: how many searches each of `gateway.search.catalogue.SEARCH_SERVERS` has answered.
    """

    def __init__(
        self,
        client: AsyncElasticsearch,
        settings: SearchIndexSettings,
        old_reads: OldReads,
        stand_in: Catalogue,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._index = Index(client, settings.name)
        self._timeout_seconds = settings.timeout_seconds
        self._away_seconds = settings.away_seconds
        self._old_reads = old_reads
        self._stand_in = stand_in
        self._clock = clock
        self._away_until: float | None = None
        self._is_tried = False
        self._asking: set[asyncio.Task[Found]] = set()
        self.answered: Counter[str] = Counter()

    @classmethod
    def of(cls, settings: SearchIndexSettings, old_reads: OldReads, stand_in: Catalogue) -> IndexedCatalogue:
        """The catalogue that the settings name."""
        return cls(client_of(settings, seconds=settings.timeout_seconds), settings, old_reads, stand_in)

    @property
    def is_up(self) -> bool:
        """Whether the index answered when it was asked last."""
        return self._away_until is None

    async def search(self, ask: Search) -> Hits:
        limit = max(ask.limit + 1, SOURCES_MAX if ask.suggestions else 0)
        found = await self._find(ask, limit)
        if found is None:
            self.answered["postgres"] += 1
            return await self._stand_in.search(ask)
        self.answered["index"] += 1
        scores = {hit.event_id: hit.score for hit in found.hits}
        known = await self._old_reads.read(partial(read_found, scores=scores)) if scores else []
        on_page = {hit.event_id for hit in found.hits[: ask.limit]}
        last = found.hits[ask.limit - 1] if len(found.hits) > ask.limit else None
        now = ask.now if ask.after is None else ask.after.now
        return Hits(
            found=[one for one in known if one.facts.event_id in on_page],
            after=None if last is None else Place(now, last.score, last.date, last.event_id, found.every),
            every=found.every,
            facets=found.facets,
            suggestions=suggestions(ask.wanted.text, [one.facts for one in known]) if ask.suggestions else None,
        )

    async def close(self) -> None:
        """Close the connections to Elasticsearch."""
        await self._client.close()

    async def _find(self, ask: Search, limit: int) -> Found | None:
        """What the index finds; None where it is away."""
        if not self._may_try():
            return None
        is_trial = self._away_until is not None
        task = asyncio.create_task(self._index.find(ask, limit))
        self._asking.add(task)
        try:
            # Not `wait_for`, because another search that fails cancels this one's task.
            done, _ = await asyncio.wait({task}, timeout=self._timeout_seconds)
            if not done:
                self._on_away("no answer in time")
                return None
            if task.cancelled():
                return None
            found = task.result()
        except FAILURES as error:
            if is_away(error):
                self._on_away(f"{type(error).__name__}: {error}")
            else:
                # Its own text may quote the search, which says what a fan looks for.
                logger.error("the search's index refused a search: %s", _status(error))
            return None
        finally:
            self._asking.discard(task)
            task.cancel()
            if is_trial:
                self._is_tried = False
        if self._away_until is not None:
            logger.warning("the search's index answers again")
            self._away_until = None
        return found

    def _may_try(self) -> bool:
        if self._away_until is None:
            return True
        if self._is_tried or self._clock() < self._away_until:
            return False
        self._is_tried = True
        return True

    def _on_away(self, why: str) -> None:
        if self._away_until is None:
            logger.warning("the search's index is away, Postgres searches: %s", why)
        self._away_until = self._clock() + self._away_seconds
        for task in self._asking:
            task.cancel()


def _status(error: Exception) -> str:
    return f"status {error.status_code}" if isinstance(error, ApiError) else type(error).__name__
