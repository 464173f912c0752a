"""The settings of the search."""

from __future__ import annotations

from typing import Annotated

from db.search.reading import BOUNDS, Bounds
from db.settings import Section, bounded


class SearchSettings(Section, frozen=True, kw_only=True):
    cache_seconds: Annotated[
        float,
        bounded("an answer of the search that was asked for again is kept so long; 0: none is kept", 0, 300),
    ] = 5.0
    held_bytes_max: Annotated[
        int,
        bounded("answers found in memory that a gateway keeps for so long itself; 10 KB for each", 0, 2**30),
    ] = 20_000_000
    memory_events_max: Annotated[
        int,
        bounded(
            "a gateway finds events in its memory, 0.9 KB for each; where there are more events on show than"
            " so many, Postgres finds them; 0: it always does",
            0,
            5_000_000,
        ),
    ] = 250_000
    fresh_seconds: Annotated[
        float,
        bounded(
            "a change of an event may be so old before a search in memory finds it, other than at the gateway that made"
            " it; 0: each search asks Postgres what has changed",
            0,
            5,
        ),
    ] = 0.25
    ranked_max: Annotated[
        int,
        bounded(
            "so many events that have the words are ranked, the soonest of them; further ones are found by date alone",
            100,
            100_000,
        ),
    ] = BOUNDS.ranked_max
    counted_max: Annotated[
        int,
        bounded(
            "Postgres counts so many events for the facets; of more the counts are said to be at least", 100, 10**6
        ),
    ] = BOUNDS.counted_max

    @property
    def bounds(self) -> Bounds:
        return Bounds(ranked_max=self.ranked_max, counted_max=self.counted_max)
