"""Measures a stretch of a rehearsal: the answers that its fans got, and how busy the site was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from admitone.rehearsal.counted import Sum, Tick
from admitone.rehearsal.verdict import Busy, Phase
from admitone.rehearsal.watch import Sample

LOOK_SECONDS: Final = 1.0
"""The site is sampled once in this time."""


def measure(
    ticks_of_all: Sequence[Sequence[Tick]],
    samples_of_all: Sequence[Sample],
    began_at: float,
    ended_at: float,
    rate_per_minute: int,
    capacity: int,
) -> Phase:
    """Measure the time between two moments of the machine's monotonic clock."""
    ticks = [[tick for tick in one if began_at < tick.at <= ended_at + 0.5] for one in ticks_of_all]
    met = Sum(tick for one in ticks for tick in one)
    seconds = max(ended_at - began_at, 0.001)
    samples = [sample for sample in samples_of_all if began_at <= sample.at <= ended_at + LOOK_SECONDS]
    waiting = [sample for sample in samples if sample.waiting]
    full = [one for one in waiting if one.called + one.admitted >= 0.95 * one.capacity]
    called = met.count("claim", "admitted") + met.count("fan", "abandoned_call")
    busy, cpu_ms, lane_p95_ms = _busy(samples, met.purchases)
    refused = {what[8:]: number for what, number in met.outcomes.items() if what.startswith("refused ")}
    refused |= {what: number for what, number in met.outcomes.items() if what.endswith("too_many_streams")}
    return Phase(
        seconds=round(seconds, 1),
        rate_per_minute=rate_per_minute,
        capacity=capacity,
        purchases=met.purchases,
        seats=met.seats,
        called_per_minute=round(called * 60 / seconds, 1),
        p50_ms=met.booking_ms(0.5),
        p95_ms=met.booking_ms(0.95),
        lane_p95_ms=lane_p95_ms,
        inside_seconds=round(met.inside_seconds / met.purchases, 2) if met.purchases else None,
        full_share=round(len(full) / len(waiting), 2) if waiting else 0.0,
        waiting_share=round(len(waiting) / len(samples), 2) if samples else 0.0,
        refused=refused,
        errors=dict(met.errors),
        busy=msgspec.structs.replace(busy, generator=round(max(map(_generator_busy, ticks), default=0.0), 2)),
        cpu_ms=cpu_ms,
    )


def _generator_busy(ticks: list[Tick]) -> float:
    if len(ticks) < 2:
        return 0.0
    return (ticks[-1].cpu_seconds - ticks[0].cpu_seconds) / max(ticks[-1].at - ticks[0].at, 0.001)


def _busy(samples: list[Sample], purchases: int) -> tuple[Busy, dict[str, float], float | None]:
    """How busy the site was between the first and the last sample, the processor time of a purchase by part of the
    site, and the lane's p95 in milliseconds.
    """
    if len(samples) < 2:
        return Busy(), {}, None
    first, last = samples[0], samples[-1]
    seconds = last.at - first.at
    gateways = [
        (spent - first.gateways[name]) / seconds for name, spent in last.gateways.items() if name in first.gateways
    ]
    worker = None if last.worker is None or first.worker is None else (last.worker - first.worker) / seconds
    postgres = None if last.postgres is None or first.postgres is None else (last.postgres - first.postgres) / seconds
    spent_redis = (last.redis - first.redis) / seconds
    figures = last.figures.since(first.figures)
    cores = {
        "gateways": sum(gateways) if gateways else None,
        "worker": worker,
        "postgres": postgres,
        "redis": spent_redis,
    }
    cpu_ms = {
        name: round(share * seconds * 1000 / purchases, 2)
        for name, share in cores.items()
        if share is not None and purchases
    }
    busy = Busy(
        gateway=round(max(gateways), 2) if gateways else None,
        gateways=round(sum(gateways), 2) if gateways else None,
        lane=round(min(1.0, figures.busy_ms / 1000 / seconds), 2),
        worker=None if worker is None else round(worker, 2),
        postgres=None if postgres is None else round(postgres, 2),
        redis=round(spent_redis, 2),
        machine=round(sum(sample.machine for sample in samples[1:]) / (len(samples) - 1), 2),
        backlog=max(sample.backlog for sample in samples),
    )
    return busy, cpu_ms, figures.wait_ms(0.95)
