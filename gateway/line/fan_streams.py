"""The open streams of a line, one for each connection, kept by event and by the turn in which each is due."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from db.languages import Texts
from gateway.line.counting_down import Fall, LinePace
from gateway.line.lists import FanList
from gateway.line.ranks import EventRanks
from gateway.wire.stream import Stream

TURN_SECONDS: Final = 0.25
"""The loop sends in turns, which are numbered by the process' monotonic clock. Each stream is due in one turn."""
NO_TURN: Final = -1
WRITES_AT_ONCE: Final = 250
"""After this many writes, which take about 5 ms, the process' other requests get their turn."""


def turn_now() -> int:
    return int(time.monotonic() / TURN_SECONDS)


@dataclass(slots=True, eq=False)
class FanStream:
    """A fan's stream on an event's line.

    ``shown`` is the lowest position sent in the fan's class (``priority`` or not), 0 if none was sent yet, and ``fall``
    what the page counts down from there by itself. ``place``
    and ``admission`` are the signed tokens that were sent last: they restore the fan if Redis loses the room. While
    ``look_due`` is set, the fan's standing is about to be read. ``pass_ends`` and ``crowded`` are what an admitted fan
    was sent last: `Place.expires_at` and `Place.idle_ends_at`, and whether more people than seats choose.
    """

    stream: Stream
    event: EventStreams
    fan: int
    session: str
    shown: int = 0
    priority: bool = False
    due: int = NO_TURN
    state: str = ""
    place: str | None = None
    admission: str | None = None
    look_due: bool = False
    pass_ends: tuple[object, object] | None = None
    crowded: bool = False
    fall: Fall | None = None

    def set_class(self, *, priority: bool) -> None:
        """Put the fan in a class. In a new class positions are counted anew, so the old one no longer bounds them."""
        if priority != self.priority:
            self.priority, self.shown, self.fall = priority, 0, None

    @property
    def lowest(self) -> int:
        """The lowest position that the page shows until it is sent the next one; 0 if it shows none."""
        return self.shown if self.fall is None else self.shown - self.fall.places

    def send_once(self, frame: bytes) -> None:
        """Send a frame that is not repeated. If the client reads too slowly for it, end the stream: the client connects
        again, and is sent its whole place.
        """
        if not self.stream.write(frame):
            self.stream.end()


@dataclass(slots=True, eq=False)
class EventStreams:
    """An event's streams, by fan and by the turn in which each is due.

    ``room_state`` and ``message`` (`Places.message`) are what the fans were sent last. ``listed`` is what the
    line knows of them, and ``ranks`` what is known here of the line. ``paces`` is how fast each class moves.
    """

    event_id: int
    room_state: str
    message: tuple[str, Texts]
    listed: FanList
    ranks: EventRanks
    paces: dict[bool, LinePace] = field(default_factory=lambda: {False: LinePace(), True: LinePace()})
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
        fan_stream.due = NO_TURN
        if not fan_streams:
            del self.by_fan[fan_stream.fan]
            self.ranks.forget(fan_stream.fan)

    def put_off(self, fan_stream: FanStream, turn: int) -> None:
        """Make the stream due in that turn, and in no other."""
        fan_stream.due = turn
        self._by_turn[turn].append(fan_stream)

    def put_all_off(self, turn: int, turns: int) -> None:
        """Make all streams due from that turn on, spread over so many turns."""
        for number, fan_stream in enumerate(self.all()):
            self.put_off(fan_stream, turn + number // WRITES_AT_ONCE % turns)

    def turns_due(self, turn: int) -> list[int]:
        return sorted(due for due in self._by_turn if due <= turn)

    def take(self, turn: int) -> list[FanStream]:
        """Take out the open streams that are due in exactly that turn. The caller puts each off to its next turn."""
        due = []
        for fan_stream in self._by_turn.pop(turn):
            if fan_stream.due == turn:
                fan_stream.due = NO_TURN
                if not fan_stream.stream.closed:
                    due.append(fan_stream)
        return due
