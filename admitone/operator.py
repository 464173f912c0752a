"""``admitone operator`` and ``admitone token``: accounts, roles and scripts' tokens from the command line."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from sqlalchemy.ext.asyncio import AsyncConnection

from admitone.settings import Settings
from db.connections.engines import transaction
from db.operators import accounts, sessions
from db.operators.roles import OperatorRole
from db.passwords import hash_password
from gateway.identity.sessions import Identity

BY = "command line"


def _transaction(settings: Settings) -> AbstractAsyncContextManager[AsyncConnection]:
    return transaction(settings.db.url, "admitone-operator")


async def add(settings: Settings, name: str, password: str, role: OperatorRole, event_id: int | None) -> str:
    """Create an operator, or give an existing one a new password; returns the name as it is stored.

    Args:
        event_id: the role is for this event alone.

    Raises:
        ValueError: no operator may have this name, or the password is too short or too long.
        LookupError: there is no such event.
    """
    # Whoever gets a role for one event must not have one for the whole site, not even for a moment.
    site_role = role if event_id is None else None
    name = accounts.add_operator(settings.db.url, name, password, role=site_role, by=BY)
    if event_id is not None:
        await set_role(settings, name, role, event_id)
    return name


async def listed(settings: Settings) -> list[str]:
    """A line for each operator: the name, the roles, the second factors and the sessions."""
    async with _transaction(settings) as connection:
        return [_line(row) for row in await accounts.operators(connection)]


def _line(row: accounts.OperatorRow) -> str:
    roles = [row.role or "", *(f"{role} at event {event_id}" for event_id, role in row.event_roles.items())]
    factors = ["authenticator"] * row.has_totp + [f"{row.passkeys} passkeys"] * bool(row.passkeys)
    signed_in = "never signed in" if row.signed_in_at is None else f"signed in {row.signed_in_at:%Y-%m-%d %H:%M} UTC"
    words = (
        row.name,
        ", ".join(filter(None, roles)) or "no role",
        " and ".join(factors) or "password alone",
        f"{row.sessions} sessions",
        signed_in,
    )
    return "  ".join(words)


async def remove(settings: Settings, name: str) -> None:
    """Remove an operator; the sessions end within a second.

    Raises:
        UnknownOperatorError: there is no such operator.
    """
    async with _transaction(settings) as connection:
        await accounts.remove_operator(connection, await accounts.stored_name(connection, name), BY)


async def set_role(settings: Settings, name: str, role: OperatorRole | None, event_id: int | None) -> None:
    """Give an operator a role, or with None take it away.

    Raises:
        LookupError: there is no such operator, or no such event.
    """
    async with _transaction(settings) as connection:
        stored = await accounts.stored_name(connection, name)
        await accounts.set_role(connection, stored, role, BY, event_id=event_id)


async def set_password(settings: Settings, name: str, password: str) -> None:
    """Give an operator a new password; the sessions end within a second.

    Raises:
        UnknownOperatorError: there is no such operator.
        ValueError: the password is too short or too long.
    """
    password_hash = hash_password(password)
    async with _transaction(settings) as connection:
        await accounts.set_password(connection, await accounts.stored_name(connection, name), password_hash, BY)


async def reset_factors(settings: Settings, name: str) -> None:
    """Forget an operator's second factors and end the sessions.

    Raises:
        UnknownOperatorError: there is no such operator.
    """
    async with _transaction(settings) as connection:
        await accounts.reset_factors(connection, await accounts.stored_name(connection, name), BY)


async def add_token(
    settings: Settings, identity: Identity, label: str, role: OperatorRole, event_id: int | None, seconds: int
) -> str:
    """A script's token, which Postgres knows by its id.

    Raises:
        ValueError: a token cannot be called so.
        LookupError: there is no such event, or there are as many tokens as there may be.
    """
    async with _transaction(settings) as connection:
        try:
            made = await accounts.make_token(connection, label, role, event_id=event_id, by=BY, seconds=seconds)
        except accounts.TooManyTokensError:
            raise LookupError(f"there are {sessions.TOKENS_MAX} tokens already") from None
    return identity.operator_token(made.session_id, made.name, seconds)


async def tokens(settings: Settings) -> list[str]:
    """A line for each token of a script that is good: its id, name, role and end."""
    async with _transaction(settings) as connection:
        rows = await sessions.tokens(connection)
    return [
        f"{row.session_id}  {row.label}  {row.role}{'' if row.event_id is None else f' at event {row.event_id}'}"
        f"  until {row.ends_at:%Y-%m-%d %H:%M} UTC, made {row.made_at:%Y-%m-%d} by {row.made_by}"
        for row in rows
    ]


async def revoke_token(settings: Settings, session_id: str) -> None:
    """End a script's token within a second.

    Raises:
        LookupError: there is no such token.
    """
    async with _transaction(settings) as connection:
        if not await accounts.revoke_token(connection, session_id, BY):
            raise LookupError(f"there is no token {session_id}; `admitone token list` lists them")
