"""How long until a fan's turn: an estimate, and a range that is as wide as what is not known.

Both follow from the fan's position and the room's `Forecast` alone, and no position rises. So while a forecast stands,
neither the estimate nor the range's high end can rise, on any gateway; ADR 18 says when a forecast is replaced.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import msgspec

from .model import Forecast, RoomCounts

SPREAD_MIN: Final = 0.1
"""The range spans a tenth on both sides at least: even a long wait is not known better."""
UNKNOWN_FACTOR: Final = 2.0
"""Before the line was seen to move, it may be so many times quicker (ghosts are skipped) or slower (nobody is called
a third time)."""
SEEN_SECONDS: Final = 20.0
"""After the line has moved for so long, its speed tells how many in it are ghosts."""
LEARNT_SECONDS: Final = 290.0
"""After the line has moved for so long, its measured speed is better than any plan."""
LEARNT_SPREAD: Final = 0.08
"""A speed that was learnt for `LEARNT_SECONDS` is known to this share, on both sides."""
DEVIATION: Final = 1.5
"""A range allows for so many standard deviations of a count."""
FEW: Final = 30
"""A ratio of fewer slots than this is no guide."""
CALLS_MIN: Final = 5
"""In a time in which the rate gives fewer calls, a line that did not move tells nothing."""
DRIFT: Final = 1.25
"""A forecast is replaced when the speed has gone this far from it, even within its range."""
TOLERANCE: Final = 1.08
"""A forecast is replaced when the speed is this far out of its range. That is less than `SPREAD_MIN`, so it is replaced
before it is untrue."""
TURNOVER_SECONDS_MAX: Final = 590.0
"""The pace goes back so far."""
FREED_SECONDS: Final = 180.0
"""Freed slots are counted over so long a time."""
HELD_UP_SHARE: Final = 0.8
"""A full room that calls less than this share of its rate is held up by the fans inside."""
SLOWEST: Final = 0.001
"""A line that moves by fewer people a minute counts as standing."""
SEATS_A_FAN: Final = 2.0
"""Each fan is taken to buy so many when fans are told that seats may run out."""
FULL_SECONDS: Final = 5.0
"""A room whose free slots are called in so short a time is as good as full."""


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
        """(expected, low, high) seconds until a fan with ``ahead`` people before is called; none falls as that grows.

        The range spans both speeds, widened by the chance in small numbers (a Poisson count's deviation).
        """
        people = ahead + 1
        spread = 1 + SPREAD_MIN + 1 / math.sqrt(people)
        return (
            math.ceil(people / self.expected * 60),
            math.floor(people / self.highest * 60 / spread),
            math.ceil(people / self.lowest * 60 * spread),
        )


def speed_now(room: RoomCounts) -> Speed | None:
    """How fast the line moves by what is seen now; None unless the door is open and there is stock.

    Two things bound it. The door spends a call on each person ahead, and a second one on each no-show; a measured speed
    is believed over that plan, because it knows of ghosts too. And once the room is full, fans enter as fast as slots
    are freed, which is at least as fast as passes run out.
    """
    config, pace, rate = room.config, room.pace, room.rate_per_minute
    if not room.door_open or room.slots == 0 or rate <= 0:
        return None
    missed = pace.no_show_rate if pace.missed_share is None else pace.missed_share
    planned, measured = rate / (1 + missed), pace.line_per_minute
    if measured is None or pace.measured_seconds < SEEN_SECONDS or rate * pace.measured_seconds / 60 < CALLS_MIN:
        expected, lowest = planned, planned
        highest = planned * (DRIFT if pace.calling_seconds >= SEEN_SECONDS else UNKNOWN_FACTOR)
    elif pace.measured_seconds < LEARNT_SECONDS:
        expected, lowest, highest = measured, min(measured, planned), max(measured, planned)
    else:
        expected = measured
        lowest, highest = measured * (1 - LEARNT_SPREAD), measured * (1 + LEARNT_SPREAD)
    if pace.calling_seconds < config.claim_window_seconds + SEEN_SECONDS:
        lowest /= UNKNOWN_FACTOR
    slack = room.slots_free
    if slack < room.waiting:
        # Beyond the free slots, fans enter as fast as slots are freed.
        people_a_call = pace.moved_per_call or 1 / (1 + missed)
        noise = DEVIATION / math.sqrt(max(1.0, pace.freed))
        freed = pace.freed_per_minute * people_a_call
        if measured is not None:
            # If capacity was lowered, some of the freed slots are gone.
            freed = min(freed, measured)
        least = room.slots * 60 / config.pass_seconds * people_a_call
        held_up = (pace.called_per_minute or 0.0) < rate * HELD_UP_SHARE
        if slack <= max(1.0, rate / 60 * FULL_SECONDS) and held_up:
            if _turned_over(room):
                expected, lowest, highest = max(least, freed), freed * (1 - noise), freed * (1 + noise)
            else:
                # The fans who have left were the quickest of the first.
                lowest, highest = min(highest, max(least, freed * (1 - noise))), max(highest, planned)
                expected = math.sqrt(lowest * highest)
        least = min(planned, least)
        expected, lowest = max(expected, least), max(least, min(lowest, freed * (1 - noise)))
    if expected < SLOWEST:
        return None
    return Speed(expected, highest=max(highest, expected), lowest=max(SLOWEST, min(lowest, expected)))


def _turned_over(room: RoomCounts) -> bool:
    """Whether the slots freed lately tell how fast slots are freed: not before the slow of the first fans have left."""
    if room.pace.freed < FEW:
        return False
    inside_seconds = room.slots * 60 / room.pace.freed_per_minute
    known_seconds = min(room.pace.calling_seconds, (room.now_ms - room.paced_from_ms) / 1000)
    return known_seconds >= min(FREED_SECONDS + inside_seconds, TURNOVER_SECONDS_MAX)


def seats_reach(room: RoomCounts) -> int | None:
    """How many people in line find seats if each takes `SEATS_A_FAN`; None where the stock is not known.

    The fans inside choose first; the seats that they hold already are no longer free.
    """
    if room.stock is None:
        return None
    to_choose = max(0.0, room.called + room.admitted - room.stock.held / SEATS_A_FAN)
    return max(0, math.floor(room.stock.free / SEATS_A_FAN - to_choose))


def grade_of(room: RoomCounts) -> int:
    """How much is known of a line, 0 to 3."""
    pace = room.pace
    if pace.measured_seconds < SEEN_SECONDS:
        return 0
    if pace.calling_seconds < room.config.claim_window_seconds + SEEN_SECONDS:
        return 1
    return 2 if pace.measured_seconds < LEARNT_SECONDS else 3


def forecast(room: RoomCounts) -> Forecast | None:
    """The room's forecast from now on: the one it has, for as long as that is true. None where nobody can know.

    It is replaced where the operators changed the room, or where the line's speed has left the forecast's range or is a
    quarter off. Otherwise it only gets better: as more becomes known its slow side may become quicker, three times at
    most, because the fastest of many looks would be faster than the line.
    """
    now, last = speed_now(room), room.forecast
    if now is None:
        return None
    grade = grade_of(room)
    if last is not None and last.paced_from_ms == room.paced_from_ms and _holds(last, now):
        if grade <= last.grade:
            return last
        return msgspec.structs.replace(
            last,
            grade=grade,
            expected=max(last.expected, now.expected),
            lowest=max(last.lowest, now.lowest),
            highest=max(last.expected, now.expected, min(last.highest, now.highest)),
        )
    return Forecast(
        at_ms=room.now_ms,
        paced_from_ms=room.paced_from_ms,
        grade=grade,
        expected=now.expected,
        lowest=now.lowest,
        highest=now.highest,
    )


def _holds(last: Forecast, now: Speed) -> bool:
    within = last.lowest / TOLERANCE <= now.expected <= last.highest * TOLERANCE
    return within and last.expected / DRIFT <= now.expected <= last.expected * DRIFT


def speed_in(room: RoomCounts) -> Speed | None:
    """The speed that fans are told: the forecast's, for as long as the room is set as it was then."""
    told = room.forecast
    if told is None or told.paced_from_ms != room.paced_from_ms:
        return speed_now(room)
    if not room.door_open or room.slots == 0 or room.rate_per_minute <= 0:
        return None
    return Speed(told.expected, highest=told.highest, lowest=told.lowest)


def eta_in(room: RoomCounts, ahead: int, *, priority: bool = False) -> Eta | None:
    """When a fan with ``ahead`` people of the own class before is called.

    None unless the door is open and there is stock.
    """
    found = speed_in(room)
    if found is None:
        return None
    expected, low, high = found.seconds(room.ahead_in_both(ahead, priority=priority))
    return Eta(expected, (low, high))
