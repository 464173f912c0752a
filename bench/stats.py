"""Percentiles, and what a load measured."""

from __future__ import annotations

import dataclasses
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

REFUSED_SHARE_MAX = 0.05


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value that ``share`` (0…1) of ``ordered`` do not exceed (nearest rank); 0 of none."""
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


@dataclasses.dataclass(slots=True)
class Latencies:
    """Percentiles in milliseconds."""

    count: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Latencies:
        ordered = sorted(seconds)
        p50, p90, p99, most = (round(percentile(ordered, share) * 1000, 3) for share in (0.5, 0.9, 0.99, 1.0))
        return cls(len(ordered), p50, p90, p99, most)


@dataclasses.dataclass(slots=True)
class Step:
    """One kind of request of a load: when each was answered, how long each took, and how."""

    ended: array[float] = dataclasses.field(default_factory=lambda: array("d"))
    seconds: array[float] = dataclasses.field(default_factory=lambda: array("d"))
    seconds_refused: array[float] = dataclasses.field(default_factory=lambda: array("d"))
    """How long those took that were answered 503; they stand in ``seconds`` too."""
    outcomes: Counter[str] = dataclasses.field(default_factory=Counter)

    def add(self, other: Step) -> None:
        self.ended.extend(other.ended)
        self.seconds.extend(other.seconds)
        self.seconds_refused.extend(other.seconds_refused)
        self.outcomes.update(other.outcomes)


@dataclasses.dataclass(slots=True)
class Load:
    """What one or more generators measured over ``seconds``; steps by name."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    steps: dict[str, Step] = dataclasses.field(default_factory=dict)

    def add(self, other: Load) -> None:
        """Take in what another generator measured in the same time."""
        self.seconds = max(self.seconds, other.seconds)
        self.cpu_seconds += other.cpu_seconds
        for name, step in other.steps.items():
            self.steps.setdefault(name, Step()).add(step)

    def count(self, step: str, *outcomes: str) -> int:
        """Answers of this outcome (of any, where none is named)."""
        found = self.steps[step].outcomes if step in self.steps else Counter[str]()
        return sum(found[outcome] for outcome in outcomes) if outcomes else found.total()

    def require(self, step: str, *outcomes: str) -> None:
        """Return if nearly all answers of this step were of these outcomes. A server that refuses is fast, and would be
        measured as one that sells.

        Raises:
            RuntimeError: it has no answers, or more than `REFUSED_SHARE_MAX` were others.
        """
        good, total = self.count(step, *outcomes), self.count(step)
        if not total or total - good > REFUSED_SHARE_MAX * total:
            raise RuntimeError(f"{step}: {dict(self.steps[step].outcomes) if total else 'no answers'}")

    def rate(self, step: str, *outcomes: str) -> float:
        """Such answers a second."""
        return self.count(step, *outcomes) / self.seconds if self.seconds else 0.0

    def latencies(self, step: str) -> Latencies:
        return Latencies.of(self.steps[step].seconds if step in self.steps else ())

    @property
    def generator_share(self) -> float:
        """How much of one core the generator used."""
        return self.cpu_seconds / self.seconds if self.seconds else 0.0

    def document(self) -> dict[str, Any]:
        """The load as an object for JSON."""
        return {
            "seconds": round(self.seconds, 3),
            "generatorShareOfACore": round(self.generator_share, 3),
            "steps": {
                name: {
                    "perSecond": round(self.rate(name), 1),
                    **dataclasses.asdict(self.latencies(name)),
                    "outcomes": dict(self.steps[name].outcomes),
                }
                for name in self.steps
            },
        }
