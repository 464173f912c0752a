"""Opens the book: takes the locks of a batch and reads its rows, in two round trips."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from booking_lane.commands import Command, Outcome
from booking_lane.settings import HoldSettings
from db.booking import conduct, events, holds, outcomes, purchases, seats, vouchers
from db.booking.states import HoldState
from db.plans.best_seats import PlannedRow, planned_rows
from db.plans.reading import READ_FOCUSES, READ_ROWS
from workers.engine.book import Book
from workers.engine.commands import RULES
from workers.engine.free_rows import FreeRows, KeptRows
from workers.engine.needs import Needs
from workers.engine.statements import Connection, read_rows, run

SWEPT_HOLDS_MAX = 500
SWEPT_HOLDS_MIN = 20
"""If many events are swept at a time, each has at least so many holds swept: none waits for one with many holds."""

_UNREAD = dt.datetime.min.replace(tzinfo=dt.UTC)


def needs_of(commands: Sequence[Command]) -> Needs:
    """The rows that these commands need."""
    needs = Needs()
    for command in commands:
        needs.events.add(command.event_id)
        RULES[type(command)].needs(command, needs)
    return needs


def lock_and_read(
    connection: Connection,
    kept: KeptRows,
    commands: Sequence[Command],
    hold: HoldSettings,
    *,
    locks: bool,
) -> tuple[Book, dict[uuid.UUID, Outcome]]:
    """Take the events' locks and open the book.

    Args:
        kept: free rows of the batch before.
        locks: False takes neither advisory nor row locks; only tests that show what breaks without locks use it.

    Returns:
        The book, and the outcomes that earlier runs recorded for any of the commands.
    """
    needs = needs_of(commands)
    book = Book(_UNREAD, hold)
    recorded = _read_rows(connection, book, kept, needs, commands, locks=locks)
    _lock_seats(connection, book, kept, needs, locks=locks)
    return book, recorded


def _read_rows(
    connection: Connection, book: Book, kept: KeptRows, needs: Needs, commands: Sequence[Command], *, locks: bool
) -> dict[uuid.UUID, Outcome]:
    """Make the first round trip, which reads everything but the seats."""
    event_ids = sorted(needs.events)
    fans = [{"event_id": event_id, "user_id": user_id} for event_id, user_id in sorted(needs.fans)]
    with connection.pipeline():
        if locks:
            run(connection, events.LOCK_EVENTS, space=events.ADVISORY_SPACE, event_ids=event_ids)
        outcome_rows = read_rows(
            connection,
            outcomes.READ_OUTCOMES,
            [{"event_id": one.event_id, "command_id": one.command_id} for one in commands if one.is_recorded],
        )
        event_rows = run(connection, events.READ_EVENTS, event_ids=event_ids)
        ticket_rows = run(connection, events.READ_TICKETS, event_ids=event_ids)
        holds_of_fans = read_rows(connection, holds.READ_HOLDS_OF_FANS, fans)
        holds_named = read_rows(
            connection,
            holds.READ_HOLDS,
            [{"event_id": event_id, "reservation_id": hold} for event_id, hold in sorted(needs.holds)],
        )
        bought = read_rows(connection, purchases.READ_BOUGHT, fans)
        purchase_rows = read_rows(
            connection,
            purchases.READ_PURCHASES,
            [{"event_id": event_id, "purchase_id": purchase} for event_id, purchase in sorted(needs.purchases)],
        )
        unbought = read_rows(
            connection,
            conduct.READ_UNBOUGHT,
            [{"event_id": event_id, "user_id": user_id} for event_id, user_id in sorted(needs.unbought)],
        )
        networks = read_rows(
            connection,
            conduct.READ_NETWORKS,
            [{"event_id": event_id, "network": network} for event_id, network in sorted(needs.networks)],
        )
        voucher_rows = read_rows(
            connection,
            vouchers.READ_VOUCHERS,
            [vouchers.voucher_key(event_id, code_hash) for event_id, code_hash in sorted(needs.vouchers)],
        )
        bought_unproven: Iterable[tuple[Any, ...]] = ()
        if needs.bought_unproven:
            bought_unproven = run(connection, conduct.READ_BOUGHT_UNPROVEN, event_ids=sorted(needs.bought_unproven))
        lapsed: Iterable[tuple[Any, ...]] = ()
        if needs.lapsed_of:
            lapsed = run(
                connection,
                holds.READ_DUE_HOLDS,
                event_ids=sorted(needs.lapsed_of),
                grace_seconds=book.settings.grace_seconds,
                holds_max=max(SWEPT_HOLDS_MIN, SWEPT_HOLDS_MAX // len(needs.lapsed_of)),
            )
    for row in event_rows:
        event = events.event_row(row)
        book.events[event.event_id] = event
        book.free_rows |= kept.take(event.event_id, event.version)
    for row in ticket_rows:
        ticket = events.ticket_row(row)
        book.tickets[ticket.event_id, ticket.ticket_type_id] = ticket
    for row in [*holds_named, *holds_of_fans]:
        book.add_hold(holds.hold_row(row))
    for row in lapsed:
        hold = holds.hold_row(row)
        book.add_hold(hold)
        book.lapsed.setdefault(hold.event_id, []).append(hold.reservation_id)
    # Seats whose hold has lapsed since the kept rows were read are free without a sweep, so these rows are read again.
    book.free_rows = {key: rows for key, rows in book.free_rows.items() if key[0] not in book.lapsed}
    for row in bought:
        of_fan = purchases.BoughtRow._make(row)
        fan = of_fan.event_id, of_fan.user_id
        book.bought_counts[fan] = book.bought_counts.get(fan, 0) + of_fan.seats
        book.bought_of_types[*fan, of_fan.ticket_type_id] = of_fan.seats
    for row in unbought:
        of_user = conduct.UnboughtRow._make(row)
        book.unbought[of_user.event_id, of_user.user_id] = of_user.holds
    for row in networks:
        of_network = conduct.NetworkRow._make(row)
        book.network_seats[of_network.event_id, of_network.network] = of_network.seats
        book.network_unbought[of_network.event_id, of_network.network] = of_network.unbought_seats
    book.bought_unproven |= dict(bought_unproven)
    for row in voucher_rows:
        voucher = vouchers.voucher_row(row)
        book.vouchers[voucher.event_id, voucher.code_hash] = voucher
    for purchase in purchases.purchase_rows(purchase_rows):
        book.purchases[purchase.purchase_id] = purchase
    return {row[0]: Outcome(*outcomes.outcome_row(row)) for row in outcome_rows}


def _lock_seats(connection: Connection, book: Book, kept: KeptRows, needs: Needs, *, locks: bool) -> None:
    """Make the second round trip, which locks and reads the seats, and then reads the clock."""
    keys = set(needs.seats)
    for hold in book.holds.values():
        if hold.is_open:
            keys.update([(hold.event_id, *seat) for seat in hold.seats])
    for purchase in book.purchases.values():
        keys.update([(purchase.event_id, *detail.seat) for detail in purchase.live])
    bought = [hold for hold in book.holds.values() if hold.state == HoldState.PURCHASED]
    with connection.pipeline():
        seat_rows = read_rows(
            connection, seats.LOCK_SEATS if locks else seats.READ_SEATS, seats.seat_keys(sorted(keys))
        )
        free = {
            key: run(connection, seats.READ_FREE_SEATS, event_id=key[0], ticket_type_id=key[1])
            for key in sorted(needs.free_rows - book.free_rows.keys())
            if key[0] in book.events
        }
        layouts = {key: kept.layouts(key[0], book.events[key[0]].revision) for key in free}
        seats_of = {
            key: run(connection, READ_ROWS, event_id=key[0], ticket_type_id=key[1])
            for key in free
            if key not in layouts[key]
        }
        planned: Iterable[tuple[Any, ...]] = ()
        if seats_of:
            planned = run(connection, READ_FOCUSES, event_ids=sorted({event_id for event_id, _ in seats_of}))
        purchase_rows = read_rows(
            connection,
            purchases.READ_PURCHASES_OF_HOLDS,
            [
                {"event_id": hold.event_id, "user_id": hold.user_id, "reservation_id": hold.reservation_id}
                for hold in bought
            ],
        )
        clock = run(connection, events.CLOCK)
    for row in seat_rows:
        seat, now = seats.seat_row(row)
        book.seats[seat] = now
    focuses = {event_id: (x, y) for event_id, x, y in planned}
    for key, cursor in seats_of.items():
        layouts[key][key] = planned_rows(map(PlannedRow._make, cursor), focuses.get(key[0]))
    for key, cursor in free.items():
        book.free_rows[key] = FreeRows(layouts[key][key], cursor)
    # One purchase is one object, so that a repeated checkout sees the seats that this batch cancels.
    book.purchases_of_holds |= {purchase.reservation_id: purchase for purchase in book.purchases.values()}
    for purchase in purchases.purchase_rows(purchase_rows):
        book.purchases_of_holds.setdefault(purchase.reservation_id, purchase)
    (book.now,) = clock.fetchone() or (_UNREAD,)
