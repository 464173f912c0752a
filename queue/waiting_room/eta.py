"""How long until one's turn, said honestly: an estimate, and a range that is as wide as what is not known.

What is told follows from one's position and the room's `Forecast` alone, and no position rises. So while a forecast
stands neither the estimate nor the range's high end can rise, on any gateway; ADR 18 says when one is replaced.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import msgspec

from .model import Forecast, RoomCounts

SPREAD_MIN: Final = 0.1
"""Even a long wait is not known better than to a tenth."""
UNKNOWN_FACTOR: Final = 2.0
"""Before the line was seen to move it may be so much quicker, for ghosts, or slower: nobody is called a third time."""
SEEN_SECONDS: Final = 20.0
"""Of moving tell how many in line are ghosts."""
LEARNT_SECONDS: Final = 290.0
"""Of moving, as far as it is looked back, tell the line's speed better than any plan."""
LEARNT_SPREAD: Final = 0.08
"""Of a speed so learnt, on both sides."""
DEVIATION: Final = 1.5
"""Standard deviations of a count that a range allows for."""
FEW: Final = 30
"""A ratio of fewer is no guide."""
CALLS_MIN: Final = 5
"""By the rate: in a time for fewer, a line that did not move tells nothing."""
DRIFT: Final = 1.25
"""A forecast is replaced when the speed has gone this far from it, within its range..."""
TOLERANCE: Final = 1.08
"""...or this far out of its range: less than `SPREAD_MIN`, so that it is replaced before it is untrue."""
TURNOVER_SECONDS_MAX: Final = 590.0
"""As far as the pace goes back."""
FREED_SECONDS: Final = 180.0
"""Over which freed slots are counted."""
HELD_UP_SHARE: Final = 0.8
"""A full room that calls fewer of its rate is held up by who is inside."""
SLOWEST: Final = 0.001
"""People a minute; a line that is slower stands."""
SEATS_A_FAN: Final = 2.0
"""That each is taken to buy when seats are told to run out."""
FULL_SECONDS: Final = 5.0
"""A room with slots for so long of calls is as good as full."""


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
        """(expected, low, high) until somebody with ``ahead`` people before them is called; none falls with ``ahead``.

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

    Two things bound it. The door spends a call on each person ahead and a second one on a no-show; how fast the line
    really moved is believed over that plan, for it knows of ghosts too. And once the room is full, who comes in waits
    for somebody to go: as fast as slots became free, at least as passes run out.
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
            # Where capacity was lowered, some of the slots freed are gone.
            freed = min(freed, measured)
        least = room.slots * 60 / config.pass_seconds * people_a_call
        held_up = (pace.called_per_minute or 0.0) < rate * HELD_UP_SHARE
        if slack <= max(1.0, rate / 60 * FULL_SECONDS) and held_up:
            if _turned_over(room):
                expected, lowest, highest = max(least, freed), freed * (1 - noise), freed * (1 + noise)
            else:
                # Those who went were the quickest of the first.
                lowest, highest = min(highest, max(least, freed * (1 - noise))), max(highest, planned)
                expected = math.sqrt(lowest * highest)
        least = min(planned, least)
        expected, lowest = max(expected, least), max(least, min(lowest, freed * (1 - noise)))
    if expected < SLOWEST:
        return None
    return Speed(expected, highest=max(highest, expected), lowest=max(SLOWEST, min(lowest, expected)))


def _turned_over(room: RoomCounts) -> bool:
    """Whether the slots freed lately tell how fast they do: not of the first only, and not of the quickest."""
    if room.pace.freed < FEW:
        return False
    inside_seconds = room.slots * 60 / room.pace.freed_per_minute
    known_seconds = min(room.pace.calling_seconds, (room.now_ms - room.paced_from_ms) / 1000)
    return known_seconds >= min(FREED_SECONDS + inside_seconds, TURNOVER_SECONDS_MAX)


def seats_reach(room: RoomCounts) -> int | None:
    """How many people in line find seats if each takes `SEATS_A_FAN`; None where the stock is not known.

    Those inside come first, but for the seats they hold already.
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
    """The room's forecast from now on; the one it has as long as that is true. None where nobody can know.

    It is replaced where the operators changed the room, or the line's speed has left the forecast range or is a
    quarter off. Else it is only made better, and never for the worse: as more becomes known its slow side may become
    quicker. That it does three times at most, for the fastest of many looks would be faster than the line.
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
    """The speed that fans are told of: the forecast's, as long as the room is as it was forecast."""
    told = room.forecast
    if told is None or told.paced_from_ms != room.paced_from_ms:
        return speed_now(room)
    if not room.door_open or room.slots == 0 or room.rate_per_minute <= 0:
        return None
    return Speed(told.expected, highest=told.highest, lowest=told.lowest)


def eta_in(room: RoomCounts, ahead: int, *, priority: bool = False) -> Eta | None:
    """When somebody with ``ahead`` people of their class before them is called.

    None unless the door is open and there is stock.
    """
    found = speed_in(room)
    if found is None:
        return None
    expected, low, high = found.seconds(room.ahead_in_both(ahead, priority=priority))
    return Eta(expected, (low, high))
