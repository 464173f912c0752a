"""The commands about operators, and about tokens for scripts."""

from __future__ import annotations

import asyncio
import secrets
import sys
from typing import Annotated

import typer

from admitone.commands.environment import (
    fail,
    load_settings,
    need_secret,
    sentence,
)
from db.operators.roles import OperatorRole
from db.operators.sessions import TOKEN_HOURS_MAX

HOURS_DEFAULT = 12

Password = Annotated[str | None, typer.Option(help="Asked for on a terminal when left out; made up otherwise.")]
Event = Annotated[int | None, typer.Option(min=1, help="The role is for this event alone.")]
ROLES = (
    "viewer reads; steward issues codes, helps fans and checks tickets in; door checks tickets in; "
    "owner does everything."
)


def _chosen(password: str | None) -> tuple[str, bool]:
    """The password, and whether the person who runs the command knows it already."""
    if password is not None:
        return password, True
    if sys.stdin.isatty():
        return typer.prompt("Password", hide_input=True, confirmation_prompt=True), True
    return secrets.token_urlsafe(12), False


def add(
    name: str,
    password: Password = None,
    role: Annotated[OperatorRole, typer.Option(help=ROLES)] = OperatorRole.OWNER,
    event: Event = None,
) -> None:
    """Create an operator, or give an existing one a new password."""
    from admitone import operator

    settings = load_settings()
    made, is_known = _chosen(password)
    try:
        name = asyncio.run(operator.add(settings, name, made, role, event))
    except (ValueError, LookupError) as error:
        raise fail(sentence(error)) from None
    typer.echo(f"Operator {name} may sign in." if is_known else f"{name} {made}")


def list_all() -> None:
    """List the operators: roles, second factors, open sessions and the last sign-in."""
    from admitone import operator

    for line in asyncio.run(operator.listed(load_settings())):
        typer.echo(line)


def remove(name: str) -> None:
    """Remove an operator; the operator's sessions end within a second."""
    from admitone import operator

    try:
        asyncio.run(operator.remove(load_settings(), name))
    except LookupError as error:
        raise fail(sentence(error)) from None


def set_role(
    name: str,
    role: Annotated[str, typer.Argument(help=f"{ROLES} none takes the role away.")],
    event: Event = None,
) -> None:
    """Give an operator another role, for the whole site or for an event."""
    from admitone import operator

    if role not in (*OperatorRole, "none"):
        raise fail(f"There is no role {role}; there are {', '.join(OperatorRole)}, and none.")
    try:
        asyncio.run(operator.set_role(load_settings(), name, None if role == "none" else OperatorRole(role), event))
    except LookupError as error:
        raise fail(sentence(error)) from None


def set_password(name: str, password: Password = None) -> None:
    """Give an operator a new password; the operator's sessions end within a second."""
    from admitone import operator

    settings = load_settings()
    made, is_known = _chosen(password)
    try:
        asyncio.run(operator.set_password(settings, name, made))
    except (ValueError, LookupError) as error:
        raise fail(sentence(error)) from None
    typer.echo(f"{name} has a new password." if is_known else f"{name} {made}")


def reset_factors(name: str) -> None:
    """Forget an operator's authenticator and passkeys, for one who has lost them; the sessions end too."""
    from admitone import operator

    try:
        asyncio.run(operator.reset_factors(load_settings(), name))
    except LookupError as error:
        raise fail(sentence(error)) from None


def token(
    context: typer.Context,
    role: Annotated[
        str, typer.Option(help="fan, or an operator's role: viewer, steward, door, owner; operator means owner.")
    ] = "fan",
    user: Annotated[
        int | None, typer.Option(min=1, max=2**53 - 1, help="A fan's user id; a new one by default.")
    ] = None,
    name: Annotated[str, typer.Option(help="What an operator's token is called in lists and logs.")] = "script",
    event: Event = None,
    hours: Annotated[
        int, typer.Option(min=1, max=TOKEN_HOURS_MAX, help="An operator's token ends then.")
    ] = HOURS_DEFAULT,
) -> None:
    """Print a session's token, for scripts."""
    if context.invoked_subcommand is not None:
        return
    from admitone import keys, operator
    from gateway.identity.sessions import Identity

    of_operator = role in (*OperatorRole, "operator")
    if not of_operator and role != "fan":
        raise fail(f"--role is fan, {', '.join(OperatorRole)}, or operator.")
    settings = load_settings(need=of_operator)
    need_secret(settings)
    identity = Identity(
        asyncio.run(keys.ring(settings)),
        session_seconds=settings.session.seconds,
        open_auth=False,
        secure=settings.site.env == "production",
    )
    if not of_operator:
        typer.echo(identity.new_fan(user)[0])
        return
    chosen = OperatorRole.OWNER if role == "operator" else OperatorRole(role)
    try:
        typer.echo(asyncio.run(operator.add_token(settings, identity, name, chosen, event, hours * 3600)))
    except (ValueError, LookupError) as error:
        raise fail(sentence(error)) from None


def list_tokens() -> None:
    """List operators' tokens for scripts: id, name, role and end."""
    from admitone import operator

    for line in asyncio.run(operator.tokens(load_settings())):
        typer.echo(line)


def revoke_token(token_id: Annotated[str, typer.Argument(help="As `admitone token list` has it.")]) -> None:
    """Revoke an operator's token; it ends within a second."""
    from admitone import operator

    try:
        asyncio.run(operator.revoke_token(load_settings(), token_id))
    except LookupError as error:
        raise fail(sentence(error)) from None
