"""The report about a crowd at its end: the answers that its fans got, in sums."""

from __future__ import annotations

from collections import Counter

import msgspec
from rich.console import Console
from rich.table import Table

from admitone.fan.counts import Counts, percentile_ms


class LatencySummary(msgspec.Struct, frozen=True, kw_only=True):
    """How long one kind of call took, in milliseconds; percentiles are exact to 2 %."""

    count: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float


class CrowdReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the crowd did, and the answers that it got.

    Attributes:
        outcomes: stage → outcome → how many fans; the stage ``fan`` says how each visit ended.
        latencies: call → its times; ``reserve`` is one HTTP call, ``reserve_result`` ends with the outcome.
        waits: call and problem code → how often a fan was sent away for a while (429 or 503), and came back.
        errors: failure → how often (a 5xx but no proper 503, a broken connection, an answer that breaks the contract).
        violations: broken promises: a position that rose, a seat sold twice, a purchase unlike its hold.
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
        """Whether there was neither an error nor a violation."""
        return not self.errors and not self.violations_count

    def print(self, console: Console) -> None:
        """Print the report as tables."""
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
            for name, count in counts.items():
                console.print(f"{title}: {name} x {count}", markup=False)
        if self.violations_count:
            console.print(f"{self.violations_count} promises broken, the first of them:")
            for violation in self.violations:
                console.print(f"  {violation}", markup=False)


def report_of(counts: Counts) -> CrowdReport:
    """Make the report from the counts."""
    outcomes: dict[str, dict[str, int]] = {}
    for key, number in counts.outcomes.items():
        stage, _, outcome = key.partition(" ")
        if stage != "refused":
            outcomes.setdefault(stage, {})[outcome] = number
    return CrowdReport(
        seconds=round(counts.seconds, 2),
        fans=counts.fans,
        purchases=counts.purchases,
        seats_bought=counts.seats,
        outcomes=outcomes,
        latencies={step: latency_of(counts, step) for step in sorted(counts.waits)},
        waits=counts.of("refused"),
        errors=dict(counts.errors),
        violations=tuple(counts.violations),
        violations_count=counts.violations_count,
    )


def latency_of(counts: Counts, step: str) -> LatencySummary:
    """How long a step's answers took."""
    classes = counts.waits.get(step) or Counter[int]()
    longest_ms = counts.longest_ms.get(step, 0.0)
    p50, p90, p99 = (round(min(percentile_ms(classes, share), longest_ms), 2) for share in (0.5, 0.9, 0.99))
    return LatencySummary(count=classes.total(), p50_ms=p50, p90_ms=p90, p99_ms=p99, max_ms=round(longest_ms, 2))
