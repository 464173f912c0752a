from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waiting_room.eta import Speed, eta_in, forecast, seats_reach, speed_in, speed_now
from waiting_room.model import Forecast, Pace, RoomConfig, RoomCounts, Stock
from waiting_room.operations import read_pace

LEARNT: dict[str, Any] = {"measured_seconds": 300.0, "calling_seconds": 600.0}


def room(stock: Stock | None = None, waiting: int = 9, inside: int = 0, pace: Any = None, **config: Any) -> RoomCounts:
    known = {"no_show_rate": 0, "admitted_per_minute": None, "line_per_minute": None, **(pace or {})}
    configured = RoomConfig(**config)
    slots, is_stock_bound = configured.capacity, False
    if stock is not None and configured.stock_factor * stock.free < slots:
        slots, is_stock_bound = math.ceil(configured.stock_factor * stock.free), True
    return RoomCounts(
        waiting=waiting,
        away=0,
        called=0,
        admitted=inside,
        pace=Pace(**known),
        config=configured,
        epoch=1,
        stock=stock,
        slots=slots,
        slots_free=max(0, slots - inside),
        is_stock_bound=is_stock_bound,
        now_ms=1_000_000,
    )


def told(room: RoomCounts) -> RoomCounts:
    return replace(room, forecast=forecast(room))


def seconds(room: RoomCounts, ahead: int) -> tuple[int, int, int]:
    found = eta_in(room, ahead)
    assert found is not None
    return found.eta_seconds, *found.eta_range


def test_is_people_over_rate() -> None:
    assert seconds(room(rate_per_minute=300), 299)[0] == 60
    assert seconds(room(rate_per_minute=60), 0)[0] == 1


def test_no_shows_cost_a_second_call() -> None:
    assert seconds(room(rate_per_minute=300, pace={"no_show_rate": 0.5}), 299)[0] == 90
    early = room(rate_per_minute=300, pace={"no_show_rate": 0.2, "missed_share": 0.5})
    assert seconds(early, 299)[0] == 90, "what is not yet missed is counted"


def test_what_was_measured_is_believed_over_what_was_planned() -> None:
    pace = {"line_per_minute": 50.0, "measured_seconds": 60.0, "calling_seconds": 600.0}
    eta_seconds, low, high = seconds(room(rate_per_minute=100, pace=pace), 99)
    assert eta_seconds == 120
    assert low < 60 < 120 < high
    ghosts = room(rate_per_minute=100, pace={"line_per_minute": 200.0, **LEARNT})
    assert seconds(ghosts, 99)[0] == 30, "ghosts make a line quicker than its door"


def test_nothing_seen_yet_makes_a_wide_range() -> None:
    _, low, high = seconds(room(rate_per_minute=60), 599)
    assert low < 300
    assert high > 1200
    seen = room(rate_per_minute=60, pace={"line_per_minute": 60.0, **LEARNT})
    _, low, high = seconds(seen, 599)
    assert (low, high) > (450, 700)
    assert high < 800


def test_who_is_further_back_than_there_are_slots_waits_for_somebody_to_go() -> None:
    pace = {"line_per_minute": 60.0, **LEARNT}
    small: dict[str, Any] = {"rate_per_minute": 60, "capacity": 150, "pass_seconds": 900}
    assert seconds(room(waiting=100, pace=pace, **small), 99)[2] < 150
    _, _, high = seconds(room(waiting=1000, pace=pace, **small), 99)
    assert high >= 600, "ten passes run out a minute, at least"
    full = room(waiting=1000, inside=150, pace={**pace, "freed": 90, "freed_per_minute": 30.0}, **small)
    assert seconds(full, 99)[0] == 200


def test_a_line_that_stands_moves_at_least_as_passes_run_out() -> None:
    stands = room(
        waiting=1000,
        inside=150,
        pace={"line_per_minute": 0.0, **LEARNT},
        rate_per_minute=60,
        capacity=150,
        pass_seconds=900,
    )
    eta_seconds, _, high = seconds(stands, 99)
    assert 100 < eta_seconds <= 600 < high


def test_none_where_nobody_can_know() -> None:
    assert eta_in(room(rate_per_minute=0), 5) is None
    for state in ("paused", "closed", "lobby", "rebuilding", "sold_out"):
        assert eta_in(room(state=state), 5) is None
        assert eta_in(replace(room(state=state), forecast=told(room()).forecast), 5) is None
    assert eta_in(room(stock=Stock(free=0, held=3, version=1)), 5) is None


def test_the_range_is_wider_for_the_few_than_for_the_many() -> None:
    speed = Speed(60, 60, 60)
    few, many = speed.seconds(3), speed.seconds(9999)
    assert few[2] / few[0] > many[2] / many[0]
    assert many[2] <= many[0] * 1.12 + 1


measured: dict[str, st.SearchStrategy[Any]] = {
    "no_show_rate": st.floats(0, 1),
    "line_per_minute": st.none() | st.floats(0, 1e5),
    "called_per_minute": st.none() | st.floats(0, 1e5),
    "measured_seconds": st.floats(0, 300),
    "calling_seconds": st.floats(0, 600),
    "moved_per_call": st.none() | st.floats(0, 100),
    "missed_share": st.none() | st.floats(0, 1),
    "freed": st.integers(0, 100_000),
}
paces = st.fixed_dictionaries(measured).map(lambda pace: {**pace, "freed_per_minute": pace["freed"] / 3})
rooms = st.builds(
    room,
    waiting=st.integers(0, 5_000_000),
    inside=st.integers(0, 2000),
    pace=paces,
    rate_per_minute=st.floats(0.01, 1e6),
    capacity=st.integers(1, 2000),
)


@given(room=rooms, ahead=st.integers(0, 5_000_000))
def test_the_estimate_lies_in_its_range(room: RoomCounts, ahead: int) -> None:
    for now in (room, told(room)):
        found = speed_in(now)
        if found is None:
            continue
        eta_seconds, low, high = found.seconds(ahead)
        assert 0 <= low <= eta_seconds <= high


@given(room=rooms, later=st.lists(paces, min_size=1, max_size=5), ahead=st.lists(st.integers(0, 10_000), min_size=6))
def test_no_estimate_rises_while_its_forecast_stands(
    room: RoomCounts, later: list[dict[str, Any]], ahead: list[int]
) -> None:
    """Whatever is measured meanwhile, and however far the place falls."""
    looks = []
    positions = sorted(ahead, reverse=True)
    for pace, position in zip([{}, *later], positions, strict=False):
        if pace:
            room = replace(room, pace=Pace(**{"admitted_per_minute": None, **pace}), now_ms=room.now_ms + 1000)
        room = told(room)
        looks.append((room.forecast, eta_in(room, position)))
    for (before, was), (now, is_) in pairwise(looks):
        if before is not None and now is not None and before.at_ms == now.at_ms:
            assert was is not None
            assert is_ is not None
            assert is_.eta_seconds <= was.eta_seconds
            assert is_.eta_range[1] <= was.eta_range[1]


class TestForecast:
    STEADY = room(rate_per_minute=60, pace={"line_per_minute": 60.0, **LEARNT})

    def test_stands_while_the_line_wavers(self) -> None:
        first = told(self.STEADY)
        for line_per_minute in (57.0, 63.0, 60.0):
            pace = replace(self.STEADY.pace, line_per_minute=line_per_minute)
            assert forecast(replace(first, pace=pace, now_ms=first.now_ms + 1000)) == first.forecast

    @pytest.mark.parametrize("line_per_minute", [30.0, 120.0])
    def test_is_replaced_when_the_line_is_another(self, line_per_minute: float) -> None:
        first = told(self.STEADY)
        pace = replace(self.STEADY.pace, line_per_minute=line_per_minute)
        other = forecast(replace(first, pace=pace, now_ms=first.now_ms + 1000))
        assert other is not None
        assert (other.expected, other.at_ms) == (line_per_minute, first.now_ms + 1000)

    def test_is_replaced_when_the_room_was_changed(self) -> None:
        first = told(self.STEADY)
        changed = replace(first, paced_from_ms=5, config=RoomConfig(rate_per_minute=120), pace=Pace(0, None, None))
        assert speed_in(changed) == speed_now(changed), "the old one is not told meanwhile"
        other = forecast(changed)
        assert other is not None
        assert other.expected == 120

    def test_gets_better_as_more_is_known(self) -> None:
        first = told(room(rate_per_minute=60))
        assert isinstance(first.forecast, Forecast)
        better = forecast(replace(first, pace=self.STEADY.pace))
        assert better is not None
        assert better.at_ms == first.forecast.at_ms
        assert better.lowest > first.forecast.lowest
        assert better.highest < first.forecast.highest


def test_how_far_the_seats_reach() -> None:
    assert seats_reach(room()) is None
    assert seats_reach(room(stock=Stock(free=100, held=0, version=1))) == 50
    assert seats_reach(room(stock=Stock(free=100, held=20, version=1), inside=30)) == 30, "ten hold theirs already"
    assert seats_reach(room(stock=Stock(free=10, held=0, version=1), inside=30)) == 0


class TestPace:
    NOW_MS = 1_795_000_000_000
    INDEX = NOW_MS // 10_000

    def test_of_nothing(self) -> None:
        assert read_pace([], self.NOW_MS, 0) == Pace(no_show_rate=0, admitted_per_minute=None, line_per_minute=None)

    def test_the_bucket_under_way_is_not_yet_a_rate(self) -> None:
        pace = read_pace([b"%d:5:1:1:9:5:1" % self.INDEX], self.NOW_MS, 0)
        assert (pace.no_show_rate, pace.admitted_per_minute, pace.line_per_minute) == (0.5, None, None)
        assert pace.calling_seconds == self.NOW_MS % 10_000 / 1000

    def test_silent_buckets_count_as_zero(self) -> None:
        buckets = [b"%d:0:0:0:60:0:0" % (self.INDEX - 5), b"%d:0:0:0:999:0:0" % (self.INDEX - 7)]
        assert read_pace(buckets, self.NOW_MS, 0).admitted_per_minute == 60

    def test_speed_of_the_line_counts_only_times_with_a_line(self) -> None:
        buckets = [
            b"%d:0:0:0:0:10:1" % (self.INDEX - 1),
            b"%d:0:0:0:0:20:1" % (self.INDEX - 2),
            b"%d:0:0:0:0:1:0" % (self.INDEX - 3),
        ]
        assert read_pace(buckets, self.NOW_MS, 0).line_per_minute == 90
        since = self.NOW_MS - 15_000
        assert read_pace(buckets, self.NOW_MS, since).line_per_minute == 60

    def test_more_back_in_line_than_called_is_no_negative_speed(self) -> None:
        assert read_pace([b"%d:0:0:9:0:-9:1" % (self.INDEX - 1)], self.NOW_MS, 0).line_per_minute == 0

    def test_what_is_older_than_ten_minutes_is_out(self) -> None:
        pace = read_pace([b"%d:5:1:1:9:5:1:3" % (self.INDEX - 60)], self.NOW_MS, 0)
        assert pace == Pace(no_show_rate=0, admitted_per_minute=None, line_per_minute=None)

    def test_slots_freed(self) -> None:
        buckets = [b"%d:0:0:0:0:0:1:%d" % (self.INDEX - back, 7) for back in range(1, 25)]
        pace = read_pace(buckets, self.NOW_MS, 0)
        assert (pace.freed, pace.freed_per_minute) == (18 * 7, 42)
        since = read_pace(buckets, self.NOW_MS, self.NOW_MS - 35_000)
        assert (since.freed, since.freed_per_minute) == (3 * 7, 42)
        assert read_pace([b"%d:5:1:1:9:5:1" % (self.INDEX - 1)], self.NOW_MS, 0).freed == 0, "an older release's"

    def test_misses_are_of_the_calls_a_claim_window_ago(self) -> None:
        buckets = [b"%d:10:4:%d:4:10:1:0" % (self.INDEX - back, 6 if back < 4 else 0) for back in range(1, 10)]
        pace = read_pace(buckets, self.NOW_MS, 0, 60)
        assert pace.missed_share == pytest.approx(18 / 30)
        assert pace.no_show_rate == pytest.approx(18 / 54)
