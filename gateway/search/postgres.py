"""The catalogue in Postgres: full text search, and trigrams for words that are misspelt."""

from __future__ import annotations

from functools import partial

from sqlalchemy.ext.asyncio import AsyncConnection

from db.connections.old_reads import OldReads
from db.search.reading import BOUNDS, Bounds, Facets, Found, facets, search
from gateway.search.catalogue import Hits, Place, Search, Sort
from gateway.search.suggestions import SOURCES_MAX, suggestions


class PostgresCatalogue:
    """Searches the events that are on show (`gateway.search.catalogue.Catalogue`)."""

    def __init__(self, old_reads: OldReads, bounds: Bounds = BOUNDS) -> None:
        self._old_reads = old_reads
        self._bounds = bounds

    async def search(self, ask: Search) -> Hits:
        return await self._old_reads.read(partial(_search, ask, self._bounds))


async def _search(ask: Search, bounds: Bounds, connection: AsyncConnection) -> Hits:
    by_score = ask.sort is Sort.RELEVANCE
    place = ask.after
    after: tuple[object, ...] | None = None
    if place is not None:
        after = (place.score, place.date, place.event_id) if by_score else (place.date, place.event_id)
    answer = await search(
        connection,
        ask.wanted,
        limit=max(ask.limit + 1, SOURCES_MAX if ask.suggestions else 0),
        now=ask.now if place is None else place.now,
        by_score=by_score,
        after=after,
        every=place is None or place.every,
        bounds=bounds,
    )
    counted = None
    if ask.facets:
        counted = Facets()
        if not ask.wanted.is_nowhere:
            counted = await facets(connection, ask.wanted, answer.words, every=answer.every, bounds=bounds)
    found = answer.found[: ask.limit]
    return Hits(
        found=found,
        after=_place(ask, found[-1], answer.every) if len(answer.found) > ask.limit else None,
        every=answer.every,
        facets=counted,
        suggestions=suggestions(ask.wanted.text, [one.facts for one in answer.found]) if ask.suggestions else None,
    )


def _place(ask: Search, last: Found, every: bool) -> Place:
    now = ask.now if ask.after is None else ask.after.now
    return Place(now, last.score, last.facts.date, last.facts.event_id, every)
