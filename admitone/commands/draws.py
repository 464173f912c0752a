"""The commands about a lobby's draw, which anybody may check again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from admitone.commands.environment import (
    fail,
    load_settings,
)


def verify(
    event: Annotated[int | None, typer.Argument(min=1, help="Event id; none with --export.")] = None,
    export: Annotated[
        Path | None, typer.Option(exists=True, help="Recheck this file of `admitone draw export` alone.")
    ] = None,
) -> None:
    """Recompute a draw from its seed and its list of fans; exit 1 with what differs from the numbers given."""
    from admitone.draw import DrawError, verify_export
    from admitone.draw import verify as recheck

    if (event is None) == (export is None):
        raise fail("Name either an event or a file with --export.")
    try:
        if export is not None:
            checked = verify_export(export)
        else:
            assert event is not None
            settings = load_settings()
            checked = recheck(settings.db.url, settings.redis.url, event)
    except DrawError as error:
        raise fail(f"{error}.".capitalize()) from None
    for difference in checked.differences:
        typer.echo(difference)
    if checked.differences:
        raise typer.Exit(1)
    typer.echo(f"The draw of {checked.participants} fans is as its seed says; {checked.in_line} stand in line by it.")


def export(event: Annotated[int, typer.Argument(min=1, help="Event id.")]) -> None:
    """Print a draw as it is published: seed, commitment and hashed fans in their order, as JSON."""
    from admitone.draw import DrawError
    from admitone.draw import export as published

    try:
        db = load_settings().db
        typer.echo(published(db.url, event, replica_url=db.replica_url))
    except DrawError as error:
        raise fail(f"{error}.".capitalize()) from None
