"""The catalogue's interface: the events that fans can search, page by page."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from db.search.reading import Facets, Found, Wanted


class Sort(StrEnum):
    """The order of events: the soonest first, or those first that fit best and can be bought."""

    DATE = "date"
    RELEVANCE = "relevance"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ended: at this event, in the order of a search that began at ``now``. ``score`` is 0 by date, and
    ``every`` is False where the events have only some of the words.
    """

    now: dt.datetime
    score: int
    date: dt.datetime
    event_id: int
    every: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A search.

    Attributes:
        now: the moment that decides what is on sale; two asks of one moment may be answered at once.
        after: where the page before ended; None for the first page.
        seats: count the seats of the events that were found; without it they may be counted or not.
    """

    wanted: Wanted
    sort: Sort
    limit: int
    now: dt.datetime
    after: Place | None = None
    facets: bool = False
    suggestions: bool = False
    seats: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggested:
    """A text that the fan may mean, and of what it is: artist, event, venue or town."""

    text: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hits:
    """A page of events; ``after`` is where it ended if there are more. ``every`` is False where no event has every
    word, so that these have some.
    """

    found: list[Found]
    after: Place | None
    every: bool = True
    facets: Facets | None = None
    suggestions: list[Suggested] | None = None


class Catalogue(Protocol):
    """Searches the events that are on show."""

    async def search(self, ask: Search) -> Hits:
        """A page of events.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: Postgres does not answer.
        """


SEARCH_SERVERS: Final = ("index", "postgres")


class SearchIndex(Protocol):
    """What is known of the index that searches go to first, where a site has one.

    Attributes:
        answered: how many searches each of `SEARCH_SERVERS` has answered.
    """

    answered: Counter[str]

    @property
    def is_up(self) -> bool:
        """Whether the index answered when it was asked last."""

    async def close(self) -> None:
        """Close the connections to it."""
