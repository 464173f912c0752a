"""What fans are told of their wait, against the wait they then had: sales on the line's real scripts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
from redis import Redis

from tests.simulation.waits import Crowd, Heard, Sale, Told
from waiting_room.eta import Eta
from waiting_room.model import RoomConfig, RoomCounts

TRUE_SHARE_MIN = 0.9
ROOM = RoomConfig(rate_per_minute=120, capacity=10_000, line_cap=100_000)
SMALL_HALL = replace(ROOM, capacity=60)

STEADY: dict[str, tuple[RoomConfig, Crowd, int]] = {
    "steady": (ROOM, Crowd(fans=700), 420),
    "10 % no-shows": (ROOM, Crowd(fans=700, no_shows=0.1), 480),
    "40 % no-shows": (ROOM, Crowd(fans=500, no_shows=0.4), 480),
    "60 % no-shows": (ROOM, Crowd(fans=500, no_shows=0.6), 540),
    "half are ghosts": (ROOM, Crowd(fans=900, ghosts=0.5), 360),
    "slow buyers fill the room": (SMALL_HALL, Crowd(fans=400, inside=(40, 180)), 900),
    "more keep coming": (ROOM, Crowd(fans=200, later=1.5), 420),
}


@pytest.fixture
def client(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url, socket_timeout=10) as client:
        yield client


def share(told: list[Told]) -> float:
    assert len(told) > 300, "too few were told anything"
    return sum(one.true for one in told) / len(told)


def risen(heard: list[Heard]) -> list[tuple[Heard, Heard]]:
    """Where the estimate or the end of the range rose, though the forecast stood."""
    return [
        (before, now)
        for before, now in pairwise(heard)
        if before.forecast is not None
        and now.forecast is not None
        and before.forecast.at_ms == now.forecast.at_ms
        and (now.eta.eta_seconds > before.eta.eta_seconds or now.eta.eta_range[1] > before.eta.eta_range[1])
    ]


def forecasts(heard: list[Heard]) -> int:
    return len({one.forecast.at_ms for one in heard if one.forecast is not None})


OFTEN_LEFT_OUT = {"10 % no-shows", "40 % no-shows", "half are ghosts", "more keep coming"}
"""Between "steady" and "60 % no-shows", or like one of the others: `make test-long` runs them."""


@pytest.mark.parametrize(
    "scenario", [pytest.param(name, marks=[pytest.mark.long] if name in OFTEN_LEFT_OUT else []) for name in STEADY]
)
def test_nine_in_ten_wait_as_long_as_they_were_told(client: Redis, scenario: str) -> None:
    config, crowd, seconds = STEADY[scenario]
    sale = Sale(client, config, crowd, followed=(crowd.fans // 2, crowd.fans))
    told = sale.run(seconds)
    known = [one for one in told if one.waited is not None]
    assert share(known) >= TRUE_SHARE_MIN, scenario
    for fan, heard in sale.heard.items():
        assert len(heard) > 40, fan
        assert all(now.shown <= before.shown for before, now in pairwise(heard))
        assert risen(heard) == [], "an estimate rose while its forecast stood"
        # Knowing nothing at first and learning as it goes, a forecast is replaced a few times, not every minute.
        assert forecasts(heard) <= 8, heard


def naive(room: RoomCounts, ahead: int) -> Eta:
    """People over the configured rate, give or take a fifth."""
    seconds = (ahead + 1) / room.config.rate_per_minute * 60
    return Eta(math.ceil(seconds), (math.floor(seconds * 0.8), math.ceil(seconds * 1.2)))


@pytest.mark.long
def test_control_people_over_rate_lies(client: Redis) -> None:
    """Negative control: the same check, of what most waiting rooms tell."""
    for scenario in ("60 % no-shows", "half are ghosts", "slow buyers fill the room"):
        config, crowd, seconds = STEADY[scenario]
        told = Sale(client, config, crowd, foretell=naive).run(seconds)
        assert share([one for one in told if one.waited is not None]) < TRUE_SHARE_MIN, scenario


@pytest.mark.long
def test_control_an_estimate_without_a_forecast_rises(client: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: told from the latest measurement alone, the same fans see it rise."""
    monkeypatch.setattr("waiting_room.eta.TOLERANCE", 1.0)
    monkeypatch.setattr("waiting_room.eta.DRIFT", 1.0)
    config, crowd, seconds = STEADY["slow buyers fill the room"]
    sale = Sale(client, config, crowd, followed=(crowd.fans,))
    sale.run(seconds)
    assert forecasts(sale.heard[crowd.fans]) > 30


@pytest.mark.parametrize(
    ("change", "at"),
    [
        pytest.param({"rate_per_minute": 240}, 120, id="faster", marks=pytest.mark.long),
        pytest.param({"rate_per_minute": 60}, 120, id="slower", marks=pytest.mark.long),
        pytest.param({"capacity": 40}, 120, id="smaller"),
    ],
)
def test_another_rate_moves_the_estimate_once(client: Redis, change: dict[str, object], at: int) -> None:
    crowd = Crowd(fans=400)
    sale = Sale(client, ROOM, crowd, changes={at: change}, followed=(crowd.fans,))
    told = [one for one in sale.run(500) if one.waited is not None]
    # What was told before is judged where it was over before: nobody can foresee an operator.
    fair = [one for one in told if one.at >= at or (one.waited is not None and one.at + one.waited < at)]
    assert share(fair) >= TRUE_SHARE_MIN
    heard = sale.heard[crowd.fans]
    assert risen(heard) == []
    before = [one for one in heard if one.at < at]
    assert forecasts(before) <= 3


def test_a_pause_tells_no_estimate_and_afterwards_a_true_one(client: Redis) -> None:
    crowd = Crowd(fans=500)
    changes: dict[int, dict[str, object]] = {100: {"state": "paused"}, 200: {"state": "open"}}
    told = Sale(client, ROOM, crowd, changes=changes).run(480)
    assert not any(100 <= one.at < 200 for one in told)
    fair = [one for one in told if one.at >= 200 or (one.waited is not None and one.at + one.waited < 100)]
    assert share(fair) >= TRUE_SHARE_MIN


def test_whoever_finds_no_seat_was_warned(client: Redis) -> None:
    """Towards the sell-out nobody can tell when or whether: who was not warned of it comes in, and in time."""
    sale = Sale(client, replace(ROOM, capacity=80), Crowd(fans=600, inside=(20, 60)), seats=400)
    told = sale.run(420)
    unwarned = [one for one in told if not one.warned]
    assert share(unwarned) >= TRUE_SHARE_MIN
    never = [one for one in told if one.waited is None]
    assert len(never) > 300
    assert all(one.warned for one in never)
    first = [one for one in told if one.at == 0]
    assert sum(not one.warned for one in first) > 0.5 * sum(one.waited is not None for one in first), "cried wolf"
