"""The waiting room's scripts with 1,000, 100,000 and 1,000,000 fans in line: Valkey's own time for each call."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from typing import Any

import redis

from admitone.embedded.valkey import EmbeddedValkey
from bench.report import Part
from db.rooms.states import RoomState
from gateway.line.draws import LISTED_AT_ONCE, PLACED_AT_ONCE
from waiting_room import operations
from waiting_room.keys import room_key
from waiting_room.line import Slots
from waiting_room.model import RoomConfig
from waiting_room.operations import Operation, T
from waiting_room.scripts import run_sync

SIZES = (1_000, 100_000, 1_000_000)
EVENT = 7
CALLS = 2_000
PIPELINE = 1_000
BLOCK_MS_MAX = 2.0
DAY_SECONDS = 86_400
LOGGED_US = 500
"""Calls from here on are in Valkey's log of slow ones. If it had all, it would keep a copy of each call's 33 arguments,
and with 20,000 such copies every script is slower than it is for fans (ADR 181).
"""

Times = dict[str, tuple[float, float]]
"""By operation: mean and longest call, µs; a longest call below `LOGGED_US` counts as that."""


def _config(state: RoomState, revision: int) -> RoomConfig:
    return RoomConfig(
        state=state,
        rate_per_minute=1_000_000,
        capacity=1_000_000,
        line_cap=5_000_000,
        connected_seconds=DAY_SECONDS,
        absence_seconds=DAY_SECONDS,
        revision=revision,
    )


def _do(client: redis.Redis, one: Operation[T]) -> T:
    return one.read(run_sync(client, one.script, one.keys, one.args))


def _time(client: redis.Redis, calls: Iterable[Operation[Any]]) -> tuple[float, float]:
    client.config_resetstat()
    client.slowlog_reset()
    for one in calls:
        _do(client, one)
    stats: dict[str, Any] = client.info("commandstats")
    longest = max(
        (entry["duration"] for entry in client.slowlog_get(100_000) if entry["command"].startswith(b"EVALSHA")),
        default=LOGGED_US,
    )
    return float(stats["cmdstat_evalsha"]["usec_per_call"]), float(longest)


def _fill(client: redis.Redis, fans: Sequence[int]) -> None:
    """Let each fan join by the join script itself, pipelined."""
    first = operations.join(EVENT, fans[0], None)
    run_sync(client, first.script, first.keys, first.args)
    rest = iter(fans[1:])
    while chunk := list(islice(rest, PIPELINE)):
        with client.pipeline(transaction=False) as pipe:
            for fan in chunk:
                one = operations.join(EVENT, fan, None)
                run_sync(pipe, one.script, one.keys, one.args)
            pipe.execute()


def times(client: redis.Redis, size: int) -> Times:
    """Each operation's times with ``size`` fans in line."""
    client.flushall()
    chance = random.Random(size)
    _do(client, operations.configure(EVENT, _config(RoomState.PAUSED, 1)))
    _do(client, operations.admit(EVENT))
    fans = [4 * 10**15 + number for number in range(size)]
    chance.shuffle(fans)
    _fill(client, fans)
    some = [chance.choice(fans) for _ in range(CALLS)]
    newcomers = count(10**15)
    found: Times = {
        "join": _time(client, (operations.join(EVENT, next(newcomers), None) for _ in range(CALLS))),
        "join again": _time(client, (operations.join(EVENT, fan, None) for fan in some)),
        "standing": _time(client, (operations.standing(EVENT, fan, touch=True) for fan in some)),
        "position": _time(client, (operations.positions(EVENT, [fan]) for fan in some)),
        "positions of 200": _time(
            client, (operations.positions(EVENT, chance.choices(fans, k=200)) for _ in range(100))
        ),
        "heartbeat of 200": _time(
            client,
            (operations.heartbeat(EVENT, [(fan, 0) for fan in set(chance.choices(fans, k=200))]) for _ in range(100)),
        ),
        "counts": _time(client, (operations.counts(EVENT) for _ in range(CALLS))),
        "leave": _time(client, (operations.leave(EVENT, fan) for fan in chance.sample(fans, min(size // 5, CALLS)))),
        "admit, nobody to call": _time(client, (operations.admit(EVENT) for _ in range(CALLS))),
    }
    _do(client, operations.configure(EVENT, _config(RoomState.OPEN, 2)))
    called: list[int] = []
    longest, spent, ticks = 0.0, 0.0, 0
    while len(called) < min(size // 2, CALLS) and ticks < 200:
        mean, most = _time(client, [operations.admit(EVENT)])
        spent, longest, ticks = spent + mean, max(longest, most), ticks + 1
        called = _called(client)
    found["admit"] = (spent / max(len(called), 1), longest)
    found["claim"] = _time(client, (operations.claim(EVENT, [fan]) for fan in called[: CALLS // 2]))
    return found


def draw_times(client: redis.Redis, size: int) -> Times:
    """The scripts of a draw with ``size`` fans in the lobby, as the gateways call them."""
    client.flushall()
    slots = Slots(client)
    _do(client, operations.configure(EVENT, _config(RoomState.OPEN, 1)))
    sale_at_ms = slots.counts(EVENT).now_ms + DAY_SECONDS * 1000
    _do(client, operations.configure(EVENT, replace(_config(RoomState.OPEN, 2), draw_at_ms=sale_at_ms)))
    fans = [4 * 10**15 + number for number in range(size)]
    _fill(client, fans)
    due = replace(_config(RoomState.PAUSED, 3), draw_at_ms=slots.counts(EVENT).now_ms)
    _do(client, operations.configure(EVENT, due))
    epoch = slots.counts(EVENT).config.draw_at_ms // 1000
    found: Times = {"lobby page": _time(client, _pages(client))}
    random.Random(size).shuffle(fans)
    drawn = list(operations.chunks(fans, PLACED_AT_ONCE))
    found["place drawn"] = _time(
        client,
        (
            operations.place_drawn(EVENT, epoch, number * PLACED_AT_ONCE + 1, chunk, last=number == len(drawn) - 1)
            for number, chunk in enumerate(drawn)
        ),
    )
    assert slots.counts(EVENT).draw == "done"
    return found


def _pages(client: redis.Redis) -> Iterator[Operation[Any]]:
    after, last = 0, False
    while not last:
        one = operations.lobby_page(EVENT, after, LISTED_AT_ONCE)
        yield one
        # The same again, to know where the next one begins: it changes nothing.
        page = _do(client, one)
        assert page is not None
        after, last = page.after, page.last


def _called(client: redis.Redis) -> list[int]:
    found: list[bytes] = client.zrange(room_key(EVENT, "called"), 0, -1)  # type: ignore[assignment]
    return [int(fan) for fan in found]


def measure(*, sizes: Sequence[int] = SIZES) -> Part:
    part = Part("room")
    with (
        tempfile.TemporaryDirectory(prefix="admitone-bench-") as folder,
        EmbeddedValkey(Path(folder) / "valkey", appendonly=True) as valkey,
        redis.Redis.from_url(valkey.url, socket_timeout=60) as client,
    ):
        client.config_set("slowlog-log-slower-than", LOGGED_US)
        client.config_set("slowlog-max-len", 20_000)
        by_size = {size: times(client, size) | draw_times(client, size) for size in sizes}
    most = max(sizes)
    for name in by_size[sizes[0]]:
        first, last = by_size[sizes[0]][name][0], by_size[most][name][0]
        aim = "≤ 1.5" if name in {"join", "position", "positions of 200", "admit", "leave"} else ""
        note = "per fan called" if name == "admit" else ""
        part.add(f"{name}, {most:,} in line", last, "µs", f"{sizes[0]:,} in line", first, aim, note)
    longest = max((times_[1], name, size) for size, found in by_size.items() for name, times_ in found.items())
    note = f"{longest[1]}, {longest[2]:,} in line"
    part.add("longest script", longest[0] / 1000, "ms", aim=f"≤ {BLOCK_MS_MAX:g}", note=note)
    part.details = {
        str(size): {name: {"meanUs": round(mean, 2), "longestUs": most_us} for name, (mean, most_us) in found.items()}
        for size, found in by_size.items()
    }
    return part
