"""The commands about operators, and about session tokens for scripts."""

from __future__ import annotations

import secrets
import sys
from typing import Annotated

import typer

from admitone.commands.environment import (
    fail,
    load_settings,
    need_secret,
)


def add(
    name: str,
    password: Annotated[
        str | None, typer.Option(help="Asked for on a terminal when left out; made up otherwise.")
    ] = None,
) -> None:
    """Create an operator, or give one a new password."""
    from db.operators import add_operator

    settings = load_settings()
    made = password
    if made is None:
        asks = sys.stdin.isatty()
        made = (
            typer.prompt("Password", hide_input=True, confirmation_prompt=True) if asks else secrets.token_urlsafe(12)
        )
    try:
        name = add_operator(settings.db.url, name, made)
    except ValueError as error:
        raise fail(str(error)) from None
    typer.echo(f"Operator {name} may sign in." if password or sys.stdin.isatty() else f"{name} {made}")


def token(
    role: Annotated[str, typer.Option(help="fan or operator.")] = "fan",
    user: Annotated[
        int | None, typer.Option(min=1, max=2**53 - 1, help="A fan's user id; a new one by default.")
    ] = None,
) -> None:
    """Print a session's token, for scripts."""
    from gateway.identity.sessions import Identity

    settings = load_settings(need=False)
    need_secret(settings)
    identity = Identity(
        settings.site.secret,
        session_seconds=settings.session.seconds,
        open_auth=False,
        secure=settings.site.env == "production",
    )
    if role == "operator":
        typer.echo(identity.new_operator("token"))
    elif role == "fan":
        typer.echo(identity.new_fan(user)[0])
    else:
        raise fail("--role is fan or operator.")
