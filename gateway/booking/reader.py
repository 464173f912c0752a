"""Frequent reads of bookings, without SQLAlchemy: psycopg's own connections, statements that are prepared once, and
single reads that are gathered into one statement.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections import defaultdict
from typing import Final

import msgspec

from db.booking import reading_sql as sql
from db.booking.backlog import READ_BACKLOG, Backlog
from db.booking.order_codes import code_of
from db.booking.ticket_codes import with_codes
from db.citus.one_event import of_one_event
from db.connections import primary
from db.connections.urls import leads_to_citus
from db.ids import event_of_id
from tickets.keys import TicketKeys
from tickets.signed import SignedTicket

PURCHASES_MAX: Final = 200
READS_UNDER_WAY_MAX: Final = 2
GATHERED_MAX: Final = 256
COUNTED_MAX: Final = 100_000

_UNSIGNED: Final = re.compile(rb'("ticket" ?: ?")(\d+):([0-9a-f-]{36}):(\d+):(\d+):(\d+):(\d+)"')
"""What a signed ticket is to say, in the JSON that `db.booking.reading_sql` makes."""

_NUMBERED: Final = re.compile(rb'("orderCode" ?: ?")(\d+)"')
"""The number of an order, in the same JSON."""

_PurchaseRead = tuple[int, uuid.UUID, "asyncio.Future[bytes | None]"]


class Reader:
    """Reads bookings and never writes one. Reads of single purchases are gathered while others are under way.

    Args:
        grace_seconds: how long past its end a hold keeps its seats.
        ticket_keys: sign the tickets.

    Raises (every read):
        psycopg.OperationalError: Postgres is away, or (psycopg_pool.PoolTimeout) no connection came free in time.
    """

    def __init__(self, database_url: str, connections_max: int, grace_seconds: int, ticket_keys: TicketKeys) -> None:
        self._grace_seconds = grace_seconds
        self._is_on_citus = leads_to_citus(database_url)
        self._ticket_keys = ticket_keys
        # A fan looks for what was bought a moment ago, so the primary is read.
        self._pool = primary.pool(database_url, "admitone-gateway", connections_max, session=primary.PLAN_BY_KEYS)
        self._waiting: list[_PurchaseRead] = []
        self._reading: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        await self._pool.open()

    async def close(self) -> None:
        await self._pool.close()

    async def purchases(self, user_id: int) -> list[bytes]:
        """The fan's purchases as the contract's JSON, the newest first."""
        async with self._pool.connection() as connection:
            rows = await connection.execute(
                sql.PURCHASES_OF_FAN, {"user_id": user_id, "purchases_max": PURCHASES_MAX}, prepare=True
            )
            return [self._answer(row[0]) for row in await rows.fetchall()]

    async def backlog(self) -> Backlog:
        """How much work of each sort is to be done; each count stops at `COUNTED_MAX`."""
        async with self._pool.connection() as connection:
            rows = await connection.execute(
                READ_BACKLOG, {"counted_max": COUNTED_MAX, "grace_seconds": self._grace_seconds}, prepare=True
            )
            row = await rows.fetchone()
        assert row is not None
        return Backlog(*row)

    def connections(self) -> tuple[int, int]:
        """How many connections are in use, and how many there may be."""
        stats = self._pool.get_stats()
        return stats["pool_size"] - stats["pool_available"], self._pool.max_size

    async def purchase(self, user_id: int, purchase_id: uuid.UUID) -> bytes | None:
        """The fan's purchase of that id as the contract's JSON; None if the fan has no such purchase."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bytes | None] = loop.create_future()
        self._waiting.append((user_id, purchase_id, answer))
        loop.call_soon(self._start_reads)
        return await answer

    def _start_reads(self) -> None:
        while self._waiting and len(self._reading) < READS_UNDER_WAY_MAX:
            reads, self._waiting = self._waiting[:GATHERED_MAX], self._waiting[GATHERED_MAX:]
            self._reading.add(task := asyncio.get_running_loop().create_task(self._read(reads)))
            task.add_done_callback(self._on_read)

    def _on_read(self, task: asyncio.Task[None]) -> None:
        self._reading.discard(task)
        self._start_reads()

    async def _read(self, reads: list[_PurchaseRead]) -> None:
        purchases: dict[int, bytes] = {}
        try:
            of_events: defaultdict[int | None, list[dict[str, object]]] = defaultdict(list)
            for index, (user_id, purchase_id, _) in enumerate(reads):
                row = {"asked": index, "purchase_id": purchase_id, "user_id": user_id}
                of_events[event_of_id(purchase_id) if self._is_on_citus else None].append(row)
            async with self._pool.connection() as connection:
                for event_id, rows in of_events.items():
                    cursor = await connection.execute(
                        sql.PURCHASES_NAMED if event_id is None else of_one_event(sql.PURCHASES_NAMED),
                        {"rows": msgspec.json.encode(rows).decode(), "event_id": event_id},
                        prepare=True,
                    )
                    purchases |= {row[0]: self._answer(row[1]) for row in await cursor.fetchall()}
        except Exception as error:
            for _, _, answer in reads:
                if not answer.done():
                    answer.set_exception(error)
            return
        for index, (_, _, answer) in enumerate(reads):
            if not answer.done():
                answer.set_result(purchases.get(index))

    def _answer(self, purchase: str) -> bytes:
        """The contract's JSON: with the codes of the order and of its tickets, and the tickets signed."""
        return _UNSIGNED.sub(self._signed, _NUMBERED.sub(_coded, with_codes(purchase.encode()), count=1))

    def _signed(self, found: re.Match[bytes]) -> bytes:
        event_id, purchase_id, *numbers = found.groups()[1:]
        ticket_type_id, row_number, seat_number, issue_number = map(int, numbers)
        seat = (ticket_type_id, row_number, seat_number)
        ticket = SignedTicket(int(event_id), uuid.UUID(purchase_id.decode()), seat, issue_number)
        return found[1] + self._ticket_keys.sign(ticket).encode() + b'"'


def _coded(found: re.Match[bytes]) -> bytes:
    return found[1] + code_of(int(found[2])).encode() + b'"'
