"""Limits per minute, kept in Redis so that all gateways count together."""

from __future__ import annotations

import ipaddress
import math
from dataclasses import dataclass
from typing import Final

from redis import asyncio as aioredis

from .keys import allow_key
from .scripts import run

IPV4_PREFIX_BITS: Final = 24
IPV6_PREFIX_BITS: Final = 56


@dataclass(frozen=True, slots=True)
class Allowance:
    """Whether a request was allowed and counted. If it was not, the next one is allowed in ``retry_after_seconds``."""

    allowed: bool
    retry_after_seconds: int
    used: int


async def allow(client: aioredis.Redis, name: str, key: str, per_minute: int, *, count: bool = True) -> Allowance:
    """Count a request called ``name`` (for example join) of ``key`` (for example an address prefix), of which
    ``per_minute`` are allowed.

    Without ``count`` nothing is counted, and the answer says whether a request would be allowed.
    """
    args = (per_minute, int(count))
    allowed, retry_after_ms, used = await run(client, "allow", (allow_key(name, key),), args)
    return Allowance(bool(allowed), math.ceil(retry_after_ms / 1000), used)


def address_prefix(ip: str) -> str:
    """The network to which an address belongs: its /24 for IPv4 (mapped or not), its /56 for IPv6, else ``unknown``.

    Providers commonly give a /56 to one household (RFC 6177, RIPE-690).
    """
    try:
        address = ipaddress.ip_address(ip.split("%", 1)[0])
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    bits = IPV4_PREFIX_BITS if address.version == 4 else IPV6_PREFIX_BITS
    return str(ipaddress.ip_network((address, bits), strict=False))
