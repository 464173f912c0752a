"""The end of a sale with idle fans inside, on the real scripts: how long the last seats take to sell (ADR 38)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from redis import Redis

from admitone.rehearsal.tail import Tail, tail_of
from tests.simulation.tails import Crowd, TailSale
from waiting_room.model import RoomConfig

SEATS = 400
CROWD = Crowd(fans=560, idle=0.3)
ROOM = RoomConfig(rate_per_minute=60, capacity=500)
"""A twentieth of the seats takes about as long as one person from the call to the ticket, so chance does not decide."""
WITHOUT_RULES = replace(ROOM, stock_spare=0, work_seconds=0, idle_seconds=0)
RATIO_MAX = 2.0
SECONDS = 900


@pytest.fixture
def client(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url, socket_timeout=10) as client:
        yield client


def tail(sale: TailSale) -> Tail | None:
    return tail_of([(at_ms / 1000, 1) for at_ms in sale.sold_ms], SEATS)


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 11))])
def test_the_last_seats_sell_in_at_most_twice_the_time_of_half_time(client: Redis, seed: int) -> None:
    sale = TailSale(client, ROOM, CROWD, SEATS, seed=seed)
    sale.run(SECONDS)
    measured = tail(sale)
    assert measured is not None, f"{SEATS - len(sale.sold_ms)} seats were left"
    assert measured.ratio <= RATIO_MAX, measured
    buyers = SEATS / 1.5
    let_in_for_nothing = sale.let_in - buyers / (1 - CROWD.idle)
    assert let_in_for_nothing <= 0.15 * sale.let_in, "somewhat more fans than seats, not many more"


@pytest.mark.long
def test_control_without_the_rules_the_idle_keep_the_last_seats(client: Redis) -> None:
    """Negative control: whoever holds a pass takes a slot, so the last seats wait until passes end."""
    sale = TailSale(client, WITHOUT_RULES, CROWD, SEATS)
    sale.run(SECONDS)
    measured = tail(sale)
    assert measured is None or measured.ratio > RATIO_MAX
    assert len(sale.sold_ms) > 0.85 * SEATS, "it went well until the last seats"
