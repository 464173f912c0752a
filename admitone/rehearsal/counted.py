"""What a generator's fans met, told second by second and added up by whoever wants a stretch of it."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Final

import msgspec

STEP: Final = math.log(1.05)
VIOLATIONS_MAX: Final = 20
KINDS_MAX: Final = 200


def class_of(seconds: float) -> int:
    """The class that a wait is counted in: each is 5 % wider than the one before."""
    return math.ceil(math.log(max(seconds * 1000, 0.1)) / STEP)


class Tick(msgspec.Struct, kw_only=True):
    """About one second of one generator. ``at`` (its end) is the machine's monotonic clock, the same in every process.

    ``waits``: step → `class_of` → how often; ``booking`` is a reserve or a checkout, from asking to its outcome.
    ``outcomes``: ``<step> <what came of it>``; ``fan`` is how a visit ended.
    ``inside_seconds``: from the call to the ticket, added up over the second's purchases.
    ``now``: stage → fans there. ``late_ms``: by how much the event loop came late at worst.
    """

    at: float
    waits: dict[str, dict[int, int]] = {}
    outcomes: dict[str, int] = {}
    errors: dict[str, int] = {}
    violations: list[str] = []
    purchases: int = 0
    seats: int = 0
    inside_seconds: float = 0.0
    now: dict[str, int] = {}
    cpu_seconds: float = 0.0
    late_ms: float = 0.0
    done: bool = False


class Counted:
    """Counts until it is told; every collection is bounded."""

    def __init__(self) -> None:
        self.now: Counter[str] = Counter()
        self._begin()

    def _begin(self) -> None:
        self.waits: defaultdict[str, Counter[int]] = defaultdict(Counter)
        self.outcomes: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.violations: list[str] = []
        self.purchases = 0
        self.seats = 0
        self.inside_seconds = 0.0

    def wait(self, step: str, seconds: float) -> None:
        self.waits[step][class_of(seconds)] += 1

    def outcome(self, step: str, what: str) -> None:
        self.outcomes[f"{step} {what}"] += 1

    def error(self, kind: str) -> None:
        self.errors[kind if kind in self.errors or len(self.errors) < KINDS_MAX else "of further kinds"] += 1

    def violation(self, sentence: str) -> None:
        if len(self.violations) < VIOLATIONS_MAX:
            self.violations.append(sentence)

    def tick(self, at: float, cpu_seconds: float, late_ms: float, *, done: bool) -> Tick:
        """What was counted since the last tick."""
        told = Tick(
            at=at,
            waits={step: dict(classes) for step, classes in self.waits.items()},
            outcomes=dict(self.outcomes),
            errors=dict(self.errors),
            violations=self.violations,
            purchases=self.purchases,
            seats=self.seats,
            inside_seconds=self.inside_seconds,
            now={stage: fans for stage, fans in self.now.items() if fans},
            cpu_seconds=cpu_seconds,
            late_ms=late_ms,
            done=done,
        )
        self._begin()
        return told


class Sum:
    """Ticks added up."""

    def __init__(self, ticks: Iterable[Tick] = ()) -> None:
        self.waits: defaultdict[str, Counter[int]] = defaultdict(Counter)
        self.outcomes: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.violations: list[str] = []
        self.purchases = 0
        self.seats = 0
        self.inside_seconds = 0.0
        for tick in ticks:
            self.add(tick)

    def add(self, tick: Tick) -> None:
        for step, classes in tick.waits.items():
            self.waits[step].update(classes)
        self.outcomes.update(tick.outcomes)
        self.errors.update(tick.errors)
        self.violations = (self.violations + tick.violations)[:VIOLATIONS_MAX]
        self.purchases += tick.purchases
        self.seats += tick.seats
        self.inside_seconds += tick.inside_seconds

    def wait_ms(self, step: str, share: float) -> float | None:
        """The wait that ``share`` of a step's did not exceed, exact to 5 %; None where there was none."""
        classes = self.waits.get(step)
        if not classes:
            return None
        wanted = math.ceil(classes.total() * share)
        seen = 0
        for wait in sorted(classes):
            seen += classes[wait]
            if seen >= wanted:
                return round(math.exp(wait * STEP), 1)
        raise AssertionError

    def count(self, step: str, what: str) -> int:
        return self.outcomes[f"{step} {what}"]
