"""Reserve through HTTP to a durable result: against the gateway's own no-op, stock RQ, and RQ's round trip.

Every request is of another fan, so that no verified session is remembered: each is verified anew, in the no-op
as in the reserve and the baseline. The event's room is off for all of them (`bench.stadium` has the passes).
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence

import psycopg
import redis
from rq import Queue

from bench import fans
from bench.baseline import jobs
from bench.client import Address, request
from bench.load import closed_loop, repeat
from bench.processes import apart
from bench.report import Part
from bench.servers import Program, System, await_answer, free_port
from bench.stats import Latencies, Load

CONNECTIONS = 256
SEATS = 160_000
SESSIONS = 20_000
WARM_SECONDS = 1.5
RESERVES_PER_SECOND_MAX = 5_000
"""So many requests are made ready; a faster system would be measured for a shorter time."""


class Hall:
    """An event with its fans, whose seats are given out one pair after another over several loads."""

    def __init__(self, system: System, seats: int = SEATS, sessions: int = SESSIONS) -> None:
        with system.connect() as connection:
            self.event_id = fans.new_event(connection, seats)
        self.sessions = fans.sessions(sessions)
        self._pairs = fans.pairs(seats)
        self._number = 0

    def reserves(self, count: int) -> list[bytes]:
        """So many reserve requests, each of another fan for two seats of their own (fewer near the end)."""
        taken = list(itertools.islice(self._pairs, count))
        made = []
        for pair in taken:
            token, _ = self.sessions[self._number % len(self.sessions)]
            self._number += 1
            made.append(fans.reserve(token, self.event_id, pair))
        return made

    def noops(self) -> Iterator[bytes]:
        """The same fans' POSTs of a body as large, which nobody reads."""
        body = b'{"eventId":%d,%s}' % (self.event_id, fans.seat_details((1, 1, 1)))
        made = [request("POST", "/noop", fans.WAIT, token=token, body=body) for token, _ in self.sessions]
        return itertools.cycle(made)


def load(addresses: Sequence[Address], step: str, requests: Iterator[bytes], connections: int, seconds: float) -> Load:
    """Closed-loop, from a process of its own."""
    warm = min(WARM_SECONDS, seconds / 4)
    return apart(
        lambda: closed_loop(
            addresses, repeat(step, requests), connections=connections, seconds=seconds, warm_seconds=warm
        )
    )


def mean_batch(connection: psycopg.Connection, event_id: int) -> float:
    """Commands a transaction: a batch's outcomes have one time between them."""
    row = connection.execute(
        "SELECT count(*), count(DISTINCT recorded_at) FROM booking_command WHERE event_id = %s", (event_id,)
    ).fetchone()
    return row[0] / row[1] if row and row[1] else 0.0


def ours(system: System, seconds: float, connections: int, part: Part) -> tuple[Load, Load, Load]:
    """Reserve at ``connections``, the no-op, and reserve at one client, on one gateway and one worker."""
    (gateway,) = system.gateways()
    worker = system.worker()
    wanted = int(seconds * RESERVES_PER_SECOND_MAX)
    hall = Hall(system, min(-(-2 * wanted // 10_000) * 10_000, SEATS), min(wanted, SESSIONS))
    noop = load([gateway.address], "noop", hall.noops(), connections, seconds / 2)
    before = system.uses()
    began = time.perf_counter()
    many = load([gateway.address], "reserve", iter(hall.reserves(wanted)), connections, seconds)
    wall = time.perf_counter() - began
    after = system.uses()
    with system.connect() as connection:
        batch = mean_batch(connection, hall.event_id)
    one_hall = Hall(system, 10_000, 5_000)
    one = load([gateway.address], "reserve", iter(one_hall.reserves(5_000)), 1, seconds)
    again = load([gateway.address], "noop", hall.noops(), connections, seconds / 2)
    for measured in (many, one):
        measured.require("reserve", "200")
    for measured in (noop, again):
        measured.require("noop", "204")
    part.details["ours"] = {
        "reserve": many.document(),
        "noop": noop.document(),
        "noopAfter": again.document(),
        "reserveOneClient": one.document(),
        "meanBatch": round(batch, 1),
        "coresUsed": {
            name: round((use.cpu_seconds - before[name].cpu_seconds) / wall, 2) for name, use in after.items()
        },
    }
    noop.add(again)
    noop.seconds += again.seconds
    system.stop(worker, gateway)
    return many, noop, one


def stock(system: System, seconds: float, connections: int, part: Part, workers: int = 1) -> Load:
    """The baseline's reserve at ``connections``."""
    port = free_port()
    app = system.start("baseline", "bench.baseline.serve", "app:create", str(port), port=port)
    started = [system.start(f"baseline-worker-{number}", "bench.baseline.worker") for number in range(workers)]
    await_answer(app, "/schema")
    hall = Hall(system, 40_000, 10_000)
    many = load([app.address], "reserve", iter(hall.reserves(20_000)), connections, seconds)
    many.require("reserve", "200")
    part.details[f"stockRq{workers}"] = many.document()
    system.stop(*started, app)
    _forget_queue(system)
    return many


def _forget_queue(system: System) -> None:
    with system.redis() as client:
        client.flushdb()


def rq_round_trip(system: System, count: int = 200) -> Latencies:
    """A no-op job from enqueue to its result, on a SimpleWorker, one at a time."""
    worker: Program = system.start("rq-noop-worker", "bench.baseline.worker")
    with system.redis() as client:
        latencies = apart(lambda: _round_trips(system.redis_url, count))
        assert client.ping()
    system.stop(worker)
    return latencies


def _round_trips(redis_url: str, count: int) -> Latencies:
    found = []
    with redis.Redis.from_url(redis_url) as client:
        queue = Queue(jobs.QUEUE, connection=client)
        queue.enqueue(jobs.noop).latest_result(timeout=30)
        for _ in range(count):
            began = time.perf_counter()
            result = queue.enqueue(jobs.noop).latest_result(timeout=30)
            assert result is not None
            found.append(time.perf_counter() - began)
    return Latencies.of(found)


def measure(system: System, *, seconds: float = 10.0, connections: int = CONNECTIONS, baseline: bool = True) -> Part:
    part = Part("reserve")
    many, noop, one = ours(system, seconds, connections, part)
    rate = many.rate("reserve", "200")
    at_many, at_one = many.latencies("reserve"), one.latencies("reserve")
    batch = part.details["ours"]["meanBatch"]
    where = f"{connections} connections"
    part.add(
        f"reserve to a durable result, {where}",
        rate,
        "/s",
        "authenticated no-op POST",
        noop.rate("noop", "204"),
        "≥ 0.6",
        f"mean batch {batch}, generator {many.generator_share:.0%} of a core",
    )
    part.add(f"p99 at {where}", at_many.p99_ms, "ms", "its p50", at_many.p50_ms, "≤ 2")
    part.add("p99 at one client", at_one.p99_ms, "ms", "its p50", at_one.p50_ms, "≤ 2")
    if baseline:
        stocks = [stock(system, seconds, connections, part, workers) for workers in (1, 2)]
        best = max(found.rate("reserve", "200") for found in stocks)
        part.add(f"reserve to a durable result, {where}", rate, "/s", "stock RQ, best of 1 and 2 workers", best, "≥ 25")
        round_trip = rq_round_trip(system)
        part.details["rqRoundTrip"] = {"p50Ms": round_trip.p50_ms, "p99Ms": round_trip.p99_ms}
        part.add("reserve at one client, p50", at_one.p50_ms, "ms", "no-op RQ job's p50", round_trip.p50_ms, "≤ 1.2")
    return part
