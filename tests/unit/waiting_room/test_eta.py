from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waiting_room.eta import Eta, eta, eta_in
from waiting_room.model import Pace, RoomConfig, RoomCounts, Stock
from waiting_room.operations import read_pace


def of(ahead: int, rate: float, measured: float | None = None, no_shows: float = 0.0, slowest: float = 0.0) -> Eta:
    found = eta(
        ahead,
        rate_per_minute=rate,
        measured_per_minute=measured,
        no_show_rate=no_shows,
        slowest_per_minute=slowest,
    )
    assert found is not None
    return found


def test_is_people_over_rate() -> None:
    assert of(299, 300).eta_seconds == 60
    assert of(0, 60).eta_seconds == 1


def test_no_shows_cost_a_second_call() -> None:
    assert of(299, 300, no_shows=0.5).eta_seconds == 90


def test_what_was_measured_is_believed_over_what_was_planned() -> None:
    slow = of(99, 100, measured=50)
    assert slow.eta_seconds == 120
    assert slow.eta_range[0] < 60 < 120 < slow.eta_range[1]
    assert of(99, 100, measured=200).eta_seconds == 30, "ghosts make a line quicker than its door"


def test_a_line_that_stands_moves_at_least_as_passes_run_out() -> None:
    assert of(99, 600, measured=0, slowest=10).eta_seconds == 600


@pytest.mark.parametrize(("rate", "measured"), [(0, None), (0, 50), (300, 0)])
def test_none_where_nobody_can_know(rate: float, measured: float | None) -> None:
    assert eta(5, rate_per_minute=rate, measured_per_minute=measured, no_show_rate=0) is None


def test_the_range_is_wider_for_the_few_than_for_the_many() -> None:
    few, many = of(3, 60), of(9999, 60)
    assert few.eta_range[1] / few.eta_seconds > many.eta_range[1] / many.eta_seconds
    assert many.eta_range[1] <= many.eta_seconds * 1.12 + 1


@given(
    ahead=st.integers(0, 5_000_000),
    rate=st.floats(0.01, 1e6),
    measured=st.none() | st.floats(0.01, 1e6),
    no_shows=st.floats(0, 1),
    slowest=st.floats(0, 1e6),
)
def test_the_estimate_lies_in_its_range(
    ahead: int, rate: float, measured: float | None, no_shows: float, slowest: float
) -> None:
    found = of(ahead, rate, measured, no_shows, slowest)
    low, high = found.eta_range
    assert 0 <= low <= found.eta_seconds <= high
    closer = of(ahead // 2, rate, measured, no_shows, slowest)
    assert closer.eta_seconds <= found.eta_seconds


def counts(stock: Stock | None = None, line_per_minute: float | None = None, **config: object) -> RoomCounts:
    return RoomCounts(
        waiting=9,
        away=0,
        called=0,
        admitted=0,
        pace=Pace(no_show_rate=0, admitted_per_minute=None, line_per_minute=line_per_minute),
        config=RoomConfig(**config),  # type: ignore[arg-type]
        epoch=1,
        stock=stock,
        now_ms=1,
    )


def test_of_a_room() -> None:
    assert eta_in(counts(rate_per_minute=60), 59) == of(59, 60)
    for state in ("paused", "closed", "lobby", "rebuilding", "sold_out"):
        assert eta_in(counts(state=state), 5) is None
    assert eta_in(counts(stock=Stock(free=0, held=3, version=1)), 5) is None
    stands = eta_in(counts(line_per_minute=0, capacity=150, pass_seconds=900), 9)
    assert stands is not None
    assert stands.eta_seconds == 60


class TestPace:
    NOW_MS = 1_795_000_000_000
    INDEX = NOW_MS // 10_000

    def test_of_nothing(self) -> None:
        assert read_pace([], self.NOW_MS, 0) == Pace(no_show_rate=0, admitted_per_minute=None, line_per_minute=None)

    def test_the_bucket_under_way_is_not_yet_a_rate(self) -> None:
        pace = read_pace([b"%d:5:1:1:9:5:1" % self.INDEX], self.NOW_MS, 0)
        assert pace == Pace(no_show_rate=0.5, admitted_per_minute=None, line_per_minute=None)

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
        pace = read_pace([b"%d:5:1:1:9:5:1" % (self.INDEX - 60)], self.NOW_MS, 0)
        assert pace == Pace(no_show_rate=0, admitted_per_minute=None, line_per_minute=None)
