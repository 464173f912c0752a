"""News of batches at many gateways: the bytes and messages that a command costs, as every release told it and now.

Valkey, the worker's `publish`, the engine's outcomes and the gateways' listeners are the real ones. A gateway is its
listener alone, and reads what it gets.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec
import redis
from msgspec import structs

from bench import fans
from bench.report import Part
from bench.servers import System
from booking_lane.clients import jobs_client, plain_async_client
from booking_lane.commands import UNSTAMPED, Reserve, body_hash, command_id_new
from booking_lane.results import (
    BatchNews,
    JobRecord,
    channel,
    decode_change,
    decode_news,
    event_channel,
    keep,
    origin_channel,
    publish,
)
from booking_lane.settings import HoldSettings
from gateway.process.news import News, Topic
from workers.engine.engine import Engine

BATCH: Final = 16
BATCHES: Final = 50
SEATS: Final = 2_000
WAIT_SECONDS_MAX: Final = 60.0
LOOK_SECONDS: Final = 0.02
TTL_SECONDS: Final = 60


class _Cost(NamedTuple):
    """Messages, bytes out of Valkey and its CPU in µs, each of one command."""

    messages: float
    sent: float
    cpu_us: float


class _Listener:
    """A gateway's listener, which counts."""

    def __init__(self, url: str, number: int) -> None:
        self.origin = f"gateway-{number}"
        self.heard = 0
        self.of_batches = Topic([], decode_news, [self._count])
        self.of_events = Topic([], decode_change, [self._count])
        self.client = plain_async_client(url)
        own = Topic([origin_channel(self.origin)], decode_news, [self._count])
        self.news = News(self.client, [own], lambda: None)

    def _count(self, _: object) -> None:
        self.heard += 1


def _batch(system: System) -> BatchNews:
    """What the engine makes of a batch of reserves of two seats each."""
    with system.connect() as connection:
        event_id = fans.new_event(connection, SEATS)
    pairs, now_ms = fans.pairs(SEATS), time.time_ns() // 1_000_000
    engine = Engine(system.database_url, lambda: now_ms, HoldSettings(), outage_seconds_max=30)
    commands = []
    for number, (block, row, seat) in enumerate(itertools.islice(pairs, BATCH)):
        seats = ((block, row, seat), (block, row, seat + 1))
        ask = Reserve(**UNSTAMPED, event_id=event_id, user_id=1_000_000 + number, seats=seats)
        stamp = {"command_id": command_id_new(), "received_at_ms": now_ms, "deadline_ms": now_ms + 3_600_000}
        commands.append(structs.replace(ask, **stamp, body_hash=body_hash(ask)))
    applied = engine.apply(commands)
    engine.close()
    assert all(b'"succeeded"' in outcome.body for outcome in applied.outcomes)
    return BatchNews(command_id_new(), "gateway-0", 0, applied.outcomes, applied.changes)


async def _told(
    system: System, gateways: int, looking: int, tell: Callable[[BatchNews], object], news: BatchNews, *, former: bool
) -> _Cost:
    listeners = [_Listener(system.redis_url, number) for number in range(gateways)]
    tasks = [asyncio.create_task(one.news.listen()) for one in listeners]
    try:
        for number, one in enumerate(listeners):
            await one.news.connected.wait()
            if former:
                await _follow(one, one.of_batches, channel(news.lane))
            elif number < looking:
                await _follow(one, one.of_events, event_channel(news.changes[0].event_id))
        expected = BATCHES * (gateways if former else 1 + looking)
        before = _used(system)
        for _ in range(BATCHES):
            await asyncio.to_thread(tell, news)
        for _ in range(round(WAIT_SECONDS_MAX / LOOK_SECONDS)):
            if sum(one.heard for one in listeners) >= expected:
                break
            await asyncio.sleep(LOOK_SECONDS)
        after = _used(system)
        heard = sum(one.heard for one in listeners)
        assert heard == expected, (heard, expected)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for one in listeners:
            await one.client.aclose()
    commands = BATCH * BATCHES
    return _Cost(heard / commands, (after[1] - before[1]) / commands, (after[0] - before[0]) * 1e6 / commands)


async def _follow(one: _Listener, topic: Topic[Any], name: str) -> None:
    await one.news.follow_one(topic, name)
    assert await one.news.confirmed(name, WAIT_SECONDS_MAX)


def _used(system: System) -> tuple[float, int]:
    with system.redis() as client:
        info: dict[str, Any] = client.info()
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"]), int(info["total_net_output_bytes"])


def _tell_every(client: redis.Redis, news: BatchNews) -> None:
    """As every release told of a batch until this one."""
    records = {
        one.command_id: JobRecord(one.user_id, one.event_id, one.kind, one.body_hash, True, one.body)
        for one in news.outcomes
    }
    with client.pipeline(transaction=False) as pipe:
        keep(pipe, records, TTL_SECONDS)
        pipe.publish(channel(news.lane), msgspec.msgpack.encode(news))
        pipe.execute()


def measure(system: System, *, gateways: Sequence[int] = (1, 10, 100)) -> Part:
    """Tell of batches as every release did, on the lane's channel, and as it is done now, with all gateways looking at
    the event, with one of ten, and with none.
    """
    part, news = Part("news of batches"), _batch(system)
    with jobs_client(system.redis_url) as client:
        to_every = partial(_tell_every, client)
        as_needed = partial(publish, client, ttl_seconds=TTL_SECONDS)
        for number in gateways:
            sorts = (("all look", number), ("one of ten looks", max(1, number // 10)), ("none looks", 0))
            rows = [("told to every gateway", number, to_every)]
            rows += [(f"told as needed, {who}", looking, as_needed) for who, looking in sorts]
            reference = None
            for what, looking, tell in rows:
                cost = asyncio.run(_told(system, number, looking, tell, news, former=tell is to_every))
                note = f"{cost.messages:.2f} messages and {cost.cpu_us:.0f} µs of Valkey a command, batches of {BATCH}"
                part.add(f"{number} gateways, {what}", cost.sent, "bytes out", "to every", reference, note=note)
                reference = reference or cost.sent
    return part
