"""The settings of the search."""

from __future__ import annotations

from typing import Annotated

from db.settings import Section, bounded


class SearchSettings(Section, frozen=True, kw_only=True):
    cache_seconds: Annotated[
        float,
        bounded("an answer of the search that was asked for again is kept so long; 0: none is kept", 0, 300),
    ] = 5.0
