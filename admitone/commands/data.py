"""``admitone data``: the keys of what is sealed in Postgres, and fans' own data."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from typing import Annotated, Any

import psycopg
import typer

from admitone.commands.environment import fail, load_settings, need_secret, sentence
from admitone.settings import Settings
from db.connections import primary
from db.connections.urls import leads_to_citus
from db.privacy import fans
from db.sealing.rows import Sealed, seal_anew

ROWS_MAX = 500

Fan = Annotated[int | None, typer.Option(min=1, help="The fan's number, as the desk shows it.")]
Address = Annotated[str, typer.Option(help="A mail address, or a telephone number as +49301234567.")]


def _settings() -> Settings:
    settings = load_settings()
    need_secret(settings)
    return settings


def _connect(settings: Settings) -> psycopg.Connection[tuple[Any, ...]]:
    return primary.connect(settings.db.url, "admitone-data")


def _person(connection: psycopg.Connection[tuple[Any, ...]], fan: int | None, address: str) -> fans.Person:
    if (fan is None) == (not address):
        raise fail("Name either --fan or --address.")
    return fans.of_address(connection, _tidy(address)) if fan is None else fans.of_fans(connection, [fan])


def _tidy(address: str) -> str:
    from gateway.contacts.contacts import tidy_mail, tidy_phone
    from gateway.wire.problems import ProblemError

    try:
        return tidy_mail(address) if "@" in address else tidy_phone(address)
    except ProblemError as error:
        raise fail(f"{error.document['detail']}.".capitalize()) from None


def rotate(
    batch: Annotated[int, typer.Option(min=1, max=10_000, help="Rows in one transaction.")] = ROWS_MAX,
) -> None:
    """Seal all rows with the first key of ADMITONE_DATA_KEYS; while it runs, the site may sell. It may run again."""
    from admitone import keys

    settings = _settings()
    try:
        asyncio.run(keys.seal_authenticators(settings))
    except keys.KeysError as error:
        raise fail(sentence(error)) from None
    totals: dict[str, Sealed] = defaultdict(Sealed)
    with _connect(settings) as connection:
        for table, step in seal_anew(connection, batch, is_citus=leads_to_citus(settings.db.url)):
            totals[table].add(step)
    for table, total in totals.items():
        typer.echo(f"{table}: {total.rows} rows sealed anew" + (f", {total.lost} that no key opens" * bool(total.lost)))
    if any(total.lost for total in totals.values()):
        raise fail("Name the missing key in ADMITONE_DATA_KEYS, and run it again.")
    typer.echo(
        "No row needs an older key any more. Recorded outcomes may, for ADMITONE_COMMAND_KEEP_HOURS: remove it then."
    )


def export(fan: Fan = None, address: Address = "") -> None:
    """Print what Postgres has of a fan, or of the fans who gave an address, as JSON."""
    with _connect(_settings()) as connection:
        person = _person(connection, fan, address)
        found = fans.exported(connection, person)
    typer.echo(json.dumps({"fans": list(person.fans), **found}, indent=2))


def erase(
    fan: Fan = None,
    address: Address = "",
    why: Annotated[str, typer.Option(help="For the log; name nobody here.")] = "asked for erasure",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a fan's addresses and messages, and make holds and purchases nobody's. Tickets stay good at the door."""
    with _connect(_settings()) as connection:
        person = _person(connection, fan, address)
        named = f"fans {', '.join(map(str, person.fans))}" if person.fans else "no fan of an event"
        if not yes:
            typer.confirm(f"Erase {named}? Their own links to tickets will open nothing any more.", abort=True)
        try:
            events = fans.erase(connection, person, why)
        except (fans.AccountsBeingJoinedError, fans.FanHoldsSeatsError) as error:
            raise fail(str(error)) from None
        except psycopg.errors.LockNotAvailable as error:
            raise fail(sentence(error)) from None
    typer.echo(f"Erased: {named}; events {', '.join(map(str, events)) or 'none'}.")
