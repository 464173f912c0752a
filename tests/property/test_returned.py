"""Seats that come back after the sell-out: for the first in line who is still there, not for the quickest refresher."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from redis import Redis

from tests.property.line_machine import EVENT
from tests.property.line_model import REOPEN_MS
from tests.property.scripts import Change, Scripts, Valkey
from waiting_room import operations
from waiting_room.model import RoomConfig, Stock

LOOK_SECONDS = 60
"""How often the page of a fan who was let go looks (event.js)."""
FANS = range(1, 31)
REFRESHER = 99
GONE = range(1, 4)
RETURNED_AT = 300
EXACT = RoomConfig(rate_per_minute=60_000, stock_factor=1.0, stock_spare=0)
"""As many fans are called as there are seats."""


@pytest.fixture
def client(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url, socket_timeout=10) as client:
        yield client


def called_after_the_return(valkey: Valkey) -> tuple[list[int], int]:
    """Thirty in line, sold out, let go; a refresher asks each second. Then two seats come back.

    Returns who is called, and after how many seconds.
    """
    valkey.do(operations.configure(EVENT, replace(EXACT, revision=1)))
    valkey.do(operations.set_stock(EVENT, Stock(free=0, held=2, version=1)))
    for fan in (*FANS, REFRESHER):
        valkey.do(operations.join(EVENT, fan, None))
    valkey.do(operations.set_stock(EVENT, Stock(free=0, held=0, version=2)))
    streaming: set[int] = set()
    for second in range(1, 600):
        valkey.set_clock(valkey.now_ms + 1000)
        if second == RETURNED_AT:
            valkey.do(operations.set_stock(EVENT, Stock(free=2, held=0, version=3)))
        for fan in FANS:
            # Each looks at a second of its own, the first last; three of them have closed their pages.
            if fan not in GONE and second % LOOK_SECONDS == (LOOK_SECONDS - 2 * fan) % LOOK_SECONDS:
                valkey.do(operations.standing(EVENT, fan, touch=True))
                if second >= RETURNED_AT:
                    streaming.add(fan)
        valkey.do(operations.heartbeat(EVENT, [(fan, 0) for fan in (*streaming, REFRESHER)]))
        while valkey.do(operations.admit(EVENT)).more:
            pass
        called = [int(fan) for fan in valkey.client.zrange(f"room:{{{EVENT}}}:called", 0, -1)]
        if called:
            return sorted(called), second - RETURNED_AT
    return [], 0


def test_the_first_who_are_still_there_are_called(client: Redis) -> None:
    assert called_after_the_return(Valkey(client, Scripts())) == ([4, 5], REOPEN_MS // 1000)


def test_control_without_the_wait_the_first_are_passed_over(client: Redis) -> None:
    """Negative control: those who happened to look just then are called, not the first."""
    called, seconds = called_after_the_return(
        Valkey(client, Scripts(Change("stock", "local REOPEN_MS = 90000", "local REOPEN_MS = 0")))
    )
    assert seconds < 20
    assert not {4, 5} & set(called)


def test_seats_returned_from_holds_open_no_wait(client: Redis) -> None:
    """While holds are out the line is all there: nobody was let go."""
    valkey = Valkey(client, Scripts())
    valkey.do(operations.configure(EVENT, EXACT))
    valkey.do(operations.set_stock(EVENT, Stock(free=0, held=2, version=1)))
    valkey.do(operations.join(EVENT, 1, None))
    valkey.do(operations.set_stock(EVENT, Stock(free=2, held=0, version=2)))
    assert valkey.do(operations.admit(EVENT)).called == 1
