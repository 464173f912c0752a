"""Vouchers: operators issue, count and revoke them. The caller commits.

Vouchers are known by their hashes only (`waiting_room.access`).
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from db.booking.vouchers import Voucher as ReadVoucher
from db.booking.vouchers import voucher_row
from db.change_log.changes import Change, Subject, insert_changes
from db.tables.events import Event, Ticket
from db.tables.vouchers import Voucher, VoucherIssue

ISSUES_OF_AN_EVENT_MAX: Final = 500
VOUCHERS_MAX: Final = 10_000
"""One issue has at most so many vouchers."""
LABEL_MAX: Final = 80


class UnknownEventError(LookupError):
    """There is no such event."""


class UnknownTicketTypesError(LookupError):
    """The event has no such ticket types; ``ticket_type_ids`` are those."""

    def __init__(self, ticket_type_ids: Sequence[int]) -> None:
        super().__init__(ticket_type_ids)
        self.ticket_type_ids = tuple(ticket_type_ids)


class VoucherTakenError(Exception):
    """The event has this voucher already."""


class TooManyVouchersError(Exception):
    """The event has as many issues of vouchers as one may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVouchers:
    """Vouchers to be issued in one go, each good for ``uses_max`` purchases.

    A seat's price falls by ``basis_points`` of it (hundredths of a percent) or by ``amount`` minor units.
    ``ticket_type_ids`` is None where they are good for all seats of the event.
    """

    label: str
    uses_max: int
    basis_points: int = 0
    amount: int = 0
    ticket_type_ids: tuple[int, ...] | None = None
    ends_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VoucherIssueRow:
    """Vouchers that an operator issued in one go; ``uses`` is how many purchases were made with them."""

    issue_id: uuid.UUID
    label: str
    vouchers: int
    uses_max: int
    basis_points: int
    amount: int
    ticket_type_ids: list[int] | None
    ends_at: dt.datetime | None
    issued_at: dt.datetime
    issued_by: str
    revoked_at: dt.datetime | None
    revoked_by: str | None
    uses: int


_ISSUES = (
    select(
        *[getattr(VoucherIssue, name) for name in VoucherIssueRow.__slots__ if name != "uses"],
        func.coalesce(func.sum(Voucher.uses), 0).label("uses"),
    )
    .outerjoin(Voucher, (Voucher.event_id == VoucherIssue.event_id) & (Voucher.issue_id == VoucherIssue.issue_id))
    .group_by(VoucherIssue.event_id, VoucherIssue.issue_id)
    .order_by(VoucherIssue.issued_at.desc())
    .limit(ISSUES_OF_AN_EVENT_MAX)
)


async def issue_vouchers(
    connection: AsyncConnection,
    event_id: int,
    hashes: Sequence[bytes],
    new: NewVouchers,
    *,
    operator: str,
    why: str,
    also_known_as: Sequence[bytes] = (),
) -> uuid.UUID:
    """Issue the vouchers of these hashes, and log the operator.

    Args:
        also_known_as: the vouchers' hashes by keys that signed before, which they must not have been issued by.

    Raises:
        UnknownEventError: there is no such event.
        UnknownTicketTypesError: it has not all of the ticket types.
        VoucherTakenError: one of them is a voucher already.
        TooManyVouchersError: there are `ISSUES_OF_AN_EVENT_MAX`.
    """
    revision = await _revision(connection, event_id)
    if new.ticket_type_ids is not None:
        rows = await connection.execute(select(Ticket.ticket_type_id).where(Ticket.event_id == event_id))
        if unknown := set(new.ticket_type_ids) - {row[0] for row in rows}:
            raise UnknownTicketTypesError(sorted(unknown))
    issues = select(func.count()).select_from(VoucherIssue).where(VoucherIssue.event_id == event_id)
    if (await connection.scalar(issues) or 0) >= ISSUES_OF_AN_EVENT_MAX:
        raise TooManyVouchersError
    taken = select(Voucher.code_hash).where(Voucher.event_id == event_id, Voucher.code_hash.in_(also_known_as))
    if also_known_as and (await connection.execute(taken.limit(1))).first() is not None:
        raise VoucherTakenError
    issue_id = uuid.uuid4()
    await connection.execute(
        insert(VoucherIssue).values(
            event_id=event_id,
            issue_id=issue_id,
            label=new.label,
            vouchers=len(hashes),
            uses_max=new.uses_max,
            basis_points=new.basis_points,
            amount=new.amount,
            ticket_type_ids=None if new.ticket_type_ids is None else list(new.ticket_type_ids),
            ends_at=new.ends_at,
            issued_by=operator,
        )
    )
    row = {"event_id": event_id, "issue_id": issue_id, "uses_max": new.uses_max}
    try:
        await connection.execute(insert(Voucher), [row | {"code_hash": one} for one in hashes])
    except IntegrityError:
        raise VoucherTakenError from None
    after = f"{len(hashes)} × {new.uses_max}: {new.label}"
    await _log(connection, event_id, revision, operator, before="", after=after, why=why)
    return issue_id


async def voucher_issues(connection: AsyncConnection, event_id: int) -> list[VoucherIssueRow]:
    """The event's issues of vouchers, the newest first."""
    found = await connection.execute(_ISSUES.where(VoucherIssue.event_id == event_id))
    return [VoucherIssueRow(**row._asdict()) for row in found]


async def revoke_vouchers(connection: AsyncConnection, event_id: int, issue_id: uuid.UUID, operator: str) -> bool:
    """Revoke the issue's vouchers, and log the operator; False if there is no such issue.

    What was bought with one stays as it was bought.
    """
    issue = (VoucherIssue.issue_id == issue_id) & (VoucherIssue.event_id == event_id)
    label = await connection.scalar(
        update(VoucherIssue)
        .where(issue, VoucherIssue.revoked_at.is_(None))
        .values(revoked_at=func.clock_timestamp(), revoked_by=operator)
        .returning(VoucherIssue.label)
    )
    if label is None:
        return await connection.scalar(select(VoucherIssue.issue_id).where(issue)) is not None
    revision = await _revision(connection, event_id)
    await _log(connection, event_id, revision, operator, before=label, after="revoked", why="")
    return True


async def find_voucher(
    connection: AsyncConnection, event_id: int, hashes: Sequence[bytes]
) -> tuple[ReadVoucher | None, dt.datetime]:
    """The voucher that has one of the hashes, and Postgres' clock. It may be used up by the time of a purchase."""
    row = (
        await connection.execute(
            select(
                Voucher.event_id,
                Voucher.code_hash,
                Voucher.uses,
                Voucher.uses_max,
                VoucherIssue.basis_points,
                VoucherIssue.amount,
                VoucherIssue.ticket_type_ids,
                VoucherIssue.ends_at,
                VoucherIssue.revoked_at.is_not(None),
            )
            .join(
                VoucherIssue, (VoucherIssue.issue_id == Voucher.issue_id) & (VoucherIssue.event_id == Voucher.event_id)
            )
            .where(Voucher.event_id == event_id, Voucher.code_hash.in_(hashes))
            .limit(1)
        )
    ).one_or_none()
    now = await connection.scalar(select(func.clock_timestamp()))
    assert now is not None
    return None if row is None else voucher_row(row), now


async def _revision(connection: AsyncConnection, event_id: int) -> int:
    """The event's revision.

    Raises:
        UnknownEventError: there is no such event.
    """
    revision = await connection.scalar(select(Event.revision).where(Event.event_id == event_id))
    if revision is None:
        raise UnknownEventError
    return revision


async def _log(
    connection: AsyncConnection, event_id: int, revision: int, operator: str, *, before: str, after: str, why: str
) -> None:
    line = Change("vouchers", before, after)
    await connection.exec_driver_sql(
        *insert_changes(Subject.EVENT, event_id, [line], operator, why=why, revision=revision)
    )
