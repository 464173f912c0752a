"""The plan of a crowd: how many fans come, and how they behave."""

from __future__ import annotations

import dataclasses
from pathlib import Path

FANS_MAX = 1_000_000
SEATS_PER_FAN_MAX = 50


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CrowdPlan:
    """How many fans come, how fast, and how they behave; probabilities and shares lie within 0..1.

    Attributes:
        rate_per_second: arrivals, spread as a Poisson process.
        seats_per_fan: each fan wants one to this many seats, evenly.
        abandon_in_line: the share of fans that leaves the line, half of them without a request.
        abandon_after_call: the share that is called and never claims.
        abandon_hold: the share that holds seats and forgets them.
        release_hold: the share that holds seats and gives them back.
        best_available: the share that lets the server choose the seats.
        think_seconds_max: each fan pauses up to this long before reserving and before checking out.
        duration_seconds_max: after this time the visits under way are ended; not applied with ``loop_forever``.
        ledger: a file to which a line is appended for each final answer that a fan got.
        source_addresses: local addresses to connect from, in turn, so that there are ports enough.
        concurrency_max: how many visits are under way at once; further fans wait before they begin.
        loop_forever: ``fans`` visits are under way at a time, and a new fan comes whenever one ends, until the crowd is
            stopped; while everything is sold no fan comes.

    Raises:
        ValueError: a number out of its bounds.
    """

    base_url: str
    event_id: int
    fans: int = 100
    rate_per_second: float = 20.0
    seats_per_fan: int = 2
    abandon_in_line: float = 0.0
    abandon_after_call: float = 0.0
    abandon_hold: float = 0.0
    release_hold: float = 0.0
    best_available: float = 0.3
    think_seconds_max: float = 0.0
    duration_seconds_max: float = 600.0
    ledger: Path | None = None
    source_addresses: tuple[str, ...] = ()
    seed: int = 1
    concurrency_max: int = 10_000
    loop_forever: bool = False

    def __post_init__(self) -> None:
        _within("fans", self.fans, 1, FANS_MAX)
        _within("rate_per_second", self.rate_per_second, 0.001, 100_000)
        _within("seats_per_fan", self.seats_per_fan, 1, SEATS_PER_FAN_MAX)
        for name in ("abandon_in_line", "abandon_after_call", "best_available"):
            _within(name, getattr(self, name), 0, 1)
        for name in ("abandon_hold", "release_hold"):
            _within(name, getattr(self, name), 0, 1)
        _within("abandon_hold + release_hold", self.abandon_hold + self.release_hold, 0, 1)
        _within("think_seconds_max", self.think_seconds_max, 0, 3600)
        _within("duration_seconds_max", self.duration_seconds_max, 0.1, 864_000)
        _within("concurrency_max", self.concurrency_max, 1, FANS_MAX)


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} must lie within {low} and {high}, not {value}")
