"""The built-in test provider: money that is none, for the demo and for tests."""

from __future__ import annotations

import asyncio
import datetime as dt
import hmac
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, LiteralString

import psycopg

from db.connections import primary
from db.gathering import Gathering
from db.payments import intents as sql
from db.payments.states import TEST
from payments.provider import (
    Answer,
    Opened,
    PaymentAsk,
    ProviderAwayError,
    ProviderRefusedError,
    Standing,
    Taken,
)

CONNECT_SECONDS = 3
ANSWER_SECONDS_MAX = 2
"""Whoever asks a provider that does not answer is told so after this time."""

_Asked = tuple[LiteralString, dict[str, object]]


async def no_fault(_: str) -> None:
    """Nothing goes wrong."""


class TestProvider:
    """Keeps its own books (`db.tables.payments.ProviderIntent`), on a connection of its own.

    Args:
        secret: makes the payments' client secrets.
        delay_ms: how long each answer takes.
        fault: called with ``open``, ``look``, ``close`` or ``refund`` before the call is carried out, and with the same
            word and ``_done`` after it. It may wait, or raise `ProviderAwayError`: so an answer is lost.
    """

    __test__ = False
    name = TEST

    def __init__(
        self,
        database_url: str,
        secret: str,
        delay_ms: int = 0,
        fault: Callable[[str], Awaitable[None]] = no_fault,
    ) -> None:
        self._database_url = database_url
        self._secret = secret
        self._delay_ms = delay_ms
        self._fault = fault
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._connecting = asyncio.Lock()
        self._asked: Gathering[_Asked, tuple[Any, ...] | None] = Gathering(
            self._ask_all, lambda: ProviderAwayError("given up"), under_way_max=1
        )

    async def open(self, ask: PaymentAsk) -> Opened:
        await self._run("open", sql.OPEN_INTENT, ask)
        secret = hmac.digest(self._secret.encode(), f"test payment {ask.payment_id}".encode(), "sha256").hex()
        return Opened(f"test_{ask.payment_id.hex}", secret)

    async def open_there(self, ask: PaymentAsk) -> Opened:
        return await self.open(ask)

    async def look(self, ask: PaymentAsk) -> Answer:
        return await self._answer("look", ask)

    async def close(self, ask: PaymentAsk) -> Answer:
        await self._run("close", sql.CLOSE_INTENT, ask)
        return await self._answer("look", ask)

    async def refund(self, ask: PaymentAsk, refund_id: uuid.UUID, amount: int) -> str:
        named = {"refund_id": str(refund_id), "amount": amount}
        await self._run("refund", sql.REFUND_INTENT, ask, **named)
        row = await self._run("refund_read", sql.READ_REFUND, ask, **named)
        if row is None or not row[0]:
            raise ProviderRefusedError("there is not so much to pay back")
        return f"test_{refund_id.hex}"

    async def taken(self, since: dt.datetime) -> AsyncIterator[Taken]:
        try:
            connection = await self._connected()
            rows = await (await connection.execute(sql.TAKEN)).fetchall()
        except (psycopg.Error, OSError) as error:
            raise ProviderAwayError(str(error)) from error
        for event_id, payment_id, amount, currency, refunded in rows:
            yield Taken(event_id, payment_id, f"test_{payment_id.hex}", amount, currency, refunded)

    async def end(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def _answer(self, call: str, ask: PaymentAsk) -> Answer:
        row = await self._run(call, sql.READ_INTENT, ask)
        if row is None:
            raise ProviderRefusedError("there is no such payment")
        state, is_at_bank, amount, currency, refunded, is_silent = row
        if is_silent:
            await asyncio.sleep(ANSWER_SECONDS_MAX)
            raise ProviderAwayError(f"no answer in {ANSWER_SECONDS_MAX} s")
        if is_at_bank:
            return Answer(Standing.PROCESSING)
        if state == "captured":
            return Answer(Standing.CAPTURED, amount, currency, refunded)
        return Answer(Standing.OPEN if state == "open" else Standing.CLOSED)

    async def _run(
        self, call: str, statement: LiteralString, ask: PaymentAsk, **further: object
    ) -> tuple[Any, ...] | None:
        await self._fault(call)
        if self._delay_ms:
            await asyncio.sleep(self._delay_ms / 1000)
        named = {
            "event_id": ask.event_id,
            "payment_id": ask.payment_id,
            "amount": ask.amount,
            "currency": ask.currency,
            **further,
        }
        try:
            row = await self._asked.ask((statement, named))
        except (psycopg.Error, OSError) as error:
            raise ProviderAwayError(str(error)) from error
        await self._fault(f"{call}_done")
        return row

    async def _ask_all(self, asked: Sequence[_Asked]) -> list[tuple[Any, ...] | None]:
        """Calls that come at a time share a round trip: a provider elsewhere answers them side by side."""
        connection = await self._connected()
        async with connection.pipeline():
            cursors = [await connection.execute(statement, named, prepare=True) for statement, named in asked]
        return [await cursor.fetchone() if cursor.description else None for cursor in cursors]

    async def _connected(self) -> psycopg.AsyncConnection[Any]:
        async with self._connecting:
            if self._connection is None or self._connection.closed:
                # Its books reach the disk before ours: what we write later is flushed after it.
                self._connection = await primary.connect_async(
                    self._database_url,
                    "admitone-test-provider",
                    connect_seconds=CONNECT_SECONDS,
                    session={"synchronous_commit": "off"},
                )
            return self._connection
