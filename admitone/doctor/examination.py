"""Everything looked at, in the order of the screen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import psycopg
import redis

from admitone.doctor import (
    bookings,
    clocks,
    configuration,
    front,
    gateways,
    postgres,
    rooms,
    valkey,
    webhooks,
    workers,
)
from admitone.doctor.finding import KINDS, Finding, Level, error
from admitone.doctor.site import Site

SUBJECTS: Final[tuple[tuple[str, Callable[[Site], Iterator[Finding]]], ...]] = (
    ("postgres", postgres.examine),
    ("redis", valkey.examine),
    ("gateways", gateways.examine),
    ("workers", workers.examine),
    ("bookings", bookings.examine),
    ("webhooks", webhooks.examine),
    ("rooms", rooms.examine),
    ("clocks", clocks.examine),
    ("settings", configuration.examine),
    ("front", front.examine),
)


def examine(site: Site) -> list[Finding]:
    """Every finding. What fails as it is looked at is one, and keeps nobody from looking at the rest."""
    found: list[Finding] = []
    for name, look in SUBJECTS:
        try:
            found.extend(look(site))
        except (psycopg.Error, redis.RedisError) as problem:
            says = f"{name} could not be looked at: {(str(problem).strip() or type(problem).__name__).splitlines()[0]}"
            found.append(
                error("up", f"{name}_unseen", says, "Look again; if it stays so, mend what the sentence names.")
            )
    return sorted(found, key=lambda one: (KINDS.index(one.kind), -one.level))


def exit_code(found: list[Finding]) -> int:
    """0 all is well, 1 something wants attention, 2 something is broken or unsafe."""
    return int(max((one.level for one in found), default=Level.OK))
