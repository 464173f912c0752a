"""Networks that operators let through or turn away, in memory: a million are looked up in microseconds.

The rules are kept as intervals of addresses that do not overlap, sorted, so that one bisection finds an address. Of
nested networks the smallest decides, of equal ones the newest. Where no rule names the address, one of its autonomous
system decides, and then one of its country.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import logging
import socket
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import psycopg
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from db.connections.small_reads import SmallReads
from db.networks.rules import READ_VERSION, Rule, every_rule, is_origin
from gateway.identity.origins import NOWHERE, Origin, Origins
from gateway.identity.sightings import Sightings
from gateway.wire.problems import ProblemError
from waiting_room.limits import address_prefix

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 0.4


@dataclass(slots=True)
class _Intervals:
    """Where each interval of addresses begins, and the rule that decides in it (-1: none)."""

    starts: list[int] | array[int] = field(default_factory=list)
    rules: array[int] = field(default_factory=lambda: array("l"))

    def find(self, address: int) -> int:
        at = bisect_right(self.starts, address) - 1
        return self.rules[at] if at >= 0 else -1


def _intervals(spans: list[tuple[int, int, int]]) -> _Intervals:
    """Of (first, last, rule), the younger of equal ones later. Networks are nested or apart, never crossing."""
    spans.sort(key=lambda span: (span[0], -span[1], span[2]))
    starts: list[int] = []
    rules = array("l")
    open_spans: list[tuple[int, int]] = []

    def put(start: int, rule: int) -> None:
        if starts and starts[-1] == start:
            rules[-1] = rule
        else:
            starts.append(start)
            rules.append(rule)

    def close_before(first: int) -> None:
        while open_spans and open_spans[-1][0] < first:
            last, _ = open_spans.pop()
            put(last + 1, open_spans[-1][1] if open_spans else -1)

    for first, last, rule in spans:
        close_before(first)
        open_spans.append((last, rule))
        put(first, rule)
    close_before(2**129)
    return _Intervals(starts, rules)


def _span(network: str) -> tuple[int, int, int]:
    """The version, and the first and last address of a network as Postgres writes it. The library takes 20 µs for one,
    which for a million is half a minute.
    """
    address, _, bits = network.partition("/")
    if ":" in address:
        first, size, version = int.from_bytes(socket.inet_pton(socket.AF_INET6, address), "big"), 128, 6
    else:
        first, size, version = int.from_bytes(socket.inet_aton(address), "big"), 32, 4
    return version, first, first | (1 << size - int(bits or size)) - 1


class NetworkIndex:
    """All rules of one moment."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._rules = list(rules)
        spans: dict[int, list[tuple[int, int, int]]] = {4: [], 6: []}
        self.origins = {rule.network: rule for rule in self._rules if is_origin(rule.network)}
        for number, rule in enumerate(self._rules):
            if rule.network in self.origins:
                continue
            version, first, last = _span(rule.network)
            spans[version].append((first, last, number))
        self._by_version = {version: _intervals(of) for version, of in spans.items()}
        v4 = self._by_version[4]
        v4.starts = array("Q", v4.starts)

    def __len__(self) -> int:
        return len(self._rules)

    def find(self, address: str, origin: Origin = NOWHERE) -> Rule | None:
        """The rule that decides about the address; None without one."""
        rule = self._of_address(address)
        if rule is not None or not self.origins:
            return rule
        return next((self.origins[name] for name in origin.names if name in self.origins), None)

    def _of_address(self, address: str) -> Rule | None:
        try:
            parsed = ipaddress.ip_address(address.split("%", 1)[0])
        except ValueError:
            return None
        if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        number = self._by_version[parsed.version].find(int(parsed))
        return None if number < 0 else self._rules[number]


class Networks:
    """The rules in force, read anew within a second of a change.

    Args:
        now: the clock that ends rules (UTC).
        seen: is told whom a rule turned away.
        origins: tell whose an address is; None: nobody can.
    """

    def __init__(
        self, engine: AsyncEngine, now: Callable[[], dt.datetime], seen: Sightings, origins: Origins | None = None
    ) -> None:
        self._origins = origins or Origins()
        self._seen = seen
        self._engine = engine
        self._now = now
        self._version = -1
        self.index = NetworkIndex()

    async def keep(self, reads: SmallReads) -> None:
        """Look for changes for as long as the process runs."""
        while True:
            try:
                if _version_of(await reads.rows(READ_VERSION)) != self._version:
                    await self.refresh()
            except (psycopg.Error, SQLAlchemyError, RedisError, OSError) as error:
                logger.warning("the networks' rules are not read: %s", error)
            await asyncio.sleep(LOOK_SECONDS)

    async def refresh(self) -> None:
        """Read the rules if they changed.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: Postgres does not answer.
        """
        async with self._engine.connect() as connection:
            version = _version_of((await connection.exec_driver_sql(READ_VERSION)).all())
            if version == self._version:
                return
            rules = [rule async for rule in every_rule(connection)]
        # A million take seconds, in which this process goes on serving.
        self.index = await asyncio.to_thread(NetworkIndex, rules)
        self._version = version

    def _found(self, address: str) -> Rule | None:
        if not len(self.index):
            return None
        rule = self.index.find(address, self._origins.of(address) if self.index.origins else NOWHERE)
        return None if rule is None or (rule.until is not None and rule.until <= self._now()) else rule

    def refuse(self, address: str) -> None:
        """Return unless an operator has turned the address away.

        Raises:
            ProblemError: ``network_denied``, with the reason and the way to appeal.
        """
        rule = self._found(address)
        if rule is not None and rule.verdict == "deny":
            self._seen.note(address_prefix(address), "network_denied")
            until = None if rule.until is None else rule.until.isoformat()
            reason = f" The reason: {rule.reason}." if rule.reason else ""
            raise ProblemError(
                "network_denied",
                f"The organiser has turned your network away.{reason} Write to the organiser, and name {rule.rule_id}.",
                rule=str(rule.rule_id),
                until=until,
            )

    def is_hosted(self, address: str) -> bool:
        """Whether the address is one of a data centre, as far as the site's files say."""
        return self._origins.has_files and self._origins.of(address).is_hosted

    def lets_through(self, address: str) -> bool:
        """Whether an operator has said that the address needs no proofs and counts with no network."""
        rule = self._found(address)
        return rule is not None and rule.verdict == "allow"


def _version_of(rows: Sequence[Sequence[int]]) -> int:
    return rows[0][0] if rows else 0
