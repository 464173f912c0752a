"""The commands about the database: its tables, the demo event, and the audit."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated

import typer

from admitone.commands.environment import (
    fail,
    load_settings,
    sentence,
)


def migrate(
    gateway_role: Annotated[
        str,
        typer.Option(
            help="Give this role what gateways need: it cannot write bookings. ADMITONE_GATEWAY_PASSWORD makes it."
        ),
    ] = "",
    citus: Annotated[
        bool,
        typer.Option("--citus", help="Distribute the tables by event over the nodes of the database's Citus cluster."),
    ] = False,
) -> None:
    """Bring the database's tables up to date."""
    from db.citus.distributing import NoCitusError, distribute
    from db.migrate import migrate as run
    from db.roles import grant_gateway
    from db.search.extension import NoTrigramsError

    database = load_settings().db
    try:
        run(database.url)
    except NoTrigramsError as error:
        raise fail(str(error)) from None
    if citus:
        try:
            tables = distribute(database.url)
        except NoCitusError as error:
            raise fail(str(error)) from None
        typer.echo(f"{len(tables)} tables were distributed. Set ADMITONE_DB_CITUS=true for every process.")
    if gateway_role:
        try:
            grant_gateway(database.url, gateway_role, database.gateway_password)
        except (LookupError, ValueError) as error:
            raise fail(sentence(error)) from None


def seed(
    stadium: Annotated[bool, typer.Option("--stadium", help="80,000 seats instead of the demo's 150.")] = False,
    on_sale_in: Annotated[
        float, typer.Option(help="Minutes until the sale begins; the lobby comes before it (ADMITONE_LOBBY_MINUTES).")
    ] = -60.0,
    time_zone: Annotated[
        str, typer.Option(help="The venue's time zone by its IANA name; the event begins at 20:00 there.")
    ] = "Europe/Berlin",
) -> None:
    """Make a demo event, on sale at once unless --on-sale-in is given; prints its id."""
    from db.events.seed import room_seed, seed_demo, seed_stadium
    from db.events.time_zones import is_time_zone
    from db.migrate import migrate as run

    if not is_time_zone(time_zone):
        raise fail(f"there is no time zone {time_zone!r}: name one of IANA's, e.g. Europe/Berlin")
    settings = load_settings()
    run(settings.db.url)
    make = seed_stadium if stadium else seed_demo
    typer.echo(make(settings.db.url, room=room_seed(settings.room), on_sale_minutes=on_sale_in, time_zone=time_zone))


def audit(
    ledger: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, readable=True, help="What clients were told, to compare."),
    ] = None,
) -> None:
    """Check every invariant in SQL; exit 1 with the rows that break one."""
    from db.audit.invariants import at_banks
    from db.audit.invariants import audit as check
    from db.audit.ledger import LedgerError

    settings = load_settings()
    try:
        violations = check(
            settings.db.url,
            replica_url=settings.db.replica_url,
            grace_seconds=settings.hold.grace_seconds,
            command_keep_hours=settings.lane.command_keep_hours,
            ledger=ledger,
            invoices=settings.invoice,
        )
    except LedgerError as error:
        raise fail(str(error)) from None
    for violation in violations:
        typer.echo(f"{violation.invariant}: {violation.sentence}")
        for row in violation.rows:
            typer.echo("  " + ", ".join(f"{name}={value}" for name, value in row.items()))
    if waits := at_banks(settings.db.url):
        until = waits.until.astimezone(dt.UTC)
        typer.echo(
            f"Payments that banks work on: {waits.payments}; {waits.seats} seats are kept for them,"
            f" until {until:%Y-%m-%d %H:%M} UTC at most."
        )
    if violations:
        raise typer.Exit(1)
    typer.echo("Every invariant holds.")
