"""Sessions of operators and tokens of scripts. Postgres alone says which are good. The caller commits."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any, Final, LiteralString, NamedTuple

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.operators.roles import Grants, OperatorRole

KEPT_DAYS: Final = 90
"""The row of a session is kept for this long after the session's end."""
AGENT_CHARS_MAX: Final = 200
LABEL_CHARS_MAX: Final = 80
TOKENS_MAX: Final = 200
TOKEN_HOURS_MAX: Final = 8784
"""A year."""

_LIVE: Final[LiteralString] = "s.ended_at IS NULL AND s.ends_at > now()"

_STANDINGS: Final[LiteralString] = f"""
SELECT s.session_id, coalesce(s.name, 'token ' || s.label), s.name IS NULL,
       CASE WHEN s.name IS NOT NULL THEN o.role WHEN s.event_id IS NULL THEN s.role END,
       CASE WHEN s.name IS NOT NULL
            THEN (SELECT json_object_agg(r.event_id, r.role) FROM operator_event_role r WHERE r.name = s.name)
            WHEN s.event_id IS NOT NULL THEN json_build_object(s.event_id, s.role)
       END,
       EXISTS (SELECT FROM operator_totp t WHERE t.name = s.name AND t.confirmed_at IS NOT NULL)
       OR EXISTS (SELECT FROM operator_passkey p WHERE p.name = s.name)
  FROM operator_session s
  LEFT JOIN operator o ON o.name = s.name
 WHERE s.session_id = ANY (%(session_ids)s) AND {_LIVE}
"""  # noqa: S608 - of constants alone

_BEGIN: Final[LiteralString] = """
INSERT INTO operator_session (session_id, name, network, agent, made_by, ends_at)
VALUES (%(session_id)s, %(name)s, %(network)s, %(agent)s, %(name)s, now() + make_interval(secs => %(seconds)s))
"""

_FORGET: Final[LiteralString] = """
DELETE FROM operator_session WHERE ends_at < now() - make_interval(days => %(kept_days)s)
"""

_END: Final[LiteralString] = """
UPDATE operator_session SET ended_at = now(), ended_why = %(why)s
 WHERE session_id = %(session_id)s AND name = %(name)s AND ended_at IS NULL
"""

END_OF_OPERATOR: Final[LiteralString] = """
UPDATE operator_session SET ended_at = now(), ended_why = %(why)s
 WHERE name = %(name)s AND session_id <> %(but)s AND ended_at IS NULL
"""
"""Ends all sessions of an operator, except for the one with the id ``but``."""

_OF_OPERATOR: Final[LiteralString] = f"""
SELECT s.session_id, s.network, s.agent, s.made_at, s.ends_at
  FROM operator_session s
 WHERE s.name = %(name)s AND {_LIVE}
 ORDER BY s.made_at DESC
 LIMIT 100
"""  # noqa: S608 - of constants alone

_ADD_TOKEN: Final[LiteralString] = f"""
INSERT INTO operator_session (session_id, label, role, event_id, made_by, ends_at)
SELECT %(session_id)s, %(label)s, %(role)s, %(event_id)s, %(made_by)s, now() + make_interval(secs => %(seconds)s)
 WHERE (SELECT count(*) FROM operator_session s WHERE s.name IS NULL AND {_LIVE}) < %(tokens_max)s
   AND (%(event_id)s::bigint IS NULL OR EXISTS (SELECT 1 FROM event e WHERE e.event_id = %(event_id)s))
"""  # noqa: S608 - of constants alone

_TOKENS: Final[LiteralString] = f"""
SELECT s.session_id, s.label, s.role, s.event_id, s.made_by, s.made_at, s.ends_at
  FROM operator_session s
 WHERE s.name IS NULL AND {_LIVE}
 ORDER BY s.made_at
"""  # noqa: S608 - of constants alone

_REVOKE_TOKEN: Final[LiteralString] = """
UPDATE operator_session SET ended_at = now(), ended_why = 'revoked'
 WHERE session_id = %(session_id)s AND name IS NULL AND ended_at IS NULL
RETURNING label
"""  # noqa: S105 - a statement


class Standing(NamedTuple):
    """A live session as Postgres has it. ``is_token``: it is a script's."""

    session_id: str
    name: str
    grants: Grants
    is_token: bool
    has_factor: bool


class SessionRow(NamedTuple):
    """One of an operator's own sessions."""

    session_id: str
    network: str
    agent: str
    made_at: dt.datetime
    ends_at: dt.datetime


class TokenRow(NamedTuple):
    """A script's token, without what would prove it."""

    session_id: str
    label: str
    role: OperatorRole
    event_id: int | None
    made_by: str
    made_at: dt.datetime
    ends_at: dt.datetime


async def standings(connection: AsyncConnection, session_ids: Iterable[str]) -> dict[str, Standing]:
    """Those of the sessions that are good now, by their ids."""
    rows = await connection.exec_driver_sql(_STANDINGS, {"session_ids": list(session_ids)})
    found = {}
    for session_id, name, is_token, site, events, has_factor in map(tuple, rows):
        grants = msgspec.convert({"site": site, "events": events or {}}, Grants, strict=False)
        found[session_id] = Standing(session_id, name, grants, is_token, has_factor)
    return found


async def begin_session(
    connection: AsyncConnection, session_id: str, name: str, *, network: str, agent: str, seconds: int
) -> None:
    """Begin an operator's session, and forget those that ended long ago."""
    which: dict[str, Any] = {"session_id": session_id, "name": name, "network": network, "seconds": seconds}
    await connection.exec_driver_sql(_BEGIN, {**which, "agent": agent[:AGENT_CHARS_MAX]})
    await connection.exec_driver_sql(_FORGET, {"kept_days": KEPT_DAYS})


async def end_session(connection: AsyncConnection, session_id: str, name: str, why: str) -> bool:
    """End one of an operator's sessions; False where the operator has no such session."""
    done = await connection.exec_driver_sql(_END, {"session_id": session_id, "name": name, "why": why})
    return bool(done.rowcount)


async def end_sessions(connection: AsyncConnection, name: str, why: str, *, but: str = "") -> int:
    """End all sessions of an operator, except for the one with the id ``but``; returns how many."""
    return (await connection.exec_driver_sql(END_OF_OPERATOR, {"name": name, "but": but, "why": why})).rowcount


async def sessions_of(connection: AsyncConnection, name: str) -> list[SessionRow]:
    """An operator's live sessions, the newest first."""
    return [SessionRow._make(row) for row in await connection.exec_driver_sql(_OF_OPERATOR, {"name": name})]


async def add_token(
    connection: AsyncConnection,
    session_id: str,
    label: str,
    role: OperatorRole,
    *,
    event_id: int | None,
    made_by: str,
    seconds: int,
) -> bool:
    """Note a script's token; False where there is no such event, or there are `TOKENS_MAX` tokens already."""
    which: dict[str, Any] = {"session_id": session_id, "label": label, "role": role, "event_id": event_id}
    done = await connection.exec_driver_sql(
        _ADD_TOKEN, {**which, "made_by": made_by, "seconds": seconds, "tokens_max": TOKENS_MAX}
    )
    return bool(done.rowcount)


async def tokens(connection: AsyncConnection) -> list[TokenRow]:
    """The live tokens of scripts, the oldest first."""
    rows = await connection.exec_driver_sql(_TOKENS)
    return [TokenRow._make(row)._replace(role=OperatorRole(row.role)) for row in rows]


async def revoke_token(connection: AsyncConnection, session_id: str) -> str | None:
    """End a script's token; returns what it was called, or None where there is no such token."""
    found = (await connection.exec_driver_sql(_REVOKE_TOKEN, {"session_id": session_id})).scalar_one_or_none()
    return None if found is None else str(found)
