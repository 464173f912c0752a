"""Access codes: a fan redeems one, and then joins the line in the priority class.

Postgres keeps what is redeemed, and is written first: should the join fail afterwards, the fan's next try finds the
code redeemed by this fan, and uses up nothing. Only wrong codes count towards the limits of a fan and of an address
prefix, for many fans with right codes come from one network at one moment.
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
from gateway.contract.rooms import CodeIssueAnswer, CodeIssueList, CodesBody, CodesIssued
from gateway.line.registry import NO_ROOM
from gateway.wire.problems import ProblemError
from waiting_room.access import CodeHasher, random_codes
from waiting_room.limits import Allowance, allow

LIMIT: Final = "code"
FAN_WRONG_PER_MINUTE: Final = 10
REDEEMING_MAX: Final = 4
"""Connections to Postgres used for redeeming: fans of one code wait for one row."""
WAITING_MAX: Final = 1000
WAITING_RETRY_SECONDS: Final = 2


class AccessCodes:
    """Redeems codes.

    Args:
        wrong_per_minute: unknown codes tried per address prefix.
    """

    def __init__(self, engine: AsyncEngine, line_redis: aioredis.Redis, secret: str, wrong_per_minute: int) -> None:
        self.hasher = CodeHasher(secret)
        self._engine = engine
        self._redis = line_redis
        self._wrong_per_minute = wrong_per_minute
        self._turns = asyncio.Semaphore(REDEEMING_MAX)
        self._waiting = 0

    async def allowance(self, fan: int, prefix: str) -> Allowance:
        """Whether the fan, at this address prefix, may try one more code; nothing is counted.

        Raises:
            redis.RedisError
        """
        return await self._wrong_codes(fan, prefix, count=False)

    async def redeem(self, event_id: int, fan: int, prefix: str, code: str, allowance: Allowance) -> None:
        """Redeem the code for the fan; a code that this fan redeemed before is redeemed. The ``allowance`` is one that
        was just asked for.

        Raises:
            ProblemError: ``code_unknown``, ``code_used``, ``code_not_yet`` or ``code_expired``, and nothing was
                changed; ``too_many_codes`` after too many wrong ones; ``unavailable`` where too many fans redeem.
        """
        _require_allowed(allowance)
        if self._waiting >= WAITING_MAX:
            raise ProblemError("unavailable", retry_after_seconds=WAITING_RETRY_SECONDS)
        must_wait = self._turns.locked()
        self._waiting += 1
        try:
            async with self._turns:
                if must_wait:
                    # Meanwhile other codes of the fan, or of the prefix, may have turned out to be wrong.
                    _require_allowed(await self.allowance(fan, prefix))
                await self._redeem(event_id, fan, prefix, code)
        finally:
            self._waiting -= 1

    async def _redeem(self, event_id: int, fan: int, prefix: str, code: str) -> None:
        try:
            async with self._engine.begin() as connection:
                await redeem(connection, event_id, fan, self.hasher.hash(event_id, code))
        except CodeRefusedError as refused:
            if refused.code == "code_unknown":
                _require_allowed(await self._wrong_codes(fan, prefix, count=True))
            window: dict[str, Any] = {} if refused.at is None else {"at": refused.at.isoformat()}
            raise ProblemError(refused.code, **window) from None

    async def _wrong_codes(self, fan: int, prefix: str, *, count: bool) -> Allowance:
        """The stricter allowance of the fan's and the prefix's, in one round trip."""
        of_fan, of_prefix = await asyncio.gather(
            allow(self._redis, LIMIT, f"fan:{fan}", FAN_WRONG_PER_MINUTE, count=count),
            allow(self._redis, LIMIT, prefix, self._wrong_per_minute, count=count),
        )
        return of_prefix if of_fan.allowed else of_fan


class CodeIssues:
    """Codes as the operators of an event issue, count and revoke them."""

    def __init__(self, engine: AsyncEngine, hasher: CodeHasher) -> None:
        self._engine = engine
        self._hasher = hasher

    async def issue(self, event_id: int, body: CodesBody, operator: str) -> CodesIssued:
        """Issue random codes, or one of the operators' own naming. No later answer shows them.

        Raises:
            ProblemError: ``unknown_event``; ``conflict`` for a code or an issue too many.
        """
        codes = [body.code] if body.code is not None else random_codes(body.count)
        try:
            async with self._engine.begin() as connection:
                issue_id = await issue_codes(
                    connection,
                    event_id,
                    [self._hasher.hash(event_id, code) for code in codes],
                    label=body.label.strip(),
                    uses_max=body.uses_max,
                    starts_at=body.starts_at,
                    ends_at=body.ends_at,
                    operator=operator,
                    why=body.why,
                )
        except UnknownRoomError:
            raise ProblemError("unknown_event", NO_ROOM) from None
        except CodeTakenError:
            raise ProblemError("conflict", "This event has such a code already.") from None
        except TooManyIssuesError:
            raise ProblemError("conflict", "This event has as many issues of codes as one may have.") from None
        return CodesIssued(issue_id=issue_id, codes=tuple(codes))

    async def issued(self, event_id: int) -> CodeIssueList:
        """What was issued, the newest first, and how often it was redeemed."""
        async with self._engine.connect() as connection:
            found = await issues(connection, event_id)
        return CodeIssueList(issues=tuple(_issue(row) for row in found))

    async def revoke(self, event_id: int, issue_id: uuid.UUID, operator: str) -> None:
        """Let an issue's codes be redeemed no more; fans who redeemed one keep their place.

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


def _require_allowed(allowance: Allowance) -> None:
    if not allowance.allowed:
        raise ProblemError("too_many_codes", retry_after_seconds=max(1, allowance.retry_after_seconds))
