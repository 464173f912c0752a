"""Limits per minute, kept in Redis so that all gateways count together."""

from __future__ import annotations

import asyncio
import ipaddress
import math
from collections.abc import Awaitable, Generator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

from redis import asyncio as aioredis

from db.gathering import Gathering
from db.shards import is_cluster

from .by_event import TRIPS_UNDER_WAY_MAX, ByEvent, given_up
from .keys import allow_key, pace_keys, proof_key
from .scripts import Begun

IPV4_PREFIX_BITS: Final = 24
IPV6_PREFIX_BITS: Final = 56
_OVER: Final = ("", "fan", "network")


@dataclass(frozen=True, slots=True)
class Allowance:
    """Whether a request was allowed and counted. If it was not, the next one is allowed in ``retry_after_seconds``.

    ``name`` is what was counted, of which ``most`` are allowed in ``window_seconds``.
    """

    allowed: bool
    retry_after_seconds: int
    used: int
    name: str
    most: int
    window_seconds: int


class Allowing:
    """Counts a request called ``name`` (for example join) of ``key`` (for example an address prefix), of which
    ``per_minute`` are allowed; or, with another window, so many in that time. Who awaits it gets the `Allowance`; the
    question leaves before (`waiting_room.scripts.Begun`).

    With a ``count`` of 0 nothing is counted, and the answer says whether a request would be allowed; with -1 a request
    that was counted is given back.
    """

    __slots__ = ("_begun", "_of")

    def __init__(
        self, client: aioredis.Redis, name: str, key: str, per_minute: int, *, count: int = 1, window_seconds: int = 60
    ) -> None:
        args = (per_minute, int(count), window_seconds * 1000)
        self._begun = Begun(client, "allow", (allow_key(name, key),), args)
        self._of = name, per_minute, window_seconds

    def __await__(self) -> Generator[Any, None, Allowance]:
        allowed, retry_after_ms, used = yield from self._begun.__await__()
        return Allowance(bool(allowed), math.ceil(retry_after_ms / 1000), used, *self._of)


async def allow(
    client: aioredis.Redis, name: str, key: str, per_minute: int, *, count: int = 1, window_seconds: int = 60
) -> Allowance:
    """Count a request as `Allowing` does."""
    return await Allowing(client, name, key, per_minute, count=count, window_seconds=window_seconds)


class Paced(NamedTuple):
    """Whether a command of a fan was taken and counted.

    Attributes:
        over: who is over the pace: ``fan``, ``network``, or nobody (empty).
        retry_after_seconds: when the next command is taken, where this one is not.
        proof_stands: the fan gave a proof to be a person lately.
    """

    over: str
    retry_after_seconds: int
    proof_stands: bool


_TAKEN: Final = Paced("", 0, proof_stands=False)


_Command = tuple[int, str]
"""Its fan and network."""


class Paces:
    """Counts fans' commands, each with its fan and its network at its event; 0 a minute bounds neither. One script
    counts many (`waiting_room.by_event`).
    """

    def __init__(self, client: aioredis.Redis, *, fan_per_minute: int, network_per_minute: int) -> None:
        self._client = client
        self._per_minute = fan_per_minute, network_per_minute
        self._counted: ByEvent[_Command, Paced] = ByEvent(self._count)

    def count(self, event: int, fan: int, network: str) -> asyncio.Future[Paced]:
        """Count a command. The answer is a `redis.RedisError` where Redis gives none."""
        return self._counted.ask(event, (fan, network))

    def _count(self, event: int, commands: Sequence[_Command]) -> Awaitable[Sequence[Paced | Exception]]:
        keys = [*pace_keys(event), *[proof_key(event, fan) for fan, _ in commands]]
        args: list[str | int] = [*self._per_minute]
        for command in commands:
            args += command
        # Asked for now, so that it leaves with what the same requests ask of the line.
        return self._paced(Begun(self._client, "pace", keys, args), len(commands))

    @staticmethod
    async def _paced(counting: Awaitable[Any], commands: int) -> Sequence[Paced | Exception]:
        flat = await counting
        answers = [_TAKEN] * commands
        for number, who, retry_ms, stands in zip(*[iter(flat)] * 4, strict=True):
            answers[number - 1] = Paced(_OVER[who], math.ceil(retry_ms / 1000), bool(stands))
        return answers


class Allowances:
    """Counts requests called ``name`` as `allow` does. Those of one turn of the event loop leave in one script, and
    while `TRIPS_UNDER_WAY_MAX` of them have no answer, more gather.
    """

    def __init__(self, client: aioredis.Redis, name: str, per_minute: int, *, window_seconds: int = 60) -> None:
        self._client = client
        self._of = name, per_minute, window_seconds
        self._gathering = Gathering[str, Allowance](self._count, given_up, under_way_max=TRIPS_UNDER_WAY_MAX)

    def count(self, key: str) -> Awaitable[Allowance]:
        """Count a request of this key, for example an address prefix."""
        if is_cluster(self._client):
            # Each counter may be at another server, and none waits for one that is away.
            return allow(self._client, self._of[0], key, self._of[1], window_seconds=self._of[2])
        return self._gathering.ask(key)

    def _count(self, keys: Sequence[str]) -> Awaitable[Sequence[Allowance | Exception]]:
        named = [allow_key(self._of[0], key) for key in keys]
        return self._allowed(Begun(self._client, "allow", named, (self._of[1], 1, self._of[2] * 1000)))

    async def _allowed(self, counting: Awaitable[Any]) -> Sequence[Allowance | Exception]:
        flat = await counting
        return [
            Allowance(bool(allowed), math.ceil(retry_after_ms / 1000), used, *self._of)
            for allowed, retry_after_ms, used in zip(*[iter(flat)] * 3, strict=True)
        ]


async def stand_proof(client: aioredis.Redis, event: int, fan: int, seconds: int) -> None:
    """Record that the fan just proved to be a person; it stands for so long at this event."""
    await client.set(proof_key(event, fan), "1", ex=seconds)


@lru_cache(maxsize=65_536)
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
