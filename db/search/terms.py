"""The words of an event with their weights, as Postgres' full text search keeps them (``tsvector``).

Postgres knows four weights, A to D; here they say where in the event a word stands: see `Where`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from db.search.dates import date_words
from db.search.folding import fold, words

PRICE_BANDS: tuple[int, ...] = (25, 50, 100)
"""The bounds between the bands of prices in the facets, in major units of the currency: up to 25, 25 to 50, …"""


class Where(StrEnum):
    """Where in an event a word stands, by the weight that says so."""

    ARTIST = "A"
    NAME = "B"
    VENUE = "C"
    TAG = "D"


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """What of an event is searched. ``date`` is in the venue's time zone."""

    name: str
    artist: str
    venue: str
    town: str
    tags: Sequence[str]
    date: dt.datetime


def terms_of(event: Searched) -> str:
    """The event's words as the text of a ``tsvector``; the date's words have the weight of tags."""
    places: dict[str, dict[str, int]] = {}
    number = 0
    for where, of_where in (
        (Where.ARTIST, words(event.artist)),
        (Where.NAME, words(event.name)),
        (Where.VENUE, words(f"{event.venue} {event.town}")),
        (Where.TAG, (*words(" ".join(event.tags)), *date_words(event.date))),
    ):
        for word in of_where:
            number += 1
            places.setdefault(word, {}).setdefault(where.value, number)
    return " ".join(
        f"{lexeme(word)}:{','.join(f'{number}{weight}' for weight, number in at.items())}"
        for word, at in places.items()
    )


def vocabulary(events: Iterable[Searched]) -> list[str]:
    """Every word of the events' texts once, in order."""
    found: set[str] = set()
    for event in events:
        for text in (event.name, event.artist, event.venue, event.town, *event.tags):
            found.update(words(text))
    return sorted(found)


def tag_keys(tags: Iterable[str]) -> list[str]:
    """The tags, folded."""
    return [fold(tag) for tag in tags]


def price_band(price_from: int | None, minor_digits: int) -> int:
    """The number of the price's band among `PRICE_BANDS`, from 0."""
    return sum((price_from or 0) >= bound * 10**minor_digits for bound in PRICE_BANDS)


def lexeme(word: str) -> str:
    """A word quoted for the text of a ``tsvector`` or a ``tsquery``."""
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"
