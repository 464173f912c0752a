"""The options of a rehearsal, with their bounds."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from admitone.rehearsal.plan import (
    BEST_SHARE,
    FANS_A_GENERATOR,
    FANS_MAX,
    FRONT_SHARE,
    GENERATORS_MAX,
    MINUTES_MAX,
    THINK_SECONDS,
    THINK_SECONDS_MAX,
)


class NotPossibleError(Exception):
    """The rehearsal could not be held; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options that the operator gives.

    Attributes:
        expected_fans: how many fans the real sale has; None: as many as are simulated.
        think_seconds: a person's mean time from the call to the ticket; 0: fans do not think, which shows the engine's
            limit.
        idle: the share of the admitted that do nothing with their pass.
        minutes_max: the sale ends after this time, even if fans are still on their way.
        wants_limit: once the sale as configured is steady, raise the rate until the site does not bear it any more.
        generators: how many processes simulate fans; None: one for each `FANS_A_GENERATOR` fans.
        keep: leave the copy, closed, until the event's next rehearsal.

    Raises:
        ValueError: a number out of its bounds.
    """

    url: str
    event_id: int
    fans: int
    expected_fans: int | None = None
    minutes_max: float = 15.0
    arrive_seconds: float = 30.0
    think_seconds: float = THINK_SECONDS
    no_shows: float = 0.1
    idle: float = 0.0
    seats_per_fan: int = 2
    front: float = FRONT_SHARE
    best: float = BEST_SHARE
    wants_limit: bool = False
    generators: int | None = None
    keep: bool = False
    ledger: Path | None = None
    seed: int = 1
    embedded: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("fans", self.fans, 1, FANS_MAX),
            ("expected fans", self.expected_fans or 1, 1, 10_000_000),
            ("minutes", self.minutes_max, 0.1, MINUTES_MAX),
            ("seconds to arrive", self.arrive_seconds, 0, 3600),
            ("seconds to think", self.think_seconds, 0, THINK_SECONDS_MAX),
            ("the share of no-shows", self.no_shows, 0, 0.95),
            ("the share of idle fans", self.idle, 0, 0.95),
            ("seats", self.seats_per_fan, 1, 50),
            ("generators", self.generators or 1, 1, GENERATORS_MAX),
        ):
            if not low <= value <= high:
                raise ValueError(f"{name} must lie within {low} and {high}, not {value}")

    @property
    def processes(self) -> int:
        most = min(GENERATORS_MAX, self.fans)
        return min(most, self.generators or min(os.cpu_count() or 1, -(-self.fans // FANS_A_GENERATOR)))
