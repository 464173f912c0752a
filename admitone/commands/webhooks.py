"""The commands about webhooks, the endpoints that news of rooms and purchases is sent to."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from admitone.commands.environment import (
    fail,
    load_settings,
    sentence,
)


def add(
    url: Annotated[str, typer.Argument(help="https in production.")],
    kind: Annotated[
        list[str] | None, typer.Option(help="e.g. room.opened (may be given again); all by default.")
    ] = None,
    event: Annotated[int | None, typer.Option(min=1, help="News of this event alone.")] = None,
    description: Annotated[str, typer.Option()] = "",
) -> None:
    """Register a webhook; prints its number and its secret, this once."""
    from admitone import webhook
    from db.webhooks.endpoints import TooManyEndpointsError

    try:
        typer.echo(asyncio.run(webhook.add(load_settings(), url, kind or [], event, description)))
    except (ValueError, LookupError) as error:
        raise fail(sentence(error)) from None
    except TooManyEndpointsError:
        raise fail("There are as many webhooks as there may be; remove one.") from None


def list_all() -> None:
    """List webhooks: whether each works, how many messages wait for it and how many were given up."""
    from admitone import webhook

    for line in asyncio.run(webhook.listed(load_settings())):
        typer.echo(line)


def remove(number: Annotated[int, typer.Argument(min=1, help="As `admitone webhook list` has it.")]) -> None:
    """Remove a webhook; messages that wait for it are never sent."""
    from admitone import webhook

    try:
        asyncio.run(webhook.remove(load_settings(), number))
    except LookupError as error:
        raise fail(sentence(error)) from None


def resend(number: Annotated[int, typer.Argument(min=1, help="As `admitone webhook list` has it.")]) -> None:
    """Send again the messages that were given up, and print how many there are."""
    from admitone import webhook

    try:
        typer.echo(asyncio.run(webhook.resend(load_settings(), number)))
    except LookupError as error:
        raise fail(sentence(error)) from None
