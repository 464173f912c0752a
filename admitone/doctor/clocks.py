"""Clocks: each decision is made by one clock, but tokens and deadlines travel between machines, so all must agree."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Final

import redis

from admitone.doctor.finding import Finding, fine
from admitone.doctor.site import Site
from booking_lane.cluster_client import ClusterRedis

SKEW_SECONDS_MAX: Final = 1.0


def examine(site: Site) -> Iterator[Finding]:
    """Compare each server's clock with this host's, taken at the middle of the round trip."""
    ahead: dict[str, float] = {"this host": 0.0}
    if site.postgres is not None:
        query = "SELECT extract(epoch FROM clock_timestamp())::float8"
        ahead["Postgres"] = _ahead_seconds(lambda: float(site.value(query)))
    clients = {"Redis": site.line, "the jobs' Redis": site.jobs if site.jobs is not site.line else None}
    if isinstance(site.line, ClusterRedis):
        del clients["Redis"]
        clients |= {f"Redis {server}": client for server, client in site.line.servers().items()}
    for name, client in clients.items():
        with contextlib.suppress(redis.ConnectionError, redis.TimeoutError):
            if client is None:
                continue
            ahead[name] = _ahead_seconds(lambda client=client: _redis_seconds(client))  # type: ignore[misc]
    first, last = min(ahead, key=ahead.__getitem__), max(ahead, key=ahead.__getitem__)
    skew = ahead[last] - ahead[first]
    if skew > SKEW_SECONDS_MAX:
        yield site.misconfigured(
            "setup",
            "clocks",
            f"The clock of {last} is {skew:.1f} s ahead of that of {first}",
            "Let NTP (chrony, systemd-timesyncd) set the clocks of all machines.",
        )
    elif len(ahead) > 1:
        yield fine("setup", "clocks", f"Clocks are {skew:.2f} s apart at most")


def _redis_seconds(client: redis.Redis) -> float:
    seconds, micros = client.time()
    return seconds + micros / 1e6


def _ahead_seconds(read: Callable[[], float]) -> float:
    read()  # The first round trip is slower than the others.
    before = time.time()
    there = read()
    return there - (before + time.time()) / 2
