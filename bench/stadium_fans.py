"""The fans of `bench.stadium`, as one generator process plays them.

Before doors each fan starts a session, joins the line, solves a captcha challenge and streams the place. At doors an
operator lets the room go. A fan who is called claims, chooses two seats in the hall that the process watches (a share
of the fans goes for the first rows), reserves, checks out and reads the ticket. A fan who finds the seats taken (an
honest 409) chooses again.
"""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import random
import time
from array import array
from collections import Counter
from collections.abc import Iterable
from multiprocessing.synchronize import Event
from pathlib import Path

from admitone.crowd.crowd import loopback_sources
from admitone.fan.behaviour import Behaviour, Company
from admitone.fan.calls import Calls
from admitone.fan.captcha import challenge, solve
from admitone.fan.counts import Counts
from admitone.fan.hall import Hall, watch
from admitone.fan.http import HttpClient
from admitone.fan.ledger import Ledger
from admitone.fan.seats import Seat
from admitone.fan.way import Fan, start_session
from bench.client import Address, run
from bench.stats import Load, Step

ARRIVING_MAX = 48
CONNECTIONS_MAX = 400
"""Kept-alive connections of a generator process to one gateway, shared by its fans as behind a reverse proxy."""
FRONT_ROWS = 8
TRIES_MAX = 200
LOOK_SECONDS = 0.05
NETWORKS = 800
"""Fans come from as many. From one, as 40,000 never do, each proof would be made 32 times as hard."""


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """A generator process' share of the sale."""

    event_id: int
    first: int
    fans: int
    gateways: tuple[Address, ...]
    front_share: float
    ledger: Path


@dataclasses.dataclass(slots=True)
class Sale:
    """What one generator process measured. Times are `time.perf_counter`'s, which all processes share."""

    load: Load
    called_at: array[float]
    bought_at: array[float]
    journey_seconds: array[float]
    outcomes: Counter[str]
    errors: Counter[str]
    unfinished: int


class _Moments(Counts):
    """Counts that keep every answer's moment."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: dict[str, Step] = {}
        self.called_at, self.bought_at, self.journey_seconds = array("d"), array("d"), array("d")

    def wait(self, step: str, seconds: float) -> None:
        found = self.steps.get(step)
        if found is None:
            found = self.steps[step] = Step()
        found.ended.append(time.perf_counter())
        found.seconds.append(seconds)

    def called(self) -> None:
        self.called_at.append(time.perf_counter())

    def bought(self, purchase_id: str, seats: Iterable[Seat], inside_seconds: float) -> None:
        super().bought(purchase_id, seats, inside_seconds)
        self.bought_at.append(time.perf_counter())
        self.journey_seconds.append(inside_seconds)


class Crowd:
    """One process' fans."""

    def __init__(self, plan: Plan, ready: Event, go: Event, end: Event) -> None:
        self._plan = plan
        self._ready, self._go, self._end = ready, go, end

    def run(self) -> Sale:
        gc.collect()
        gc.freeze()
        gc.disable()
        return run(self._run())

    async def _run(self) -> Sale:
        plan, counts = self._plan, _Moments()
        self._arriving = asyncio.Semaphore(ARRIVING_MAX)
        clients = [
            HttpClient(f"http://{host}:{port}", connections_max=CONNECTIONS_MAX, sources=loopback_sources(NETWORKS))
            for host, port in plan.gateways
        ]
        chance = random.Random(plan.first)
        hall = Hall(chance, front_rows=FRONT_ROWS)
        with Ledger(plan.ledger) as ledger:
            company = Company(
                behaviour=Behaviour(
                    event_id=plan.event_id,
                    seats_min=2,
                    front=plan.front_share,
                    reserve_tries_max=TRIES_MAX,
                    solves_early=True,
                ),
                counts=counts,
                ledger=ledger,
                captcha=self,
                hall=hall,
                session=self._session,
                tempo=lambda _: lambda _: 0.0,
            )
            watching = asyncio.create_task(watch(hall, Calls(clients[0], Counts(), chance), plan.event_id))
            numbers = range(plan.first, plan.first + plan.fans)
            visits = [
                asyncio.create_task(Fan(number, company, clients[number % len(clients)]).visit()) for number in numbers
            ]
            everyone = asyncio.gather(*visits)
            cpu = 0.0
            while not self._end.is_set() and not everyone.done():
                if counts.now["stream"] == plan.fans:
                    self._ready.set()
                if not cpu and self._go.is_set():
                    cpu = time.process_time()
                await asyncio.sleep(LOOK_SECONDS)
            cpu = time.process_time() - cpu
            everyone.cancel()
            watching.cancel()
            await asyncio.gather(everyone, watching, return_exceptions=True)
        for client in clients:
            client.close()
        for name, step in counts.steps.items():
            step.outcomes.update(counts.of(name) or {"answered": len(step.seconds)})
        load = Load(cpu_seconds=cpu, steps=counts.steps)
        unfinished = plan.fans - counts.purchases
        errors = counts.errors + Counter(counts.violations)
        moments = (counts.called_at, counts.bought_at, counts.journey_seconds)
        return Sale(load, *moments, counts.outcomes, errors, unfinished)

    async def _session(self, calls: Calls) -> tuple[str, int]:
        await self._arriving.acquire()
        return await start_session(calls)

    async def token(self, calls: Calls) -> str | None:
        """A solved captcha, found here: its work is small. A fan who has one has arrived."""
        solved = solve(await challenge(calls))
        self._arriving.release()
        return solved
