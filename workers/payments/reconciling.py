"""Holds payments against their providers: what a provider took or gave back, and what we know of it.

A provider's lists are read first, page by page, so that a whole sale is compared by some hundred calls. Where something
differs, both sides are asked once more about that payment alone, because both move meanwhile.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import psycopg

from db.connections import primary
from db.ids import uuid7
from db.payments import reconciling as sql
from db.payments.cashier import HINT
from db.payments.reconciling import Found, KnownPayment
from db.payments.states import PaymentState
from payments.provider import Answer, PaymentAsk, Provider, ProviderAwayError, ProviderRefusedError, Standing, Taken

ROWS_MAX: Final = 500
MARGIN_HOURS: Final = 1
"""Providers are asked for payments that are older by so much: their clocks are not ours."""
MENDED_STATES: Final = (PaymentState.NEW, PaymentState.OPEN, PaymentState.FAILED)
"""A payment in one of these states is booked or paid back once the cashier hears that it was paid."""

Connection = psycopg.AsyncConnection[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Reconciled:
    """How many payments were compared, and what was found."""

    payments: int
    differences: tuple[Found, ...]


async def reconcile(
    database_url: str, providers: Mapping[str, Provider], *, hours: int, resend: bool = False
) -> Reconciled:
    """Compare every payment of the last ``hours`` with the providers' books, and note the result. What was paid and is
    not known is left to the cashier, which books it or pays it back; everything else is reported.

    Args:
        resend: send refunds again that were given up.

    Raises:
        psycopg.OperationalError: Postgres is out of reach.
    """
    connection = await primary.connect_async(database_url, "admitone-reconcile")
    async with connection:
        if resend:
            await connection.execute(sql.SEND_DEAD_AGAIN)
        done = await _compared_and_noted(connection, providers, hours, minutes=0)
        assert done is not None
        return done


async def reconcile_if_due(
    database_url: str, providers: Mapping[str, Provider], *, minutes: int, hours: int
) -> Reconciled | None:
    """The same, unless that was begun in the last ``minutes`` or another process is at it: then None.

    Raises:
        psycopg.OperationalError: Postgres is out of reach.
    """
    connection = await primary.connect_async(database_url, "admitone-reconcile")
    async with connection:
        return await _compared_and_noted(connection, providers, hours, minutes=minutes)


async def _compared_and_noted(
    connection: Connection, providers: Mapping[str, Provider], hours: int, *, minutes: int
) -> Reconciled | None:
    name = uuid7()
    begin = {"reconciliation_id": name, "hours": hours, "minutes": minutes, "lock": sql.LOCK}
    begun = await (await connection.execute(sql.BEGIN, begin)).fetchone()
    if begun is None:
        return None
    comparison = _Comparison(connection, providers)
    payments = await comparison.compare(begun[0], hours)
    differences = tuple(comparison.found)
    note = {
        "reconciliation_id": name,
        "payments": payments,
        "differences": msgspec.json.encode(differences[: sql.DIFFERENCES_MAX]).decode(),
    }
    await connection.execute(sql.NOTE, note)
    await connection.execute(sql.FORGET, {"kept_max": sql.KEPT_MAX})
    return Reconciled(payments, differences)


class _Comparison:
    """One comparison under way."""

    def __init__(self, connection: Connection, providers: Mapping[str, Provider]) -> None:
        self._connection = connection
        self._providers = providers
        self.found: list[Found] = []

    async def compare(self, now: dt.datetime, hours: int) -> int:
        """Compare all; how many payments of ours were looked at."""
        since = now - dt.timedelta(hours=hours + MARGIN_HOURS)
        taken: dict[uuid.UUID, list[Taken]] = defaultdict(list)
        provider_of: dict[uuid.UUID, str] = {}
        for name, provider in self._providers.items():
            try:
                async for one in provider.taken(since):
                    taken[one.payment_id].append(one)
                    provider_of[one.payment_id] = name
            except (ProviderAwayError, ProviderRefusedError) as error:
                self.found.append(Found(provider=name, sentence=f"{name} says: {error}"))
        payments, after = 0, uuid.UUID(int=0)
        while True:
            which = {"hours": hours, "after": after, "rows_max": ROWS_MAX}
            rows = await (await self._connection.execute(sql.READ_SETTLED, which)).fetchall()
            for known in map(KnownPayment._make, rows):
                payments += 1
                after = known.payment_id
                await self._hold_against(known, taken.pop(known.payment_id, []))
            if len(rows) < ROWS_MAX:
                break
        for payment_id, ones in taken.items():
            await self._of_stranger(provider_of[payment_id], ones[0])
        return payments

    async def _hold_against(self, known: KnownPayment, taken: list[Taken]) -> None:
        if len(taken) > 1:
            self._add(known, f"it was paid {len(taken)} times: {', '.join(one.provider_ref for one in taken)}")
            return
        took = taken[0].amount if taken else 0
        refunded = taken[0].refunded if taken else 0
        if not difference_of(known, took, refunded):
            return
        provider = self._providers.get(known.provider)
        if provider is None:
            self._add(known, f"this site has no provider {known.provider}")
            return
        try:
            answer = await provider.look(
                PaymentAsk(known.event_id, known.payment_id, 0, known.currency, known.provider_ref)
            )
        except (ProviderAwayError, ProviderRefusedError) as error:
            self._add(known, f"{known.provider} says: {error}")
            return
        which = {"event_id": known.event_id, "payment_id": known.payment_id}
        row = await (await self._connection.execute(sql.READ_KNOWN, which)).fetchone()
        assert row is not None
        known = KnownPayment._make(row)
        took, refunded = _of_answer(answer)
        if not (sentence := difference_of(known, took, refunded)):
            return
        mends = took > 0 and known.captured_amount is None and known.state in MENDED_STATES
        if mends:
            await self._connection.execute(HINT, which)
        self._add(known, sentence, mended=mends)

    async def _of_stranger(self, provider: str, taken: Taken) -> None:
        """Money that was taken for a payment which is older, or of which we do not know what the provider calls it."""
        which = {"event_id": taken.event_id, "payment_id": taken.payment_id}
        row = await (await self._connection.execute(sql.READ_ONE, which)).fetchone()
        if row is None:
            sentence = f"{taken.amount} were paid as {taken.provider_ref} for a payment that is not in this database"
            self.found.append(Found(provider, sentence, taken.event_id, taken.payment_id))
            return
        (is_captured,) = row
        if is_captured:
            return
        await self._connection.execute(sql.NAME_AGAIN, {**which, "provider_ref": taken.provider_ref})
        await self._connection.execute(HINT, which)
        sentence = f"{taken.amount} were paid, and we do not know it"
        self.found.append(Found(provider, sentence, taken.event_id, taken.payment_id, mended=True))

    def _add(self, known: KnownPayment, sentence: str, *, mended: bool = False) -> None:
        self.found.append(Found(known.provider, sentence, known.event_id, known.payment_id, mended))


def _of_answer(answer: Answer) -> tuple[int, int]:
    """What was taken, and what was given back of it."""
    return (answer.amount, answer.refunded) if answer.standing is Standing.CAPTURED else (0, 0)


def difference_of(known: KnownPayment, took: int, refunded: int) -> str:
    """How what a provider took and gave back differs from what we know; empty where it does not. A refund that is on
    its way may be there already.
    """
    if took and known.captured_amount is None:
        return f"{took} were paid, and we do not know it"
    if took != (known.captured_amount or 0):
        return f"{took} were paid, and we know of {known.captured_amount}"
    if not known.refunded <= refunded <= known.refunded + known.refunding:
        return f"{refunded} were paid back, and we know of {known.refunded}"
    return ""
