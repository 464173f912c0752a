"""Counts the answers that the fans of one process got; every collection is bounded."""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from admitone.fan.seats import Seat

STEP: Final = math.log(1.02)
"""Waits are counted in classes, each 2 % wider than the one before: so their memory does not grow with the fans."""
ERROR_KINDS_MAX: Final = 200
VIOLATIONS_KEPT_MAX: Final = 100


def class_of(seconds: float) -> int:
    """The class that a wait is counted in."""
    return math.ceil(math.log(max(seconds * 1000, 0.01)) / STEP)


def percentile_ms(classes: Mapping[int, int], share: float) -> float:
    """The wait in milliseconds that ``share`` of the counted waits did not exceed, exact to 2 %; 0 if there is none."""
    wanted = math.ceil(sum(classes.values()) * share)
    seen = 0
    for wait in sorted(classes):
        seen += classes[wait]
        if seen >= wanted:
            return math.exp(wait * STEP)
    return 0.0


class Stay:
    """Counts a fan as being at a stage for the length of a ``with`` block."""

    __slots__ = ("_now", "_stage")

    def __init__(self, now: Counter[str], stage: str) -> None:
        self._now = now
        self._stage = stage

    def __enter__(self) -> None:
        self._now[self._stage] += 1

    def __exit__(self, *_: object) -> None:
        self._now[self._stage] -= 1


class Counts:
    """Counts of what happened to the fans since `begin`.

    ``now``: stage → how many fans are there.
    ``waits``: step → `class_of` the wait → how often; ``longest_ms``: step → its longest wait.
    ``outcomes``: ``<step> <outcome>`` → how often. The step ``fan`` says how a visit ended, ``stream`` is an event of
    a stream, and ``refused`` is a 429 or 503 by ``<step>: <code>``.
    ``errors``: failure → how often (a 5xx but no proper 503, a broken connection, an answer that breaks the contract).
    ``violations``: broken promises, such as a position that rose, a seat sold twice, a purchase unlike its hold.
    ``inside_seconds``: the time from the call to the ticket, added up over the purchases.
    """

    def __init__(self) -> None:
        self.began_at = time.monotonic()
        self.now: Counter[str] = Counter()
        self._owners: dict[Seat, str] = {}
        self.begin()

    def begin(self) -> None:
        """Set the counts to zero. The stages of fans and the owners of seats are kept."""
        self.waits: defaultdict[str, Counter[int]] = defaultdict(Counter)
        self.longest_ms: defaultdict[str, float] = defaultdict(float)
        self.outcomes: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.violations: list[str] = []
        self.violations_count = 0
        self.fans = 0
        self.purchases = 0
        self.seats = 0
        self.inside_seconds = 0.0

    def at(self, stage: str) -> Stay:
        """Count a fan as being at ``stage`` for the length of a ``with`` block."""
        return Stay(self.now, stage)

    def wait(self, step: str, seconds: float) -> None:
        """Count how long an answer took."""
        self.waits[step][class_of(seconds)] += 1
        if seconds * 1000 > self.longest_ms[step]:
            self.longest_ms[step] = seconds * 1000

    def outcome(self, step: str, outcome: str) -> None:
        self.outcomes[f"{step} {outcome}"] += 1

    def refused(self, step: str, code: str) -> None:
        """Count a 429 or 503."""
        self.outcomes[f"refused {step}: {code}"] += 1

    def called(self) -> None:
        """Called when the line calls a fan. A subclass may record the moment."""

    def error(self, kind: str) -> None:
        self.errors[kind if kind in self.errors or len(self.errors) < ERROR_KINDS_MAX else "of further kinds"] += 1

    def violation(self, sentence: str) -> None:
        self.violations_count += 1
        if len(self.violations) < VIOLATIONS_KEPT_MAX:
            self.violations.append(sentence)

    def bought(self, purchase_id: str, seats: Iterable[Seat], inside_seconds: float) -> None:
        """Count a purchase; a seat that another purchase has already is a violation."""
        self.purchases += 1
        self.inside_seconds += inside_seconds
        for seat in seats:
            owner = self._owners.setdefault(seat, purchase_id)
            self.seats += owner == purchase_id
            if owner != purchase_id:
                self.violation(f"seat {seat} was sold in purchase {owner} and in purchase {purchase_id}")

    def count(self, step: str, outcome: str) -> int:
        return self.outcomes[f"{step} {outcome}"]

    def of(self, step: str) -> dict[str, int]:
        """The outcomes of one step: outcome → how often."""
        begin = f"{step} "
        return {key[len(begin) :]: number for key, number in self.outcomes.items() if key.startswith(begin)}

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began_at
