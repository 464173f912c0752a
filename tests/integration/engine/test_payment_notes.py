"""Notes of many payments share a transaction: one that Postgres refuses or a batch has locked keeps no other."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any, LiteralString

import psycopg
import pytest

from db.payments import cashier as sql
from tests.integration.engine.books import Books
from tests.integration.engine.test_payments import A1, A2, FAN, OTHER, Till
from tests.integration.on_citus import CITUS_URL
from workers.payments.notes import Notes


@pytest.fixture
def payments(books: Books) -> tuple[Till, uuid.UUID, uuid.UUID]:
    books.event = books.event_new(payments="test")
    till = Till(books, books.engine())
    (_, first), (_, second) = till.check_out(FAN, till.hold(FAN, A1)), till.check_out(OTHER, till.hold(OTHER, A2))
    return till, first, second


@pytest.fixture
async def connection(books: Books) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    async with await psycopg.AsyncConnection.connect(books.database_url, autocommit=True) as connection:
        yield connection


def captured(notes: Notes, till: Till, payment: uuid.UUID, amount: int = 4900) -> asyncio.Task[bool]:
    values = {"payment_id": payment, "amount": amount, "currency": "EUR", "wait_seconds": 5}
    return asyncio.create_task(notes.add(sql.NOTE_CAPTURED, {"event_id": till.event, **values}))


async def test_a_note_that_postgres_refuses_keeps_no_other(
    payments: tuple[Till, uuid.UUID, uuid.UUID], connection: psycopg.AsyncConnection[Any]
) -> None:
    till, first, second = payments
    notes = Notes(is_citus=bool(CITUS_URL), on_note=lambda: None)
    right, wrong = captured(notes, till, first), captured(notes, till, second, amount=2**70)
    await asyncio.sleep(0)
    assert await notes.write(connection) == 2
    assert await right
    with pytest.raises(psycopg.DataError):
        await wrong
    assert (till.row(first)["captured_amount"], till.row(second)["captured_amount"]) == (4900, None)
    again = captured(notes, till, first, amount=1)
    await asyncio.sleep(0)
    await notes.write(connection)
    assert not await again, "what was taken is noted once"
    assert till.row(first)["captured_amount"] == 4900


async def test_a_payment_that_a_batch_has_locked_is_noted_in_a_later_turn(
    payments: tuple[Till, uuid.UUID, uuid.UUID], connection: psycopg.AsyncConnection[Any]
) -> None:
    till, first, second = payments
    notes = Notes(is_citus=bool(CITUS_URL), on_note=lambda: None)
    with psycopg.connect(till.books.database_url) as batch:
        lock: LiteralString = "SELECT FROM payment WHERE (event_id, payment_id) = (%s, %s) FOR UPDATE"
        batch.execute(lock, (till.event, second))
        tasks = [captured(notes, till, first), captured(notes, till, second)]
        await asyncio.sleep(0)
        assert await asyncio.wait_for(notes.write(connection), 5) == 1, "it waits for no batch"
        assert (await tasks[0], notes.waiting) == (True, 1)
    assert await notes.write(connection) == 1
    assert await tasks[1]
    assert till.row(second)["captured_amount"] == 4900
