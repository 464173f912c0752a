"""Estimates how long a fan must wait: an expected time, and a range that is the wider the less is known.

Both follow from the fan's position and the room's `Forecast` alone, and a position never rises. So while a forecast is
in force, neither the estimate nor the high end of its range can rise at any gateway. ADR 18 says when a forecast is
replaced.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import msgspec

from .model import Forecast, RoomCounts

SPREAD_MIN: Final = 0.1
"""The range spans at least a tenth on both sides, because even a long wait is not known better."""
UNKNOWN_FACTOR: Final = 2.0
"""Before its speed was measured, a line may be this many times quicker than planned, if many in it are absent and are
skipped, or this many times slower, if many calls are missed.
"""
SEEN_SECONDS: Final = 20.0
"""After the line has moved for this long, its speed shows how many fans in it are absent."""
LEARNT_SECONDS: Final = 290.0
"""After the line has moved for this long, its measured speed is better than the planned one."""
LEARNT_SPREAD: Final = 0.08
"""A speed that was measured for `LEARNT_SECONDS` may be wrong by this share on both sides."""
DEVIATION: Final = 1.5
"""A range allows for this many standard deviations of a count."""
FREED_MIN: Final = 30
"""A rate that was measured on fewer freed slots than this says nothing."""
CALLS_MIN: Final = 5
"""A measured speed says nothing if the rate gives fewer calls than this in the time of the measurement."""
DRIFT: Final = 1.25
"""A forecast is replaced if the speed differs from it by this factor, even within its range."""
TOLERANCE: Final = 1.08
"""A forecast is replaced if the speed is outside of its range by this factor. That is less than `SPREAD_MIN`, so the
forecast is replaced before it is wrong.
"""
TURNOVER_SECONDS_MAX: Final = 590.0
"""The pace is kept for this long."""
FREED_SECONDS: Final = 180.0
"""Freed slots are counted over this long."""
HELD_UP_SHARE: Final = 0.8
"""A full room that calls less than this share of its rate is held up by the fans inside."""
SLOWEST_PER_MINUTE: Final = 0.001
"""A line that moves by fewer fans than this in a minute counts as standing still."""
SEATS_PER_FAN: Final = 2.0
"""The warning that seats may run out assumes that each fan buys this many."""
FULL_SECONDS: Final = 5.0
"""A room whose free slots are filled in less time than this counts as full."""


@dataclass(frozen=True, slots=True)
class Eta:
    """The expected seconds until the fan is called, and the (low, high) seconds between which the call should come."""

    eta_seconds: int
    eta_range: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a line moves, in fans per minute. All values are positive."""

    expected: float
    highest: float
    lowest: float

    def seconds(self, ahead: int) -> tuple[int, int, int]:
        """The (expected, low, high) seconds until a fan with ``ahead`` fans ahead is called. They never fall as
        ``ahead`` grows.

        The range spans the highest and the lowest speed, and is wider for small numbers, which vary more by chance (the
        deviation of a Poisson count).
        """
        people = ahead + 1
        spread = 1 + SPREAD_MIN + 1 / math.sqrt(people)
        return (
            math.ceil(people / self.expected * 60),
            math.floor(people / self.highest * 60 / spread),
            math.ceil(people / self.lowest * 60 * spread),
        )


def speed_now(room: RoomCounts) -> Speed | None:
    """How fast the line moves, by the counts of this moment; None unless the door is open and there is stock.

    Two things bound the speed. First, the door spends a call on each fan ahead, and a second one on each no-show; that
    is the planned speed. A measured speed is preferred to it, because it includes skipped absent fans. Second, once the
    room is full, fans enter as fast as slots are freed, which is at least as fast as passes run out.
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
                # The slots freed so far were of the quickest fans, so later ones may be freed more slowly.
                lowest, highest = min(highest, max(least, freed * (1 - noise))), max(highest, planned)
                expected = math.sqrt(lowest * highest)
        least = min(planned, least)
        expected, lowest = max(expected, least), max(least, min(lowest, freed * (1 - noise)))
    if expected < SLOWEST_PER_MINUTE:
        return None
    return Speed(expected, highest=max(highest, expected), lowest=max(SLOWEST_PER_MINUTE, min(lowest, expected)))


def _turned_over(room: RoomCounts) -> bool:
    """Whether the slots freed lately show how fast slots are freed. They do so only after the slow ones of the first
    fans have left too.
    """
    if room.pace.freed < FREED_MIN:
        return False
    inside_seconds = room.slots * 60 / room.pace.freed_per_minute
    known_seconds = min(room.pace.calling_seconds, (room.now_ms - room.paced_from_ms) / 1000)
    return known_seconds >= min(FREED_SECONDS + inside_seconds, TURNOVER_SECONDS_MAX)


def seats_reach(room: RoomCounts) -> int | None:
    """How many fans in line find seats if each takes `SEATS_PER_FAN`; None if the stock is not known.

    The fans inside choose before them. The seats that these hold already are no longer free.
    """
    if room.stock is None:
        return None
    to_choose = max(0.0, room.called + room.admitted - room.stock.held / SEATS_PER_FAN)
    return max(0, math.floor(room.stock.free / SEATS_PER_FAN - to_choose))


def grade_of(room: RoomCounts) -> int:
    """How well the speed of a line is known, from 0 (not measured) to 3 (measured for `LEARNT_SECONDS`)."""
    pace = room.pace
    if pace.measured_seconds < SEEN_SECONDS:
        return 0
    if pace.calling_seconds < room.config.claim_window_seconds + SEEN_SECONDS:
        return 1
    return 2 if pace.measured_seconds < LEARNT_SECONDS else 3


def forecast(room: RoomCounts) -> Forecast | None:
    """The forecast that the room should have now; None if the line's speed cannot be known.

    The room keeps its forecast until the operators change the room, or until the line's speed leaves the forecast's
    range or differs from it by a quarter. Until then the forecast changes only when the grade rises, at most three
    times, and its estimates only become shorter. If it followed every measurement, it would keep the fastest of many,
    which is faster than the line.
    """
    now, last = speed_now(room), room.forecast
    if now is None:
        return None
    grade = grade_of(room)
    if last is not None and last.paced_from_ms == room.paced_from_ms and _is_still_right(last, now):
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


def _is_still_right(last: Forecast, now: Speed) -> bool:
    within = last.lowest / TOLERANCE <= now.expected <= last.highest * TOLERANCE
    return within and last.expected / DRIFT <= now.expected <= last.expected * DRIFT


def speed_in(room: RoomCounts) -> Speed | None:
    """The speed that fans are shown: the forecast's, unless the room was changed in what its speed depends on since."""
    shown = room.forecast
    if shown is None or shown.paced_from_ms != room.paced_from_ms:
        return speed_now(room)
    if not room.door_open or room.slots == 0 or room.rate_per_minute <= 0:
        return None
    return Speed(shown.expected, highest=shown.highest, lowest=shown.lowest)


def eta_in(room: RoomCounts, ahead: int, *, priority: bool = False) -> Eta | None:
    """When a fan is called who has ``ahead`` fans of the own class ahead; None unless the door is open and there is
    stock.
    """
    speed = speed_in(room)
    if speed is None:
        return None
    expected, low, high = speed.seconds(room.ahead_in_both(ahead, priority=priority))
    return Eta(expected, (low, high))
