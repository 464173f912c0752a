"""What a fan who types is told that may be meant."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from db.events.halls import EventFacts, event_facts
from gateway.search.suggestions import suggestions

NOW = dt.datetime(2027, 6, 12, tzinfo=dt.UTC)


def event(name: str, artist: str, venue: str, town: str) -> EventFacts:
    row: list[Any] = [1, name, artist, NOW, "Europe/Berlin", venue, NOW, NOW, "published", "EUR", 4, "", None, None, ""]
    return event_facts([*row, False, "", town, [], None])


EVENTS = [
    event("Nachtflug", "Lena Brandt", "Kulturhalle", "Köln"),
    event("Tour 2027", "Lena & Band", "Tempodrom", "Berlin"),
    event("Winterreise", "Trio Kahn", "Kammersaal Bern", "Bern"),
]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("len", [("Lena Brandt", "artist"), ("Lena & Band", "artist")]),
        ("brandt lena", [("Lena Brandt", "artist")]),
        ("kulturhale", [("Kulturhalle", "venue")]),
        ("nachtflgu", [("Nachtflug", "event")]),
        ("brelin", [("Berlin", "town")]),
        ("koln", [("Köln", "town")]),
        ("tempordom", [("Tempodrom", "venue")]),
        ("winterriese", [("Winterreise", "event")]),
        ("winterra", [("Winterreise", "event")]),
        ("bern", [("Kammersaal Bern", "venue"), ("Bern", "town")]),
        ("rock", []),
        ("?", []),
    ],
)
def test_suggestions_are_names_that_hold_what_was_typed_or_what_is_spelt_like_it(
    typed: str, expected: list[tuple[str, str]]
) -> None:
    assert [(one.text, one.kind) for one in suggestions(typed, EVENTS)] == expected
