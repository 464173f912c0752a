"""The rules of networks in Postgres: operators make them, gateways read them all when they changed."""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, LiteralString

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from db.ids import uuid7
from db.tables.networks import NetworkRule, NetworkRulesVersion

RULES_MAX: Final = 2_000_000
RULES_AT_A_TIME: Final = 5_000
REASON_MAX: Final = 300

ASN_MAX: Final = 2**32 - 1
_asn: Final = re.compile(r"AS([0-9]{1,10})", re.IGNORECASE).fullmatch
_country: Final = re.compile(r"[A-Za-z]{2}").fullmatch

Verdict = Literal["allow", "deny"]


class TooManyRulesError(Exception):
    """There are as many rules as there may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule: the network is let through or turned away until then; None: for good. ``network`` is as `network_of`
    gives it.
    """

    rule_id: uuid.UUID
    network: str
    verdict: Verdict
    until: dt.datetime | None
    reason: str
    made_by: str
    made_at: dt.datetime


def network_of(text: str) -> str:
    """The network of a CIDR, or of one address, as Postgres writes it; or an autonomous system as ``AS64500``, or a
    country by its two letters, as ``DE``.

    Raises:
        ValueError: it is none of these.
    """
    named = text.strip()
    asn = _asn(named)
    if asn is not None and 0 < int(asn[1]) <= ASN_MAX:
        return f"AS{int(asn[1])}"
    if _country(named) is not None:
        return named.upper()
    return str(ipaddress.ip_network(named, strict=False))


def is_origin(network: str) -> bool:
    """Whether what `network_of` gave is an autonomous system or a country."""
    return network[0].isupper()


async def add_rules(
    connection: AsyncConnection,
    networks: Sequence[str],
    *,
    verdict: Verdict,
    until: dt.datetime | None,
    reason: str,
    made_by: str,
) -> list[uuid.UUID]:
    """Make a rule for each network (`network_of`), and return the rules' ids. The caller commits.

    Raises:
        TooManyRulesError: nothing was made.
    """
    known = await connection.scalar(select(func.count()).select_from(NetworkRule))
    if (known or 0) + len(networks) > RULES_MAX:
        raise TooManyRulesError
    rules: list[dict[str, Any]] = [
        {
            "rule_id": uuid7(),
            "network": None if is_origin(network) else network,
            "origin": network if is_origin(network) else None,
            "verdict": verdict,
            "until": until,
            "reason": reason,
            "made_by": made_by,
        }
        for network in networks
    ]
    for at in range(0, len(rules), RULES_AT_A_TIME):
        await connection.execute(insert(NetworkRule), rules[at : at + RULES_AT_A_TIME])
    await _raise_version(connection)
    return [rule["rule_id"] for rule in rules]


async def remove_rule(connection: AsyncConnection, rule_id: uuid.UUID) -> bool:
    """Remove a rule; return whether there was one. The caller commits."""
    removed = await connection.execute(delete(NetworkRule).where(NetworkRule.rule_id == rule_id))
    if removed.rowcount:
        await _raise_version(connection)
    return bool(removed.rowcount)


async def _raise_version(connection: AsyncConnection) -> None:
    await connection.execute(update(NetworkRulesVersion).values(version=NetworkRulesVersion.version + 1))


READ_VERSION: Final[LiteralString] = "SELECT version FROM network_rules_version"
"""The version of the rules; no row before the first rule."""


def _query() -> Any:
    lasting = or_(NetworkRule.until.is_(None), NetworkRule.until > func.clock_timestamp())
    return select(*NetworkRule.__table__.c).where(lasting).order_by(NetworkRule.rule_id)


async def newest_rules(connection: AsyncConnection, rules_max: int) -> list[Rule]:
    """The newest rules in force, so many at most."""
    query = _query().order_by(None).order_by(NetworkRule.rule_id.desc()).limit(rules_max)
    return [_rule(row) for row in await connection.execute(query)]


async def every_rule(connection: AsyncConnection) -> AsyncIterator[Rule]:
    """All rules in force, the oldest first."""
    async with connection.stream(_query()) as rows:
        async for row in rows:
            yield _rule(row)


def _rule(row: Any) -> Rule:
    found = row._asdict()
    origin = found.pop("origin")
    return Rule(**{**found, "network": origin or str(row.network)})
