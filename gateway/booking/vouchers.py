"""Vouchers: operators issue them, and a fan asks what a hold costs with one. The booking engine counts their uses."""

from __future__ import annotations

import uuid
from typing import Final, NoReturn

from redis import asyncio as aioredis
from sqlalchemy.ext.asyncio import AsyncEngine

from db.booking.charges import Charge
from db.booking.holds import Hold
from db.texts import tidy
from db.vouchers.vouchers import (
    NewVouchers,
    TooManyVouchersError,
    UnknownEventError,
    UnknownTicketTypesError,
    VoucherIssueRow,
    VoucherTakenError,
    find_voucher,
    issue_vouchers,
    revoke_vouchers,
    voucher_issues,
)
from gateway.contract.vouchers import VoucherIssueAnswer, VoucherIssueList, VouchersBody, VouchersIssued
from gateway.identity.wrong_codes import WrongCodes
from gateway.wire.problems import ProblemError
from waiting_room.access import VOUCHERS, CodeHasher, random_codes
from waiting_room.key_ring import Secret

LIMIT: Final = "voucher"


class Vouchers:
    """The vouchers of events.

    Args:
        wrong_per_minute: how many unknown vouchers an address prefix may try in a minute.
    """

    def __init__(self, engine: AsyncEngine, line_redis: aioredis.Redis, secret: Secret, wrong_per_minute: int) -> None:
        self._engine = engine
        self._hasher = CodeHasher(secret, VOUCHERS)
        self._wrong = WrongCodes(line_redis, LIMIT, wrong_per_minute)

    async def hashes(self, event_id: int, fan: int, prefix: str, code: str) -> tuple[bytes, ...]:
        """What a checkout names the voucher by.

        Raises:
            ProblemError: ``voucher_unknown``; ``too_many_codes`` after too many wrong ones.
            redis.RedisError: Redis does not answer.
            sqlalchemy.exc.OperationalError: Postgres does not answer.
        """
        await self._wrong.refuse_too_many(fan, prefix)
        hashes = self._hasher.hashes(event_id, code)
        async with self._engine.connect() as connection:
            voucher, _ = await find_voucher(connection, event_id, hashes)
        if voucher is None:
            await self._refuse_unknown(fan, prefix)
        return hashes

    async def charges(self, hold: Hold, prefix: str, code: str) -> tuple[Charge, ...]:
        """What the seats of the hold cost with the voucher.

        Raises:
            ProblemError: ``voucher_unknown``, ``voucher_expired``, ``voucher_used``, ``voucher_not_for_these``, or
                ``too_many_codes`` after too many wrong ones.
            redis.RedisError: Redis does not answer.
            sqlalchemy.exc.OperationalError: Postgres does not answer.
        """
        await self._wrong.refuse_too_many(hold.user_id, prefix)
        async with self._engine.connect() as connection:
            voucher, now = await find_voucher(connection, hold.event_id, self._hasher.hashes(hold.event_id, code))
        if voucher is None:
            return await self._refuse_unknown(hold.user_id, prefix)
        if fault := voucher.fault(hold.seats, now):
            raise ProblemError(fault)
        return voucher.applied(hold.seats, hold.charges)

    async def _refuse_unknown(self, fan: int, prefix: str) -> NoReturn:
        await self._wrong.count(fan, prefix)
        raise ProblemError("voucher_unknown")

    async def issue(self, event_id: int, body: VouchersBody, operator: str) -> VouchersIssued:
        """Issue random vouchers, or the one that the operator chose. No later answer contains their codes.

        Raises:
            ProblemError: ``unknown_event``, ``unknown_ticket_type``; ``conflict`` if the event has this voucher
                already, or has as many issues as it may have.
        """
        codes = [body.code] if body.code is not None else random_codes(body.count)
        new = NewVouchers(
            label=tidy(body.label),
            uses_max=body.uses_max,
            basis_points=body.basis_points,
            amount=body.amount,
            ticket_type_ids=body.ticket_type_ids,
            ends_at=body.ends_at,
        )
        try:
            async with self._engine.begin() as connection:
                issue_id = await issue_vouchers(
                    connection,
                    event_id,
                    [self._hasher.hash(event_id, code) for code in codes],
                    new,
                    operator=operator,
                    why=body.why,
                    also_known_as=[] if body.code is None else self._hasher.hashes(event_id, body.code)[1:],
                )
        except UnknownEventError:
            raise ProblemError("unknown_event") from None
        except UnknownTicketTypesError as unknown:
            raise ProblemError("unknown_ticket_type", ticketTypeIds=list(unknown.ticket_type_ids)) from None
        except VoucherTakenError:
            raise ProblemError("conflict", "This event has such a voucher already.") from None
        except TooManyVouchersError:
            raise ProblemError("conflict", "This event has as many issues of vouchers as one may have.") from None
        return VouchersIssued(issue_id=issue_id, codes=tuple(codes))

    async def issued(self, event_id: int) -> VoucherIssueList:
        """The issues of vouchers, the newest first, each with how often it was used."""
        async with self._engine.connect() as connection:
            rows = await voucher_issues(connection, event_id)
        return VoucherIssueList(issues=tuple(_issue(row) for row in rows))

    async def revoke(self, event_id: int, issue_id: uuid.UUID, operator: str) -> None:
        """Revoke an issue: its vouchers can no longer be used; what was bought with one stays.

        Raises:
            ProblemError: ``unknown_vouchers``.
        """
        async with self._engine.begin() as connection:
            if not await revoke_vouchers(connection, event_id, issue_id, operator):
                raise ProblemError("unknown_vouchers")


def _issue(row: VoucherIssueRow) -> VoucherIssueAnswer:
    return VoucherIssueAnswer(
        issue_id=row.issue_id,
        label=row.label,
        vouchers=row.vouchers,
        uses_max=row.uses_max,
        uses=row.uses,
        basis_points=row.basis_points,
        amount=row.amount,
        ticket_type_ids=None if row.ticket_type_ids is None else tuple(row.ticket_type_ids),
        ends_at=row.ends_at,
        issued_at=row.issued_at,
        issued_by=row.issued_by,
        revoked_at=row.revoked_at,
        revoked_by=row.revoked_by,
    )
