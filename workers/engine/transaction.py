"""One batch's reads, locks and writes on a psycopg connection: three round trips and a commit."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import psycopg

from booking_lane.commands import Cancel, Checkout, Command, Outcome, Release, Reserve, Sweep
from booking_lane.results import Count, EventChange, SeatChange
from db.booking import sql as sql
from db.booking.holds import seat_amounts
from db.outbox.kinds import CancelledSeat, OutboxKind, Payload, PurchaseCancelled, PurchaseMade
from db.outbox.writer import insert_news
from workers.engine.book import (
    Book,
    Detail,
    EventNow,
    EventSeat,
    Hold,
    Purchase,
    SeatNow,
    TicketNow,
)
from workers.engine.free_rows import FreeRows, KeptRows

Connection = psycopg.Connection[tuple[Any, ...]]
Cursor = psycopg.Cursor[tuple[Any, ...]]

SWEPT_HOLDS_MAX = 500
SWEPT_HOLDS_MIN = 20
"""Each event's share where many are swept at a time: one with many lapsed holds keeps no other waiting."""


def _ask(connection: Connection, statement: str, **parameters: Any) -> Cursor:
    return connection.cursor(binary=True).execute(statement, parameters, prepare=True)


def _with_rows(connection: Connection, statement: str, rows: Sequence[dict[str, Any]], **parameters: Any) -> Cursor:
    """Run a statement on rows of its recordset."""
    return _ask(connection, statement, rows=msgspec.json.encode(rows).decode(), **parameters)


def _found(connection: Connection, statement: str, rows: Sequence[dict[str, Any]]) -> Iterable[tuple[Any, ...]]:
    """What a statement reads of these rows; without any it is not asked, for each costs a small batch dearly."""
    return _with_rows(connection, statement, rows) if rows else ()


def _seat_rows(keys: Iterable[EventSeat]) -> list[dict[str, Any]]:
    return [{"event_id": key[0], "ticket_type_id": key[1], "row_number": key[2], "seat_number": key[3]} for key in keys]


def _hold(row: Sequence[Any]) -> Hold:
    event_id, reservation_id, user_id, state, types, rows, numbers, total, expires_at, amounts = row
    seats = tuple(zip(types, rows, numbers, strict=True))
    each = seat_amounts(amounts, total, len(seats))
    return Hold(event_id, reservation_id, user_id, state, seats, total, expires_at, each)


def _recorded(row: Sequence[Any]) -> Outcome:
    event_id, command_id, kind, user_id, body_hash, body = row
    return Outcome(command_id, event_id, user_id, kind, bytes(body_hash), body.encode())


def _outcome_row(outcome: Outcome) -> dict[str, Any]:
    return {
        "event_id": outcome.event_id,
        "command_id": outcome.command_id,
        "kind": outcome.kind,
        "user_id": outcome.user_id,
        "body_hash": "\\x" + outcome.body_hash.hex(),
        "outcome": msgspec.Raw(outcome.body),
    }


class Transaction:
    """Reads what ``commands`` need and writes what they change. The caller begins, commits and rolls back.

    Args:
        locks: False takes neither advisory nor row locks. Only for the tests that show what then breaks.
    """

    def __init__(self, connection: Connection, kept: KeptRows, *, locks: bool) -> None:
        self._connection = connection
        self._kept = kept
        self._locks = locks

    def lock_and_read(
        self, commands: Sequence[Command], hold_seconds: int, grace_seconds: int, cancel_until_hours: int
    ) -> tuple[Book, dict[uuid.UUID, Outcome]]:
        """Take the events' locks and open the book.

        Returns: the book, and the outcomes that earlier runs recorded for any of the commands.
        """
        event_ids = sorted({command.event_id for command in commands})
        asked = [command for command in commands if not isinstance(command, Sweep)]
        fans = sorted({(command.event_id, command.user_id) for command in asked})
        named = sorted(
            {
                (command.event_id, command.reservation_id)
                for command in asked
                if isinstance(command, Checkout | Release) and command.reservation_id is not None
            }
        )
        cancelled = sorted(
            {(command.event_id, command.purchase_id) for command in asked if isinstance(command, Cancel)}
        )
        connection = self._connection
        with connection.pipeline():
            if self._locks:
                _ask(connection, sql.LOCK_EVENTS, space=sql.ADVISORY_SPACE, event_ids=event_ids)
            outcomes = _found(
                connection,
                sql.READ_OUTCOMES,
                [{"event_id": command.event_id, "command_id": command.command_id} for command in asked],
            )
            events = _ask(connection, sql.READ_EVENTS, event_ids=event_ids)
            tickets = _ask(connection, sql.READ_TICKETS, event_ids=event_ids)
            fan_rows = [{"event_id": event_id, "user_id": user_id} for event_id, user_id in fans]
            holds_of_fans = _found(connection, sql.READ_HOLDS_OF_FANS, fan_rows)
            holds_named = _found(
                connection,
                sql.READ_HOLDS,
                [{"event_id": event_id, "reservation_id": hold} for event_id, hold in named],
            )
            bought = _found(connection, sql.READ_BOUGHT, fan_rows)
            purchases = _found(
                connection,
                sql.READ_PURCHASES,
                [{"event_id": event_id, "purchase_id": purchase} for event_id, purchase in cancelled],
            )
            swept = sorted(
                {
                    command.event_id
                    for command in commands
                    if isinstance(command, Sweep) or (isinstance(command, Reserve) and command.best_available)
                }
            )
            lapsed: Iterable[tuple[Any, ...]] = ()
            if swept:
                lapsed = _ask(
                    connection,
                    sql.READ_LAPSED_HOLDS,
                    event_ids=swept,
                    grace_seconds=grace_seconds,
                    holds_max=max(SWEPT_HOLDS_MIN, SWEPT_HOLDS_MAX // len(swept)),
                )
        recorded = {row[1]: _recorded(row) for row in outcomes}
        book = Book(dt.datetime.min.replace(tzinfo=dt.UTC), hold_seconds, grace_seconds, cancel_until_hours)
        for event_id, version, *rest in events:
            book.events[event_id] = EventNow(version, *rest)
            book.free_rows |= self._kept.take(event_id, version)
        for event_id, ticket_type_id, *rest in tickets:
            book.tickets[event_id, ticket_type_id] = TicketNow(*rest)
        for row in [*holds_named, *holds_of_fans]:
            book.add_hold(_hold(row))
        for row in lapsed:
            hold = _hold(row)
            book.add_hold(hold)
            book.lapsed.setdefault(hold.event_id, []).append(hold.reservation_id)
        # Seats whose hold has lapsed since the rows were read are free without a sweep: read the rows anew.
        book.free_rows = {kind: rows for kind, rows in book.free_rows.items() if kind[0] not in book.lapsed}
        for event_id, user_id, count in bought:
            book.bought_counts[event_id, user_id] = count
        for row in purchases:
            self._add_purchase(book.purchases, row[2], row)
        self._read_seats(book, commands)
        return book, recorded

    def _read_seats(self, book: Book, commands: Sequence[Command]) -> None:
        keys: set[tuple[int, int, int, int]] = set()
        kinds: set[tuple[int, int]] = set()
        for command in commands:
            if isinstance(command, Reserve | Checkout):
                keys.update((command.event_id, *seat) for seat in command.seats)
            if isinstance(command, Reserve) and command.best_available is not None:
                kinds.add((command.event_id, command.best_available.ticket_type_id))
        for hold in book.holds.values():
            if hold.state == "held":
                keys.update((hold.event_id, *seat) for seat in hold.seats)
        for purchase in book.purchases.values():
            keys.update((purchase.event_id, *detail.seat) for detail in purchase.live)
        bought = [hold for hold in book.holds.values() if hold.state == "purchased"]
        connection = self._connection
        with connection.pipeline():
            seats = _found(
                connection,
                sql.LOCK_SEATS if self._locks else sql.READ_SEATS,
                _seat_rows(sorted(keys)),
            )
            free = {
                kind: _ask(connection, sql.READ_FREE_SEATS, event_id=kind[0], ticket_type_id=kind[1])
                for kind in sorted(kinds - book.free_rows.keys())
            }
            purchases = _found(
                connection,
                sql.READ_PURCHASES_OF_HOLDS,
                [
                    {"event_id": hold.event_id, "user_id": hold.user_id, "reservation_id": hold.reservation_id}
                    for hold in bought
                ],
            )
            clock = _ask(connection, sql.CLOCK)
        for event_id, ticket_type_id, row, number, *state in seats:
            book.seats[event_id, ticket_type_id, row, number] = SeatNow(*state)
        for kind, cursor in free.items():
            book.free_rows[kind] = FreeRows((row[0], row[1], row[2]) for row in cursor)
        # One purchase is one object, so that a checkout asked again sees what this batch cancels of it.
        book.purchases_of_holds |= {purchase.reservation_id: purchase for purchase in book.purchases.values()}
        for row in purchases:
            if row[2] not in book.purchases:
                self._add_purchase(book.purchases_of_holds, row[1], row)
        now = clock.fetchone()
        assert now is not None
        book.now = now[0]

    @staticmethod
    def _add_purchase(purchases: dict[uuid.UUID, Purchase], key: uuid.UUID, row: Sequence[Any]) -> None:
        event_id, reservation_id, purchase_id, user_id, total, currency, at, status, *detail = row
        purchase = purchases.setdefault(
            key, Purchase(event_id, purchase_id, user_id, reservation_id, total, currency, at, [], status)
        )
        ticket_type_id, row_number, seat_number, *rest = detail
        purchase.details.append(Detail((ticket_type_id, row_number, seat_number), *rest))

    def write(self, book: Book, outcomes: Sequence[Outcome]) -> None:
        """Write the book's difference and the outcomes that are new. Sends; the commit follows."""
        changes = book.changes
        connection = self._connection
        if changes.seats:
            keys = sorted(changes.seats)
            rows = _seat_rows(keys)
            for row, key in zip(rows, keys, strict=True):
                seat = book.seats[key]
                row |= {
                    "status": seat.status,
                    "reservation_id": seat.reservation_id,
                    "held_until": seat.held_until,
                }
            _with_rows(connection, sql.WRITE_SEATS, rows)
        self._write_holds(book)
        if changes.cancellations:
            # Before the purchases: a seat given back may be bought anew in the same batch.
            self._write_cancellations(book)
        if changes.purchases:
            self._write_purchases(book)
        counts = [
            {"event_id": kind[0], "ticket_type_id": kind[1], "available_change": free, "held_change": held}
            for kind, (free, held) in sorted(changes.counts.items())
            if free or held
        ]
        if counts:
            _with_rows(connection, sql.WRITE_COUNTS, counts)
        if event_ids := sorted(changes.event_ids()):
            _ask(connection, sql.WRITE_VERSIONS, event_ids=event_ids)
        if outcomes:
            _with_rows(connection, sql.WRITE_OUTCOMES, [_outcome_row(outcome) for outcome in outcomes], now=book.now)

    def record(self, outcome: Outcome) -> Outcome:
        """Record an outcome that no decision made; returns the one that stands, which may be an earlier one."""
        connection = self._connection
        now = _ask(connection, sql.CLOCK).fetchone()
        assert now is not None
        _with_rows(connection, sql.RECORD_OUTCOMES, [_outcome_row(outcome)], now=now[0])
        key = {"event_id": outcome.event_id, "command_id": outcome.command_id}
        row = _with_rows(connection, sql.READ_OUTCOMES, [key]).fetchone()
        return outcome if row is None else _recorded(row)

    def _write_holds(self, book: Book) -> None:
        new = book.changes.new_holds
        if new:
            _with_rows(
                self._connection,
                sql.WRITE_NEW_HOLDS,
                [
                    {
                        "event_id": hold.event_id,
                        "reservation_id": hold.reservation_id,
                        "user_id": hold.user_id,
                        "state": hold.state,
                        "ticket_type_ids": [seat[0] for seat in hold.seats],
                        "row_numbers": [seat[1] for seat in hold.seats],
                        "seat_numbers": [seat[2] for seat in hold.seats],
                        "amounts": hold.amounts,
                        "total_amount": hold.total_amount,
                        "expires_at": hold.expires_at,
                    }
                    for hold in new.values()
                ],
                now=book.now,
            )
        old = [
            {"event_id": hold.event_id, "reservation_id": key, "state": hold.state}
            for key, hold in book.changes.hold_states.items()
            if key not in new
        ]
        if old:
            _with_rows(self._connection, sql.WRITE_HOLD_STATES, old)

    def _write_purchases(self, book: Book) -> None:
        purchases = book.changes.purchases
        _with_rows(
            self._connection,
            sql.WRITE_PURCHASES,
            [
                {
                    "event_id": purchase.event_id,
                    "purchase_id": purchase.purchase_id,
                    "user_id": purchase.user_id,
                    "reservation_id": purchase.reservation_id,
                    "total_amount": purchase.total_amount,
                    "currency": purchase.currency,
                }
                for purchase in purchases
            ],
            now=book.now,
        )
        _with_rows(
            self._connection,
            sql.WRITE_PURCHASE_DETAILS,
            [
                {
                    "event_id": purchase.event_id,
                    "purchase_id": purchase.purchase_id,
                    "ticket_type_id": detail.seat[0],
                    "row_number": detail.seat[1],
                    "seat_number": detail.seat[2],
                    "amount": detail.amount,
                    "ticket_code": detail.ticket_code,
                }
                for purchase in purchases
                for detail in purchase.details
            ],
        )
        self._write_news(
            book,
            OutboxKind.PURCHASE_MADE,
            [
                PurchaseMade(
                    event_id=purchase.event_id,
                    purchase_id=purchase.purchase_id,
                    user_id=purchase.user_id,
                    seats=len(purchase.details),
                    total_amount=purchase.total_amount,
                    currency=purchase.currency,
                )
                for purchase in purchases
            ],
        )

    def _write_cancellations(self, book: Book) -> None:
        cancellations = book.changes.cancellations
        cancelled = {one.purchase.purchase_id: one.purchase for one in cancellations}
        _with_rows(
            self._connection,
            sql.WRITE_CANCELLED_PURCHASES,
            [
                {
                    "event_id": purchase.event_id,
                    "purchase_id": purchase_id,
                    "status": purchase.status,
                    "total_amount": purchase.total_amount,
                }
                for purchase_id, purchase in cancelled.items()
            ],
        )
        _with_rows(
            self._connection,
            sql.WRITE_CANCELLED_DETAILS,
            [
                {
                    "event_id": one.purchase.event_id,
                    "purchase_id": one.purchase.purchase_id,
                    "ticket_type_id": detail.seat[0],
                    "row_number": detail.seat[1],
                    "seat_number": detail.seat[2],
                }
                for one in cancellations
                for detail in one.details
            ],
            now=book.now,
        )
        self._write_news(
            book,
            OutboxKind.PURCHASE_CANCELLED,
            [
                PurchaseCancelled(
                    event_id=one.purchase.event_id,
                    purchase_id=one.purchase.purchase_id,
                    user_id=one.purchase.user_id,
                    seats=len(one.details),
                    details=tuple(_cancelled_seat(detail) for detail in one.details),
                    refund_amount=one.refund_amount,
                    total_amount=one.total_amount,
                    currency=one.purchase.currency,
                    status=one.status,
                )
                for one in cancellations
            ],
        )

    def _write_news(self, book: Book, kind: OutboxKind, payloads: Sequence[Payload]) -> None:
        statement, parameters = insert_news(kind, payloads, at=book.now)
        _ask(self._connection, statement, **parameters)


def _cancelled_seat(detail: Detail) -> CancelledSeat:
    ticket_type_id, row_number, seat_number = detail.seat
    return CancelledSeat(
        ticket_type_id=ticket_type_id, row_number=row_number, seat_number=seat_number, amount=detail.amount
    )


def event_changes(book: Book) -> tuple[EventChange, ...]:
    """What readers hear of a committed book: changed seats, counts and the new version of each event."""
    seats: dict[int, list[SeatChange]] = defaultdict(list)
    for event_id, ticket_type_id, row, number in sorted(book.changes.seats):
        status = book.seats[event_id, ticket_type_id, row, number].status
        seats[event_id].append(SeatChange(ticket_type_id, row, number, status))
    counts: dict[int, list[Count]] = defaultdict(list)
    for (event_id, ticket_type_id), ticket in sorted(book.tickets.items()):
        counts[event_id].append(Count(ticket_type_id, ticket.available_count, ticket.held_count))
    return tuple(
        EventChange(event_id, book.events[event_id].version + 1, tuple(seats[event_id]), tuple(counts[event_id]))
        for event_id in sorted(book.changes.event_ids())
    )
