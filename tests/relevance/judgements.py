"""The judged queries, and nDCG@10 of an order of events.

A line of `tuning.txt` or `figure.txt` says what a query means: ``3 act=lena,lena2 month=2027-02; 1 town=Hamburg`` is
grade 3 for these acts' events in that month and grade 1 for others in Hamburg. An event gets the highest grade whose
selectors all hold. A fan wants to buy, so an event that is not on sale is worth less: see `WORTH_LESS`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.relevance.corpus import EVENTS, CorpusEvent, Standing

HERE: Final = Path(__file__).parent
DEPTH: Final = 10
WORTH_LESS: Final = {
    Standing.ON_SALE: 0,
    Standing.COMING: 1,
    Standing.SOLD_OUT: 2,
    Standing.CANCELLED: 2,
    Standing.PAST: 2,
}
"""By how much a grade falls with the event's standing; what is meant has grade 1 at least."""

_SELECTOR: Final = re.compile(r"(\w+)=(.*?)(?=\s+\w+=|\Z)")


@dataclass(frozen=True, slots=True)
class Judged:
    """A query and the grades of the events that it means, by their numbers; other events have grade 0."""

    kind: str
    query: str
    grades: Mapping[int, int]


def judged(half: str) -> list[Judged]:
    """The queries of ``tuning`` or ``figure``.

    Raises:
        ValueError: a query means no event at all.
    """
    found = []
    for line in (HERE / f"{half}.txt").read_text().splitlines():
        if line.startswith("#"):
            continue
        kind, query, meaning = (part.strip() for part in line.split("|"))
        grades: dict[int, int] = {}
        for rule in meaning.split(";"):
            grade, selectors = rule.strip().split(" ", 1)
            wanted = {name: value.split(",") for name, value in _SELECTOR.findall(selectors)}
            for event in EVENTS:
                if _is_meant(event, wanted):
                    worth = max(1, int(grade) - WORTH_LESS[event.standing])
                    grades[event.number] = max(worth, grades.get(event.number, 0))
        if not grades:
            raise ValueError(f"no event is meant by {query!r}")
        found.append(Judged(kind, query, grades))
    return found


def ndcg(order: Sequence[int], grades: Mapping[int, int]) -> float:
    """Normalised discounted cumulative gain of the first `DEPTH` events of an order, with the gain 2^grade - 1."""
    return _gain([grades.get(number, 0) for number in order]) / _gain(sorted(grades.values(), reverse=True))


def _gain(grades: Sequence[int]) -> float:
    return sum((2.0**grade - 1) / math.log2(place + 1) for place, grade in enumerate(grades[:DEPTH], 1))


def _is_meant(event: CorpusEvent, wanted: Mapping[str, Sequence[str]]) -> bool:
    has = {
        "act": {event.act},
        "venue": {event.venue_key},
        "town": {event.venue.town},
        "tag": set(event.tags),
        "day": {f"{event.date:%Y-%m-%d}"},
        "month": {f"{event.date:%Y-%m}"},
    }
    return all(has[name] & set(values) for name, values in wanted.items())
