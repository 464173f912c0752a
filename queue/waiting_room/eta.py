"""How long until one's turn, said honestly: an estimate, and a range that is as wide as what is not known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from .model import RoomCounts

SPREAD_MIN: Final = 0.1
"""Even a long wait is not known better than to a tenth."""


@dataclass(frozen=True, slots=True)
class Eta:
    """Seconds until the fan is called, and the (low, high) between which it should fall."""

    eta_seconds: int
    eta_range: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a line moves, in people a minute; all positive."""

    expected: float
    highest: float
    lowest: float

    def seconds(self, ahead: int) -> tuple[int, int, int]:
        """(expected, low, high) until somebody with ``ahead`` people before them is called.

        The range spans both speeds, widened by the chance in small numbers (a Poisson count's deviation).
        """
        people = ahead + 1
        spread = 1 + SPREAD_MIN + 1 / math.sqrt(people)
        return (
            math.ceil(people / self.expected * 60),
            math.floor(people / self.highest * 60 / spread),
            math.ceil(people / self.lowest * 60 * spread),
        )


def speed(
    *,
    rate_per_minute: float,
    measured_per_minute: float | None,
    no_show_rate: float,
    slowest_per_minute: float = 0.0,
) -> Speed | None:
    """How fast the door moves the line; None where nobody can know.

    The door spends a call on each person ahead and a second one on a no-show, so it moves at
    ``rate_per_minute`` over ``1 + no_show_rate``. How fast the line really moved (``Pace.line_per_minute``)
    is believed over that: it knows of full capacity and of ghosts. ``slowest_per_minute`` is what passes
    running out free at least.
    """
    if rate_per_minute <= 0:
        return None
    planned = rate_per_minute / (1 + no_show_rate)
    expected = planned if measured_per_minute is None else measured_per_minute
    expected = max(expected, min(planned, slowest_per_minute))
    if expected <= 0:
        return None
    return Speed(expected, highest=max(expected, planned), lowest=min(expected, planned))


def speed_in(room: RoomCounts) -> Speed | None:
    """`speed` with what the room knows of itself; None unless the door is open and there is stock."""
    config = room.config
    slots = config.capacity
    if room.stock is not None and config.stock_factor > 0:
        slots = min(slots, math.ceil(config.stock_factor * room.stock.free))
    if room.state != "open" or slots == 0:
        return None
    return speed(
        rate_per_minute=room.rate_per_minute,
        measured_per_minute=room.pace.line_per_minute,
        no_show_rate=room.pace.no_show_rate,
        slowest_per_minute=slots * 60 / config.pass_seconds,
    )


def eta(
    ahead: int,
    *,
    rate_per_minute: float,
    measured_per_minute: float | None,
    no_show_rate: float,
    slowest_per_minute: float = 0.0,
) -> Eta | None:
    """When somebody with ``ahead`` people before them is called, at `speed`; None where nobody can know."""
    found = speed(
        rate_per_minute=rate_per_minute,
        measured_per_minute=measured_per_minute,
        no_show_rate=no_show_rate,
        slowest_per_minute=slowest_per_minute,
    )
    return None if found is None else _eta(found, ahead)


def eta_in(room: RoomCounts, ahead: int) -> Eta | None:
    """`eta` with what the room knows of itself; None unless the door is open and there is stock."""
    found = speed_in(room)
    return None if found is None else _eta(found, ahead)


def _eta(speed: Speed, ahead: int) -> Eta:
    expected, low, high = speed.seconds(ahead)
    return Eta(expected, (low, high))
