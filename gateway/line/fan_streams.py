"""The open streams of a line: one a fan's connection, kept by event and by the turn in which each is due."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from gateway.wire.stream import Stream

TURN_SECONDS: Final = 0.25
"""The loop sends in turns. A turn is a number on the process' monotonic clock; a stream is due in one of them."""
NEVER: Final = -1
"""The turn of a stream that is due in none."""


def turn_now() -> int:
    return int(time.monotonic() / TURN_SECONDS)


@dataclass(slots=True, eq=False)
class FanStream:
    """A fan's stream on an event's line.

    ``shown`` is the lowest position sent in the fan's class, which is ``priority`` or not; 0: none yet. ``place`` and
    ``admission`` are the signed tokens sent last: they bring back what Redis may lose. ``look_due``: the fan's standing
    is about to be asked for.
    """

    stream: Stream
    event: EventStreams
    fan: int
    session: str
    shown: int = 0
    priority: bool = False
    due: int = NEVER
    state: str = ""
    place: str | None = None
    admission: str | None = None
    look_due: bool = False

    def set_class(self, *, priority: bool) -> None:
        """Put the fan in a class. In another class than before, positions are counted anew."""
        if priority != self.priority:
            self.priority, self.shown = priority, 0

    def send_once(self, frame: bytes) -> None:
        """Send a frame that is not sent again: a reader who is too far behind to get it reconnects and asks."""
        if not self.stream.write(frame):
            self.stream.end()


@dataclass(slots=True, eq=False)
class EventStreams:
    """An event's streams, by fan and by the turn in which each is due.

    ``room_state`` and ``message`` are those that the fans were sent last.
    """

    event_id: int
    room_state: str
    message: str
    by_fan: dict[int, list[FanStream]] = field(default_factory=dict)
    _by_turn: defaultdict[int, list[FanStream]] = field(default_factory=lambda: defaultdict(list))

    def of(self, fans: Iterable[int]) -> list[FanStream]:
        """The streams of these fans."""
        return [fan_stream for fan in fans for fan_stream in self.by_fan.get(fan, ())]

    def all(self) -> list[FanStream]:
        return [fan_stream for fan_streams in self.by_fan.values() for fan_stream in fan_streams]

    def add(self, fan_stream: FanStream) -> None:
        self.by_fan.setdefault(fan_stream.fan, []).append(fan_stream)

    def remove(self, fan_stream: FanStream) -> None:
        fan_streams = self.by_fan[fan_stream.fan]
        fan_streams.remove(fan_stream)
        fan_stream.due = NEVER
        if not fan_streams:
            del self.by_fan[fan_stream.fan]

    def put_off(self, fan_stream: FanStream, turn: int) -> None:
        """The stream is due in that turn, and in no other."""
        fan_stream.due = turn
        self._by_turn[turn].append(fan_stream)

    def turns_due(self, turn: int) -> list[int]:
        return sorted(due for due in self._by_turn if due <= turn)

    def take(self, turn: int) -> list[FanStream]:
        """The open streams that are due in just that turn; each has to be put off again."""
        due = []
        for fan_stream in self._by_turn.pop(turn):
            if fan_stream.due == turn:
                fan_stream.due = NEVER
                if not fan_stream.stream.closed:
                    due.append(fan_stream)
        return due
