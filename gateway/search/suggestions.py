"""Suggestions while a fan types: names of the events that were found, as far as they hold what was typed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from db.events.halls import EventFacts
from db.search.asking import is_like
from db.search.folding import fold
from gateway.search.catalogue import Suggested

SUGGESTIONS_MAX: Final = 8
SOURCES_MAX: Final = 40
"""So many events are looked at."""


def suggestions(typed: str, events: Sequence[EventFacts]) -> list[Suggested]:
    """The artists, events, venues and towns that the fan may mean, those of the best events first.

    Where no name holds all that was typed, those are given that hold words spelt like it.
    """
    asked = fold(typed).split()
    if not asked:
        return []
    sure: dict[str, Suggested] = {}
    perhaps: dict[str, Suggested] = {}
    for event in events:
        for kind, text in (
            ("artist", event.artist),
            ("event", event.name),
            ("venue", event.venue),
            ("town", event.town),
        ):
            key = fold(text)
            held = key.split()
            if not held:
                continue
            if all(any(one.startswith(word) for one in held) for word in asked):
                sure.setdefault(key, Suggested(text=text, kind=kind))
            elif not sure and all(any(is_like(word, one) for one in held) for word in asked):
                perhaps.setdefault(key, Suggested(text=text, kind=kind))
    return list((sure or perhaps).values())[:SUGGESTIONS_MAX]
