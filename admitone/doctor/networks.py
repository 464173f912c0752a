"""Networks that fans came from in the last minutes: whether they are their own, or all that of a proxy or a bridge.

Each network has its own rate limits. Where all fans seem to come from one, they share them, and at the opening of a
sale most are refused.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Final, Literal, cast

from admitone.doctor.finding import Finding, fine, warning
from admitone.doctor.site import Site
from waiting_room.keys import allow_key

FANS_MIN: Final = 20
"""Fewer new sessions say nothing: they may be of one office."""
ALL: Final = 0.95
"""This share and more is taken for all: the monitoring may come from another network."""
FIX: Final = (
    "Have each proxy, balancer or container bridge before the gateways pass the client's address on, and name it in"
    " ADMITONE_TRUSTED_PROXIES (for a CDN before nginx: deploy/nginx/real_ip.conf)."
)
NETWORKS_READ_MAX: Final = 1000
_KEYS: Final = (allow_key("session", "*"), allow_key("page", "*"))
"""The counters of new sessions, which programs ask for and pages give."""


def examine(site: Site) -> Iterator[Finding]:
    if site.line is None:
        return
    sessions: Counter[str] = Counter()
    for pattern in _KEYS:
        keys = cast(list[bytes], list(islice(site.line.scan_iter(match=pattern, count=500), NETWORKS_READ_MAX)))
        for key in keys:
            sessions[key.decode().removeprefix(pattern[:-1])] += _count(site, key)
    total = sum(sessions.values())
    if total < FANS_MIN:
        return
    name, most = max(sessions.items(), key=lambda one: one[1])
    kind = _kind(name)
    if most < ALL * total or (kind == "loopback" and not site.settings.site.production):
        yield fine("setup", "networks", f"{total} new sessions of the last minutes are of {len(sessions)} networks")
        return
    if kind == "public":
        yield warning(
            "setup",
            "one_network",
            f"{most} of {total} new sessions of the last minutes are of {name}: unless all these fans sit in one house,"
            " a CDN or another proxy hides their own networks, and they share one rate limit",
            FIX,
        )
        return
    yield site.misconfigured(
        "setup",
        "one_network",
        f"{most} of {total} new sessions of the last minutes are of {name}, which hides the fans' own networks: they"
        " share one rate limit",
        FIX,
    )


def _count(site: Site, key: bytes) -> int:
    assert site.line is not None
    this, last = cast(list[bytes | None], site.line.hmget(key.decode(), ["this", "last"]))
    return round(float(this or 0) + float(last or 0))


def _kind(name: str) -> Literal["public", "private", "loopback"]:
    """No fan of the Internet has a private network, which may be a container bridge's. Loopback is a proxy's on the
    gateway's own machine, or a developer's.
    """
    try:
        network = ipaddress.ip_network(name, strict=False)
    except ValueError:
        return "public"
    return "loopback" if network.is_loopback else "private" if network.is_private else "public"
