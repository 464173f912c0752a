"""What the line promises, one by one; and that with each guard off, the same check, or the machine, notices."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from redis import Redis

from tests.property.line_machine import EVENT, machine_on
from tests.property.scripts import ENDED_MAX, SMALL, Change, Scripts, Valkey
from waiting_room import operations
from waiting_room.model import RoomConfig, Standing, Stock
from waiting_room.tokens import PlaceToken

CONFIG = RoomConfig(
    rate_per_minute=60_000,
    capacity=1,
    claim_window_seconds=20,
    pass_seconds=30,
    connected_seconds=5,
    absence_seconds=10,
)
TICK_MS = 1000


@pytest.fixture
def client(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url, socket_timeout=10) as client:
        yield client


def room(client: Redis, *changes: Change) -> Valkey:
    valkey = Valkey(client, Scripts(*SMALL, *changes))
    valkey.do(operations.configure(EVENT, CONFIG))
    return valkey


def join(valkey: Valkey, fan: int, token: PlaceToken | None = None) -> Standing:
    return valkey.do(operations.join(EVENT, fan, token))


def state(valkey: Valkey, fan: int) -> str:
    return valkey.do(operations.standing(EVENT, fan, touch=False)).state


def go_on(valkey: Valkey, seconds: int, *heard: int) -> None:
    """Time passes, a tick a second; these fans are heard from."""
    for _ in range(seconds):
        valkey.set_clock(valkey.now_ms + TICK_MS)
        if heard:
            valkey.do(operations.heartbeat(EVENT, [(fan, 0) for fan in heard]))
        while valkey.do(operations.admit(EVENT)).more:
            pass


def token_of(fan: int, standing: Standing) -> PlaceToken:
    assert standing.joined_at_ms is not None
    return PlaceToken(
        event=EVENT,
        fan=fan,
        epoch=standing.epoch,
        number=standing.number,
        joined_at_ms=standing.joined_at_ms,
        session="",
    )


def check_claim_window(valkey: Valkey) -> None:
    """Who is called and does not claim holds the next one up for one claim window, and for no longer."""
    for fan in (1, 2, 3):
        join(valkey, fan)
    valkey.do(operations.leave(EVENT, 1))
    go_on(valkey, 1, 2, 3)
    assert (state(valkey, 2), state(valkey, 3)) == ("called", "waiting")
    go_on(valkey, CONFIG.claim_window_seconds, 3)
    assert state(valkey, 3) == "called"


def check_join_once(valkey: Valkey) -> None:
    """Who joins again, by a refresh or in a second tab, stands where they stood."""
    for fan in (1, 2, 3):
        join(valkey, fan)
    again = join(valkey, 2)
    assert (again.joined, again.number, again.ahead) == ("known", 2, 0)
    assert valkey.do(operations.positions(EVENT, [2, 3])).ranks == [0, 1]


def check_forgotten(valkey: Valkey) -> None:
    """A place that ended does not come back by its token, though the end itself is forgotten at last.

    Those whose ends fill the memory end in one tick with the one that is to come back: the last of the old
    generation and the first of the new.
    """
    last, first = ENDED_MAX, ENDED_MAX + 1
    for fan in range(1, last):
        join(valkey, fan)
        valkey.do(operations.leave(EVENT, fan))
    token = token_of(last, join(valkey, last))
    join(valkey, first)
    go_on(valkey, CONFIG.pass_seconds - CONFIG.absence_seconds, first)
    go_on(valkey, CONFIG.absence_seconds)
    assert (state(valkey, last), state(valkey, first)) == ("expired", "expired")
    for fan in range(first + 1, first + 1 + ENDED_MAX):
        join(valkey, fan)
        valkey.do(operations.leave(EVENT, fan))
    assert state(valkey, last) == "none"
    assert join(valkey, last, token).joined == "new"


def check_shown_never_rises(valkey: Valkey) -> None:
    """Who was called and did not come stands in front again: those behind do not see their position rise."""
    for fan in (1, 2, 3):
        join(valkey, fan)
    assert valkey.do(operations.standing(EVENT, 3, touch=False)).shown == 2
    valkey.do(operations.leave(EVENT, 1))
    go_on(valkey, 1, 2, 3)
    valkey.do(operations.set_stock(EVENT, Stock(free=0, held=1, version=1)))
    assert valkey.do(operations.standing(EVENT, 3, touch=False)).shown == 1
    go_on(valkey, CONFIG.claim_window_seconds, 2, 3)
    third = valkey.do(operations.standing(EVENT, 3, touch=False))
    assert third.position == 2, "the true one has risen"
    assert third.shown == 1


@pytest.mark.parametrize("check", [check_claim_window, check_join_once, check_forgotten, check_shown_never_rises])
def test_the_line_keeps_its_promises(client: Redis, check: object) -> None:
    assert callable(check)
    check(room(client))


def test_control_without_the_claim_window(client: Redis) -> None:
    never = Change("room", "return math.max(claim_by, room.resumed_at + room.claim_window_ms) <= now", "return false")
    with pytest.raises(AssertionError):
        check_claim_window(room(client, never))


def test_control_without_idempotent_joins(client: Redis) -> None:
    anew = Change("join", "if redis.call('HEXISTS', PLACES, fan) == 1 then\n  if", "if false then\n  if")
    with pytest.raises(AssertionError):
        check_join_once(room(client, anew))


def test_control_without_a_memory_of_the_forgotten(client: Redis) -> None:
    with pytest.raises(AssertionError):
        check_forgotten(
            room(client, Change("room", "math.max(ended_score or 0, room.forgotten)", "(ended_score or 0)"))
        )


def test_control_without_the_last_position_shown(client: Redis) -> None:
    with pytest.raises(AssertionError):
        check_shown_never_rises(room(client, SABOTAGES["positions rise"]))


SABOTAGES = {
    "joins are not idempotent": Change(
        "join", "if redis.call('HEXISTS', PLACES, fan) == 1 then\n  if", "if false then\n  if"
    ),
    "capacity bounds nobody": Change("room", "return math.max(0, free)\n", "return 1000\n"),
    "the cap bounds nobody": Change("join", ">= room.line_cap", ">= 1000"),
    "the rate gives a call for nothing": Change(
        "room", "string.format('%.17g', tokens - fans)", "string.format('%.17g', tokens - fans + 1)"
    ),
    "the door calls from the back": Change(
        "admit", "redis.call('ZRANGE', line, 0, chunk - 1)", "redis.call('ZREVRANGE', line, 0, chunk - 1)"
    ),
    "a claim leaves the fan called": Change("claim", "  redis.call('ZREM', CALLED, unpack(claiming))\n", ""),
    "positions rise": Change("room", "elseif not shown or shown > ahead + 1 then", "else"),
    "an ended place comes back": Change(
        "room",
        "elseif number == 0 or score_of(epoch, number) <= math.max(ended_score or 0, room.forgotten) then",
        "elseif number == 0 then",
    ),
    "who was away comes back in the other class": Change(
        "room", "local line = members[line_of(places[i])]", "local line = members[LINE]"
    ),
    "codes have more than their share": Change("admit", "first = credit + room.priority_share >= 100", "first = true"),
    "a code is worth an earlier place": Change(
        "join", "redis.call('ZADD', PRIORITY, int(score), fan)", "redis.call('ZADD', PRIORITY, 1, fan)"
    ),
    "numbers begin anew after a loss": Change(
        "configure", "local epoch = math.max(now_s, after_epoch + 1)", "local epoch = EPOCH_ZERO_S + 1"
    ),
}
EVERYDAY = {"joins are not idempotent", "positions rise"}
"""Two show every day that the machine notices; `make test-long` shows it of all."""


@pytest.mark.deep
@pytest.mark.parametrize(
    "sabotage", [pytest.param(name, marks=[] if name in EVERYDAY else [pytest.mark.long]) for name in SABOTAGES]
)
def test_control_the_machine_notices(client: Redis, sabotage: str) -> None:
    """Within ten times the examples it is given every day; most in the first few."""
    assert settings.default is not None
    budget = settings(
        max_examples=10 * settings.default.max_examples,
        stateful_step_count=50,
        phases=[Phase.generate],
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    with pytest.raises(AssertionError):
        run_state_machine_as_test(machine_on(client, SABOTAGES[sabotage]), settings=budget)
