"""The ratios that matter most in a smaller form, as one JSON line: for watching regressions, not for records."""

from __future__ import annotations

from typing import Any

from bench.parts import engine, noops, reserve, streams
from bench.servers import System

SECONDS = 2.5
FANS = 2_000
CALLS = 2_000
"""Of each sort, for what a call costs in no-ops."""


def measure(system: System) -> dict[str, Any]:
    """Engine against pgbench with one client, reserve against the no-op, each call of a fan against the bare no-op,
    streams against bare ASGI.
    """
    engine_part = engine.measure(system, seconds=2.0, batches=(256,), clients=(1,), seats=40_000)
    http_part = reserve.measure(system, seconds=SECONDS, baseline=False)
    noops_part = noops.measure(system, count=CALLS)
    streams_part = streams.measure(system, count=FANS, seconds=2.5, with_nchan=False, with_waiting=False)
    engine_row, http_row = engine_part.rows[0], http_part.rows[0]
    by_what = {row.what + row.against: row for row in streams_part.rows}
    cpu = by_what["CPU an eventbare ASGI"]
    return {
        "bareNoop": noops_part.details["bareNoopMicroseconds"],
        "engine": {
            "bookingsPerSecond": round(engine_row.measured, 1),
            "againstPgbenchOneClient": round(engine_row.ratio or 0, 2),
        },
        "http": {
            "reservesPerSecond": round(http_row.measured, 1),
            "againstNoop": round(http_row.ratio or 0, 3),
            "againstBareNoop": noops_part.details["againstBareNoop"],
            "p50Ms": http_part.rows[1].reference,
            "p99Ms": http_part.rows[1].measured,
            "oneClientP50Ms": http_part.rows[2].reference,
            "meanBatch": http_part.details["ours"]["meanBatch"],
        },
        "sse": {
            "fans": FANS,
            "microsecondsAnEvent": round(cpu.measured, 1),
            "cpuAgainstBareAsgi": round(cpu.ratio or 0, 2),
            "kbAFan": round(streams_part.rows[0].measured, 1),
            "ageP99Seconds": round(by_what["p99 age of an event"].measured, 3),
        },
    }
