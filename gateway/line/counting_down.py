"""The page counts its number down between two frames. Here is how fast it may, from what the line did lately.

Every number that a page may show follows from the frame that it was sent: it falls evenly from ``position`` to
``fallsTo`` in ``fallsInSeconds``, and stands there. So this process knows how low a page has counted, and sends no
higher number after that.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final, NamedTuple

TURNS_A_SECOND: Final = 4
WINDOW_TURNS: Final = 2 * TURNS_A_SECOND
"""The line's speed is how far its front moved in so many turns; that of the window before counts too. The windows are
longer where nobody is sent a place so often.
"""
SEEN_TURNS_MAX: Final = 20 * TURNS_A_SECOND
"""What was seen of the line before says nothing any more."""
COUNTED_SHARE: Final = 0.85
"""Pages count at this share of the slower of both windows, because a number that fell too low cannot rise."""
COUNTED_MIN: Final = 4.0
"""In a line that moves by fewer places a second nothing is counted: chance is too large a part of its speed."""
SLOWED_SHARE: Final = 0.8
"""A line that moved by less than this share of what pages count in the meantime has slowed down."""
SLOWED_TURNS_MIN: Final = 4 * TURNS_A_SECOND
"""Pages are told so once in this many turns at most: it takes a frame for each fan."""
FALL_SHARE_MAX: Final = 0.25
"""Of the fans ahead, this share is counted down at most until the next frame, whatever the speed is."""


class Pace(NamedTuple):
    """How fast a line moves, in places a second: as pages count, and as it was measured; 0 where that is not known."""

    counted: float = 0.0
    measured: float = 0.0


UNKNOWN: Final = Pace()


class LinePace:
    """How fast one class of a line moves at its front, as this process sees it."""

    def __init__(self) -> None:
        self._seen: deque[tuple[int, int]] = deque()
        self._told = 0.0
        self._slowed_at = -SLOWED_TURNS_MIN
        self.now = UNKNOWN

    def note(self, turn: int, passed: int) -> bool:
        """Take how many places have gone from the front by this turn, and work out `now`.

        Returns:
            Whether pages count too fast, and must be sent their places.
        """
        seen = self._seen
        if seen and not (seen[-1][0] <= turn and seen[-1][1] <= passed):
            # The ranks were asked anew, and the count begins again.
            seen.clear()
        if not seen or seen[-1][0] < turn:
            seen.append((turn, passed))
        else:
            seen[-1] = turn, passed
        between = self._seen_by(turn - WINDOW_TURNS)
        first = None if between is None else self._seen_by(between[0] - WINDOW_TURNS)
        late, before = _speed(between, seen[-1]), _speed(first, between)
        oldest = turn - SEEN_TURNS_MAX if first is None else max(first[0], turn - SEEN_TURNS_MAX)
        while seen[0][0] < oldest:
            seen.popleft()
        has_slowed = late < SLOWED_SHARE * self._told and turn - self._slowed_at >= SLOWED_TURNS_MIN
        if has_slowed:
            self._told, self._slowed_at = 0.0, turn
        counted = COUNTED_SHARE * min(late, before)
        if counted < COUNTED_MIN or turn - self._slowed_at < WINDOW_TURNS:
            # How slow a line is that has just slowed down shows after a window.
            counted = 0.0
        self._told = max(self._told, counted)
        self.now = Pace(counted, (late + before) / 2 if before else late)
        return has_slowed

    def _seen_by(self, turn: int) -> tuple[int, int] | None:
        """What was seen last by that turn."""
        return next((seen for seen in reversed(self._seen) if seen[0] <= turn), None)


def _speed(first: tuple[int, int] | None, last: tuple[int, int] | None) -> float:
    """By how many places a second the front moved between two looks; 0 where there were not two."""
    if first is None or last is None:
        return 0.0
    return (last[1] - first[1]) / (last[0] - first[0]) * TURNS_A_SECOND


@dataclass(frozen=True, slots=True)
class Fall:
    """What a page counts down by itself: by so many places in so many turns, evenly, from the turn of its frame on."""

    places: int
    turns: int
    since: int

    def by(self, turn: int) -> int:
        """How many of the places are counted by that turn."""
        return self.places * min(self.turns, max(0, turn - self.since)) // self.turns
