"""The line on a real cluster of three Valkeys: rooms on each of them, slots that move, and a server that dies."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
import redis
from redis import asyncio as aioredis
from sqlalchemy.ext.asyncio import AsyncEngine

from admitone.doctor.finding import Level
from admitone.doctor.site import Site
from admitone.doctor.valkey import examine
from admitone.settings import Settings
from booking_lane.clients import async_client, jobs_client, plain_client
from booking_lane.cluster_client import ClusterRedis
from booking_lane.clusters import Server
from booking_lane.gathering_cluster import GatheringCluster
from db.connections.engines import create_engine
from db.events.seed import RoomSeed, seed_demo
from db.rooms.states import RoomState
from gateway.health.readiness import ClusterLook
from gateway.identity.limits import RateLimits
from gateway.identity.sightings import Sightings
from gateway.line.door import Door
from gateway.line.draws import Draws
from gateway.line.registry import RoomRegistry
from gateway.process.clock import Clock
from gateway.process.news import Topic
from gateway.process.room_news import RoomNews
from tests.clusters import Cluster, slot_of
from waiting_room.keys import NEWS_CHANNEL, room_key
from waiting_room.line import Line, Slots
from waiting_room.model import News, RoomConfig, Tick, read_news
from waiting_room.settings import LineSettings
from waiting_room.tickers import Tickers

EVENTS: Final = range(1, 13)
CONFIG: Final = RoomConfig(capacity=50, rate_per_minute=6000)


@pytest.fixture(scope="module")
def cluster(servers_folder: Path) -> Iterator[Cluster]:
    with Cluster(servers_folder / "cluster") as cluster:
        yield cluster


@pytest.fixture
async def client(cluster: Cluster) -> AsyncIterator[GatheringCluster]:
    for port in cluster.servers:
        cluster.ask(port, "FLUSHALL")
    client = async_client(cluster.url)
    assert isinstance(client, GatheringCluster)
    yield client
    await client.aclose(close_connection_pool=True)


@contextlib.asynccontextmanager
async def following(client: GatheringCluster, watched: set[int]) -> AsyncIterator[list[News]]:
    """What a gateway with streams of these events hears."""
    heard: list[News] = []
    topic = Topic([NEWS_CHANNEL], read_news, [heard.append])
    followed: list[int] = []
    following = RoomNews(client, topic, lambda: watched, followed.append)
    task = asyncio.create_task(following.keep(None, lambda: None))
    await until(lambda: set(followed) == watched and following.is_connected)
    yield heard
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def until(is_so: Callable[[], bool], seconds_max: float = 20) -> None:
    async with asyncio.timeout(seconds_max):
        while not is_so():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.01)


async def test_rooms_of_every_server_take_fans_and_let_them_in(client: GatheringCluster, cluster: Cluster) -> None:
    line = Line(client)
    for event in EVENTS:
        await line.configure(event, replace(CONFIG, state=RoomState.PAUSED))
    assert {line.shard_of(event) for event in EVENTS} == {f"127.0.0.1:{port}" for port in cluster.servers}
    watched = {event for event in EVENTS if event % 2}
    async with following(client, watched) as heard:
        await asyncio.gather(*(line.join(event, fan) for event in EVENTS for fan in (7, 8)))
        for event in EVENTS:
            await line.configure(event, replace(CONFIG, revision=2))
            called = 0
            async with asyncio.timeout(20):
                while called < 2:
                    called += (await line.admit(event)).called
                    await asyncio.sleep(0.01)
        admitted = await asyncio.gather(*(line.claim(event, 7) for event in EVENTS))
        assert all(standing.pass_until_ms for standing in admitted)
        assert [await line.leave(event, 8) for event in EVENTS] == [True] * len(EVENTS)
        assert await line.lines_of(7, list(EVENTS)) == list(EVENTS)
        await until(lambda: len({news.event for news in heard if news.ended}) == len(watched))
        told = {news.event for news in heard if news.config is None}
        assert told == watched, "who has no streams of an event is told nothing of it"
        assert Counter(fan for news in heard for fan, _ in news.called) == {7: len(watched), 8: len(watched)}
        await until(lambda: {news.event for news in heard if news.config == 2} == set(EVENTS))
    for port in cluster.servers:
        listeners = cluster.ask(port, "PUBSUB", "NUMSUB", NEWS_CHANNEL)
        assert listeners == [NEWS_CHANNEL.encode(), 0], "nobody listens when the gateway has ended"
    with contextlib.closing(jobs_client(cluster.url)) as workers:
        slots = Slots(workers)
        assert [slots.finish(event, [7]) for event in EVENTS] == [1] * len(EVENTS)
        assert {len(list(slots.places(event))) for event in EVENTS} == {0}
        assert len(set(workers.scan_iter(match="room:*:config"))) == len(EVENTS)


async def test_a_room_is_found_where_its_slot_moved(client: GatheringCluster, cluster: Cluster) -> None:
    line, event = Line(client), 7
    with contextlib.closing(jobs_client(cluster.url)) as workers:
        slots = Slots(workers)
        await line.configure(event, replace(CONFIG, state=RoomState.PAUSED))
        number = (await line.join(event, 7)).number
        assert slots.counts(event).waiting == 1
        slot, source = slot_of(event), cluster.port_of(slot_of(event))
        target = next(port for port in cluster.servers if port != source)
        async with following(client, {event}) as heard:
            cluster.move_whole(slot, target)
            assert (await line.join(event, 7)).number == number
            assert (await line.join(event, 8)).number == number + 1
            assert slots.counts(event).waiting == 2
            assert line.shard_of(event) == f"127.0.0.1:{target}"
            async with asyncio.timeout(20):
                while not any(news.ended for news in heard):  # News is heard again once the new server is followed.
                    await line.leave(event, 8)
                    await line.join(event, 8)
                    await asyncio.sleep(0.05)
        cluster.move_whole(slot, source)
        assert (await line.join(event, 7)).number == number


async def test_a_key_is_found_while_it_moves_by_itself(client: GatheringCluster, cluster: Cluster) -> None:
    """As with older servers. A room's scripts name keys that are at both ends then, and are refused for so long."""
    line, event, key = Line(client), 8, room_key(8, "of a test")
    with contextlib.closing(jobs_client(cluster.url)) as workers:
        await line.configure(event, replace(CONFIG, state=RoomState.PAUSED))
        number = (await line.join(event, 7)).number
        await client.set(key, b"value")
        slot, source = slot_of(event), cluster.port_of(slot_of(event))
        target = next(port for port in cluster.servers if port != source)
        cluster.begin_move(slot, target)
        assert await client.get(key) == b"value", "it is still there"
        assert cluster.move_keys(slot, target) > 3
        assert await client.get(key) == workers.get(key) == b"value", "the old server sends us on"
        for ask in (lambda: line.join(event, 7), lambda: asyncio.to_thread(Slots(workers).counts, event)):
            with pytest.raises(redis.ConnectionError, match="on its way"):
                await ask()
        cluster.end_move(slot, target)
        assert (await line.join(event, 7)).number == number
        assert Slots(workers).counts(event).waiting == 1
        for step in (cluster.begin_move, cluster.move_keys, cluster.end_move):
            step(slot, source)


class Counting(Line):
    """Counts the ticks by event."""

    def __init__(self, client: aioredis.Redis) -> None:
        super().__init__(client)
        self.ticks: Counter[int] = Counter()

    async def admit(self, event: int, *, unless_within_ms: int = 0) -> Tick:
        tick = await super().admit(event, unless_within_ms=unless_within_ms)
        self.ticks[event] += 1
        return tick


@pytest.mark.parametrize("ends_by", [signal.SIGKILL, pytest.param(signal.SIGSTOP, marks=pytest.mark.long)])
async def test_a_dead_server_stops_its_own_rooms_alone(
    client: GatheringCluster, cluster: Cluster, database_url: str, ends_by: signal.Signals
) -> None:
    engine = create_engine(database_url, pool_max=2)
    async with contextlib.AsyncExitStack() as ending:
        ending.push_async_callback(engine.dispose)
        await _lose_a_server(client, cluster, database_url, engine, ends_by, ending)


async def _lose_a_server(
    client: GatheringCluster,
    cluster: Cluster,
    database_url: str,
    engine: AsyncEngine,
    ends_by: signal.Signals,
    ending: contextlib.AsyncExitStack,
) -> None:
    events = [seed_demo(database_url, room=RoomSeed(rate_per_minute=0, capacity=5)) for _ in range(9)]
    line, clock = Counting(client), Clock(client)
    rooms = RoomRegistry(engine, line, LineSettings())
    await rooms.refresh()
    await clock.read()
    look = ClusterLook(cluster.url, "line_redis", "gateway")
    ending.push_async_callback(look.close)
    up: list[str] = []
    await look(lambda part, _: up.append(part))
    assert up == ["line_redis"]
    assert look.servers == {"line_redis_1": True, "line_redis_2": True, "line_redis_3": True}
    for event in events:
        await line.join(event, 7)
    dead = cluster.port_of(slot_of(events[0]))
    theirs = [event for event in events if cluster.port_of(slot_of(event)) == dead]
    others = [event for event in events if event not in theirs]
    assert others
    door = Door(line, rooms, Draws(engine, line), Tickers(client))
    keepers = [asyncio.create_task(keep()) for keep in (door.keep_lease, door.keep_admitting)]

    async def end() -> None:
        for keeper in keepers:
            keeper.cancel()
        await asyncio.wait(keepers)

    ending.push_async_callback(end)
    await until(lambda: all(line.ticks[event] for event in events))

    cluster.kill(dead, ends_by)
    died_at, before = time.monotonic(), Counter(line.ticks)
    await until(lambda: all(line.ticks[event] > before[event] for event in others))
    print(f"{ends_by.name}: every other door was ticked again within {time.monotonic() - died_at:.2f} s")
    assert await asyncio.gather(*(line.standing(event, 7) for event in others))
    answers = await asyncio.gather(*(line.standing(event, 7) for event in theirs), return_exceptions=True)
    assert all(isinstance(answer, redis.ConnectionError | redis.TimeoutError) for answer in answers)
    asked_at = time.monotonic()
    with pytest.raises(redis.ConnectionError):
        await line.standing(theirs[0], 7)
    assert time.monotonic() - asked_at < 1, "nobody waits again for a server that is known to be away"

    # The other parts of a gateway: the counters of networks, the clock, the look, rooms read anew, a start.
    limits = RateLimits(client, Sightings(client, clock.now))
    assert all([(await limits.take("join", f"10.0.{number}.0/24", 5)).allowed for number in range(12)])
    with pytest.raises(redis.RedisError):
        await asyncio.gather(*(limits.take("passkey", f"10.0.{number}.0/24", 5) for number in range(12)))
    await clock.read()
    assert abs(clock.now_of(theirs[0]) - clock.now_of(others[0])) < 5

    async def look_until(servers_down: int) -> None:
        async with asyncio.timeout(20):
            while [*look.servers.values()].count(False) != servers_down:
                with contextlib.suppress(redis.RedisError, OSError):
                    await look(lambda part, _: up.append(part))
                await asyncio.sleep(0.1)

    await look_until(1)
    up.clear()
    await look(lambda part, _: up.append(part))
    assert up == ["line_redis"], "the others' rooms go on"
    late = async_client(cluster.url)
    started = RoomRegistry(engine, Line(late), LineSettings())
    await started.refresh()
    assert set(started.rows) == set(events)
    await late.aclose(close_connection_pool=True)

    if ends_by == signal.SIGKILL:
        with contextlib.closing(plain_client(cluster.url, socket_timeout=5, socket_connect_timeout=1)) as doctors:
            settings = Settings.load({"REDIS_URL": cluster.url, "ADMITONE_JOBS_REDIS_URL": "redis://localhost"})
            found = {
                one.code: one.level
                for one in examine(Site(settings, line=doctors, errors={"jobs_redis": "is not here"}))
            }
        assert [code for code, level in found.items() if level is Level.ERROR and code.startswith("line_")] == [
            f"line_redis_{[*cluster.servers].index(dead) + 1}"
        ]
        assert "line_redis_1_full_coverage" not in found
        cluster.restart(dead)
    else:
        cluster.kill(dead, signal.SIGCONT)
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(redis.RedisError):
                standings = [await line.standing(event, 7) for event in theirs]
                break
            await asyncio.sleep(0.1)
    assert all(standing.number for standing in standings), "the server kept its places"
    before = Counter(line.ticks)
    await until(lambda: all(line.ticks[event] > before[event] for event in events))
    await look_until(0)


def test_workers_and_the_command_line_find_each_server(cluster: Cluster) -> None:
    client = plain_client(cluster.url, socket_timeout=5)
    assert isinstance(client, ClusterRedis)
    with contextlib.closing(client):
        assert [*client.servers()] == [Server("127.0.0.1", port) for port in cluster.servers]
        for number in range(20):
            client.set(f"key:{number}", number)
        assert client.get("key:7") == b"7"
        with pytest.raises(redis.ResponseError, match="slot"):
            client.mget("key:1", "key:2")
        with pytest.raises(NotImplementedError):
            client.pipeline()


@pytest.mark.long
async def test_a_replica_that_takes_over_is_followed(servers_folder: Path) -> None:
    """A cluster of its own, because the killed server stays away."""
    with Cluster(servers_folder / "cluster-with-replica") as cluster:
        client = async_client(cluster.url)
        line, event = Line(client), 7
        await line.configure(event, replace(CONFIG, state=RoomState.PAUSED))
        number = (await line.join(event, 7)).number
        master = cluster.port_of(slot_of(event))
        replica = cluster.give_replica(master)
        with contextlib.closing(jobs_client(cluster.url)) as workers:
            assert Slots(workers).counts(event).waiting == 1
            cluster.kill(master)
            killed_at = time.monotonic()
            async with asyncio.timeout(60):
                while True:
                    with contextlib.suppress(redis.RedisError):
                        standing = await line.standing(event, 7)
                        break
                    await asyncio.sleep(0.05)
            print(f"the replica's rooms are served {time.monotonic() - killed_at:.2f} s after SIGKILL of their master")
            assert standing.number == number
            assert line.shard_of(event) == f"127.0.0.1:{replica}"
            async with asyncio.timeout(30):
                while True:
                    with contextlib.suppress(redis.RedisError):
                        assert Slots(workers).counts(event).waiting == 1
                        break
                    await asyncio.sleep(0.05)
        await client.aclose(close_connection_pool=True)
