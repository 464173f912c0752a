"""The catalogue in this process' memory, which Postgres stands in for until the events are read.

The memory has all that is shown of an event but how many of its seats are free. Postgres is asked what has changed, now
and then and not by each search.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import math
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from db.connections.old_reads import OldReads
from db.search.following import changes_since, next_rows, oldest_transaction, rows_of
from db.search.reading import BOUNDS, NO_SEATS, Bounds, Found, Seats, read_seats
from gateway.search.catalogue import Catalogue, Hits, Place, Search, Sort
from gateway.search.finding import Finding, Ranked
from gateway.search.moments import micros, moment
from gateway.search.postings import Gathered, Postings, Row
from gateway.search.suggestions import SOURCES_MAX, suggestions

logger = logging.getLogger(__name__)

ROWS_AT_ONCE: Final = 200
"""To take in so many takes some milliseconds, in which the process does nothing else."""
CHANGES_MAX: Final = 400
"""Where more events have changed, no search waits for them: Postgres answers until `MemoryCatalogue.keep` has them."""
LOOK_SECONDS: Final = 5.0
COUNT: Final = "SELECT count(*) FROM (SELECT FROM event_search LIMIT %(rows_max)s) AS counted"


class MemoryCatalogue:
    """`Catalogue` over the events in memory, and over ``stand_in`` while there are none, or where there are too many.

    Args:
        events_max: of more events none is kept here.
        fresh_seconds: no search finds less than Postgres found so long before; 0: than Postgres finds.

    Attributes:
        programme: goes up whenever an event becomes another, other than by its seats.
    """

    def __init__(
        self,
        old_reads: OldReads,
        stand_in: Catalogue,
        *,
        events_max: int,
        fresh_seconds: float = 0.0,
        bounds: Bounds = BOUNDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._old_reads = old_reads
        self._stand_in = stand_in
        self._events_max = events_max
        self._fresh_seconds = fresh_seconds
        self._bounds = bounds
        self._clock = clock
        self._postings: Postings | None = None
        self._since = 0
        self._taken: set[tuple[int, int]] = set()
        self._taking = asyncio.Lock()
        self._look: asyncio.Task[bool] | None = None
        self._looked_at = -math.inf
        self._doubts = self._doubts_met = 0
        self.programme = 0

    async def search(self, ask: Search) -> Hits:
        if self.finds(ask) and await self.is_fresh() and (hits := self.find(ask)) is not None:
            return await self._with_seats(hits) if ask.seats else hits
        return await self._stand_in.search(ask)

    def finds(self, ask: Search) -> bool:
        """Whether a search is for the memory to answer."""
        is_told = bool(ask.wanted.text.strip()) or ask.sort is Sort.DATE
        return self._postings is not None and is_told and not ask.wanted.is_nowhere

    async def is_fresh(self) -> bool:
        """Whether the memory has what Postgres had ``fresh_seconds`` ago. Takes in what has changed, if need be; False
        where that is too much for a search to wait for.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: Postgres does not answer.
        """
        needed_at, doubts = self._clock() - self._fresh_seconds, self._doubts
        while self._looked_at < needed_at or self._doubts_met < doubts:
            # One look serves all who wait for it; who came after it had begun may need another one. To wait for one
            # that is over would not let the loop go on, and nothing else would run any more.
            if self._look is None or self._look.done():
                self._look = asyncio.create_task(self._look_now(CHANGES_MAX))
                self._look.add_done_callback(self._on_looked)
            if not await asyncio.shield(self._look):
                return False
        return True

    def doubt(self) -> None:
        """Have the next search look what has changed: something has."""
        self._doubts += 1

    async def keep(self) -> None:
        """Read the events, and take in what changes even while nobody searches; for as long as the process runs."""
        while True:
            if self._postings is None:
                await self.load()
            else:
                await self._look_now(self._events_max)
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
        postings, gathered, after = Postings(), Gathered(), 0
        while rows := await next_rows(connection, after, ROWS_AT_ONCE):
            after, worked_from = rows[-1][0], time.monotonic()
            postings.add([Row._make(row) for row in rows], gathered)
            await _rest(worked_from)
        worked_from = time.monotonic()
        for _ in postings.settle(gathered):
            await _rest(worked_from)
            worked_from = time.monotonic()
        self._postings, self._since, self._taken = postings, since, set()
        self.programme += 1
        if count > ROWS_AT_ONCE:
            logger.info("%s events are searched in memory, read in %.1f s", count, time.monotonic() - began)

    def _on_looked(self, look: asyncio.Task[bool]) -> None:
        if self._look is look:
            self._look = None
        if not look.cancelled():
            # Those who waited have been told.
            look.exception()

    async def _look_now(self, changes_max: int) -> bool:
        """Take in what has changed by now; False where more events have than ``changes_max``."""
        async with self._taking:
            began, doubts = self._clock(), self._doubts
            if not await self._old_reads.read(partial(self._take_in, changes_max)):
                return False
            self._looked_at, self._doubts_met = began, doubts
            return True

    async def _take_in(self, changes_max: int, connection: AsyncConnection) -> bool:
        postings = self._postings
        if postings is None:
            return False
        # Without it each visit takes two trips more, to begin a transaction and to end it.
        connection = await connection.execution_options(isolation_level="AUTOCOMMIT")
        rows_max = changes_max + len(self._taken)
        since, changes = await changes_since(connection, self._since, rows_max)
        if len(changes) >= rows_max > 0:
            return False
        event_ids = sorted({event_id for event_id, _ in changes - self._taken})
        for first in range(0, len(event_ids), ROWS_AT_ONCE):
            these = event_ids[first : first + ROWS_AT_ONCE]
            rows = [Row._make(row) for row in await rows_of(connection, these)]
            if postings.write(rows, gone=set(these) - {row.event_id for row in rows}):
                self.programme += 1
        self._since, self._taken = since, {change for change in changes if change[1] >= since}
        if len(postings) > self._events_max:
            self._postings = None
            logger.warning("more events than %s are searched by Postgres", self._events_max)
        return self._postings is not None

    def find(self, ask: Search) -> Hits | None:
        """What the memory finds, without counts of seats; None where there are no events in it."""
        postings = self._postings
        if postings is None:
            return None
        place, by_score = ask.after, ask.sort is Sort.RELEVANCE
        now = ask.now if place is None else place.now
        after = None if place is None else Ranked(place.score, micros(place.date), place.event_id)
        finding = Finding(postings, ask.wanted)
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
        last = next_ones[ask.limit - 1] if len(next_ones) > ask.limit else None
        shown = [
            Found(postings.facts(slot), one.score, postings.price_from(slot), slot in postings.available, None)
            for one in next_ones[:read]
            for slot in (postings.slot(one.event_id),)
        ]
        return Hits(
            found=shown[: ask.limit],
            after=None if last is None else _place(now, last, every),
            every=every,
            facets=finding.facets(found) if ask.facets else None,
            suggestions=suggestions(ask.wanted.text, [one.facts for one in shown]) if ask.suggestions else None,
        )

    async def _with_seats(self, hits: Hits) -> Hits:
        event_ids = [one.facts.event_id for one in hits.found]
        if not event_ids:
            return hits
        seats: dict[int, Seats] = await self._old_reads.read(partial(read_seats, event_ids=event_ids))
        return replace(hits, found=[replace(one, seats=seats.get(one.facts.event_id, NO_SEATS)) for one in hits.found])


async def _rest(worked_from: float) -> None:
    """Leave half of the time to others: a gateway that starts has fans to serve, and Postgres answers searches."""
    await asyncio.sleep(time.monotonic() - worked_from)


def _place(now: dt.datetime, last: Ranked, every: bool) -> Place:
    return Place(now, last.score, moment(last.date), last.event_id, every)
