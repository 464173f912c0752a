"""Frequent reads of bookings, by the connections for small reads: statements that are prepared once, and single reads
that are gathered into one statement.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections import defaultdict
from typing import Any, Final

import msgspec

from db.booking import reading_sql as sql
from db.booking.backlog import READ_BACKLOG, Backlog
from db.booking.order_codes import code_of
from db.booking.ticket_codes import with_codes
from db.citus.one_event import of_one_event
from db.citus.reading import ReadsAtNodes
from db.connections.small_reads import SmallReads
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
        reads: at the primary, because a fan looks for what was bought a moment ago.
        grace_seconds: how long past its end a hold keeps its seats.
        ticket_keys: sign the tickets.

    Raises (every read):
        psycopg.OperationalError: Postgres is away, or no connection came free in time.
    """

    def __init__(self, reads: SmallReads, grace_seconds: int, ticket_keys: TicketKeys) -> None:
        self._reads = reads
        self._at_nodes = ReadsAtNodes(reads)
        self._grace_seconds = grace_seconds
        self._ticket_keys = ticket_keys
        self._waiting: list[_PurchaseRead] = []
        self._reading: set[asyncio.Task[None]] = set()

    async def purchases(self, user_id: int) -> list[bytes]:
        """The fan's purchases as the contract's JSON, the newest first."""
        rows = await self._reads.rows(sql.PURCHASES_OF_FAN, user_id=user_id, purchases_max=PURCHASES_MAX)
        return [self._answer(row[0]) for row in rows]

    async def backlog(self) -> Backlog:
        """How much work of each sort is to be done; each count stops at `COUNTED_MAX`."""
        [row] = await self._reads.rows(READ_BACKLOG, counted_max=COUNTED_MAX, grace_seconds=self._grace_seconds)
        return Backlog(*row)

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
                of_events[event_of_id(purchase_id) if self._reads.is_on_citus else None].append(row)
            for event_id, rows in of_events.items():
                for index, purchase in await self._named(event_id, msgspec.json.encode(rows).decode()):
                    purchases[index] = self._answer(purchase)
        except Exception as error:
            for _, _, answer in reads:
                if not answer.done():
                    answer.set_exception(error)
            return
        for index, (_, _, answer) in enumerate(reads):
            if not answer.done():
                answer.set_result(purchases.get(index))

    async def _named(self, event_id: int | None, rows: str) -> list[tuple[Any, ...]]:
        """The purchases that ``rows`` name; all are of this event on Citus, where its node has them (ADR 161)."""
        if event_id is None:
            return await self._reads.rows(sql.PURCHASES_NAMED, rows=rows)
        found = await self._at_nodes.rows(sql.PURCHASES_AT_NODE, event_id, rows=rows)
        if found is not None:
            return [row[1:] for row in found if row[1] is not None]
        # The rows have moved, or the gateway does not reach their node.
        return await self._reads.rows(of_one_event(sql.PURCHASES_NAMED), rows=rows, event_id=event_id)

    async def close(self) -> None:
        """Close the connections to a cluster's nodes."""
        await self._at_nodes.close()

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
