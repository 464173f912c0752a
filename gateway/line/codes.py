"""Access codes: a fan redeems one, and then joins the line in the priority class.

Postgres records the redemption before the fan joins. If the join fails afterwards, the fan's next try finds the code
redeemed by this fan, and uses up nothing.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Any, Final

from redis import asyncio as aioredis
from sqlalchemy.ext.asyncio import AsyncEngine

from db.codes.access_codes import (
    CodeRefusedError,
    CodeTakenError,
    IssueRow,
    TooManyIssuesError,
    issue_codes,
    issues,
    redeem,
    revoke_issue,
)
from db.rooms.rooms import UnknownRoomError
from db.texts import tidy
from gateway.contract.rooms import CodeIssueAnswer, CodeIssueList, CodesBody, CodesIssued
from gateway.identity.wrong_codes import WrongCodes, require_allowed
from gateway.line.registry import NO_ROOM
from gateway.wire.problems import ProblemError
from waiting_room.access import CodeHasher, random_codes
from waiting_room.key_ring import Secret
from waiting_room.limits import Allowance

LIMIT: Final = "code"
REDEEMING_MAX: Final = 4
"""At most this many connections to Postgres redeem at a time: fans with the same code wait for the lock of one row."""
WAITING_MAX: Final = 1000
WAITING_RETRY_SECONDS: Final = 2


class AccessCodes:
    """Redeems codes.

    Args:
        wrong_per_minute: how many unknown codes an address prefix may try in a minute.
    """

    def __init__(self, engine: AsyncEngine, line_redis: aioredis.Redis, secret: Secret, wrong_per_minute: int) -> None:
        self.hasher = CodeHasher(secret)
        self._engine = engine
        self._wrong = WrongCodes(line_redis, LIMIT, wrong_per_minute)
        self._turns = asyncio.Semaphore(REDEEMING_MAX)
        self._waiting = 0

    async def allowance(self, fan: int, prefix: str) -> Allowance:
        """Whether the fan, at this address prefix, may try one more code. This call itself is not counted.

        Raises:
            redis.RedisError: Redis does not answer.
        """
        return await self._wrong.allowance(fan, prefix)

    async def redeem(self, event_id: int, fan: int, prefix: str, code: str, allowance: Allowance) -> None:
        """Redeem the code for the fan. A code that this fan redeemed before is accepted again and uses up nothing.
        ``allowance`` is what `allowance` has just returned.

        Raises:
            ProblemError: ``code_unknown``, ``code_used``, ``code_not_yet`` or ``code_expired``, and nothing is
                changed; ``too_many_codes`` after too many wrong codes; ``unavailable`` if too many fans redeem at a
                time.
        """
        require_allowed(allowance)
        if self._waiting >= WAITING_MAX:
            raise ProblemError("unavailable", retry_after_seconds=WAITING_RETRY_SECONDS)
        must_wait = self._turns.locked()
        self._waiting += 1
        try:
            async with self._turns:
                if must_wait:
                    # While this fan waited, other codes of the fan or of the prefix may have turned out to be wrong.
                    await self._wrong.refuse_too_many(fan, prefix)
                await self._redeem(event_id, fan, prefix, code)
        finally:
            self._waiting -= 1

    async def _redeem(self, event_id: int, fan: int, prefix: str, code: str) -> None:
        try:
            async with self._engine.begin() as connection:
                await redeem(connection, event_id, fan, self.hasher.hashes(event_id, code))
        except CodeRefusedError as refused:
            if refused.code == "code_unknown":
                await self._wrong.count(fan, prefix)
            window: dict[str, Any] = {} if refused.at is None else {"at": refused.at.isoformat()}
            raise ProblemError(refused.code, **window) from None


class CodeIssues:
    """Issues, counts and revokes the codes of events, for operators."""

    def __init__(self, engine: AsyncEngine, hasher: CodeHasher) -> None:
        self._engine = engine
        self._hasher = hasher

    async def issue(self, event_id: int, body: CodesBody, operator: str) -> CodesIssued:
        """Issue random codes, or the one code that the operator chose. No later answer contains them.

        Raises:
            ProblemError: ``unknown_event``; ``conflict`` if the event has this code already, or has as many issues as
                it may have.
        """
        codes = [body.code] if body.code is not None else random_codes(body.count)
        try:
            async with self._engine.begin() as connection:
                issue_id = await issue_codes(
                    connection,
                    event_id,
                    [self._hasher.hash(event_id, code) for code in codes],
                    label=tidy(body.label),
                    uses_max=body.uses_max,
                    starts_at=body.starts_at,
                    ends_at=body.ends_at,
                    operator=operator,
                    why=body.why,
                    also_known_as=[] if body.code is None else self._hasher.hashes(event_id, body.code)[1:],
                )
        except UnknownRoomError:
            raise ProblemError("unknown_event", NO_ROOM) from None
        except CodeTakenError:
            raise ProblemError("conflict", "This event has such a code already.") from None
        except TooManyIssuesError:
            raise ProblemError("conflict", "This event has as many issues of codes as one may have.") from None
        return CodesIssued(issue_id=issue_id, codes=tuple(codes))

    async def issued(self, event_id: int) -> CodeIssueList:
        """The issues of codes, the newest first, each with how often it was redeemed."""
        async with self._engine.connect() as connection:
            rows = await issues(connection, event_id)
        return CodeIssueList(issues=tuple(_issue(row) for row in rows))

    async def revoke(self, event_id: int, issue_id: uuid.UUID, operator: str) -> None:
        """Revoke an issue: its codes can no longer be redeemed, and fans who redeemed one keep their place.

        Raises:
            ProblemError: ``unknown_codes``.
        """
        async with self._engine.begin() as connection:
            if not await revoke_issue(connection, event_id, issue_id, operator):
                raise ProblemError("unknown_codes")


def _issue(row: IssueRow) -> CodeIssueAnswer:
    return CodeIssueAnswer(
        issue_id=row.issue_id,
        label=row.label,
        codes=row.codes,
        uses_max=row.uses_max,
        uses=row.uses,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        issued_at=row.issued_at,
        issued_by=row.issued_by,
        revoked_at=row.revoked_at,
        revoked_by=row.revoked_by,
    )
