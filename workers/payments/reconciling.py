"""Holds payments against their providers: what a provider took or gave back, and what we know of it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from db.connections import primary
from db.payments import cashier as sql
from db.payments.states import PaymentState
from payments.provider import Answer, PaymentAsk, Provider, ProviderAwayError, ProviderRefusedError, Standing

ROWS_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class Difference:
    """A payment of which a provider says something else than we know. ``mended``: the cashier was told to look."""

    payment: sql.KnownPayment
    sentence: str
    mended: bool = False


@dataclass(frozen=True, slots=True)
class Reconciled:
    payments: int
    differences: tuple[Difference, ...]


async def reconcile(
    database_url: str, providers: Mapping[str, Provider], *, hours: int, resend: bool = False
) -> Reconciled:
    """Ask the providers for every payment of the last ``hours``. What was paid and is not known is left to the cashier,
    which books it or pays it back; everything else is reported.

    Args:
        resend: send refunds again that were given up.

    Raises:
        psycopg.OperationalError: Postgres is out of reach.
    """
    differences: list[Difference] = []
    payments, after = 0, uuid.UUID(int=0)
    connection = await primary.connect_async(database_url, "admitone-reconcile")
    async with connection:
        if resend:
            await connection.execute(sql.SEND_DEAD_AGAIN)
        while True:
            which = {"hours": hours, "after": after, "rows_max": ROWS_MAX}
            rows = await (await connection.execute(sql.READ_SETTLED, which)).fetchall()
            for known in map(sql.KnownPayment._make, rows):
                payments += 1
                after = known.payment_id
                difference = await _held_against(providers, known)
                if difference is not None:
                    if difference.mended:
                        hint = {"event_id": known.event_id, "payment_id": known.payment_id}
                        await connection.execute(sql.HINT, hint)
                    differences.append(difference)
            if len(rows) < ROWS_MAX:
                return Reconciled(payments, tuple(differences))


async def _held_against(providers: Mapping[str, Provider], known: sql.KnownPayment) -> Difference | None:
    provider = providers.get(known.provider)
    if provider is None:
        return Difference(known, f"this site has no provider {known.provider}")
    ask = PaymentAsk(known.event_id, known.payment_id, 0, known.currency, known.provider_ref)
    try:
        answer = await provider.look(ask)
    except (ProviderAwayError, ProviderRefusedError) as error:
        return Difference(known, f"{known.provider} says: {error}")
    return _compared(known, answer)


def _compared(known: sql.KnownPayment, answer: Answer) -> Difference | None:
    took = answer.amount if answer.standing is Standing.CAPTURED else 0
    if took and known.captured_amount is None:
        mends = known.state in (PaymentState.NEW, PaymentState.OPEN, PaymentState.FAILED)
        return Difference(known, f"{took} were paid, and we do not know it", mends)
    if took != (known.captured_amount or 0):
        return Difference(known, f"{took} were paid, and we know of {known.captured_amount}")
    if answer.refunded != known.refunded:
        return Difference(known, f"{answer.refunded} were paid back, and we know of {known.refunded}")
    return None
