"""Open-loop load at 1.5 times the closed-loop peak, over four gateways: what is served, what is refused and how."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Mapping

from bench.load import closed_loop, open_loop, repeat
from bench.parts.noops import BARE_NOOP, bare_server
from bench.parts.reserve import Hall, mean_batch
from bench.processes import Apart, apart
from bench.report import Part
from bench.servers import System, Use
from bench.stats import Latencies, percentile

GATEWAYS = 4
FACTOR = 1.5
CONNECTIONS = 512
CONNECTIONS_MAX = 12_000
SEATS = 400_000
NOOPS_PER_SECOND = 50.0
"""Of a server beside the gateways, whose process waits for the cores as theirs do."""
LOOKING = 100 * GATEWAYS
LOOK_SECONDS_MAX = 30.0
WARM_SECONDS = 3.0
"""The peak is measured warm; so is this: in the first seconds every request also opens its connection."""


def measure(system: System, *, seconds: float = 30.0, peak_seconds: float = 8.0) -> Part:
    part = Part("overload")
    gateways = system.gateways(GATEWAYS)
    worker = system.worker()
    addresses = [gateway.address for gateway in gateways]
    hall = Hall(system, SEATS, 50_000)
    raw = hall.reserves(int(peak_seconds * 5_000))
    at_rest = system.uses()
    closed = apart(
        lambda: closed_loop(
            addresses, repeat("reserve", iter(raw)), connections=CONNECTIONS, seconds=peak_seconds, warm_seconds=2.0
        )
    )
    closed.require("reserve", "200")
    peak = closed.rate("reserve", "200")
    with system.connect() as connection:
        peak_batch = mean_batch(connection, hall.event_id)
    at_peak = system.uses()
    over = Hall(system, SEATS, 50_000)
    # Each gateway reads the hall at the first request for it. Before a sale fans have looked at it.
    looking = over.reserves(LOOKING)
    apart(
        lambda: closed_loop(
            addresses, repeat("look", iter(looking)), connections=8 * GATEWAYS, seconds=LOOK_SECONDS_MAX
        )
    )
    offered = FACTOR * peak
    more = over.reserves(int((WARM_SECONDS + seconds) * offered) + 1)
    bare = bare_server(system)
    beside = Apart(
        lambda: open_loop(
            [bare.address],
            repeat("noop", itertools.repeat(BARE_NOOP)),
            per_second=NOOPS_PER_SECOND,
            seconds=seconds,
            connections_max=CONNECTIONS,
            warm_seconds=WARM_SECONDS,
        )
    )
    before = system.uses()
    load = apart(
        lambda: open_loop(
            addresses,
            repeat("reserve", iter(more)),
            per_second=offered,
            seconds=seconds,
            connections_max=CONNECTIONS_MAX,
            warm_seconds=WARM_SECONDS,
        )
    )
    after = system.uses()
    noop = beside.result()
    with system.connect() as connection:
        over_batch = mean_batch(connection, over.event_id)
    system.stop(worker, *gateways, bare)
    outcomes: Counter[str] = load.steps["reserve"].outcomes
    load.require("reserve", "200", "lost", *(name for name in outcomes if name.startswith("503")))
    served = load.rate("reserve", "200")
    refused = sum(number for name, number in outcomes.items() if name.startswith("503"))
    total = outcomes.total()
    begun = int(offered * seconds)
    part.add(
        f"served at {FACTOR} times the peak, {GATEWAYS} gateways",
        served,
        "/s",
        "closed-loop peak",
        peak,
        "≥ 0.9",
        f"offered {offered:.0f}/s",
    )
    part.add("mean batch", over_batch, "commands", "at the closed-loop peak", peak_batch, "≥ 1")
    part.add("answered 503", refused / begun, "of the offered")
    waits = Latencies.of(load.steps["reserve"].seconds_refused)
    part.add("refused within: median", waits.p50_ms, "ms")
    part.add("refused within: p99", waits.p99_ms, "ms", aim="≤ 50")
    part.add("a bare no-op at the same time: p99", noop.latencies("noop").p99_ms, "ms")
    part.add("answered neither 200 nor 503, or not in time", 1 - (outcomes["200"] + refused) / begun, "of the offered")
    ended = load.steps["reserve"].ended
    first = min(ended)
    by_second = Counter(int(at - first) for at in ended)
    part.details = {
        "peak": closed.document(),
        "overload": load.document(),
        "offered": begun,
        "answered": total,
        "answersBySecondSinceTheFirst": [by_second[second] for second in range(int(seconds) + 1)],
        "p99Ms": round(percentile(sorted(load.steps["reserve"].seconds), 0.99) * 1000, 1),
        "refused": dataclasses.asdict(waits),
        "cpuSeconds": {"peak": _spent(at_rest, at_peak), "overload": _spent(before, after)},
    }
    return part


def _spent(before: Mapping[str, Use], after: Mapping[str, Use]) -> dict[str, float]:
    """Processor time by program, with the warm seconds and the last answers."""
    return {name: round(use.cpu_seconds - before[name].cpu_seconds, 2) for name, use in after.items()}
