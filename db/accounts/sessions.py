"""Sessions of accounts. Their tokens are signed; Postgres says which were ended. The caller commits."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final, LiteralString, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

KNOWN_DAYS: Final = 90
"""A network is known for so long after a sign-in from there; so long a session's row is kept after its end."""
AGENT_CHARS_MAX: Final = 200

_BEGIN: Final[LiteralString] = """
INSERT INTO account_session (session_id, user_id, network, agent, ends_at)
VALUES (%(session_id)s, %(user_id)s, %(network)s, %(agent)s, clock_timestamp() + make_interval(secs => %(seconds)s))
"""

# A join of the account waits for the session that begins, or is seen here.
_IS_JOINED: Final[LiteralString] = """
SELECT merged_into IS NOT NULL FROM account WHERE user_id = %(user_id)s FOR SHARE
"""

_FORGET: Final[LiteralString] = """
DELETE FROM account_session
 WHERE session_id IN (SELECT session_id
                        FROM account_session
                       WHERE ends_at < now() - make_interval(days => %(known_days)s)
                       LIMIT 100)
"""

_END: Final[LiteralString] = """
UPDATE account_session SET ended_at = clock_timestamp(), ended_why = %(why)s
 WHERE session_id = %(session_id)s AND user_id = %(user_id)s AND ended_at IS NULL
"""

_END_ALL: Final[LiteralString] = """
UPDATE account_session SET ended_at = clock_timestamp(), ended_why = %(why)s
 WHERE user_id = %(user_id)s AND session_id <> %(but)s AND ended_at IS NULL
"""

_OF_ACCOUNT: Final[LiteralString] = """
SELECT session_id, network, agent, made_at, ends_at
  FROM account_session
 WHERE user_id = %(user_id)s AND ended_at IS NULL AND ends_at > now()
 ORDER BY made_at DESC
 LIMIT 100
"""

READ_ENDED: Final[LiteralString] = """
SELECT session_id, user_id, extract(epoch FROM ends_at)::float8
  FROM account_session
 WHERE ended_at IS NOT NULL AND ends_at > now()
   AND (%(seconds)s::float8 IS NULL OR ended_at > clock_timestamp() - make_interval(secs => %(seconds)s::float8))
"""
"""Rows of `EndedSession`: sessions that were ended before their time. With ``seconds``: in the last so many alone."""


class AccountSessionRow(NamedTuple):
    """One of an account's live sessions."""

    session_id: str
    network: str
    agent: str
    made_at: dt.datetime
    ends_at: dt.datetime


class EndedSession(NamedTuple):
    """A session that was ended, and when its tokens end by themselves (Unix time, seconds)."""

    session_id: str
    user_id: int
    ends_at_seconds: float


class JoinedAccountError(Exception):
    """The account was joined to another one, and nobody signs in to it any more."""


async def begin_session(
    connection: AsyncConnection, session_id: str, user_id: int, *, network: str, agent: str, seconds: int
) -> None:
    """Begin a session of an account, and forget some that ended long ago.

    Raises:
        JoinedAccountError: see there.
    """
    if (await connection.exec_driver_sql(_IS_JOINED, {"user_id": user_id})).scalar():
        raise JoinedAccountError
    which: dict[str, Any] = {"session_id": session_id, "user_id": user_id, "network": network, "seconds": seconds}
    await connection.exec_driver_sql(_BEGIN, {**which, "agent": agent[:AGENT_CHARS_MAX]})
    await connection.exec_driver_sql(_FORGET, {"known_days": KNOWN_DAYS})


async def end_session(connection: AsyncConnection, session_id: str, user_id: int, why: str) -> bool:
    """End one of an account's sessions; False where the account has no such session."""
    done = await connection.exec_driver_sql(_END, {"session_id": session_id, "user_id": user_id, "why": why})
    return bool(done.rowcount)


async def end_sessions(connection: AsyncConnection, user_id: int, why: str, *, but: str = "") -> int:
    """End all sessions of an account, except for the one with the id ``but``; returns how many."""
    return (await connection.exec_driver_sql(_END_ALL, {"user_id": user_id, "but": but, "why": why})).rowcount


async def sessions_of(connection: AsyncConnection, user_id: int) -> list[AccountSessionRow]:
    """An account's live sessions, the newest first."""
    return [AccountSessionRow._make(row) for row in await connection.exec_driver_sql(_OF_ACCOUNT, {"user_id": user_id})]
