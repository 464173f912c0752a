"""Access codes: operators issue them, and each fan redeems one once. The caller commits.

Codes are known by their hashes only (`waiting_room.access`).
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from db.change_log.changes import Change, Subject, insert_changes
from db.rooms.rooms import UnknownRoomError
from db.tables.codes import AccessCode, CodeIssue, CodeRedemption
from db.tables.rooms import Room

ISSUES_OF_AN_EVENT_MAX: Final = 500
CODES_MAX: Final = 10_000
"""One issue has at most so many codes."""
LABEL_MAX: Final = 80

Refusal = Literal["code_unknown", "code_used", "code_not_yet", "code_expired"]


class CodeRefusedError(Exception):
    """The code cannot be redeemed, or not now; nothing was changed. ``at`` is the moment at which its window begins or
    ended.
    """

    def __init__(self, code: Refusal, at: dt.datetime | None = None) -> None:
        super().__init__(code)
        self.code: Refusal = code
        self.at = at


class CodeTakenError(Exception):
    """The event has this code already."""


class TooManyIssuesError(Exception):
    """The event has as many issues as one may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueRow:
    """Codes that an operator issued in one go: ``codes`` of them, each good ``uses_max`` times within the window;
    ``uses`` is how often they were redeemed.
    """

    issue_id: uuid.UUID
    label: str
    codes: int
    uses_max: int
    starts_at: dt.datetime | None
    ends_at: dt.datetime | None
    issued_at: dt.datetime
    issued_by: str
    revoked_at: dt.datetime | None
    revoked_by: str | None
    uses: int


_ISSUES = (
    select(
        CodeIssue.issue_id,
        CodeIssue.label,
        CodeIssue.codes,
        CodeIssue.uses_max,
        CodeIssue.starts_at,
        CodeIssue.ends_at,
        CodeIssue.issued_at,
        CodeIssue.issued_by,
        CodeIssue.revoked_at,
        CodeIssue.revoked_by,
        func.coalesce(func.sum(AccessCode.uses), 0).label("uses"),
    )
    .outerjoin(AccessCode, (AccessCode.event_id == CodeIssue.event_id) & (AccessCode.issue_id == CodeIssue.issue_id))
    .group_by(CodeIssue.event_id, CodeIssue.issue_id)
    .order_by(CodeIssue.issued_at.desc())
    .limit(ISSUES_OF_AN_EVENT_MAX)
)


async def issue_codes(
    connection: AsyncConnection,
    event_id: int,
    hashes: Sequence[bytes],
    *,
    label: str,
    uses_max: int,
    starts_at: dt.datetime | None,
    ends_at: dt.datetime | None,
    operator: str,
    why: str,
    also_known_as: Sequence[bytes] = (),
) -> uuid.UUID:
    """Issue the codes of these hashes, and log the operator.

    Args:
        also_known_as: the codes' hashes by keys that signed before, which they must not have been issued by.

    Raises:
        UnknownRoomError: the event has no room.
        CodeTakenError: one of them is a code already.
        TooManyIssuesError: there are `ISSUES_OF_AN_EVENT_MAX`.
    """
    revision = await _revision(connection, event_id)
    issues = select(func.count()).select_from(CodeIssue).where(CodeIssue.event_id == event_id)
    if (await connection.scalar(issues) or 0) >= ISSUES_OF_AN_EVENT_MAX:
        raise TooManyIssuesError
    taken = select(AccessCode.code_hash).where(AccessCode.event_id == event_id, AccessCode.code_hash.in_(also_known_as))
    if also_known_as and (await connection.execute(taken.limit(1))).first() is not None:
        raise CodeTakenError
    issue_id = uuid.uuid4()
    await connection.execute(
        insert(CodeIssue).values(
            event_id=event_id,
            issue_id=issue_id,
            label=label,
            codes=len(hashes),
            uses_max=uses_max,
            starts_at=starts_at,
            ends_at=ends_at,
            issued_by=operator,
        )
    )
    try:
        await connection.execute(
            insert(AccessCode),
            [{"event_id": event_id, "issue_id": issue_id, "code_hash": code_hash} for code_hash in hashes],
        )
    except IntegrityError:
        raise CodeTakenError from None
    after = f"{len(hashes)} × {uses_max}: {label}"
    await _log(connection, event_id, revision, operator, before="", after=after, why=why)
    return issue_id


async def issues(connection: AsyncConnection, event_id: int) -> list[IssueRow]:
    """The event's issues, the newest first."""
    found = await connection.execute(_ISSUES.where(CodeIssue.event_id == event_id))
    return [IssueRow(**row._asdict()) for row in found]


async def revoke_issue(connection: AsyncConnection, event_id: int, issue_id: uuid.UUID, operator: str) -> bool:
    """Revoke the issue's codes, and log the operator; False if there is no such issue.

    A fan that redeemed a code before keeps its place.
    """
    issue = (CodeIssue.issue_id == issue_id) & (CodeIssue.event_id == event_id)
    label = await connection.scalar(
        update(CodeIssue)
        .where(issue, CodeIssue.revoked_at.is_(None))
        .values(revoked_at=func.clock_timestamp(), revoked_by=operator)
        .returning(CodeIssue.label)
    )
    if label is None:
        return await connection.scalar(select(CodeIssue.issue_id).where(issue)) is not None
    revision = await _revision(connection, event_id)
    await _log(connection, event_id, revision, operator, before=label, after="revoked", why="")
    return True


async def redeem(connection: AsyncConnection, event_id: int, user_id: int, code_hashes: Sequence[bytes]) -> None:
    """Redeem the code that has one of the hashes. If the fan redeemed it before, that uses it up no further.

    The caller commits, but must not if the code is refused. The only row that several fans of one code write is locked
    last, so that it is locked only while the transaction commits.

    Raises:
        CodeRefusedError: no such code or revoked, its window closed, or used up.
    """
    issued = (
        await connection.execute(
            select(
                AccessCode.code_hash,
                CodeIssue.uses_max,
                CodeIssue.starts_at,
                CodeIssue.ends_at,
                func.clock_timestamp().label("now"),
            )
            .join(AccessCode, (AccessCode.issue_id == CodeIssue.issue_id) & (AccessCode.event_id == CodeIssue.event_id))
            .where(
                AccessCode.code_hash.in_(code_hashes),
                AccessCode.event_id == event_id,
                CodeIssue.revoked_at.is_(None),
            )
        )
    ).first()
    if issued is None:
        raise CodeRefusedError("code_unknown")
    if issued.starts_at is not None and issued.now < issued.starts_at:
        raise CodeRefusedError("code_not_yet", issued.starts_at)
    if issued.ends_at is not None and issued.now >= issued.ends_at:
        raise CodeRefusedError("code_expired", issued.ends_at)
    code = (AccessCode.code_hash == issued.code_hash) & (AccessCode.event_id == event_id)
    first = await connection.scalar(
        postgresql.insert(CodeRedemption)
        .values(event_id=event_id, user_id=user_id, code_hash=issued.code_hash)
        .on_conflict_do_nothing()
        .returning(CodeRedemption.user_id)
    )
    if first is None:
        return
    used = await connection.execute(
        update(AccessCode).where(code, AccessCode.uses < issued.uses_max).values(uses=AccessCode.uses + 1)
    )
    if used.rowcount == 0:
        raise CodeRefusedError("code_used")


async def _revision(connection: AsyncConnection, event_id: int) -> int:
    """The room's revision, with its row locked.

    Raises:
        UnknownRoomError: the event has no room.
    """
    revision = await connection.scalar(select(Room.revision).where(Room.event_id == event_id).with_for_update())
    if revision is None:
        raise UnknownRoomError
    return revision


async def _log(
    connection: AsyncConnection, event_id: int, revision: int, operator: str, *, before: str, after: str, why: str
) -> None:
    line = Change("codes", before, after)
    await connection.exec_driver_sql(
        *insert_changes(Subject.ROOM, event_id, [line], operator, why=why, revision=revision)
    )
