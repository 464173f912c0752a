"""What a crowd met: counted while it runs, summed up at its end."""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import msgspec
from rich.console import Console
from rich.table import Table

ERROR_KINDS_MAX = 200
VIOLATIONS_KEPT_MAX = 100
_STEP = math.log(1.02)


class LatencySummary(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds; percentiles are exact to 2 %."""

    count: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float


class Latencies:
    """A histogram whose buckets grow by 2 %, so that its size does not grow with the crowd."""

    def __init__(self) -> None:
        self.count = 0
        self._max_ms = 0.0
        self._buckets: Counter[int] = Counter()

    def add(self, seconds: float) -> None:
        milliseconds = seconds * 1000
        self.count += 1
        self._max_ms = max(self._max_ms, milliseconds)
        self._buckets[math.ceil(math.log(max(milliseconds, 0.01)) / _STEP)] += 1

    def summary(self) -> LatencySummary:
        p50, p90, p99 = (self._percentile(share) for share in (0.5, 0.9, 0.99))
        return LatencySummary(count=self.count, p50_ms=p50, p90_ms=p90, p99_ms=p99, max_ms=round(self._max_ms, 2))

    def _percentile(self, share: float) -> float:
        wanted = math.ceil(self.count * share)
        seen = 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= wanted:
                return round(min(math.exp(bucket * _STEP), self._max_ms), 2)
        return 0.0


class CrowdReport(msgspec.Struct, frozen=True, kw_only=True):
    """The crowd's story.

    Attributes:
        outcomes: stage → what came of it → how many; stage ``fan`` says how each fan's visit ended.
        latencies: call → its times; ``reserve`` is one HTTP call, ``reserve_result`` ends with the outcome.
        waits: call and problem code → how often a fan was told to come back later, and did.
        errors: what should not happen (a 5xx that is no honest 503, a broken connection or contract).
        violations: promises broken: a place that rose, a seat sold twice, a purchase unlike its hold.
    """

    seconds: float
    fans: int
    purchases: int
    seats_bought: int
    outcomes: dict[str, dict[str, int]]
    latencies: dict[str, LatencySummary]
    waits: dict[str, int]
    errors: dict[str, int]
    violations: tuple[str, ...]
    violations_count: int

    @property
    def clean(self) -> bool:
        """Neither an error nor a violation."""
        return not self.errors and not self.violations_count

    def print(self, console: Console) -> None:
        """The report as tables."""
        console.print(
            f"{self.fans} fans in {self.seconds:.1f} s: {self.purchases} purchases, {self.seats_bought} seats"
        )
        outcomes = Table("stage", "outcome", "fans", title="Outcomes", title_justify="left")
        for stage, counts in self.outcomes.items():
            for outcome, count in sorted(counts.items(), key=lambda item: -item[1]):
                outcomes.add_row(stage, outcome, str(count))
        console.print(outcomes)
        latencies = Table(
            "call", "count", "p50 ms", "p90 ms", "p99 ms", "max ms", title="Latencies", title_justify="left"
        )
        for call, times in self.latencies.items():
            latencies.add_row(
                call,
                str(times.count),
                *(f"{ms:.1f}" for ms in (times.p50_ms, times.p90_ms, times.p99_ms, times.max_ms)),
            )
        console.print(latencies)
        for title, counts in (("told to wait", self.waits), ("error", self.errors)):
            for kind, count in counts.items():
                console.print(f"{title}: {kind} x {count}", markup=False)
        if self.violations_count:
            console.print(f"{self.violations_count} promises broken, the first of them:")
            for violation in self.violations:
                console.print(f"  {violation}", markup=False)


class Tally:
    """Counts while the crowd runs; every collection in it is bounded."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.fans = 0
        self.calls = 0
        self.purchases = 0
        self.now: Counter[str] = Counter()
        self.outcomes: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.waits: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.violations: list[str] = []
        self.violations_count = 0
        self._latencies: defaultdict[str, Latencies] = defaultdict(Latencies)
        self._owners: dict[tuple[int, int, int], str] = {}

    @contextmanager
    def at(self, stage: str) -> Iterator[None]:
        """Count a fan as being at ``stage`` for the length of the block."""
        self.now[stage] += 1
        try:
            yield
        finally:
            self.now[stage] -= 1

    def latency(self, call: str, seconds: float) -> None:
        self.calls += 1
        self._latencies[call].add(seconds)

    def latency_of(self, call: str) -> LatencySummary:
        return self._latencies[call].summary()

    def outcome(self, stage: str, outcome: str) -> None:
        self.outcomes[stage][outcome] += 1

    def wait(self, call: str, code: str) -> None:
        self.waits[f"{call}: {code}"] += 1

    def error(self, kind: str) -> None:
        if kind not in self.errors and len(self.errors) >= ERROR_KINDS_MAX:
            kind = "of further kinds"
        self.errors[kind] += 1

    def violation(self, sentence: str) -> None:
        self.violations_count += 1
        if len(self.violations) < VIOLATIONS_KEPT_MAX:
            self.violations.append(sentence)

    def bought(self, purchase_id: str, seats: Iterable[tuple[int, int, int]]) -> None:
        """Note a purchase; a seat that another purchase has is a violation."""
        self.purchases += 1
        for seat in seats:
            owner = self._owners.setdefault(seat, purchase_id)
            if owner != purchase_id:
                self.violation(f"seat {seat} was sold in purchase {owner} and in purchase {purchase_id}")

    @property
    def seats_bought(self) -> int:
        return len(self._owners)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def report(self) -> CrowdReport:
        return CrowdReport(
            seconds=round(self.seconds, 2),
            fans=self.fans,
            purchases=self.purchases,
            seats_bought=self.seats_bought,
            outcomes={stage: dict(counts) for stage, counts in self.outcomes.items()},
            latencies={call: times.summary() for call, times in sorted(self._latencies.items())},
            waits=dict(self.waits),
            errors=dict(self.errors),
            violations=tuple(self.violations),
            violations_count=self.violations_count,
        )
