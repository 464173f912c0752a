"""Examines all subjects, and sorts the findings in the order of the screen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import psycopg
import redis

from admitone.doctor import (
    bookings,
    clocks,
    configuration,
    data_keys,
    front,
    gateways,
    networks,
    payments,
    pooler,
    postgres,
    replica,
    rooms,
    search,
    valkey,
    webhooks,
    workers,
)
from admitone.doctor.finding import KINDS, Finding, Level, error
from admitone.doctor.site import Site

SUBJECTS: Final[tuple[tuple[str, Callable[[Site], Iterator[Finding]]], ...]] = (
    ("postgres", postgres.examine),
    ("pooler", pooler.examine),
    ("replica", replica.examine),
    ("redis", valkey.examine),
    ("gateways", gateways.examine),
    ("workers", workers.examine),
    ("bookings", bookings.examine),
    ("webhooks", webhooks.examine),
    ("payments", payments.examine),
    ("search", search.examine),
    ("rooms", rooms.examine),
    ("clocks", clocks.examine),
    ("settings", configuration.examine),
    ("data_keys", data_keys.examine),
    ("front", front.examine),
    ("networks", networks.examine),
)


def examine(site: Site) -> list[Finding]:
    """All findings. A subject whose examination fails gives a finding that says so; the others are still examined."""
    findings: list[Finding] = []
    for name, look in SUBJECTS:
        try:
            findings.extend(look(site))
        except (psycopg.Error, redis.RedisError) as problem:
            says = f"{name} could not be looked at: {(str(problem).strip() or type(problem).__name__).splitlines()[0]}"
            findings.append(
                error("up", f"{name}_unseen", says, "Look again; if it stays so, mend what the sentence names.")
            )
    return sorted(findings, key=lambda one: (KINDS.index(one.kind), -one.level))


def exit_code(findings: list[Finding]) -> int:
    """0: all is well, 1: something needs attention, 2: something is broken or unsafe."""
    return int(max((one.level for one in findings), default=Level.OK))
