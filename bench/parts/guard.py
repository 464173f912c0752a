"""What the guard against bots costs: reserve and join at a gateway with it and at one without it, turn about.

Both gateways stand on one system and have one worker. Each has its own event, and takes the same load in each round, so
that another load on the machine meets both; which of them goes first changes with the round. Costs are processor time
as the kernel counts it, without what the other side's gateway does meanwhile. What the programs do at rest is not taken
off: it meets both sides, and in the second that a load lasts it is less than the error of a measured rest.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from bench import fans
from bench.client import request
from bench.load import closed_loop, repeat
from bench.parts.noops import CONNECTED_SECONDS, Cost
from bench.parts.reserve import CONNECTIONS, mean_batch
from bench.processes import apart
from bench.report import Part
from bench.servers import System
from bench.stats import Load, percentile
from db.events.seed import RoomSeed
from db.rooms.states import RoomState

ON, OFF = "guarded", "unguarded"
SHARED: Final = ("worker", "postgres", "valkey")
"""Both sides' commands go through them."""
FEW: Final = 1
"""Connections of a load whose latencies are measured: it waits for no other. With four a command waits for the batch of
another one before it leaves, which is a chance of tens of milliseconds on both sides.
"""
LATENCY_SHARE: Final = 2
"""One in so many calls is asked for its latency."""
LATENCY_TURNS: Final = 4
"""The latencies of a round are measured in so many turns of each side, because another load on the machine comes and
goes within a round."""
AFTER_SECONDS: Final = 0.3
"""A worker ends its job after the answers, and belongs to the load until then."""
WARM_CALLS: Final = 600
SETTLE_SECONDS: Final = 5.0
"""So long Postgres is at work on what the warm calls left."""
SECONDS_MAX: Final = 120.0
DEFENCES: Final = fans.GUARD_DEFAULTS | {
    "ADMITONE_NETWORK_LIMITS_MAX": "0",
    "ADMITONE_CONNECTED_SECONDS": str(CONNECTED_SECONDS),
    # Processor time is measured, so a slow machine may take its time.
    "ADMITONE_LANE_WAIT_SECONDS_MAX": "30",
}
"""The defaults, for the guard is what is measured."""


class Side:
    """A gateway, its events, and the requests that are ready for it."""

    def __init__(self, system: System, name: str, calls: int) -> None:
        self.name = name
        (self.gateway,) = system.gateways(1, place_seconds=None, unguarded=name == OFF, name=name, **DEFENCES)
        seats = -(-2 * calls // 10_000) * 10_000
        with system.connect() as connection:
            event_id = self.event_id = fans.new_event(connection, seats, RoomSeed(state=RoomState.OFF))
            line_id = fans.new_event(connection, 20_000, RoomSeed(state=RoomState.PAUSED, line_cap=max(calls, 5_000)))
        tokens = [token for token, _ in fans.sessions(calls)]
        reserves = [fans.reserve(token, event_id, pair) for token, pair in zip(tokens, fans.pairs(seats), strict=False)]
        self.ready: dict[str, Iterator[bytes]] = {
            "reserve": iter(reserves),
            "join": iter([request("POST", f"/api/queue/{line_id}", token=token, body=b"{}") for token in tokens]),
        }
        self._sources = itertools.cycle(fans.SOURCES)
        self.costs: dict[str, list[Cost]] = {step: [] for step in self.ready}
        self.seconds: dict[str, list[float]] = {step: [] for step in self.ready}

    def load(self, step: str, count: int, connections: int) -> Load:
        made = list(itertools.islice(self.ready[step], count))
        # A load of few connections comes from other networks than the one before, so that none of them nears its bound.
        sources = list(itertools.islice(self._sources, connections))
        load = apart(
            lambda: closed_loop(
                [self.gateway.address],
                repeat(step, iter(made)),
                connections=connections,
                seconds=SECONDS_MAX,
                sources=sources,
            )
        )
        load.require(step, "200", "201")
        return load


def measure(system: System, *, calls: int = 6_000, rounds: int = 6) -> Part:
    """What reserve and join cost with the guard and without it.

    Args:
        calls: of each sort and side, in all rounds together.
    """
    part = Part("guard")
    each, few = calls // rounds, calls // rounds // LATENCY_SHARE
    sides = [Side(system, name, WARM_CALLS + rounds * (each + few)) for name in (ON, OFF)]
    system.worker()
    for side, step in itertools.product(sides, ("reserve", "join")):
        side.load(step, WARM_CALLS, CONNECTIONS)
    time.sleep(SETTLE_SECONDS)
    for number in range(rounds):
        in_turn = sides[:: 1 if number % 2 else -1]
        for step, side in itertools.product(("reserve", "join"), in_turn):
            side.costs[step].append(_cost(system, side, step, each))
        for step, _, side in itertools.product(("reserve", "join"), range(LATENCY_TURNS), in_turn):
            side.seconds[step] += side.load(step, few // LATENCY_TURNS, FEW).steps[step].seconds
    on, off = sides
    for step in ("reserve", "join"):
        parts: list[tuple[str, Callable[[Cost], float], str]] = [
            ("gateway", _of_gateway, "≤ 1.1"),
            *((program, partial(_of_program, program), "") for program in SHARED),
            ("whole system", _of_system, "≤ 1.1"),
        ]
        for what, of, aim in parts:
            with_it, without = (list(map(of, side.costs[step])) for side in (on, off))
            of_pairs = statistics.median([one / other for one, other in zip(with_it, without, strict=True)])
            part.add(
                f"{step}: {what}",
                statistics.median(with_it),
                "µs",
                "without the guard",
                statistics.median(without),
                aim,
                f"median of the rounds' ratios {of_pairs:.2f}",
            )
        p50, p95 = (_added_ms(on, off, step, share) for share in (0.5, 0.95))
        part.add(f"{step}: added latency, p95", p95, "ms", "", None, "≤ 2", f"p50 {p50:.2f} ms")
    with system.connect() as connection:
        batches = {side.name: round(mean_batch(connection, side.event_id), 1) for side in sides}
    part.details = {"meanBatch": batches} | {
        side.name: {
            step: [{name: round(spent, 1) for name, spent in one.by_program_us.items()} for one in found]
            for step, found in side.costs.items()
        }
        for side in sides
    }
    return part


def _cost(system: System, side: Side, step: str, count: int) -> Cost:
    before = system.uses()
    load = side.load(step, count, CONNECTIONS)
    time.sleep(AFTER_SECONDS)
    after = system.uses()
    good = load.count(step, "200", "201")
    spent = {
        name: max(0.0, after[name].cpu_seconds - before[name].cpu_seconds) / good * 1e6 for name in (side.name, *SHARED)
    }
    return Cost(spent[side.name], sum(spent.values()), spent)


def _of_gateway(cost: Cost) -> float:
    return cost.gateway_us


def _of_program(program: str, cost: Cost) -> float:
    return cost.by_program_us[program]


def _of_system(cost: Cost) -> float:
    return cost.system_us


def _added_ms(on: Side, off: Side, step: str, share: float) -> float:
    with_it, without = (percentile(sorted(side.seconds[step]), share) for side in (on, off))
    return (with_it - without) * 1000
