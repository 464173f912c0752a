"""Payments as a gateway shows them, and the hints that there may be news of one. It decides nothing about them."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import time
import uuid
from collections.abc import Sequence
from importlib import import_module
from typing import Final, LiteralString

from sqlalchemy.ext.asyncio import AsyncEngine

from booking_lane.results import JobRecord
from booking_lane.waiters import Waiters
from db.gathering import Gathering
from db.ids import first_id_of
from db.payments import intents
from db.payments.cashier import HINT, HINT_AT_PROVIDER
from db.payments.reading import PaymentSeen, at_banks_of_fan, read_payment
from db.payments.states import MOLLIE, STRIPE, TEST, PaymentState
from db.sealing.keyring import SealedField, keyring
from gateway.contract.booking import PaymentStep
from gateway.wire.addresses import below
from gateway.wire.problems import ProblemError, invalid
from payments.notices import (
    PAID,
    Noticed,
    NoticeError,
    Posted,
    read_mollie_notice,
    read_stripe_notice,
    read_test_notice,
    test_notice,
)
from payments.settings import PaymentSettings, StripeSettings

EVENT_MAX: Final = 2**53
LISTED_MAX: Final = 20
NEW_SECONDS_MAX: Final = 5.0
"""A payment that is younger, and that Redis does not know to be open, is not open yet, and Postgres is not asked."""
OPENED_KEPT_SECONDS: Final = 600
SLOW_SECONDS: Final = 5
"""So long a slow bank of the test provider takes, and so long it gives no answer."""
LATE_SECONDS: Final = 5
"""So long after its end comes the money that comes too late."""
_EPOCH: Final = dt.datetime.fromtimestamp(0, dt.UTC)


class Payments:
    """Reads payments and hints at news of them.

    Args:
        waiters: know which payments are open.
        secret: the site's, which signs the test provider's notices, and the addresses of Mollie's.
    """

    def __init__(
        self, engine: AsyncEngine, waiters: Waiters, settings: PaymentSettings, stripe: StripeSettings, secret: str
    ) -> None:
        self._engine = engine
        self._waiters = waiters
        self._hints: Gathering[tuple[int, uuid.UUID], None] = Gathering(
            self._hint_all, lambda: ProblemError("unavailable"), under_way_max=1
        )
        self._settings = settings
        self._stripe = stripe
        self._secret = secret
        self._posting: set[asyncio.Task[None]] = set()
        if STRIPE in settings.names:
            # It is large, so that it is loaded now, and not as the first notice comes.
            import_module("stripe")

    async def seen(self, payment_id: uuid.UUID) -> PaymentSeen | None:
        """The payment of that id; None if there is none."""
        async with self._engine.connect() as connection:
            return await read_payment(connection, payment_id)

    async def at_banks(self, user_id: int) -> list[uuid.UUID]:
        """The fan's payments that banks work on, `LISTED_MAX` at most."""
        async with self._engine.connect() as connection:
            return await at_banks_of_fan(connection, user_id, LISTED_MAX)

    async def step(self, record: JobRecord) -> PaymentStep | None:
        """What a fan does to pay what the job waits for; None once there is nothing to do. Redis says it, and Postgres
        of what Redis has lost.
        """
        payment_id = record.payment_id
        assert payment_id is not None
        sealed = await self._waiters.opened(payment_id)
        is_new = payment_id >= first_id_of(time.time() - NEW_SECONDS_MAX)
        if not record.payment_until_us or (sealed is None and not is_new):
            return await self._step_of_row(payment_id)
        return PaymentStep(
            href=below(f"/pay/{payment_id}"),
            client_secret=(sealed and _opened_secret(sealed)) or None,
            expires_at=_EPOCH + dt.timedelta(microseconds=record.payment_until_us),
            processing=record.is_processing,
        )

    async def _step_of_row(self, payment_id: uuid.UUID) -> PaymentStep | None:
        payment = await self.seen(payment_id)
        if payment is None or not payment.is_under_way:
            return None
        is_open = payment.state == PaymentState.OPEN
        if is_open:
            await self._waiters.keep_opened(payment_id, payment.client_secret or "", OPENED_KEPT_SECONDS)
        return PaymentStep(
            href=below(f"/pay/{payment_id}"),
            client_secret=(self.secret_of(payment) or None) if is_open else None,
            expires_at=payment.expires_at,
            processing=payment.is_processing,
        )

    def secret_of(self, payment: PaymentSeen) -> str:
        """What lets the fan's browser pay."""
        return _opened_secret(payment.client_secret or "")

    async def hint(self, event_id: int, payment_id: uuid.UUID) -> None:
        """There may be news of the payment. Hints that come meanwhile share the next transaction."""
        await self._hints.ask((event_id, payment_id))

    async def _hint_all(self, named: Sequence[tuple[int, uuid.UUID]]) -> list[None]:
        # Every gateway writes them in one order, so that none waits for another that waits for it.
        rows = [{"event_id": event_id, "payment_id": payment_id} for event_id, payment_id in sorted(set(named))]
        async with self._engine.begin() as connection:
            await connection.exec_driver_sql(HINT, rows)
        return [None] * len(named)

    async def go_there(self, event_id: int, payment_id: uuid.UUID) -> None:
        """The fan wants to pay on the provider's own page."""
        async with self._engine.begin() as connection:
            await connection.exec_driver_sql(HINT_AT_PROVIDER, {"event_id": event_id, "payment_id": payment_id})

    async def notice(self, provider: str, posted: Posted) -> None:
        """Take what a provider posted.

        Raises:
            ProblemError: ``payments_off`` or ``signature_invalid``.
        """
        if provider not in self._settings.names:
            raise ProblemError("payments_off")
        try:
            noticed = self._noticed(provider, posted)
        except NoticeError:
            raise ProblemError("signature_invalid") from None
        if noticed is not None:
            if not 0 < noticed.event_id < EVENT_MAX:
                raise invalid("there is no such event", "$.eventId")
            await self.hint(*noticed)

    def _noticed(self, provider: str, posted: Posted) -> Noticed | None:
        if provider == STRIPE:
            return read_stripe_notice(self._stripe, posted)
        if provider == MOLLIE:
            return read_mollie_notice(self._secret, posted)
        assert provider == TEST
        return read_test_notice(self._secret, posted)

    # -- the built-in test provider, as the fan's browser and our server meet it

    async def pay_test(self, payment: PaymentSeen, way: str) -> None:
        """The fan pays with money that is none, in one of the ways that a payment may go; an unknown way does nothing.
        There is news of it afterwards, except where it is ``silent``.
        """
        amount = payment.amount
        notices: tuple[str, ...] = (PAID,)
        done: LiteralString
        match way:
            case "pay":
                done = intents.PAY_INTENT
            case "silent":
                done, notices = intents.PAY_INTENT, ()
            case "wrong":
                done, amount = intents.PAY_INTENT, amount + 1
            case "twice":
                done, notices = intents.PAY_INTENT, (PAID, PAID)
            case "out_of_order":
                done, notices = intents.PAY_INTENT, (PAID, "opened")
            case "no_answer":
                done = intents.PAY_INTENT_SILENTLY
            case "later" | "late":
                done = intents.PAY_INTENT_LATER
            case "decline":
                done, notices = intents.DECLINE_INTENT, ("declined",)
            case _:
                return
        left_seconds = (payment.expires_at - dt.datetime.now(dt.UTC)).total_seconds()
        seconds = left_seconds + LATE_SECONDS if way == "late" else SLOW_SECONDS
        which = {"event_id": payment.event_id, "payment_id": payment.payment_id, "amount": amount, "seconds": seconds}
        async with self._engine.begin() as connection:
            await connection.exec_driver_sql(done, which)
        posted = [test_notice(self._secret, payment.event_id, payment.payment_id, what) for what in notices]
        if way == "later":
            self._posting.add(task := asyncio.get_running_loop().create_task(self._post(posted, SLOW_SECONDS)))
            task.add_done_callback(self._posting.discard)
        else:
            await self._post(posted)

    async def _post(self, posted: Sequence[Posted], in_seconds: float = 0) -> None:
        """Take the test provider's notices. One that is lost with this process is one that a provider never posted."""
        await asyncio.sleep(in_seconds)
        for one in posted:
            with contextlib.suppress(ProblemError):
                await self.notice(TEST, one)


def _opened_secret(sealed: str) -> str:
    return keyring().open(SealedField.PAYMENT_SECRET, sealed)
