"""The answers that a generator's fans got, counted second by second and added up over any stretch of time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Final

import msgspec

from admitone.fan.counts import Counts, percentile_ms
from admitone.fan.line import STATES_IN_LINE

VIOLATIONS_MAX: Final = 20


class Tick(msgspec.Struct, kw_only=True):
    """One second of one generator: the fields of `Counts` since the tick before.

    ``at`` is the second's end by the machine's monotonic clock, which is the same in every process. ``late_ms`` is the
    longest that the event loop was late.
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


def take_tick(counts: Counts, at: float, cpu_seconds: float, late_ms: float, *, done: bool) -> Tick:
    """Make a tick of what was counted since the last one, and let ``counts`` begin anew."""
    tick = Tick(
        at=at,
        waits={step: dict(classes) for step, classes in counts.waits.items()},
        outcomes=dict(counts.outcomes),
        errors=dict(counts.errors),
        violations=counts.violations[:VIOLATIONS_MAX],
        purchases=counts.purchases,
        seats=counts.seats,
        inside_seconds=counts.inside_seconds,
        now={stage: fans for stage, fans in counts.now.items() if fans},
        cpu_seconds=cpu_seconds,
        late_ms=late_ms,
        done=done,
    )
    counts.begin()
    return tick


class Sum:
    """The sum of any number of ticks."""

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

    def booking_ms(self, share: float) -> float | None:
        """The time that ``share`` of the reserves and checkouts took at most, from the request to the outcome; None if
        there was none.
        """
        classes = self.waits["reserve_result"] + self.waits["checkout_result"]
        return round(percentile_ms(classes, share), 1) if classes else None

    def count(self, step: str, what: str) -> int:
        return self.outcomes[f"{step} {what}"]

    @property
    def joined(self) -> int:
        """How many fans joined the line."""
        return sum(self.count("join", state) for state in STATES_IN_LINE)
