"""The number on a page that counts down by itself: it never rises, and is never much lower than the true one."""

from __future__ import annotations

import itertools
from bisect import bisect
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.languages import Texts
from db.rooms.states import RoomState
from gateway.line.counting_down import (
    COUNTED_MIN,
    FALL_SHARE_MAX,
    SLOWED_TURNS_MIN,
    TURNS_A_SECOND,
    Fall,
    LinePace,
)
from gateway.line.fan_streams import EventStreams, FanStream
from gateway.line.frames import PlaceFrames
from gateway.line.sending import INTERVAL_TURNS, PASSED_SHARE_MAX, send_positions
from waiting_room.model import Pace as MeasuredPace
from waiting_room.model import RoomConfig, RoomCounts

RANKS = st.integers(0, 30_000)
SPEEDS = st.lists(st.tuples(st.sampled_from([0, 1, 3, 25, 140, 500]), st.integers(1, 40)), min_size=1, max_size=8)
"""How many places the front moves in a turn, and for how many turns."""


class Frame(msgspec.Struct, rename="camel"):
    position: int
    falls_to: int = 0
    falls_in_seconds: float = 0.0


read_frame = msgspec.json.Decoder(Frame).decode


@dataclass
class Page:
    """What a page makes of its frames: the number on it, turn by turn. It trusts the server never to rise."""

    turn: int = 0
    closed: bool = False
    frames: list[Frame] = field(default_factory=list)
    fall: Fall | None = None

    def write(self, frame: bytes) -> bool:
        read = read_frame(frame[frame.index(b"{") :])
        self.frames.append(read)
        turns = round(read.falls_in_seconds * TURNS_A_SECOND)
        self.fall = Fall(read.position - read.falls_to, turns, self.turn) if turns else None
        return True

    @property
    def number(self) -> int:
        return self.frames[-1].position - (0 if self.fall is None else self.fall.by(self.turn))


def room(waiting: int = 30_001) -> RoomCounts:
    return RoomCounts(
        waiting=waiting,
        away=0,
        called=0,
        admitted=0,
        pace=MeasuredPace(0.0, None, None),
        config=RoomConfig(state=RoomState.OPEN, rate_per_minute=30_000, capacity=10_000),
        epoch=1,
        stock=None,
        slots=10_000,
        slots_free=10_000,
        is_stock_bound=False,
        now_ms=1_000_000,
    )


class Wait:
    """One fan's wait: the line moves, the server sends, the page counts."""

    def __init__(self, rank: int) -> None:
        self.page, self.pace = Page(), LinePace()
        self.event = EventStreams(7, "open", ("", Texts()), cast(Any, None), cast(Any, None))
        self.fan_stream = FanStream(cast(Any, self.page), self.event, 1, "s")
        self.event.add(self.fan_stream)
        self.event.put_off(self.fan_stream, 0)
        self.first, self.passed, self.turn = rank, 0, 0
        self.sent_rank = rank
        self.slowed: list[int] = []

    @property
    def rank(self) -> int:
        return self.first - self.passed

    def move(self, places: int) -> None:
        """One turn of the server's loop, after which the line moves."""
        self.page.turn = self.turn
        if self.pace.note(self.turn, self.passed):
            self.slowed.append(self.turn)
            self.event.put_all_off(self.turn, TURNS_A_SECOND)
        for due in self.event.turns_due(self.turn):
            if members := self.event.take(due):
                self.sent_rank = self.rank
                send_positions(members, [self.rank], PlaceFrames(room(), 30_001, pace=self.pace.now), self.turn)
        self.passed += places
        self.turn += 1


@given(rank=RANKS, speeds=SPEEDS)
def test_no_number_rises_or_falls_far_below_the_true_one(rank: int, speeds: list[tuple[int, int]]) -> None:
    wait, numbers = Wait(rank), [rank + 1]
    for places, turns in speeds:
        for _ in range(turns):
            if wait.rank < places:
                return
            true = wait.rank + 1
            wait.move(places)
            number = wait.page.number
            assert number <= numbers[-1], "it rose"
            assert number >= true - FALL_SHARE_MAX * wait.sent_rank, "it is far too low"
            numbers.append(number)
    sent = [frame.position for frame in wait.page.frames]
    assert sent == sorted(sent, reverse=True), "nor does it rise for a client that counts nothing"
    floors = [frame.falls_to or frame.position for frame in wait.page.frames]
    assert all(floor <= frame.position for floor, frame in zip(floors, wait.page.frames, strict=True))


def test_a_page_counts_nearly_as_fast_as_an_even_line_and_is_told_rarely() -> None:
    wait = Wait(20_000)
    for _ in range(60):
        wait.move(125)
    assert wait.pace.now.measured == 500
    begun = len(wait.page.frames)
    for _ in range(32):
        wait.move(125)
        within = max(500, wait.page.frames[-1].position * PASSED_SHARE_MAX)
        assert 0 <= wait.page.number - wait.rank - 126 <= within, "it is within a twentieth or a second"
    assert len(wait.page.frames) - begun <= 3, "eight frames of a second each in a line whose pages count nothing"
    assert wait.slowed == []


def test_a_line_that_stops_stops_its_pages_before_they_have_counted_to_the_end() -> None:
    wait = Wait(20_000)
    for _ in range(60):
        wait.move(125)
    stopped_at, true = wait.turn, wait.rank + 1
    for _ in range(40):
        wait.move(0)
    assert len(wait.slowed) == 1
    assert wait.slowed[0] - stopped_at <= 2 * TURNS_A_SECOND
    assert wait.page.fall is None
    assert true - 2 * 500 < wait.page.number <= true, "it is two seconds too low at most"
    stands_at = wait.page.number
    for _ in range(8):
        wait.move(125)
        assert wait.page.number <= stands_at
    for _ in range(40):
        wait.move(125)
    assert wait.page.number < stands_at
    assert abs(wait.page.number - wait.rank - 1) <= 500


def test_a_slow_line_s_pages_count_nothing() -> None:
    wait = Wait(200)
    for turn in range(80):
        wait.move(1 if turn % 2 else 0)
    assert wait.pace.now.measured < COUNTED_MIN
    assert all(frame.falls_to == 0 for frame in wait.page.frames)


def test_pages_are_told_that_the_line_slows_down_no_more_often_than_a_frame_is_worth() -> None:
    pace, turn, passed = LinePace(), 0, 0
    slowed = []
    for _ in range(12):
        for places in [100] * 10 + [0] * 10:
            if pace.note(turn, passed):
                slowed.append(turn)
            turn, passed = turn + 1, passed + places
    assert slowed
    assert all(later - earlier >= SLOWED_TURNS_MIN for earlier, later in itertools.pairwise(slowed))


@pytest.mark.parametrize("turns", INTERVAL_TURNS)
def test_a_fall_is_even_and_ends_where_it_was_said(turns: int) -> None:
    fall = Fall(37, turns, 100)
    counted = [fall.by(turn) for turn in range(98, 100 + turns + 5)]
    assert counted == sorted(counted)
    assert counted[:3] == [0, 0, 0]
    assert counted[-1] == fall.by(100 + turns) == 37
    assert bisect(counted, 37) == len(counted)


def test_where_the_count_of_moves_began_again_nothing_is_known() -> None:
    pace = LinePace()
    for turn in range(40):
        pace.note(turn, 100 * turn)
    assert pace.now.counted > 0
    pace.note(40, 5)
    assert pace.now == (0.0, 0.0)


@pytest.mark.parametrize("each", [1, 3, 16, 32])
def test_the_speed_is_known_however_rarely_this_process_looks_at_the_line(each: int) -> None:
    pace = LinePace()
    for turn in range(0, 130, each):
        pace.note(turn, 25 * turn)
    assert pace.now.measured == pytest.approx(100)
    assert pace.now.counted == pytest.approx(85)


def test_a_line_that_was_not_looked_at_for_long_is_not_known() -> None:
    pace = LinePace()
    for turn in (*range(40), 500, 1_000):
        pace.note(turn, 25 * turn)
    assert pace.now.counted == 0
    for turn in range(1_001, 1_020):
        pace.note(turn, 25 * turn)
    assert pace.now.counted == pytest.approx(85)
