"""One batch's reads, locks and writes on a psycopg connection: three round trips and a commit."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import psycopg

from booking_lane.commands import Checkout, Command, Outcome, Release, Reserve, Seat, Sweep, command_id_new
from booking_lane.results import Count, EventChange, SeatChange
from db import booking_sql as sql
from workers.engine.book import Book, Detail, EventNow, Hold, Purchase, SeatNow, TicketNow
from workers.engine.free_rows import FreeRows

Connection = psycopg.Connection[tuple[Any, ...]]
Cursor = psycopg.Cursor[tuple[Any, ...]]

SWEPT_HOLDS_MAX = 500


def _ask(connection: Connection, statement: str, **parameters: Any) -> Cursor:
    return connection.cursor(binary=True).execute(statement, parameters, prepare=True)


def _hold(row: Sequence[Any]) -> Hold:
    event_id, reservation_id, user_id, state, types, rows, numbers, total, expires_at = row
    seats = tuple(zip(types, rows, numbers, strict=True))
    return Hold(event_id, reservation_id, user_id, state, seats, total, expires_at)


class Transaction:
    """Reads what ``commands`` need and writes what they change. The caller begins, commits and rolls back.

    Args:
        locks: False takes neither advisory nor row locks. Only for the tests that show what then breaks.
    """

    def __init__(self, connection: Connection, *, locks: bool) -> None:
        self._connection = connection
        self._locks = locks

    def lock_and_read(
        self, commands: Sequence[Command], hold_seconds: int, grace_seconds: int
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
        connection = self._connection
        with connection.pipeline():
            if self._locks:
                _ask(connection, sql.LOCK_EVENTS, space=sql.ADVISORY_SPACE, event_ids=event_ids)
            outcomes = _ask(
                connection,
                sql.READ_OUTCOMES,
                event_ids=[command.event_id for command in asked],
                command_ids=[command.command_id for command in asked],
            )
            events = _ask(connection, sql.READ_EVENTS, event_ids=event_ids)
            tickets = _ask(connection, sql.READ_TICKETS, event_ids=event_ids)
            holds_of_fans = _ask(
                connection,
                sql.READ_HOLDS_OF_FANS,
                event_ids=[event_id for event_id, _ in fans],
                user_ids=[user_id for _, user_id in fans],
            )
            holds_named = _ask(
                connection,
                sql.READ_HOLDS,
                event_ids=[event_id for event_id, _ in named],
                reservation_ids=[reservation_id for _, reservation_id in named],
            )
            bought = _ask(
                connection,
                sql.READ_BOUGHT,
                event_ids=[event_id for event_id, _ in fans],
                user_ids=[user_id for _, user_id in fans],
            )
            swept = sorted({command.event_id for command in commands if isinstance(command, Sweep)})
            lapsed = _ask(
                connection,
                sql.READ_LAPSED_HOLDS,
                event_ids=swept,
                grace_seconds=grace_seconds,
                holds_max=SWEPT_HOLDS_MAX,
            )
        recorded = {
            row[1]: Outcome(
                command_id=row[1],
                event_id=row[0],
                kind=row[2],
                user_id=row[3],
                body_hash=bytes(row[4]),
                body=row[5].encode(),
            )
            for row in outcomes
        }
        book = Book(dt.datetime.min.replace(tzinfo=dt.UTC), hold_seconds, grace_seconds)
        for event_id, version, on_sale_at, currency, seats_per_fan_max in events:
            book.events[event_id] = EventNow(version, on_sale_at, currency, seats_per_fan_max)
        for event_id, ticket_type_id, *rest in tickets:
            book.tickets[event_id, ticket_type_id] = TicketNow(*rest)
        for row in [*holds_named, *holds_of_fans]:
            book.add_hold(_hold(row))
        for row in lapsed:
            hold = _hold(row)
            book.add_hold(hold)
            book.lapsed.setdefault(hold.event_id, []).append(hold.reservation_id)
        for event_id, user_id, count in bought:
            book.bought_counts[event_id, user_id] = count
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
        bought = [hold for hold in book.holds.values() if hold.state == "purchased"]
        ordered = sorted(keys)
        event_ids, type_ids, rows, numbers = zip(*ordered, strict=True) if ordered else ((), (), (), ())
        connection = self._connection
        with connection.pipeline():
            seats = _ask(
                connection,
                sql.LOCK_SEATS if self._locks else sql.READ_SEATS,
                event_ids=list(event_ids),
                ticket_type_ids=list(type_ids),
                row_numbers=list(rows),
                seat_numbers=list(numbers),
            )
            free = {
                kind: _ask(connection, sql.READ_FREE_SEATS, event_id=kind[0], ticket_type_id=kind[1])
                for kind in sorted(kinds)
            }
            purchases = _ask(
                connection,
                sql.READ_PURCHASES_OF_HOLDS,
                event_ids=[hold.event_id for hold in bought],
                user_ids=[hold.user_id for hold in bought],
                reservation_ids=[hold.reservation_id for hold in bought],
            )
            clock = _ask(connection, sql.CLOCK)
        for event_id, ticket_type_id, row, number, *state in seats:
            book.seats[event_id, ticket_type_id, row, number] = SeatNow(*state)
        for kind, cursor in free.items():
            book.free_rows[kind] = FreeRows((row[0], row[1], row[2]) for row in cursor)
        for row in purchases:
            self._add_purchase(book, row)
        now = clock.fetchone()
        assert now is not None
        book.now = now[0]

    @staticmethod
    def _add_purchase(book: Book, row: Sequence[Any]) -> None:
        event_id, reservation_id, purchase_id, user_id, total, currency, at, status, *detail = row
        purchase = book.purchases_of_holds.setdefault(
            reservation_id,
            Purchase(event_id, purchase_id, user_id, reservation_id, total, currency, at, [], status),
        )
        ticket_type_id, row_number, seat_number, amount, code = detail
        purchase.details.append(Detail((ticket_type_id, row_number, seat_number), amount, code))

    def write(self, book: Book, outcomes: Sequence[Outcome]) -> None:
        """Write the book's difference and the outcomes that are new. Sends; the commit follows."""
        changes = book.changes
        connection = self._connection
        seats = [(key, book.seats[key]) for key in sorted(changes.seats)]
        if seats:
            _ask(
                connection,
                sql.WRITE_SEATS,
                event_ids=[key[0] for key, _ in seats],
                ticket_type_ids=[key[1] for key, _ in seats],
                row_numbers=[key[2] for key, _ in seats],
                seat_numbers=[key[3] for key, _ in seats],
                statuses=[seat.status for _, seat in seats],
                reservation_ids=[seat.reservation_id for _, seat in seats],
                held_untils=[seat.held_until for _, seat in seats],
            )
        self._write_holds(book)
        if changes.purchases:
            self._write_purchases(book)
        counts = [(kind, change) for kind, change in sorted(changes.counts.items()) if any(change)]
        if counts:
            _ask(
                connection,
                sql.WRITE_COUNTS,
                event_ids=[kind[0] for kind, _ in counts],
                ticket_type_ids=[kind[1] for kind, _ in counts],
                available_changes=[change[0] for _, change in counts],
                held_changes=[change[1] for _, change in counts],
            )
        if changes.event_ids:
            _ask(connection, sql.WRITE_VERSIONS, event_ids=sorted(changes.event_ids))
        if outcomes:
            _ask(
                connection,
                sql.WRITE_OUTCOMES,
                event_ids=[outcome.event_id for outcome in outcomes],
                command_ids=[outcome.command_id for outcome in outcomes],
                kinds=[outcome.kind for outcome in outcomes],
                user_ids=[outcome.user_id for outcome in outcomes],
                body_hashes=[outcome.body_hash for outcome in outcomes],
                outcomes=[outcome.body.decode() for outcome in outcomes],
                now=book.now,
            )

    def _write_holds(self, book: Book) -> None:
        new = list(book.changes.new_holds.values())
        if new:
            _ask(
                self._connection,
                sql.WRITE_NEW_HOLDS,
                event_ids=[hold.event_id for hold in new],
                reservation_ids=[hold.reservation_id for hold in new],
                user_ids=[hold.user_id for hold in new],
                states=[hold.state for hold in new],
                ticket_type_ids=[_array(hold.seats, 0) for hold in new],
                row_numbers=[_array(hold.seats, 1) for hold in new],
                seat_numbers=[_array(hold.seats, 2) for hold in new],
                total_amounts=[hold.total_amount for hold in new],
                expires_ats=[hold.expires_at for hold in new],
                now=book.now,
            )
        old = [hold for key, hold in book.changes.hold_states.items() if key not in book.changes.new_holds]
        if old:
            _ask(
                self._connection,
                sql.WRITE_HOLD_STATES,
                event_ids=[hold.event_id for hold in old],
                reservation_ids=[hold.reservation_id for hold in old],
                states=[hold.state for hold in old],
            )

    def _write_purchases(self, book: Book) -> None:
        purchases = book.changes.purchases
        details = [(purchase, detail) for purchase in purchases for detail in purchase.details]
        _ask(
            self._connection,
            sql.WRITE_PURCHASES,
            event_ids=[purchase.event_id for purchase in purchases],
            purchase_ids=[purchase.purchase_id for purchase in purchases],
            user_ids=[purchase.user_id for purchase in purchases],
            reservation_ids=[purchase.reservation_id for purchase in purchases],
            total_amounts=[purchase.total_amount for purchase in purchases],
            currencies=[purchase.currency for purchase in purchases],
            now=book.now,
        )
        _ask(
            self._connection,
            sql.WRITE_PURCHASE_DETAILS,
            event_ids=[purchase.event_id for purchase, _ in details],
            purchase_ids=[purchase.purchase_id for purchase, _ in details],
            ticket_type_ids=[detail.seat[0] for _, detail in details],
            row_numbers=[detail.seat[1] for _, detail in details],
            seat_numbers=[detail.seat[2] for _, detail in details],
            amounts=[detail.amount for _, detail in details],
            ticket_codes=[detail.ticket_code for _, detail in details],
        )
        _ask(
            self._connection,
            sql.WRITE_OUTBOX,
            event_ids=[purchase.event_id for purchase in purchases],
            outbox_ids=[command_id_new() for _ in purchases],
            kinds=["purchase.made"] * len(purchases),
            payloads=[
                msgspec.json.encode({"purchaseId": p.purchase_id, "userId": p.user_id}).decode() for p in purchases
            ],
            now=book.now,
        )


def _array(seats: Iterable[Seat], field: int) -> str:
    # unnest cannot return arrays of arrays of several lengths: each inner one travels as its literal.
    return "{" + ",".join(str(seat[field]) for seat in seats) + "}"


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
        for event_id in sorted(book.changes.event_ids)
    )
