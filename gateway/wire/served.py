"""Which requests a gateway of a group serves: some parts of the site, or some events. By default it serves all."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

EVENTS_NAMED_MAX: Final = 1000
_event_in: Final = re.compile(r"/(?:api/)?(?:events|queue|wait|initial-call|gate)/([0-9]{1,16})(?:/|$)").match
_SERVED_ALWAYS: Final = frozenset({"health", "metrics", "static", "schema", ".well-known"})
_OF_OPERATORS: Final = frozenset({"ops", "scan", "scan-worker.js", "scan.webmanifest"})


class SitePart(StrEnum):
    """A part of the site that gateways may serve without the others."""

    PAGES = "pages"
    """Fans' pages."""
    SEARCH = "search"
    """The list of events, and what is found in it (`GET /api/events`)."""
    BOOKING = "booking"
    """The API of fans and shops: sessions, the line, seats, bookings, accounts."""
    STREAMS = "streams"
    """What stays open: the streams of the line and of halls."""
    OPERATORS = "operators"
    """Operators' pages and API, with their streams, and the scanner of tickets."""


def part_of(path: str) -> SitePart | None:
    """The part that an address belongs to; None for what every gateway serves."""
    first, *rest = path.strip("/").split("/")
    if first in _SERVED_ALWAYS:
        return None
    if first == "gate":
        return SitePart.BOOKING
    if first in _OF_OPERATORS or (first == "api" and rest[:1] == ["ops"]):
        return SitePart.OPERATORS
    if first != "api":
        return SitePart.PAGES
    if rest == ["events"]:
        return SitePart.SEARCH
    if rest[:1] in (["queue"], ["events"]) and rest[-1] in ("stream", "live"):
        return SitePart.STREAMS
    return SitePart.BOOKING


def event_of(path: str) -> int | None:
    """The event that a fan's address names, if any."""
    found = _event_in(path)
    return None if found is None else int(found[1])


@dataclass(frozen=True, slots=True)
class Served:
    """What a gateway serves. Empty ``events`` are all of them.

    Raises:
        ValueError: no such part, or no list of events' ids.
    """

    parts: frozenset[SitePart] = frozenset(SitePart)
    events: frozenset[int] = frozenset()

    @classmethod
    def of(cls, parts: str, events: str) -> Self:
        """What two settings name, each with commas between; an empty one names everything."""
        named = _words(parts)
        unknown = sorted({*named} - {*SitePart})
        if unknown:
            raise ValueError(f"there is no part {unknown[0]!r}: name some of {', '.join(SitePart)}")
        ids = _words(events)
        if len(ids) > EVENTS_NAMED_MAX or not all(one.isascii() and one.isdigit() and len(one) <= 16 for one in ids):
            raise ValueError(f"name at most {EVENTS_NAMED_MAX} events by their ids, with commas between")
        return cls(frozenset(map(SitePart, named)) or frozenset(SitePart), frozenset(map(int, ids)))

    @property
    def is_all(self) -> bool:
        return len(self.parts) == len(SitePart) and not self.events

    def serves(self, path: str) -> bool:
        """Whether this gateway answers requests for the address."""
        part = part_of(path)
        if part is not None and part not in self.parts:
            return False
        event_id = event_of(path) if self.events else None
        return event_id is None or event_id in self.events


def _words(text: str) -> Collection[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
