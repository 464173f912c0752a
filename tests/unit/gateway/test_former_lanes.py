"""A gateway listens in the former way to the lanes of workers of the release before, and to no others."""

from __future__ import annotations

from booking_lane.figures import Figures
from gateway.booking.former_lanes import FIRST_SECONDS, FOLLOWED_SECONDS, FormerLanes

LANES = range(4)


def test_lanes_are_listened_to_while_a_worker_of_the_release_before_is_at_work() -> None:
    now = [100.0]
    former = FormerLanes(lambda: now[0])
    assert former.among(LANES) == {0, 1, 2, 3}, "nothing is known yet"
    now[0] += FIRST_SECONDS
    assert former.among(LANES) == set()

    before = {lane: Figures(batches=10, told=5) for lane in LANES}
    after = {**before, 1: Figures(batches=12, told=7), 2: Figures(batches=12, told=6)}
    former.on_figures(before, after)
    assert former.among(LANES) == {2}, "of lane 2 one batch was told in the former way"
    now[0] += FOLLOWED_SECONDS - 1
    former.on_figures(after, after)
    assert former.among(LANES) == {2}
    now[0] += 1
    assert former.among(LANES) == set()


def test_a_lane_that_was_just_made_and_a_redis_that_lost_its_data_say_nothing() -> None:
    now = [100.0]
    former = FormerLanes(lambda: now[0])
    now[0] += FIRST_SECONDS
    former.on_figures({0: Figures(batches=10, told=5)}, {0: Figures(batches=1, told=1), 1: Figures(batches=3)})
    assert former.among(LANES) == set()
