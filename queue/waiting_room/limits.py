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
    """Whether one more was allowed and counted; if not, ``retry_after_seconds`` until the next one is."""

    allowed: bool
    retry_after_seconds: int
    used: int


async def allow(client: aioredis.Redis, name: str, key: str, per_minute: int, *, count: bool = True) -> Allowance:
    """Count one ``name`` (e.g. join) of ``key`` (an address prefix, say); ``per_minute`` are allowed.

    Without ``count`` nothing is counted: the answer says whether one more would be allowed.
    """
    args = (per_minute, int(count))
    allowed, retry_after_ms, used = await run(client, "allow", (allow_key(name, key),), args)
    return Allowance(bool(allowed), math.ceil(retry_after_ms / 1000), used)


def address_prefix(ip: str) -> str:
    """The network an address counts with: /24 of IPv4 (mapped or not), /56 of IPv6; else ``unknown``.

    A /56 is what providers commonly give one household (RFC 6177, RIPE-690).
    """
    try:
        address = ipaddress.ip_address(ip.split("%", 1)[0])
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    bits = IPV4_PREFIX_BITS if address.version == 4 else IPV6_PREFIX_BITS
    return str(ipaddress.ip_network((address, bits), strict=False))
