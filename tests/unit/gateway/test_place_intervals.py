"""How often a fan in line is told the position: by how many are ahead, by the line's speed, and by what pages count."""

from __future__ import annotations

from bisect import bisect

import pytest

from gateway.line.counting_down import FALL_SHARE_MAX, Pace
from gateway.line.sending import (
    AHEAD_BOUNDS,
    INTERVALS_SECONDS,
    PASSED_SECONDS_MAX,
    PASSED_SHARE_MAX,
    ahead_bounds,
)


@pytest.mark.parametrize("counted_share", [0.0, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("per_second", [0.0, 1.0, 5.0, 100.0, 1_000.0])
def test_a_position_is_never_much_too_high_when_the_next_one_is_sent(per_second: float, counted_share: float) -> None:
    pace = Pace(per_second * counted_share, per_second)
    bounds = ahead_bounds(pace)
    assert bounds == sorted(bounds)
    for ahead in (0, 10, 99, 100, 999, 1_000, 3_999, 9_999, 10_000, 20_000, 100_000, 1_000_000):
        seconds = INTERVALS_SECONDS[bisect(bounds, ahead)]
        passed = (pace.measured - pace.counted) * seconds
        within = max(PASSED_SHARE_MAX * ahead, PASSED_SECONDS_MAX * per_second)
        assert seconds == INTERVALS_SECONDS[0] or passed <= within + 1e-9
        assert seconds == INTERVALS_SECONDS[0] or pace.counted * seconds <= FALL_SHARE_MAX * ahead
        assert seconds <= INTERVALS_SECONDS[bisect(AHEAD_BOUNDS, ahead)], (
            "nobody is told less often than in a slow line"
        )


def test_a_slow_line_keeps_to_how_many_are_ahead() -> None:
    assert ahead_bounds(Pace(0.0, 2.0)) == list(AHEAD_BOUNDS)


def test_a_fast_line_whose_pages_count_is_told_more_rarely() -> None:
    still, counting = ahead_bounds(Pace(0.0, 100.0)), ahead_bounds(Pace(80.0, 100.0))
    assert all(one < other for one, other in zip(counting[:2], still[:2], strict=True))
