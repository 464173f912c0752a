"""``admitone networks``: networks that are let through or turned away."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from pathlib import Path
from typing import Annotated

import typer

from admitone.commands.environment import fail, load_settings
from db.connections.engines import transaction
from db.networks.rules import Rule, TooManyRulesError, Verdict, add_rules, network_of, newest_rules, remove_rule

APPLICATION = "admitone-networks"
LISTED_MAX = 1000

Reason = Annotated[str, typer.Option(help="Told to the fans of a network that is turned away.")]
Hours = Annotated[float | None, typer.Option(min=0.01, help="How long; for good without it.")]


def _add(networks: list[str], verdict: Verdict, reason: str, hours: float | None) -> None:
    settings = load_settings()
    try:
        named = [network_of(network) for network in networks]
    except ValueError as error:
        raise fail(f"{error}.") from None
    until = None if hours is None else dt.datetime.now(dt.UTC) + dt.timedelta(hours=hours)

    async def add() -> int:
        async with transaction(settings.db.url, APPLICATION) as connection:
            made = await add_rules(
                connection, named, verdict=verdict, until=until, reason=reason, made_by="command line"
            )
        return len(made)

    try:
        typer.echo(f"{asyncio.run(add())} rules made; in force within a second.")
    except TooManyRulesError:
        raise fail("There would be more rules than there may be; none was made.") from None


def deny(networks: list[str], reason: Reason, hours: Hours = None) -> None:
    """Turn networks away: CIDR or single addresses. Their fans can read pages, and are told the reason."""
    _add(networks, "deny", reason, hours)


def allow(networks: list[str], reason: Reason, hours: Hours = None) -> None:
    """Let networks through: their fans need no proofs, and count with no network."""
    _add(networks, "allow", reason, hours)


def read_file(
    path: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    reason: Reason,
    verdict: Annotated[str, typer.Option(help="deny or allow.")] = "deny",
    hours: Hours = None,
) -> None:
    """Read networks from a file, one a line; what follows a # is a comment."""
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    if verdict not in ("deny", "allow"):
        raise fail("--verdict is deny or allow.")
    _add([line for line in lines if line], "allow" if verdict == "allow" else "deny", reason, hours)


def list_all() -> None:
    """List the newest rules in force."""
    settings = load_settings()

    async def rules() -> list[Rule]:
        async with transaction(settings.db.url, APPLICATION) as connection:
            return await newest_rules(connection, LISTED_MAX)

    for rule in asyncio.run(rules()):
        until = "for good" if rule.until is None else f"until {rule.until:%Y-%m-%d %H:%M} UTC"
        typer.echo(f"{rule.rule_id}  {rule.verdict:5}  {rule.network}  {until}  {rule.made_by}: {rule.reason}")


def remove(rule_id: uuid.UUID) -> None:
    """End a rule."""
    settings = load_settings()

    async def end() -> bool:
        async with transaction(settings.db.url, APPLICATION) as connection:
            return await remove_rule(connection, rule_id)

    if not asyncio.run(end()):
        raise fail("There is no such rule.")
