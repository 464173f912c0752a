"""What the guard against bots costs: reserve and join at a gateway with it and at one without it, turn about.

Both gateways stand on one system and have one worker. Each has its own event, and takes the same load in each round, so
that another load on the machine meets both. Costs are processor time as the kernel counts it.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator
from typing import Final

from bench import fans
from bench.client import request
from bench.load import closed_loop, repeat
from bench.parts.noops import CONNECTED_SECONDS, Cost, Meter
from bench.parts.reserve import CONNECTIONS
from bench.processes import apart
from bench.report import Part
from bench.servers import System
from bench.stats import Load, percentile
from db.events.seed import RoomSeed
from db.rooms.states import RoomState

ON, OFF = "guarded", "unguarded"
FEW: Final = 4
"""Connections of a load whose latencies are measured: so few that they wait for no other."""
LATENCY_SHARE: Final = 10
"""One in so many calls is asked for its latency."""
WARM_CALLS: Final = 600
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
            event_id = fans.new_event(connection, seats, RoomSeed(state=RoomState.OFF))
            line_id = fans.new_event(connection, 20_000, RoomSeed(state=RoomState.PAUSED))
        tokens = [token for token, _ in fans.sessions(calls)]
        reserves = [fans.reserve(token, event_id, pair) for token, pair in zip(tokens, fans.pairs(seats), strict=False)]
        self.ready: dict[str, Iterator[bytes]] = {
            "reserve": iter(reserves),
            "join": iter([request("POST", f"/api/queue/{line_id}", token=token, body=b"{}") for token in tokens]),
        }
        self.costs: dict[str, list[Cost]] = {step: [] for step in self.ready}
        self.seconds: dict[str, list[float]] = {step: [] for step in self.ready}

    def load(self, step: str, count: int, connections: int) -> Load:
        made = list(itertools.islice(self.ready[step], count))
        load = apart(
            lambda: closed_loop(
                [self.gateway.address],
                repeat(step, iter(made)),
                connections=connections,
                seconds=SECONDS_MAX,
                sources=fans.SOURCES,
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
    meter = Meter(system)
    for number in range(rounds):
        for step, side in itertools.product(("reserve", "join"), sides[:: 1 if number % 2 else -1]):
            cost = meter.cost(
                step,
                lambda side=side, step=step: side.load(step, each, CONNECTIONS),  # type: ignore[misc]
                gateway=side.name,
            )
            side.costs[step].append(cost)
            side.seconds[step] += side.load(step, few, FEW).steps[step].seconds
    on, off = sides
    for step in ("reserve", "join"):
        for what, of in (("gateway", _of_gateway), ("whole system", _of_system)):
            with_it, without = (statistics.median(map(of, side.costs[step])) for side in (on, off))
            part.add(f"{step}: {what}", with_it, "µs", "without the guard", without, "≤ 1.1")
        p50, p95 = (_added_ms(on, off, step, share) for share in (0.5, 0.95))
        part.add(f"{step}: added latency, p95", p95, "ms", "", None, "≤ 2", f"p50 {p50:.2f} ms")
    part.details = {
        side.name: {
            step: [{name: round(spent, 1) for name, spent in one.by_program_us.items()} for one in found]
            for step, found in side.costs.items()
        }
        for side in sides
    }
    return part


def _of_gateway(cost: Cost) -> float:
    return cost.gateway_us


def _of_system(cost: Cost) -> float:
    return cost.system_us


def _added_ms(on: Side, off: Side, step: str, share: float) -> float:
    with_it, without = (percentile(sorted(side.seconds[step]), share) for side in (on, off))
    return (with_it - without) * 1000
