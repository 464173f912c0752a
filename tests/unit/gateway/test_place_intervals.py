"""How often a fan in line is told the position: by how many are ahead, and sooner where the line is fast."""

from __future__ import annotations

from bisect import bisect

import pytest

from gateway.line.sending import AHEAD_BOUNDS, INTERVALS_SECONDS, PASSED_SHARE_MAX, ahead_bounds


@pytest.mark.parametrize("per_minute", [0.0, 60.0, 300.0, 6_000.0, 60_000.0])
def test_a_position_is_never_much_too_high_when_the_next_one_is_sent(per_minute: float) -> None:
    bounds = ahead_bounds(per_minute)
    assert bounds == sorted(bounds)
    for ahead in (0, 10, 99, 100, 999, 1_000, 3_999, 9_999, 10_000, 20_000, 100_000, 1_000_000):
        seconds = INTERVALS_SECONDS[bisect(bounds, ahead)]
        passed = per_minute / 60 * seconds
        assert seconds == INTERVALS_SECONDS[0] or passed <= PASSED_SHARE_MAX * ahead
        assert seconds <= INTERVALS_SECONDS[bisect(AHEAD_BOUNDS, ahead)], (
            "nobody is told less often than in a slow line"
        )


def test_a_slow_line_keeps_to_how_many_are_ahead() -> None:
    assert ahead_bounds(120.0) == list(AHEAD_BOUNDS)
