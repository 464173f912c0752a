"""The commands about an event's room, and about the access codes to its priority class."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from admitone.commands.environment import (
    fail,
    load_settings,
    need_secret,
    sentence,
)
from admitone.dial_options import with_dials
from db.rooms.dials import DialValue


@with_dials
def room(
    event: Annotated[int, typer.Argument(min=1, help="Event id.")],
    dials: dict[str, DialValue],
    pause: Annotated[bool | None, typer.Option("--pause/--resume", help="Call nobody for now, or go on.")] = None,
    close: Annotated[bool | None, typer.Option("--close/--open", help="Let nobody join any more, or again.")] = None,
    why: Annotated[str, typer.Option(help="For the log.")] = "",
) -> None:
    """Show an event's room, or steer its door."""
    from admitone.room import show_or_steer
    from db.rooms.steering import Ask, SteeringRefusedError

    settings = load_settings()
    ask = Ask(paused=pause, closed=close, dials=dials)
    try:
        typer.echo(asyncio.run(show_or_steer(settings, event, ask if ask != Ask() else None, why)))
    except (LookupError, SteeringRefusedError) as error:
        raise fail(sentence(error)) from None


def codes(
    event: Annotated[int, typer.Argument(min=1, help="Event id.")],
    label: Annotated[str, typer.Option(help="What the operators call them.")] = "codes",
    count: Annotated[int, typer.Option(min=1, max=10_000, help="How many random codes.")] = 1,
    code: Annotated[str | None, typer.Option(help="One code of a name of your own instead.")] = None,
    uses: Annotated[int, typer.Option(min=1, max=1_000_000, help="Fans who may redeem each.")] = 1,
    hours: Annotated[float | None, typer.Option(min=0.01, max=87_600, help="Good for so long from now on.")] = None,
    why: Annotated[str, typer.Option(help="For the log.")] = "",
) -> None:
    """Issue access codes, which let fans wait in the priority class, and print them; they are shown only this once."""
    from admitone.codes import CodesError, issue

    settings = load_settings()
    need_secret(settings)
    try:
        for one in asyncio.run(issue(settings, event, label, count=count, code=code, uses=uses, hours=hours, why=why)):
            typer.echo(one)
    except CodesError as error:
        raise fail(str(error)) from None
