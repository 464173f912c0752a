"""SIGTERM: not ready first, then farewell, answers for who waits, and an end within ten seconds."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import threading
import time
import urllib.error
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest
import redis

from admitone.fan.sse import EventParser
from booking_lane.lane import lane_of
from db.events.seed import RoomSeed
from gateway.identity.sessions import Identity
from tests.client import Fan
from tests.factories import make_event, plan_event
from tests.faults.conftest import Valkey
from tests.services import Service, Services
from tests.unit.test_embedded_up import _Up as Up
from tests.unit.test_embedded_up import data

__all__ = ["data"]

END_SECONDS_MAX = 10.0
OPENING_AT_ONCE = 100
FANS_ONE_IN = 10
LANES = 2


@dataclass
class Reader:
    """One open stream, read to its end."""

    parser: EventParser = field(default_factory=EventParser)
    events: list[str] = field(default_factory=list)
    ended_at: float = 0.0
    retry_ms: int | None = None

    async def read(self, reader: asyncio.StreamReader) -> None:
        while chunk := await reader.read(65_536):
            # Chunked transfer's sizes stand on lines of their own, which no SSE field is.
            self.events += [event.event for event in self.parser.feed(chunk)]
        self.ended_at = time.monotonic()
        self.retry_ms = self.parser.retry_ms


@dataclass
class Streams:
    """One in ten is a fan's in line, the others are onlookers' of the hall."""

    url: str
    event_id: int
    tokens: list[str]
    readers: list[Reader] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def open(self, count: int) -> None:
        gate = asyncio.Semaphore(OPENING_AT_ONCE)

        async def one(number: int) -> None:
            async with gate:
                if number % FANS_ONE_IN:
                    await self._open(f"GET /api/events/{self.event_id}/live", "")
                else:
                    session = f"Authorization: Bearer {self.tokens[number // FANS_ONE_IN]}\r\n"
                    await self._join(session)
                    await self._open(f"GET /api/queue/{self.event_id}/stream", session)

        await asyncio.gather(*map(one, range(count)))

    async def close(self) -> None:
        for writer in self.writers:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _connect(self, head: str, headers: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        address = urlsplit(self.url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(f"{head} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n{headers}\r\n".encode())
        return reader, writer

    async def _join(self, session: str) -> None:
        reader, writer = await self._connect(f"POST /api/queue/{self.event_id}", session)
        status = await reader.readline()
        assert status.split()[1] == b"201", status
        writer.close()
        await writer.wait_closed()

    async def _open(self, head: str, headers: str) -> None:
        reader, writer = await self._connect(head, headers)
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.split()[1] == b"200", answer
        stream = Reader()
        self.readers.append(stream)
        self.writers.append(writer)
        self.tasks.append(asyncio.create_task(stream.read(reader)))


@dataclass
class Watch:
    """What the two health addresses answer, until they answer no more."""

    url: str
    seen: list[tuple[float, int, int]] = field(default_factory=list)
    serving: list[tuple[float, int]] = field(default_factory=list)

    def start(self) -> threading.Thread:
        thread = threading.Thread(target=self._run)
        thread.start()
        return thread

    def _run(self) -> None:
        while (live := _status(self.url + "/health/live")) == 200:
            self.seen.append((time.monotonic(), live, _status(self.url + "/health/ready")))
            self.serving.append((time.monotonic(), _status(self.url + "/health/serving")))
            time.sleep(0.02)


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            status: int = answer.status
            return status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


def _tokens(count: int, environ: dict[str, str]) -> list[str]:
    identity = Identity(environ["ADMITONE_SECRET"], session_seconds=3600, open_auth=False, secure=False)
    return [identity.new_fan(None)[0] for _ in range(count)]


def _ended(service: Service, number: signal.Signals = signal.SIGTERM) -> float:
    """Seconds from the signal to the end."""
    started = time.monotonic()
    service.process.send_signal(number)
    service.process.wait(3 * END_SECONDS_MAX)
    return time.monotonic() - started


def _await_succeeded(database_url: str, job_ids: list[str]) -> None:
    """Raises AssertionError where one of the jobs has not succeeded after 20 s."""
    query = "SELECT count(*) FROM booking_command WHERE command_id = ANY(%s) AND outcome ->> 'status' = 'succeeded'"
    until = time.monotonic() + 20
    with psycopg.connect(database_url, autocommit=True) as connection:
        while connection.execute(query, ([uuid.UUID(job_id) for job_id in job_ids],)).fetchone() != (len(job_ids),):
            assert time.monotonic() < until, job_ids
            time.sleep(0.05)


def _lane_worker(redis_url: str, event_id: int) -> psutil.Process:
    with redis.Redis.from_url(redis_url, socket_timeout=10) as client:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            for key in client.smembers(f"rq:workers:lane-{lane_of(event_id, LANES)}"):
                pid = client.hget(key, "pid")
                if pid is not None:
                    return psutil.Process(int(pid))
            time.sleep(0.05)
    raise AssertionError("no worker")


@pytest.mark.parametrize(
    ("processes", "streams_wanted", "number"),
    [
        (1, 400, signal.SIGTERM),
        (1, 40, signal.SIGHUP),
        pytest.param(1, 2_000, signal.SIGTERM, marks=pytest.mark.long),
        pytest.param(2, 2_000, signal.SIGTERM, marks=pytest.mark.long),
    ],
)
async def test_a_gateway_drains_says_farewell_to_every_stream_and_ends_within_ten_seconds(
    services: Services,
    admitone_env: dict[str, str],
    database_url: str,
    redis_url: str,
    processes: int,
    streams_wanted: int,
    number: signal.Signals,
) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    streams_max = min(streams_wanted, (hard - 500) // 2 * 2)
    line_event = make_event(database_url, plan_event(room=RoomSeed(rate_per_minute=0, capacity=0)))
    open_event = make_event(database_url, plan_event(room=RoomSeed(state="off")))
    services.worker()
    gateway = services.gateway(workers=processes, ADMITONE_DRAIN_SECONDS="1")
    stopped = _lane_worker(redis_url, open_event)

    streams = Streams(gateway.url, line_event, _tokens(streams_max // FANS_ONE_IN, admitone_env))
    await streams.open(streams_max)
    fan = await asyncio.to_thread(Fan.arrive, gateway.url)
    stopped.send_signal(signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(1) as caller:
            waiting = caller.submit(fan.reserve, open_event, [(1, 1, 1)], wait=30)
            await asyncio.sleep(0.5)
            watch = Watch(gateway.url)
            watching = watch.start()
            await asyncio.sleep(0.1)
            told_at = time.monotonic()
            gateway.process.send_signal(number)
            await asyncio.wait_for(asyncio.gather(*streams.tasks), END_SECONDS_MAX)
            await asyncio.to_thread(gateway.process.wait, END_SECONDS_MAX)
            seconds = time.monotonic() - told_at
            answer = waiting.result(1)
            await asyncio.to_thread(watching.join)
    finally:
        stopped.send_signal(signal.SIGCONT)
        await streams.close()

    byes = [reader.ended_at - told_at for reader in streams.readers if reader.events[-1:] == ["bye"]]
    unready = [at - told_at for at, live, ready in watch.seen if at > told_at and ready == 503]
    print(
        f"{processes} process(es), {len(streams.readers)} streams: not ready after {unready[0]:.2f} s, farewells "
        f"{min(byes):.2f} to {max(byes):.2f} s, ended after {seconds:.2f} s"
    )
    assert seconds <= END_SECONDS_MAX
    assert len(byes) == streams_max
    # Not ready comes first, and is to be seen for the drain's second.
    assert unready[0] < 1.0
    assert unready[-1] - unready[0] > 0.5
    assert min(byes) > unready[0]
    assert 503 in {status for at, status in watch.serving if at > told_at}
    retries = [reader.retry_ms for reader in streams.readers]
    assert all(retry is not None and 500 <= retry <= 5_500 for retry in retries)
    assert len(set(retries)) > streams_max / 4
    # Who waited for an outcome that did not come has the job's address, and the job is done all the same.
    assert answer.status == 202, answer.content
    await asyncio.to_thread(_await_succeeded, database_url, [answer.json["jobId"]])


@pytest.mark.long
def test_a_second_signal_cuts_the_drain_short(services: Services) -> None:
    gateway = services.gateway(ADMITONE_DRAIN_SECONDS="4")
    gateway.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert gateway.process.poll() is None
    assert _ended(gateway) < 2.0


@pytest.mark.long
@pytest.mark.parametrize("silent", ["valkey", "postgres"])
async def test_a_gateway_ends_within_ten_seconds_when_a_server_is_silent(
    services: Services,
    admitone_env: dict[str, str],
    database_url: str,
    redis_url: str,
    valkey: Valkey,
    silent: str,
) -> None:
    event_id = make_event(database_url, plan_event(room=RoomSeed(rate_per_minute=0, capacity=0)))
    gateway = services.gateway(ADMITONE_DRAIN_SECONDS="2")
    streams = Streams(gateway.url, event_id, _tokens(20, admitone_env))
    await streams.open(200)
    if silent == "valkey":
        assert valkey.server.pid is not None
        processes = [psutil.Process(valkey.server.pid)]
    else:
        with psycopg.connect(database_url, autocommit=True) as connection:
            query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            processes = [psutil.Process(row[0]) for row in connection.execute(query)]
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(1.0)
        seconds = await asyncio.to_thread(_ended, gateway)
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)
    await asyncio.wait_for(asyncio.gather(*streams.tasks, return_exceptions=True), 5)
    await streams.close()
    print(f"with a silent {silent}: ended after {seconds:.2f} s")
    assert seconds <= END_SECONDS_MAX
    assert {reader.events[-1] for reader in streams.readers} == {"bye"}


@pytest.mark.long
def test_a_worker_finishes_its_batch_and_loses_none_that_wait(
    services: Services, database_url: str, redis_url: str
) -> None:
    event_id = make_event(database_url, plan_event(room=RoomSeed(state="off")))
    # Refused soon: who was taken is to have a worker again before the deadline of their commands.
    gateway, worker = services.gateway(ADMITONE_LANE_WAIT_SECONDS_MAX="3"), services.worker()
    _lane_worker(redis_url, event_id)
    fans = [Fan.arrive(gateway.url) for _ in range(30)]
    seats = [(1, 1 + number // 10, 1 + number % 10) for number in range(30)]
    with ThreadPoolExecutor(len(fans) + 1) as callers:
        asked = list(zip(fans, seats, strict=True))
        # Half as the signal comes, half while it ends and after.
        before = [callers.submit(fan.reserve, event_id, [seat], wait=0) for fan, seat in asked[:15]]
        ended = callers.submit(_ended, worker)
        after = [callers.submit(fan.reserve, event_id, [seat], wait=0) for fan, seat in asked[15:]]
        answers = [future.result() for future in (*before, *after)]
        seconds = ended.result()
    print(f"the worker ended after {seconds:.2f} s")
    # Of a lane that nobody works a gateway takes no more than it can keep; whoever is refused is told when to retry.
    assert all(answer.status == 202 or answer.code == "overloaded" for answer in answers)
    taken = [answer.json["jobId"] for answer in answers if answer.status == 202]
    assert taken
    assert seconds <= END_SECONDS_MAX
    assert worker.process.returncode == 0
    services.worker()
    _await_succeeded(database_url, taken)


@pytest.mark.long
def test_a_worker_in_a_hanging_batch_ends_within_ten_seconds(
    services: Services, database_url: str, redis_url: str
) -> None:
    event_id = make_event(database_url, plan_event(room=RoomSeed(state="off")))
    gateway, worker = services.gateway(), services.worker()
    _lane_worker(redis_url, event_id)
    fan = Fan.arrive(gateway.url)
    with psycopg.connect(database_url) as connection:
        connection.execute("LOCK TABLE booking_command IN ACCESS EXCLUSIVE MODE")
        answer = fan.reserve(event_id, [(1, 1, 1)], wait=0)
        time.sleep(0.5)
        seconds = _ended(worker)
    print(f"the worker ended after {seconds:.2f} s, its batch hanging")
    assert seconds <= END_SECONDS_MAX
    services.worker()
    _await_succeeded(database_url, [answer.json["jobId"]])


class _Stopping:
    """A running `admitone up`, and when each of its processes ended after a signal."""

    def __init__(self, up: Up) -> None:
        self.up = up
        self.parts = {
            "gateway": up.child("gateway"),
            "worker": up.child("worker"),
            "valkey": self._server("valkey-server"),
            "postgres": self._server("postgres"),
        }
        self.ended: dict[str, float] = {}

    def _server(self, program: str) -> psutil.Process:
        (found,) = (one for one in psutil.Process(self.up.process.pid).children() if one.name() == program)
        return found

    def signal(self) -> None:
        self.told_at = time.monotonic()
        self.up.process.send_signal(signal.SIGTERM)

    def wait(self) -> float:
        """Seconds until all have ended."""
        while self.up.process.poll() is None:
            for name, process in self.parts.items():
                if name not in self.ended and not (process.is_running() and process.status() != psutil.STATUS_ZOMBIE):
                    self.ended[name] = time.monotonic() - self.told_at
            assert time.monotonic() - self.told_at < 40, self.ended
            time.sleep(0.01)
        return time.monotonic() - self.told_at


@pytest.mark.long
def test_up_stops_gateway_worker_valkey_postgres_in_this_order(data: Path) -> None:
    up = Up(data, "--crowd", "5")
    stopping = _Stopping(up)
    family = up.family()
    stopping.signal()
    seconds = stopping.wait()
    print(f"up ended after {seconds:.2f} s: {stopping.ended}")
    assert up.process.returncode == 0, up.output.read_text()
    assert list(stopping.ended) == ["gateway", "worker", "valkey", "postgres"]
    assert stopping.ended["worker"] <= END_SECONDS_MAX
    _, alive = psutil.wait_procs(family, timeout=2)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []


@pytest.mark.long
def test_a_second_signal_kills_what_hangs_and_still_leaves_the_data_clean(data: Path) -> None:
    up = Up(data, "--crowd", "0")
    stopping = _Stopping(up)
    family = up.family()
    for process in stopping.parts["worker"].children():
        process.send_signal(signal.SIGSTOP)
    stopping.signal()
    time.sleep(2.0)
    assert up.process.poll() is None
    up.process.send_signal(signal.SIGTERM)
    seconds = stopping.wait()
    print(f"up ended after {seconds:.2f} s, hurried after 2 s")
    assert seconds < 5.0
    _, alive = psutil.wait_procs(family, timeout=2)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []
    log = (data / "postgres.log").read_text()
    assert "was not properly shut down" not in log
    assert "database system is shut down" in log
