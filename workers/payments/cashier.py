"""Looks after payments and refunds: asks providers outside of any transaction, and tells the lanes what came of it.

Every piece of work is taken for a time, and is due again when that is over. So what a cashier leaves behind when it
dies is done once more, and every call of a provider and every command may be repeated. Any number of cashiers may run.

The provider itself is asked for each decision. A webhook, or a fan who comes back, only hints that there is news; so
hints may be doubled, late, lost or out of order.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
import signal
import uuid
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, LiteralString, TypeVar

import psycopg
import redis

from booking_lane.commands import UNSTAMPED, Confirm, Fail, Keep, Stamp, command_id_new
from booking_lane.results import publish_opened
from booking_lane.settings import LaneSettings
from db.citus.walking import execute
from db.connections import primary
from db.connections.urls import leads_to_citus
from db.invoices.settings import NO_SELLER, InvoiceSettings
from db.outbox.kinds import OutboxKind, RefundMade
from db.outbox.writer import insert_news_after
from db.payments import cashier as sql
from db.payments.overview import AT_THE_BANK
from db.payments.states import RefundState
from db.sealing.keyring import SealedField, keyring
from payments.provider import (
    AlreadySettledError,
    Answer,
    Opened,
    PaymentAsk,
    Provider,
    ProviderAwayError,
    ProviderRefusedError,
    Standing,
)
from payments.settings import PaymentSettings
from workers.payments.invoicing import Invoicing
from workers.payments.notes import Notes
from workers.payments.reconciling import reconcile_if_due
from workers.payments.sending import Sending

logger = logging.getLogger(__name__)

CONNECT_SECONDS: Final = 3
TURN_SECONDS: Final = 0.1
TURN_SECONDS_MIN: Final = 0.05
"""From one turn to the next. What is noted in one is one transaction, so that many payments share what it costs."""
HINTS_IN_ONE_TURN_MAX: Final = 1000
AWAY_PAUSE_SECONDS: Final = 1.0
CANCELLED_EVENTS_SECONDS: Final = 1.0
REFUNDS_OF_EVENTS_MAX: Final = 500
STOP_SECONDS_MAX: Final = 3.0
NOTE_SECONDS_MAX: Final = 2.0
ERROR_CHARS_MAX: Final = 200
TRIES_DOUBLED_MAX: Final = 16
RECONCILE_LOOK_SECONDS: Final = 30.0
RECONCILE_HOURS: Final = 72
_SESSION: Final = {
    "timezone": "UTC",
    "statement_timeout": 10_000,
    **primary.PLAN_BY_KEYS,
}

Connection = psycopg.AsyncConnection[Any]
Called = TypeVar("Called")


class Cashier:
    """The work of one process.

    Args:
        providers: by their names; payments of another wait.
        probe: called at ``pay_taken``, ``pay_opened``, ``pay_noted``, ``pay_kept``, ``pay_captured``, ``pay_sent``,
            ``pay_refunded`` and ``pay_numbered``, so that tests can inject faults there.
    """

    def __init__(
        self,
        database_url: str,
        jobs: redis.Redis,
        lane: LaneSettings,
        settings: PaymentSettings,
        providers: Mapping[str, Provider],
        invoices: InvoiceSettings = NO_SELLER,
        *,
        probe: Callable[[str], None] = lambda point: None,
    ) -> None:
        self._database_url = database_url
        self._is_citus = leads_to_citus(database_url)
        self._settings = settings
        self._providers = providers
        self._probe = probe
        self._jobs = jobs
        self._lane = lane
        self._sending = Sending(jobs, lane)
        self._invoicing = Invoicing(database_url, invoices, probe)
        self._connection: Connection | None = None
        self._wake = asyncio.Event()
        self._notes = Notes(self._is_citus, on_note=self._wake.set)
        self._tasks: set[asyncio.Task[None]] = set()
        self._opened_now: dict[uuid.UUID, str] = {}
        self._events_at = float("-inf")

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set; then wait for the calls under way, `STOP_SECONDS_MAX` at most."""
        stopping = asyncio.create_task(stop.wait())
        stopping.add_done_callback(lambda _: self._wake.set())
        comparing = asyncio.create_task(self._compare())
        invoicing = asyncio.create_task(self._invoicing.run())
        try:
            while not stop.is_set():
                self._wake.clear()
                try:
                    await self._turn()
                except (psycopg.Error, OSError, redis.RedisError) as error:
                    logger.warning("payments wait for Postgres or Redis: %s", error)
                    await self._disconnect()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(stop.wait(), AWAY_PAUSE_SECONDS)
                    continue
                if not stop.is_set():
                    await asyncio.sleep(TURN_SECONDS_MIN)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), TURN_SECONDS)
        finally:
            stopping.cancel()
            comparing.cancel()
            invoicing.cancel()
            await asyncio.gather(comparing, invoicing, return_exceptions=True)
            await self._end()

    async def _end(self) -> None:
        until = asyncio.get_running_loop().time() + STOP_SECONDS_MAX
        while self._tasks and asyncio.get_running_loop().time() < until:
            await asyncio.wait(self._tasks, timeout=TURN_SECONDS_MIN)
            try:
                await self._write_notes(await self._connected())
            except (psycopg.Error, OSError) as error:
                logger.warning("what came of payments is noted by the next cashier: %s", error)
                break
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            await self._sending.leave(at_once=True)
        except redis.RedisError as error:
            logger.warning("what came of payments is sent by the next cashier: %s", error)
        await self._disconnect()
        for provider in self._providers.values():
            await provider.end()

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = await primary.connect_async(
                self._database_url, "admitone-cashier", connect_seconds=CONNECT_SECONDS, session=_SESSION
            )
        return self._connection

    async def _disconnect(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def _turn(self) -> None:
        connection = await self._connected()
        await self._write_notes(connection)
        await self._refund_cancelled_events(connection)
        free = self._settings.at_once_max - len(self._tasks) + self._notes.waiting
        payments, refunds = await self._taken(connection, max(0, free))
        if payments or refunds:
            self._probe("pay_taken")
        for payment in payments:
            self._begin(self._attend, payment)
        for refund in refunds:
            self._begin(self._refund, refund)
        if await self._sending.leave():
            self._probe("pay_sent")

    def _begin(self, work: Callable[[Any], Any], due: sql.DuePayment | sql.DueRefund) -> None:
        task = asyncio.create_task(self._guarded(work, due))
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def _write_notes(self, connection: Connection) -> None:
        """Write what came of calls, tell of payments that fans can pay now, and let the calls' tasks go on."""
        if not await self._notes.write(connection):
            return
        # The tasks of these notes go on, and say what is to be told and sent.
        await asyncio.sleep(0)
        opened, self._opened_now = self._opened_now, {}
        if opened:
            try:
                await asyncio.to_thread(publish_opened, self._jobs, opened, self._lane.result_ttl_seconds)
            except redis.RedisError as error:
                logger.warning("gateways read Postgres for payments that are open: %s", error)

    async def _taken(self, connection: Connection, free: int) -> tuple[list[sql.DuePayment], list[sql.DueRefund]]:
        """What is due, ``free`` of it at most, after what hints make due; in one transaction, except on a cluster."""
        hints = {"rows_max": HINTS_IN_ONE_TURN_MAX}
        # What is taken is due again when two calls must be over.
        lease = {"rows_max": free, "lease_seconds": 2 * self._settings.call_seconds + self._settings.again_seconds}
        due = ((sql.HINTS, hints), (sql.PAYMENTS, lease), (sql.REFUNDS, lease))
        async with contextlib.AsyncExitStack() as opened:
            if not self._is_citus:
                # What is executed in one pipeline is one round trip and one transaction.
                await opened.enter_async_context(connection.pipeline())
            done = [await execute(connection, work, which, is_citus=self._is_citus) for work, which in due]
        _, payments, refunds = done
        return (
            [sql.DuePayment._make(row) for cursor in payments for row in await cursor.fetchall()],
            [sql.DueRefund._make(row) for cursor in refunds for row in await cursor.fetchall()],
        )

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._wake.set()

    async def _guarded(self, work: Callable[[Any], Any], due: Any) -> None:
        """One piece of work. What it leaves undone is due again."""
        try:
            await work(due)
        except (psycopg.Error, OSError) as error:
            logger.warning("payment %s is looked at again: %s", due.payment_id, error)
        except Exception:
            logger.exception("payment %s is looked at again", due.payment_id)

    async def _refund_cancelled_events(self, connection: Connection) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._events_at >= CANCELLED_EVENTS_SECONDS:
            self._events_at = now
            await connection.execute(sql.REFUND_CANCELLED_EVENTS, {"rows_max": REFUNDS_OF_EVENTS_MAX}, prepare=True)

    # -- payments

    async def _attend(self, due: sql.DuePayment) -> None:
        if due.is_captured:
            self._confirm(due)
            return
        provider = self._providers.get(due.provider)
        if provider is None:
            await self._later(due, f"this site has no provider {due.provider}")
            return
        try:
            answer = await self._ask_provider(provider, due)
        except ProviderAwayError as error:
            await self._later(due, f"no answer: {error}")
            return
        except ProviderRefusedError as error:
            logger.error("payment %s is refused by %s: %s", due.payment_id, due.provider, error)
            if due.provider_ref is None:
                # The provider made nothing that anybody could pay.
                await self._close(due)
            else:
                await self._later(due, f"refused: {error}")
            return
        if answer is None:
            return
        match answer.standing:
            case Standing.CAPTURED:
                await self._note(
                    sql.NOTE_CAPTURED,
                    due,
                    amount=answer.amount,
                    currency=answer.currency,
                    wait_seconds=self._settings.again_seconds,
                )
                self._probe("pay_captured")
                self._confirm(due)
            case Standing.CLOSED:
                await self._close(due)
            case Standing.OPEN:
                await self._later(due, "")
            case Standing.PENDING:
                await self._later(due, AT_THE_BANK, is_fault=False)
            case Standing.PROCESSING:
                if due.term_hours and not due.is_processing and not due.is_over:
                    self._keep(due)
                    self._probe("pay_kept")
                await self._later(due, AT_THE_BANK, is_fault=False)

    async def _ask_provider(self, provider: Provider, due: sql.DuePayment) -> Answer | None:
        """Where the payment stands; None where it was just opened."""
        ask = PaymentAsk(
            due.event_id,
            due.payment_id,
            due.amount,
            due.currency,
            due.provider_ref or "",
            due.event_name,
            term_hours=due.term_hours,
        )
        if due.provider_ref is None:
            # One that was opened by a cashier that died is the same one, asked for once more.
            opened = await self._called(provider.open(ask))
            await self._opened(due, opened)
            if not due.is_over:
                return None
            ask = dataclasses.replace(ask, provider_ref=opened.provider_ref)
        elif due.goes_there and not due.is_over:
            with contextlib.suppress(AlreadySettledError):
                await self._opened(due, await self._called(provider.open_there(ask)))
                return None
        if due.is_over:
            return await self._called(provider.close(ask))
        answer = await self._called(provider.look(ask))
        if due.is_processing and answer.standing is Standing.OPEN:
            # The bank refused, days after the fan has gone. Nobody is to pay by another method then.
            return await self._called(provider.close(ask))
        return answer

    async def _opened(self, due: sql.DuePayment, opened: Opened) -> None:
        self._probe("pay_opened")
        secret = keyring().seal(SealedField.PAYMENT_SECRET, opened.client_secret)
        noted = await self._note(
            sql.NOTE_OPENED,
            due,
            provider_ref=opened.provider_ref,
            client_secret=secret,
            pay_href=opened.href or None,
            wait_seconds=self._settings.look_seconds,
            taken_until=due.taken_until,
        )
        if noted:
            self._opened_now[due.payment_id] = secret
        self._probe("pay_noted")

    async def _called(self, call: Coroutine[Any, Any, Called]) -> Called:
        try:
            # Closing may be two calls; a list of refunds and a refund are.
            return await asyncio.wait_for(call, 2 * self._settings.call_seconds)
        except TimeoutError:
            raise ProviderAwayError("no answer in time") from None

    def _confirm(self, due: sql.DuePayment) -> None:
        seats = tuple(zip(due.ticket_type_ids, due.row_numbers, due.seat_numbers, strict=True))
        self._sending.add(
            Confirm(
                **_stamp(),
                event_id=due.event_id,
                user_id=due.user_id,
                payment_id=due.payment_id,
                reservation_id=due.reservation_id,
                seats=seats,
            )
        )

    def _keep(self, due: sql.DuePayment) -> None:
        self._sending.add(
            Keep(
                **_stamp(),
                event_id=due.event_id,
                user_id=due.user_id,
                payment_id=due.payment_id,
                reservation_id=due.reservation_id,
            )
        )

    async def _close(self, due: sql.DuePayment) -> None:
        noted = await self._note(
            sql.NOTE_CLOSED, due, wait_seconds=self._settings.again_seconds, provider_ref=due.provider_ref
        )
        if not noted:
            return
        self._sending.add(
            Fail(
                **_stamp(),
                event_id=due.event_id,
                user_id=due.user_id,
                payment_id=due.payment_id,
                reservation_id=due.reservation_id,
            )
        )

    async def _later(self, due: sql.DuePayment, error: str, *, is_fault: bool = True) -> None:
        """Look at the payment again; ``is_fault``: if there is an error, it is one."""
        is_fault = is_fault and bool(error)
        look_seconds = self._settings.bank_look_seconds if due.is_processing else self._settings.look_seconds
        wait = self._wait_seconds(due.tries) if is_fault else float(look_seconds)
        await self._note(
            sql.NOTE_LATER,
            due,
            wait_seconds=wait,
            error=error[:ERROR_CHARS_MAX],
            is_fault=is_fault,
            taken_until=due.taken_until,
        )

    def _wait_seconds(self, tries: int) -> float:
        doubled: float = 2 ** min(max(0, tries - 1), TRIES_DOUBLED_MAX)
        return min(self._settings.retry_first_seconds * doubled, self._settings.retry_seconds_max)

    async def _note(self, statement: LiteralString, due: sql.DuePayment, **values: object) -> bool:
        """Write a note of this payment together with those of others; whether it changed the payment."""
        return await self._notes.add(statement, {"event_id": due.event_id, "payment_id": due.payment_id, **values})

    async def _note_refund(self, statement: LiteralString, due: sql.DueRefund, **values: object) -> bool:
        which = {"event_id": due.event_id, "refund_id": due.refund_id}
        return await self._notes.add(statement, {**which, **values}, is_alone=True)

    # -- refunds

    async def _refund(self, due: sql.DueRefund) -> None:
        provider = self._providers.get(due.provider)
        state, error = RefundState.PENDING, f"this site has no provider {due.provider}"
        if provider is not None:
            ask = PaymentAsk(due.event_id, due.payment_id, due.amount, due.currency, due.provider_ref, due.event_name)
            try:
                reference = await self._called(provider.refund(ask, due.refund_id, due.amount))
                self._probe("pay_refunded")
                await self._refunded(due, reference)
                return
            except ProviderAwayError as away:
                error = f"no answer: {away}"
            except ProviderRefusedError as refused:
                state, error = RefundState.DEAD, f"refused: {refused}"
        if state is RefundState.PENDING and due.tries >= self._settings.refund_tries_max:
            state = RefundState.DEAD
        if state is RefundState.DEAD:
            logger.error("refund %s of payment %s is given up: %s", due.refund_id, due.payment_id, error)
        await self._note_refund(
            sql.NOTE_REFUND,
            due,
            state=state,
            error=error[:ERROR_CHARS_MAX],
            wait_seconds=self._wait_seconds(due.tries),
        )

    async def _refunded(self, due: sql.DueRefund, reference: str) -> None:
        """Note that the provider took the refund, and tell of it once."""
        news = RefundMade(
            event_id=due.event_id,
            refund_id=due.refund_id,
            payment_id=due.payment_id,
            purchase_id=due.purchase_id,
            user_id=due.user_id,
            amount=due.amount,
            currency=due.currency,
            cause=due.cause,
        )
        statement, parameters = insert_news_after(sql.NOTE_REFUND_DONE, OutboxKind.REFUND_MADE, news)
        await self._note_refund(statement, due, provider_ref=reference, **parameters)

    # -- the providers' books

    async def _compare(self) -> None:
        """Compare with the providers' books from time to time, on a connection of its own."""
        minutes = self._settings.reconcile_minutes
        while minutes:
            await asyncio.sleep(RECONCILE_LOOK_SECONDS)
            try:
                done = await reconcile_if_due(
                    self._database_url, self._providers, minutes=minutes, hours=RECONCILE_HOURS
                )
            except (psycopg.Error, OSError) as error:
                logger.warning("payments are compared later: %s", error)
                continue
            except Exception:
                logger.exception("payments are compared later")
                continue
            if done is not None and done.differences:
                logger.error("%d payments are not with their providers as they are here", len(done.differences))


def _stamp() -> Stamp:
    return {**UNSTAMPED, "command_id": command_id_new()}


def cash(cashier: Callable[[], Cashier]) -> None:
    """Run a cashier in this process until SIGTERM or SIGINT. It is made inside the event loop."""

    async def live() -> None:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()

        def end() -> None:
            stop.set()
            # A silent server would keep this process for ever. What is not noted is done once more.
            loop.call_later(STOP_SECONDS_MAX + NOTE_SECONDS_MAX, os._exit, 0)

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, end)
        await cashier().run(stop)

    asyncio.run(live())
