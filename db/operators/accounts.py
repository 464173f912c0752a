"""The accounts of operators: names, roles, and Argon2id hashes of passwords. Every change is logged.

A change that takes something from an operator ends the operator's sessions in the same transaction.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final, LiteralString, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from db.change_log.changes import Change, Subject, insert_changes
from db.connections import primary
from db.ids import new_session_id
from db.operators import sessions
from db.operators.factors import remove_factors
from db.operators.roles import OperatorRole
from db.operators.sessions import END_OF_OPERATOR, LABEL_CHARS_MAX, TOKENS_MAX, add_token, end_sessions, tokens
from db.passwords import hash_password, is_password_of
from db.texts import fault_of_name, tidy

NAME_CHARS_MAX: Final = 64
OPERATORS_MAX: Final = 1000
ALL_OPERATORS: Final = 0
"""What the log of operators is kept under."""

_ADD: Final[LiteralString] = """
INSERT INTO operator (name, password_hash, role) VALUES (%(name)s, %(password_hash)s, %(role)s)
ON CONFLICT (name) DO UPDATE SET password_hash = excluded.password_hash
RETURNING xmax = 0
"""

_CREATE: Final[LiteralString] = """
INSERT INTO operator (name, password_hash, role)
SELECT %(name)s, %(password_hash)s, %(role)s
 WHERE NOT EXISTS (SELECT FROM operator WHERE normalize(name, NFC) = %(name)s)
ON CONFLICT (name) DO NOTHING
"""

_COUNT: Final[LiteralString] = "SELECT count(*) FROM operator"

# The rows are locked, so that two owners cannot dismiss each other at the same moment.
_OWNERS: Final[LiteralString] = "SELECT name FROM operator WHERE role = 'owner' ORDER BY name FOR UPDATE"

# Names of earlier releases may be stored in another form.
_STORED_NAME: Final[LiteralString] = """
SELECT name FROM operator WHERE normalize(name, NFC) = %(name)s ORDER BY name = %(name)s DESC LIMIT 1
"""

_ACCOUNT: Final[LiteralString] = """
SELECT o.name, o.password_hash,
       EXISTS (SELECT FROM operator_session s
                WHERE s.name = o.name AND s.network = %(network)s
                  AND s.made_at > now() - make_interval(days => %(known_days)s)),
       (SELECT t.secret FROM operator_totp t WHERE t.name = o.name AND t.confirmed_at IS NOT NULL)
  FROM operator o
 WHERE normalize(o.name, NFC) = %(name)s
 ORDER BY o.name = %(name)s DESC
 LIMIT 1
"""

_LIST: Final[LiteralString] = """
SELECT o.name, o.role, o.created_at,
       (SELECT coalesce(json_object_agg(r.event_id, r.role), '{}') FROM operator_event_role r WHERE r.name = o.name),
       (SELECT count(*) FROM operator_session s
         WHERE s.name = o.name AND s.ended_at IS NULL AND s.ends_at > now()),
       (SELECT max(s.made_at) FROM operator_session s WHERE s.name = o.name),
       EXISTS (SELECT FROM operator_totp t WHERE t.name = o.name AND t.confirmed_at IS NOT NULL),
       (SELECT count(*) FROM operator_passkey p WHERE p.name = o.name)
  FROM operator o
 ORDER BY o.name
"""

_SET_PASSWORD: Final[LiteralString] = "UPDATE operator SET password_hash = %(password_hash)s WHERE name = %(name)s"  # noqa: S105 - a statement

_SITE_ROLE: Final[LiteralString] = "SELECT role FROM operator WHERE name = %(name)s FOR UPDATE"

_SET_SITE_ROLE: Final[LiteralString] = "UPDATE operator SET role = %(role)s WHERE name = %(name)s"

_EVENT_ROLE: Final[LiteralString] = """
SELECT role FROM operator_event_role WHERE name = %(name)s AND event_id = %(event_id)s FOR UPDATE
"""

_SET_EVENT_ROLE: Final[LiteralString] = """
INSERT INTO operator_event_role (name, event_id, role)
SELECT %(name)s, e.event_id, %(role)s FROM event e WHERE e.event_id = %(event_id)s
ON CONFLICT (name, event_id) DO UPDATE SET role = excluded.role
"""

_END_EVENT_ROLE: Final[LiteralString] = """
DELETE FROM operator_event_role WHERE name = %(name)s AND event_id = %(event_id)s
"""

_REMOVE: Final[LiteralString] = "DELETE FROM operator WHERE name = %(name)s"


class UnknownOperatorError(LookupError):
    """There is no such operator. The text is a sentence without its full stop."""


class OperatorExistsError(Exception):
    """There is an operator of this name."""


class MadeToken(NamedTuple):
    """A script's token that was made: its id, and the name under which it acts."""

    session_id: str
    name: str


class TooManyTokensError(Exception):
    """There are `TOKENS_MAX` tokens already."""


class TooManyOperatorsError(Exception):
    """There are `OPERATORS_MAX` operators."""


class Account(NamedTuple):
    """What signing in needs. ``is_known_network``: the operator has signed in from there. ``totp_secret`` is sealed;
    None: no authenticator's code is asked for.
    """

    name: str
    password_hash: str
    is_known_network: bool
    totp_secret: bytes | None


class OperatorRow(NamedTuple):
    """An operator as the others see them. ``role`` is for the whole site, ``event_roles`` by events' ids as text."""

    name: str
    role: str | None
    created_at: dt.datetime
    event_roles: dict[str, str]
    sessions: int
    signed_in_at: dt.datetime | None
    has_totp: bool
    passkeys: int


def add_operator(
    database_url: str, name: str, password: str, *, role: OperatorRole | None = OperatorRole.OWNER, by: str = ""
) -> str:
    """Create the operator, or give an existing one a new password, which ends the operator's sessions; returns the name
    as it is stored.

    Args:
        role: of a new operator, for the whole site; an existing one keeps theirs.
        by: who does this, for the log.

    Raises:
        ValueError: no operator may have this name, or the password is too short or too long.
    """
    name = tidy(name)
    fault = fault_of_name(name, NAME_CHARS_MAX)
    if fault is not None:
        raise ValueError(f"an operator's name: {fault}")
    password_hash = hash_password(password)
    with primary.connect(database_url, "admitone-operator", autocommit=False) as connection:
        which: dict[str, Any] = {"name": name, "password_hash": password_hash, "role": role}
        (is_new,) = connection.execute(_ADD, which).fetchone() or (False,)
        change = Change(f"{name}", "", role or "no role") if is_new else Change(f"{name} password", "", "changed")
        connection.execute(END_OF_OPERATOR, {"name": name, "but": "", "why": "password"})
        connection.execute(*insert_changes(Subject.OPERATOR, ALL_OPERATORS, [change], by or name))
    return name


async def create_operator(
    connection: AsyncConnection, name: str, password_hash: str, role: OperatorRole | None, by: str
) -> str:
    """Create an operator, and return the name as it is stored.

    Args:
        role: for the whole site.

    Raises:
        ValueError: no operator may have this name.
        OperatorExistsError, TooManyOperatorsError: nothing was created.
    """
    name = tidy(name)
    fault = fault_of_name(name, NAME_CHARS_MAX)
    if fault is not None:
        raise ValueError(f"an operator's name: {fault}")
    if (await connection.exec_driver_sql(_COUNT)).scalar_one() >= OPERATORS_MAX:
        raise TooManyOperatorsError
    which = {"name": name, "password_hash": password_hash, "role": role}
    if not (await connection.exec_driver_sql(_CREATE, which)).rowcount:
        raise OperatorExistsError
    await log(connection, Change(name, "", role or "no role"), by)
    return name


async def is_last_owner(connection: AsyncConnection, name: str) -> bool:
    """Whether nobody else is owner of the whole site. Until the transaction ends, no other one becomes or stays so."""
    return [str(row[0]) for row in await connection.exec_driver_sql(_OWNERS)] == [name]


async def find_account(connection: AsyncConnection, name: str, network: str, known_days: int) -> Account | None:
    """The account of this name, however a keyboard composes it.

    Args:
        network: where the sign-in comes from.
        known_days: the network is known for this long after a sign-in from there.
    """
    if len(name) > NAME_CHARS_MAX:
        return None
    which = {"name": tidy(name), "network": network, "known_days": known_days}
    row = (await connection.exec_driver_sql(_ACCOUNT, which)).first()
    return None if row is None else Account._make(row)


def is_password(account: Account | None, password: str) -> bool:
    """Whether it is the account's password. It takes as long for an account that does not exist."""
    return is_password_of(None if account is None else account.password_hash, password)


async def operators(connection: AsyncConnection) -> list[OperatorRow]:
    """All operators by their names."""
    return [OperatorRow._make(row) for row in await connection.exec_driver_sql(_LIST)]


async def stored_name(connection: AsyncConnection, name: str) -> str:
    """The operator's name as it is stored.

    Raises:
        UnknownOperatorError: there is no such operator.
    """
    found = (await connection.exec_driver_sql(_STORED_NAME, {"name": tidy(name)})).scalar_one_or_none()
    if found is None:
        raise UnknownOperatorError(f"there is no operator {tidy(name)}")
    return str(found)


async def set_password(connection: AsyncConnection, name: str, password_hash: str, by: str, *, but: str = "") -> None:
    """Give an operator a new password. It ends the operator's sessions, except for the one with the id ``but``."""
    await connection.exec_driver_sql(_SET_PASSWORD, {"name": name, "password_hash": password_hash})
    await connection.exec_driver_sql(END_OF_OPERATOR, {"name": name, "but": but, "why": "password"})
    await log(connection, Change(f"{name} password", "", "changed"), by)


async def set_role(
    connection: AsyncConnection, name: str, role: OperatorRole | None, by: str, *, event_id: int | None = None
) -> None:
    """Give an operator a role for the whole site or for an event, or with None take it away.

    Raises:
        LookupError: there is no such event.
    """
    which: dict[str, Any] = {"name": name, "role": role, "event_id": event_id}
    read, write = (_SITE_ROLE, _SET_SITE_ROLE) if event_id is None else (_EVENT_ROLE, _SET_EVENT_ROLE)
    if event_id is not None and role is None:
        write = _END_EVENT_ROLE
    before = (await connection.exec_driver_sql(read, which)).scalar_one_or_none()
    if before == role:
        return
    done = await connection.exec_driver_sql(write, which)
    if not done.rowcount:
        raise LookupError(f"there is no event {event_id}")
    where = "role" if event_id is None else f"role at event {event_id}"
    await log(connection, Change(f"{name} {where}", before or "none", role or "none"), by)


async def remove_operator(connection: AsyncConnection, name: str, by: str) -> None:
    """Remove an operator, with sessions, roles and second factors. What they did stays in the logs."""
    await connection.exec_driver_sql(_REMOVE, {"name": name})
    await log(connection, Change(name, "", "removed"), by)


async def reset_factors(connection: AsyncConnection, name: str, by: str) -> None:
    """Forget an operator's second factors, for one who has lost them, and end the sessions."""
    await remove_factors(connection, name)
    await end_sessions(connection, name, "second factors reset")
    await log(connection, Change(f"{name} second factors", "", "reset"), by)


async def make_token(
    connection: AsyncConnection,
    label: str,
    role: OperatorRole,
    *,
    event_id: int | None,
    by: str,
    seconds: int,
) -> MadeToken:
    """Note a script's token that ends by itself.

    Raises:
        ValueError: a token cannot be called so.
        TooManyTokensError: there are as many as there may be.
        LookupError: there is no such event.
    """
    label = tidy(label)
    fault = fault_of_name(label, LABEL_CHARS_MAX)
    if fault is not None:
        raise ValueError(f"a token's name: {fault}")
    session_id = new_session_id()
    if not await add_token(connection, session_id, label, role, event_id=event_id, made_by=by, seconds=seconds):
        if len(await tokens(connection)) >= TOKENS_MAX:
            raise TooManyTokensError
        raise LookupError("there is no such event")
    name = _name_of_token(label)
    await log(connection, Change(name, "", role), by)
    return MadeToken(session_id, name)


async def revoke_token(connection: AsyncConnection, session_id: str, by: str) -> bool:
    """End a script's token; False where there is no such one."""
    label = await sessions.revoke_token(connection, session_id)
    if label is None:
        return False
    await log(connection, Change(_name_of_token(label), "", "revoked"), by)
    return True


def _name_of_token(label: str) -> str:
    """What logs call a script's token."""
    return f"token {label}"


async def log(connection: AsyncConnection, change: Change, by: str) -> None:
    """Write a line into the log of operators."""
    await connection.exec_driver_sql(*insert_changes(Subject.OPERATOR, ALL_OPERATORS, [change], by))
