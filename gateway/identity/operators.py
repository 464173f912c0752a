"""Which sessions of operators are good, and what each may do: asked of Postgres, and believed for less than a second.

A session that was ended is refused everywhere within `BELIEVED_SECONDS`, whether by sign-out, by a new password, by the
command line, or because the operator's row is gone. Redis has no part in it, so that its loss changes nothing
(docs/decisions/0064-operators-sessions-stand-in-postgres.md).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import msgspec
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from db.operators.roles import OperatorRole
from db.operators.sessions import Standing, standings
from gateway.identity.sessions import Session
from gateway.wire.problems import ProblemError
from gateway.wire.stream import Stream

logger = logging.getLogger(__name__)

BELIEVED_SECONDS: Final = 0.4
"""What Postgres said of a session is taken to be true for this long after it was asked."""
AHEAD_SECONDS: Final = 0.2
"""Of a session that is used again after this long Postgres is asked meanwhile, so that no request of it has to wait."""
BELIEVED_AWAY_SECONDS: Final = 30.0
"""As long as Postgres does not answer, what it said last is taken to be true for this long."""
READ_SECONDS_MAX: Final = 1.0
AWAY_PAUSE_SECONDS: Final = 1.0
"""After Postgres did not answer, it is asked again this much later."""
AWAY_RETRY_SECONDS: Final = 2
SESSIONS_MAX: Final = 5_000
ENDED_FRAME: Final = b"event: signed-out\ndata: {}\n\n"
"""The last word of a stream whose operator is signed out."""
_AWAY: Final = (SQLAlchemyError, OSError, TimeoutError)

Subscribe = Callable[[Stream], Awaitable[Callable[[], Awaitable[None]]]]


class OperatorSessions:
    """Confirms sessions, and ends the streams of those that are over.

    Args:
        factor_roles: an operator with one of these roles has no role at all before enrolling a second factor.
        now: the clock by which what Postgres said grows old (seconds).
    """

    def __init__(
        self, engine: AsyncEngine, factor_roles: frozenset[OperatorRole], now: Callable[[], float] = time.monotonic
    ) -> None:
        # One statement that commits by itself is one round trip in place of three.
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._factor_roles = factor_roles
        self._now = now
        self._read: dict[str, tuple[float, Session | None]] = {}
        self._asking: dict[str, tuple[float, asyncio.Task[Session | None]]] = {}
        self._streams: dict[str, set[Stream]] = {}
        self._away_until = 0.0

    async def confirmed(self, session: Session) -> Session:
        """The session as it stands now, with the operator's roles.

        Raises:
            ProblemError: ``session_invalid`` if it was ended; ``unavailable`` if Postgres has not answered for long.
        """
        now = self._now()
        read_at, standing = self._read.get(session.jti, (-BELIEVED_AWAY_SECONDS, None))
        if now - read_at > BELIEVED_SECONDS:
            try:
                if now < self._away_until:
                    raise TimeoutError
                standing = await asyncio.shield(self._ask_once(session.jti))
            except _AWAY as error:
                if now - read_at > BELIEVED_AWAY_SECONDS:
                    logger.warning("an operator's session cannot be confirmed: %s", error)
                    raise ProblemError(
                        "unavailable", retry_after_seconds=AWAY_RETRY_SECONDS, failing="postgres"
                    ) from None
        elif now - read_at > AHEAD_SECONDS and now >= self._away_until:
            self._ask_once(session.jti)
        if standing is None:
            raise ProblemError("session_invalid", headers={"WWW-Authenticate": "Bearer"})
        return standing

    def forget(self) -> None:
        """Ask Postgres anew for every session: a change was just made in this process."""
        # New ones, because what is being asked now may be answered as it was before the change.
        self._read = {}
        self._asking = {}

    def bound(self, session: Session, subscribe: Subscribe) -> Subscribe:
        """The same subscription, whose stream ends with the session. It also ends, to be opened anew, when the
        operator's roles change.
        """

        async def subscribe_bound(stream: Stream) -> Callable[[], Awaitable[None]]:
            leave = await subscribe(stream)
            streams = self._streams.setdefault(session.jti, set())
            streams.add(stream)

            async def leave_bound() -> None:
                streams.discard(stream)
                if not streams:
                    self._streams.pop(session.jti, None)
                await leave()

            return leave_bound

        return subscribe_bound

    async def keep_streams(self) -> None:
        """End the streams of sessions that are over, for as long as the process runs."""
        while True:
            await asyncio.sleep(BELIEVED_SECONDS)
            if not self._streams:
                continue
            before = {jti: self._read.get(jti, (0.0, None))[1] for jti in self._streams}
            try:
                found = await self._ask(before)
            except _AWAY:
                now = self._now()
                for jti in before:
                    if now - self._read.get(jti, (0.0, None))[0] > BELIEVED_AWAY_SECONDS:
                        self._end(jti, None)
                continue
            for jti, standing in found.items():
                if standing is None:
                    self._end(jti, ENDED_FRAME)
                elif (known := before[jti]) is not None and known.grants != standing.grants:
                    self._end(jti, None)

    def _end(self, jti: str, last: bytes | None) -> None:
        for stream in tuple(self._streams.get(jti, ())):
            stream.end(last)

    def _ask_once(self, session_id: str) -> asyncio.Task[Session | None]:
        """Ask of one session, for all requests that want to know it at the same time. Who comes long after a question
        was asked does not wait for its answer, which may be as old as the question.
        """

        async def ask() -> Session | None:
            return (await self._ask([session_id]))[session_id]

        def forget(done: asyncio.Task[Session | None]) -> None:
            if not done.cancelled():
                done.exception()  # A request that waits for the answer sees it; else the next one asks again.
            if asking.get(session_id) == (asked_at, done):
                del asking[session_id]

        asking, now = self._asking, self._now()
        asked_at, task = asking.get(session_id, (-BELIEVED_AWAY_SECONDS, None))
        if task is None or now - asked_at > BELIEVED_SECONDS:
            asked_at, task = asking[session_id] = now, asyncio.create_task(ask())
            task.add_done_callback(forget)
        return task

    async def _ask(self, session_ids: Iterable[str]) -> dict[str, Session | None]:
        wanted, read, asked_at = list(session_ids), self._read, self._now()
        try:
            async with asyncio.timeout(READ_SECONDS_MAX), self._engine.connect() as connection:
                rows = await standings(connection, wanted)
        except _AWAY:
            self._away_until = self._now() + AWAY_PAUSE_SECONDS
            raise
        if len(read) > SESSIONS_MAX:
            read.clear()
        found = {jti: self._session(rows.get(jti)) for jti in wanted}
        for jti, standing in found.items():
            if jti not in read or read[jti][0] <= asked_at:
                read[jti] = asked_at, standing
        return found

    def _session(self, standing: Standing | None) -> Session | None:
        if standing is None:
            return None
        grants = standing.grants
        roles = {*grants.events.values(), *([] if grants.site is None else [grants.site])}
        if not (standing.has_factor or standing.is_token) and roles & self._factor_roles:
            grants = msgspec.structs.replace(grants, is_held_back=True)
        return Session(0, "operator", standing.session_id, standing.name, grants=grants, is_token=standing.is_token)
