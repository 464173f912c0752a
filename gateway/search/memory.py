"""The catalogue in this process' memory, which Postgres stands in for until the events are read.

The memory says which events a search finds and in which order, and Postgres says what there is to know of them now. In
the same visit each search first takes in what has changed, so that it finds no less than Postgres does.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import time
from functools import partial
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from db.connections.old_reads import OldReads
from db.search import dates
from db.search.following import changes_since, next_rows, oldest_transaction, rows_of
from db.search.reading import BOUNDS, Bounds, read_found
from gateway.search.catalogue import Catalogue, Hits, Place, Search, Sort
from gateway.search.finding import Finding, Ranked
from gateway.search.moments import EPOCH, MICROSECOND, micros
from gateway.search.postings import Postings, Row
from gateway.search.suggestions import SOURCES_MAX, suggestions

logger = logging.getLogger(__name__)

ROWS_AT_ONCE: Final = 200
"""To take in so many takes some milliseconds, in which the process does nothing else."""
REST_SECONDS: Final = 0.002
"""A gateway that starts has fans to serve, and Postgres answers searches meanwhile."""
CHANGES_MAX: Final = 400
"""Where more events have changed, no search waits for them: Postgres answers until `MemoryCatalogue.keep` has them."""
LOOK_SECONDS: Final = 5.0
COUNT: Final = "SELECT count(*) FROM (SELECT FROM event_search LIMIT %(rows_max)s) AS counted"


class MemoryCatalogue:
    """`Catalogue` over the events in memory, and over ``stand_in`` while there are none, or where there are too many.

    Args:
        events_max: of more events none is kept here.
    """

    def __init__(self, old_reads: OldReads, stand_in: Catalogue, *, events_max: int, bounds: Bounds = BOUNDS) -> None:
        self._old_reads = old_reads
        self._stand_in = stand_in
        self._events_max = events_max
        self._bounds = bounds
        self._postings: Postings | None = None
        self._since = 0
        self._taken: set[tuple[int, int]] = set()
        self._looking = asyncio.Lock()
        self._begun = self._done = 0
        dates.prepare()

    async def search(self, ask: Search) -> Hits:
        is_told = bool(ask.wanted.text.strip()) or ask.sort is Sort.DATE
        if self._postings is not None and is_told and not ask.wanted.is_nowhere:
            hits = await self._old_reads.read(partial(self._search, ask))
            if hits is not None:
                return hits
        return await self._stand_in.search(ask)

    async def keep(self) -> None:
        """Read the events, and take in what changes even while nobody searches; for as long as the process runs."""
        while True:
            if self._postings is None:
                await self.load()
            else:
                await self._old_reads.read(self._catch_up)
            await asyncio.sleep(LOOK_SECONDS)

    async def load(self) -> None:
        """Read every event, unless there are too many."""
        # Not of a replica, which may not have yet what the primary no longer calls new.
        await self._old_reads.read_primary(self._load)

    async def _load(self, connection: AsyncConnection) -> None:
        connection = await connection.execution_options(isolation_level="AUTOCOMMIT")
        count = (await connection.exec_driver_sql(COUNT, {"rows_max": self._events_max + 1})).scalar_one()
        if count > self._events_max:
            return
        began = time.monotonic()
        since = await oldest_transaction(connection)
        postings, after = Postings(), 0
        while rows := await next_rows(connection, after, ROWS_AT_ONCE):
            after = rows[-1][0]
            postings.write(map(Row._make, rows))
            await asyncio.sleep(REST_SECONDS)
        self._postings, self._since, self._taken = postings, since, set()
        if count > ROWS_AT_ONCE:
            logger.info("%s events are searched in memory, read in %.1f s", count, time.monotonic() - began)

    async def _catch_up(self, connection: AsyncConnection) -> bool:
        connection = await connection.execution_options(isolation_level="AUTOCOMMIT")
        return await self._look(connection, self._events_max)

    async def _look(self, connection: AsyncConnection, changes_max: int) -> bool:
        """Take in what has changed by now; False where more events have than ``changes_max``."""
        asked = self._begun
        async with self._looking:
            postings = self._postings
            if postings is None:
                return False
            if self._done > asked:
                # Another search looked while this one waited for its turn.
                return True
            self._begun += 1
            number = self._begun
            rows_max = changes_max + len(self._taken)
            since, changes = await changes_since(connection, self._since, rows_max)
            if len(changes) >= rows_max > 0:
                return False
            event_ids = sorted({event_id for event_id, _ in changes - self._taken})
            for first in range(0, len(event_ids), ROWS_AT_ONCE):
                these = event_ids[first : first + ROWS_AT_ONCE]
                rows = [Row._make(row) for row in await rows_of(connection, these)]
                postings.write(rows, gone=set(these) - {row.event_id for row in rows})
            self._since, self._taken = since, {change for change in changes if change[1] >= since}
            self._done = number
            if len(postings) > self._events_max:
                self._postings = None
                logger.warning("more events than %s are searched by Postgres", self._events_max)
            return True

    async def _search(self, ask: Search, connection: AsyncConnection) -> Hits | None:
        # Without it each visit takes two trips more, to begin a transaction and to end it.
        connection = await connection.execution_options(isolation_level="AUTOCOMMIT")
        if not await self._look(connection, CHANGES_MAX) or self._postings is None:
            return None
        place, by_score = ask.after, ask.sort is Sort.RELEVANCE
        now = ask.now if place is None else place.now
        after = None if place is None else Ranked(place.score, micros(place.date), place.event_id)
        finding = Finding(self._postings, ask.wanted)
        every = place is None or place.every
        found = finding.found(every=every)
        if not found and every and place is None and by_score and finding.words > 1:
            every = False
            found = finding.found(every=False)
        read = max(ask.limit, SOURCES_MAX if ask.suggestions else 0)
        if by_score:
            next_ones = finding.by_score(
                found, micros(now), read + 1, after, every=every, ranked_max=self._bounds.ranked_max
            )
        else:
            next_ones = finding.by_date(found, read + 1, after)
        facets = finding.facets(found, self._bounds) if ask.facets else None
        shown = await read_found(connection, scores={one.event_id: one.score for one in next_ones[:read]})
        last = next_ones[ask.limit - 1] if len(next_ones) > ask.limit else None
        return Hits(
            found=shown[: ask.limit],
            after=None if last is None else _place(now, last, every),
            every=every,
            facets=facets,
            suggestions=suggestions(ask.wanted.text, [one.facts for one in shown]) if ask.suggestions else None,
        )


def _place(now: dt.datetime, last: Ranked, every: bool) -> Place:
    return Place(now, last.score, EPOCH + last.date * MICROSECOND, last.event_id, every)
