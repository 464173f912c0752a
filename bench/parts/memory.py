"""Memory over time: one gateway with streaming fans, one worker, under a steady load of reserves."""

from __future__ import annotations

import time

from bench import fans
from bench.client import request
from bench.load import closed_loop, open_loop, repeat
from bench.parts.reserve import Hall
from bench.processes import Apart, apart, gather
from bench.report import Part
from bench.servers import System
from bench.sse import Crowd
from db.events.seed import RoomSeed

FANS = 5_000
RESERVES_PER_SECOND = 150.0
SAMPLE_SECONDS = 5.0
WARM_SHARE = 0.25
"""Caches fill and heaps settle in this first part of the time; flat is judged after it."""


def measure(system: System, *, minutes: float = 10.0, count: int = FANS) -> Part:
    part = Part("memory")
    seconds = minutes * 60
    reserves = int(seconds * RESERVES_PER_SECOND)
    with system.connect() as connection:
        event_id = fans.new_event(connection, 1_000, RoomSeed(state="paused", line_cap=count + 1_000))
    hall = Hall(system, min(-(-reserves * 2 // 10_000) * 10_000, 500_000), min(reserves, 50_000))
    (gateway,) = system.gateways()
    worker = system.worker()
    tokens = [token for token, _ in fans.sessions(count)]
    joins = [request("POST", f"/api/queue/{event_id}", token=token) for token in tokens]
    apart(lambda: closed_loop([gateway.address], repeat("join", iter(joins)), connections=32, seconds=120))
    asked = [request("GET", f"/api/queue/{event_id}/stream", "Accept: text/event-stream", token=t) for t in tokens]
    crowd = Crowd([(gateway.address, one, "") for one in asked], processes=1)
    crowd.await_open(120)
    crowd.begin()
    raw = hall.reserves(reserves)
    began = time.monotonic()
    samples: list[tuple[float, float, float]] = []

    def sample() -> None:
        sizes = [program.use().rss_bytes / 2**20 for program in (gateway, worker)]
        samples.append((round(time.monotonic() - began, 1), round(sizes[0], 2), round(sizes[1], 2)))

    load = Apart(
        lambda: open_loop(
            [gateway.address],
            repeat("reserve", iter(raw)),
            per_second=RESERVES_PER_SECOND,
            seconds=seconds,
            connections_max=1_000,
        )
    )
    (loaded,) = gather([load], sample, SAMPLE_SECONDS)
    loaded.require("reserve", "200")
    seen = crowd.end()
    system.stop(worker, gateway)
    warm = [sample_ for sample_ in samples if sample_[0] >= seconds * WARM_SHARE] or samples
    note = f"{count:,} fans, {loaded.rate('reserve', '200'):.0f} reserves/s, {minutes:g} minutes"
    for number, name in ((1, "gateway"), (2, "worker pool")):
        part.add(f"{name}'s memory at the end", warm[-1][number], "MB", "a quarter in", warm[0][number], "≤ 1.05", note)
    part.details = {
        "samplesSecondsGatewayMbWorkerMb": samples,
        "load": loaded.document(),
        "streams": {"open": seen.streams, "events": seen.events, "lost": seen.lost},
    }
    return part
