"""What few connections to Postgres cost a gateway: two gateways of one system, with many and with few, by turns.

The load is as many readers as it says, who ask again at once. Each read asks Postgres: a fan's purchases by the
connections for small reads, a job that nobody knows by SQLAlchemy's pool. Reserves go on beside them.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from functools import partial
from typing import Final

from bench import fans
from bench.client import request
from bench.load import closed_loop, open_loop, repeat
from bench.processes import Apart, gather
from bench.report import Part
from bench.servers import Program, System
from bench.stats import Load, percentile
from booking_lane.commands import command_id_new
from db.settings import DatabaseSettings

SEATS: Final = 20_000
RESERVES_PER_SECOND: Final = 20.0
READS: Final = {"purchases of a fan": "/api/purchases", "a job that nobody knows": "/api/jobs/{job}"}


def _read(gateway: Program, step: str, path: str, token: str, readers: int, seconds: float) -> Load:
    return closed_loop(
        [gateway.address],
        repeat(step, itertools.repeat(request("GET", path, token=token))),
        connections=readers // len(READS),
        seconds=seconds,
        warm_seconds=0.5,
    )


def _turn(gateway: Program, event_id: int, readers: int, seconds: float, pairs: itertools.count[int]) -> Load:
    tokens = [token for token, _ in fans.sessions(int(seconds * RESERVES_PER_SECOND) + 50)]
    first = next(pairs) * len(tokens)
    chosen = itertools.islice(fans.pairs(SEATS), first, None)
    reserves = [fans.reserve(token, event_id, pair) for token, pair in zip(tokens, chosen, strict=False)]
    loads = [
        Apart(partial(_read, gateway, step, path.format(job=command_id_new()), tokens[0], readers, seconds))
        for step, path in READS.items()
    ]
    loads.append(
        Apart(
            lambda: open_loop(
                [gateway.address],
                repeat("reserve", iter(reserves)),
                per_second=RESERVES_PER_SECOND,
                seconds=seconds,
                connections_max=200,
            )
        )
    )
    found = Load()
    for one in gather(loads):
        found.add(one)
    return found


def measure(system: System, *, readers: int, turns: int, seconds: float) -> Part:
    """Read at the one gateway and at the other by turns."""
    part, pairs = Part("pools"), itertools.count()
    with system.connect() as connection:
        event_id = fans.new_event(connection, SEATS)
    system.worker()
    (many,) = system.gateways(name="many", ADMITONE_DB_POOL_MAX="8", ADMITONE_DB_READER_POOL_MAX="8")
    (few,) = system.gateways(name="few")
    found: defaultdict[str, Load] = defaultdict(Load)
    for _ in range(turns):
        for name, gateway in (("many", many), ("few", few)):
            found[name].add(_turn(gateway, event_id, readers, seconds, pairs))
    default = DatabaseSettings()
    note = f"{readers} readers; {default.pool_max} and {default.reader_pool_max} connections against 8 and 8"
    for step in (*READS, "reserve"):
        reference = [percentile(sorted(found["many"].steps[step].seconds), share) * 1000 for share in (0.5, 0.95)]
        measured = [percentile(sorted(found["few"].steps[step].seconds), share) * 1000 for share in (0.5, 0.95)]
        counts = f"{found['few'].count(step):,} against {found['many'].count(step):,} answers; {note}"
        for name, mine, theirs in zip(("p50", "p95"), measured, reference, strict=True):
            part.add(f"{step}, {name}", mine, "ms", "8 and 8 connections", theirs, note=counts)
    return part
