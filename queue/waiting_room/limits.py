"""Limits per minute, kept in Redis so that all gateways count together."""

from __future__ import annotations

import asyncio
import ipaddress
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Final, NamedTuple, Protocol, cast

from redis import asyncio as aioredis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError

from .keys import allow_key, pace_keys, proof_key
from .scripts import run, script

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


async def allow(
    client: aioredis.Redis, name: str, key: str, per_minute: int, *, count: int = 1, window_seconds: int = 60
) -> Allowance:
    """Count a request called ``name`` (for example join) of ``key`` (for example an address prefix), of which
    ``per_minute`` are allowed; or, with another window, so many in that time.

    With a ``count`` of 0 nothing is counted, and the answer says whether a request would be allowed; with -1 a request
    that was counted is given back.
    """
    args = (per_minute, int(count), window_seconds * 1000)
    allowed, retry_after_ms, used = await run(client, "allow", (allow_key(name, key),), args)
    return Allowance(bool(allowed), math.ceil(retry_after_ms / 1000), used, name, per_minute, window_seconds)


class Paced(NamedTuple):
    """Whether a command of a fan was taken and counted.

    Attributes:
        over: who is over the pace: ``fan``, ``network``, or nobody (empty).
        retry_after_seconds: when the next command is taken, where this one is not.
        left: how many commands more the fan has now.
        proof_stands: the fan gave a proof to be a person lately.
    """

    over: str
    retry_after_seconds: int
    left: int
    proof_stands: bool


class _Counting(NamedTuple):
    """A command that is being counted."""

    event: int
    fan: int
    network: str
    paced: asyncio.Future[Paced]


class Gatherer(Protocol):
    """A Redis client that gathers the commands of one turn of the event loop into one round trip."""

    def begin(self, *args: Any) -> asyncio.Future[Any]: ...

    def before_leaving(self, call: Callable[[], None]) -> None: ...


class Paces:
    """Counts fans' commands, each with its fan and its network at its event; 0 a minute bounds neither.

    Those of one turn of the event loop are counted by one script for each event.

    Args:
        jobs: the Redis of the jobs. A command asks it whether it came before, and its count leaves together with that:
            a trip of its own would cost a gateway a fifth more for each command.
    """

    def __init__(self, jobs: Gatherer, *, fan_per_minute: int, network_per_minute: int) -> None:
        self._jobs = jobs
        self._per_minute = fan_per_minute, network_per_minute
        self._waiting: list[_Counting] = []
        self._counting: set[asyncio.Task[None]] = set()

    def count(self, event: int, fan: int, network: str) -> asyncio.Future[Paced]:
        """Count a command. The answer is a `redis.RedisError` where Redis gives none."""
        paced: asyncio.Future[Paced] = asyncio.get_running_loop().create_future()
        # Who is refused for another reason does not wait for the answer.
        paced.add_done_callback(_take_note)
        if not self._waiting:
            self._jobs.before_leaving(self._leave)
        self._waiting.append(_Counting(event, fan, network, paced))
        return paced

    def _leave(self) -> None:
        waiting, self._waiting = self._waiting, []
        by_event: dict[int, list[_Counting]] = {}
        for counting in waiting:
            by_event.setdefault(counting.event, []).append(counting)
        for event, countings in by_event.items():
            keys = [*pace_keys(event), *(proof_key(event, counting.fan) for counting in countings)]
            args: list[str | int] = [*self._per_minute]
            for counting in countings:
                args += counting.fan, counting.network
            answer = self._jobs.begin("EVALSHA", script("pace").sha, len(keys), *keys, *args)
            answer.add_done_callback(partial(self._on_answer, countings, keys, args))

    def _on_answer(
        self, countings: list[_Counting], keys: list[str], args: list[str | int], answer: asyncio.Future[Any]
    ) -> None:
        error = None if answer.cancelled() else answer.exception()
        if isinstance(error, NoScriptError):
            again = asyncio.get_running_loop().create_task(self._count_by_text(countings, keys, args))
            self._counting.add(again)
            again.add_done_callback(self._counting.discard)
        elif error is not None or answer.cancelled():
            _fail(countings, error or _given_up())
        else:
            _tell(countings, answer.result())

    async def _count_by_text(self, countings: list[_Counting], keys: list[str], args: list[str | int]) -> None:
        try:
            flat = await run(cast(aioredis.Redis, self._jobs), "pace", keys, args)
        except BaseException as error:
            _fail(countings, error if isinstance(error, Exception) else _given_up())
            raise
        _tell(countings, flat)


def _tell(countings: list[_Counting], flat: list[int]) -> None:
    for counting, (who, retry_ms, left, stands) in zip(countings, zip(*[iter(flat)] * 4, strict=True), strict=True):
        if not counting.paced.done():
            counting.paced.set_result(Paced(_OVER[who], math.ceil(retry_ms / 1000), left, bool(stands)))


def _fail(countings: list[_Counting], error: BaseException) -> None:
    for counting in countings:
        if not counting.paced.done():
            counting.paced.set_exception(error)


def _take_note(paced: asyncio.Future[Paced]) -> None:
    if not paced.cancelled():
        paced.exception()


def _given_up() -> Exception:
    return RedisConnectionError("given up before Redis answered")


async def stand_proof(jobs: aioredis.Redis, event: int, fan: int, seconds: int) -> None:
    """Record that the fan just proved to be a person; it stands for so long at this event."""
    await jobs.set(proof_key(event, fan), "1", ex=seconds)


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
