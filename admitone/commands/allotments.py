"""The commands about allotments: seats that are out of the sale under a name."""

from __future__ import annotations

import uuid
from typing import Annotated

import typer

from admitone.commands.environment import fail, load_settings, sentence

Event = Annotated[int, typer.Argument(min=1, help="Event id.")]
Why = Annotated[str, typer.Option(help="For the log.")]


def make(
    event: Event,
    name: Annotated[str, typer.Option(help="What the operators call them: house seats, a sponsor's.")],
    ticket_type: Annotated[int, typer.Option(min=1, help="Of this ticket type.")],
    seats: Annotated[str, typer.Option(help='By their rows: "1: 1-4, 7; 2: 1-4".')],
    why: Why = "",
) -> None:
    """Take free seats out of the sale under a name, all of them or none; prints the allotment's id."""
    from admitone import allotments

    try:
        typer.echo(allotments.make(load_settings(), event, name, ticket_type, seats, why))
    except allotments.AllotmentError as error:
        raise fail(sentence(error)) from None


def list_all(event: Event) -> None:
    """List an event's allotments with their seats, the newest first."""
    from admitone import allotments

    try:
        for line in allotments.listed(load_settings(), event):
            typer.echo(line)
    except allotments.AllotmentError as error:
        raise fail(sentence(error)) from None


def put_back(
    event: Event,
    allotment: Annotated[uuid.UUID, typer.Argument(help="As `admitone allotment list` has it.")],
    why: Why = "",
) -> None:
    """Put the seats of an allotment back into the sale."""
    from admitone import allotments

    try:
        allotments.put_back(load_settings(), event, allotment, why)
    except allotments.AllotmentError as error:
        raise fail(sentence(error)) from None
