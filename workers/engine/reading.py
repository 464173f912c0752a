"""Opens the book: takes the locks of a batch and reads its rows, in one round trip or two."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from booking_lane.commands import Command, Outcome
from booking_lane.settings import HoldSettings
from db.booking import conduct, events, fans, holds, outcomes, purchases, seats, vouchers
from db.booking.seats import EventSeat
from db.booking.states import HoldState
from db.entries import used
from db.payments import rows as payments
from db.plans.best_seats import PlannedRow, planned_rows
from db.plans.reading import READ_FOCUSES, READ_ROWS
from db.waiting import entries
from workers.engine.book import Book
from workers.engine.commands import RULES
from workers.engine.free_rows import FreeRows, KeptRows
from workers.engine.kept_networks import KeptNetworks
from workers.engine.needs import Needs
from workers.engine.statements import Connection, read_rows, run
from workers.engine.transactions import Transaction
from workers.engine.turns import Turns

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
    ours: Transaction,
    kept: KeptRows,
    kept_networks: KeptNetworks,
    commands: Sequence[Command],
    hold: HoldSettings,
    *,
    locks: bool,
) -> tuple[Book, dict[uuid.UUID, Outcome]]:
    """Begin the transaction, take the events' locks and open the book.

    Args:
        kept, kept_networks: free rows of the batch before, and what networks had.
        locks: False takes neither advisory nor row locks; only tests that show what breaks without locks use it.

    Returns:
        The book, and the outcomes that earlier runs recorded for any of the commands.
    """
    needs = needs_of(commands)
    book = Book(_UNREAD, hold)
    connection = ours.connection
    recorded = _read_rows(ours, book, kept, kept_networks, needs, commands, locks=locks)
    _read_turns(connection, book, needs)
    _lock_seats(connection, book, kept, kept_networks, needs, locks=locks)
    return book, recorded


def _read_rows(
    ours: Transaction,
    book: Book,
    kept: KeptRows,
    kept_networks: KeptNetworks,
    needs: Needs,
    commands: Sequence[Command],
    *,
    locks: bool,
) -> dict[uuid.UUID, Outcome]:
    """Make the first round trip, which reads everything but seats that no command names, and then reads the clock."""
    event_ids = sorted(needs.events)
    connection = ours.connection
    with connection.pipeline():
        ours.begin()
        if locks:
            run(connection, events.LOCK_EVENTS, space=events.ADVISORY_SPACE, event_ids=event_ids)
        outcome_rows = read_rows(
            connection,
            outcomes.READ_OUTCOMES,
            [{"event_id": one.event_id, "command_id": one.command_id} for one in commands if one.is_recorded],
        )
        event_rows = run(connection, events.READ_EVENTS, event_ids=event_ids)
        ticket_rows = run(connection, events.READ_TICKETS, event_ids=event_ids)
        fan_rows = read_rows(connection, fans.READ_FANS, [fans.fan_key(*fan) for fan in sorted(needs.fans)])
        holds_named = read_rows(
            connection,
            holds.READ_HOLDS,
            [
                {"event_id": event_id, "reservation_id": hold, "user_id": user_id}
                for (event_id, hold), user_id in sorted(needs.holds.items())
            ],
        )
        purchase_rows = read_rows(
            connection,
            purchases.READ_PURCHASES,
            [{"event_id": event_id, "purchase_id": purchase} for event_id, purchase in sorted(needs.purchases)],
        )
        named = [{"event_id": event_id, "payment_id": payment_id} for event_id, payment_id in sorted(needs.payments)]
        payment_rows = read_rows(connection, payments.READ_PAYMENTS, named)
        job_rows = read_rows(connection, payments.READ_JOBS, named)
        voucher_rows = read_rows(
            connection,
            vouchers.READ_VOUCHERS,
            [vouchers.voucher_key(event_id, code_hash) for event_id, code_hash in sorted(needs.vouchers)],
        )
        large_holds: Iterable[tuple[Any, ...]] = ()
        if needs.large_holds:
            large_holds = run(
                connection,
                conduct.READ_LARGE_HOLDS,
                event_ids=sorted(needs.large_holds),
                grace_seconds=book.settings.grace_seconds,
            )
        kept_seats: Iterable[tuple[Any, ...]] = ()
        if needs.kept:
            kept_seats = run(connection, payments.READ_KEPT_SEATS, event_ids=sorted(needs.kept))
        entry_rows = read_rows(
            connection,
            entries.READ_ENTRIES_OF_FANS,
            [{"event_id": event_id, "user_id": user_id} for event_id, user_id in sorted(needs.waiting_fans)],
        )
        begun = read_rows(
            connection,
            entries.READ_BEGUN,
            [{"event_id": event_id, "ticket_type_id": kind} for event_id, kind in sorted(needs.waiting_types)],
        )
        networks_waiting = read_rows(
            connection,
            entries.READ_NETWORKS_WAITING,
            [{"event_id": event_id, "network": network} for event_id, network in sorted(needs.waiting_networks)],
        )
        list_ends: Iterable[tuple[Any, ...]] = ()
        if needs.waiting_types:
            of_lists = sorted({event_id for event_id, _ in needs.waiting_types})
            list_ends = run(connection, entries.READ_ENDS_OF_LISTS, event_ids=of_lists)
        lapsed: Iterable[tuple[Any, ...]] = ()
        if needs.lapsed_of:
            lapsed = run(
                connection,
                holds.READ_DUE_HOLDS,
                event_ids=sorted(needs.lapsed_of),
                grace_seconds=book.settings.grace_seconds,
                holds_max=max(SWEPT_HOLDS_MIN, SWEPT_HOLDS_MAX // len(needs.lapsed_of)),
            )
        # The seats that commands name need not wait for what is read here. Whoever has the events' locks may lock the
        # seats in any order.
        named_seats = _lock_named(connection, needs.seats, locks=locks)
        # Of these a second trip reads the seats, and the clock behind them.
        is_second_due = bool(needs.holds or needs.purchases or needs.payments)
        clock = None if is_second_due else run(connection, events.CLOCK)
    for row in event_rows:
        event = events.event_row(row)
        book.events[event.event_id] = event
        kept_rows = kept.take(event.event_id, event.version)
        if not event.waiting_list:
            # With a list even a seat whose hold lapsed a moment ago counts, and kept rows do not know of it.
            book.free_rows |= kept_rows
        book.networks[event.event_id] = kept_networks.take(event.event_id, event.version)
    for row in ticket_rows:
        ticket = events.ticket_row(row)
        book.tickets[ticket.event_id, ticket.ticket_type_id] = ticket
    for row in holds_named:
        book.add_hold(holds.hold_row(row))
    for row in fan_rows:
        _put_fan(book, fans.FanRow._make(row))
    for row in lapsed:
        hold = holds.hold_row(row)
        book.add_hold(hold)
        book.lapsed.setdefault(hold.event_id, []).append(hold.reservation_id)
    # Seats whose hold has lapsed since the kept rows were read are free without a sweep, so these rows are read again.
    book.free_rows = {key: rows for key, rows in book.free_rows.items() if key[0] not in book.lapsed}
    book.kept_seats.update(dict(kept_seats))
    for event_id, network, network_seats in large_holds:
        book.large_holds.setdefault(event_id, {})[network] = network_seats
    book.fans = needs.fans
    for row in entry_rows:
        entry = entries.entry_row(row)
        book.entries[entry.event_id, entry.user_id] = entry
    book.lists_begun.update((event_id, kind) for event_id, kind in begun)
    book.networks_waiting |= {(event_id, network): waiting for event_id, network, waiting in networks_waiting}
    book.list_ends |= {event_id: entries.ListEnd(number, bytes(link)) for event_id, number, link in list_ends}
    for row in voucher_rows:
        voucher = vouchers.voucher_row(row)
        book.vouchers[voucher.event_id, voucher.code_hash] = voucher
    for purchase in purchases.purchase_rows(purchase_rows):
        book.purchases[purchase.purchase_id] = purchase
    for row in payment_rows:
        payment = payments.payment_row(row)
        book.payments[payment.payment_id] = payment
    for payment_id, command_id, user_id, body_hash, outcome in job_rows:
        job = payments.PaymentJob(command_id, user_id, bytes(body_hash), None if outcome is None else outcome.encode())
        book.payments[payment_id].jobs.append(job)
    _put_seats(book, named_seats)
    if clock is not None:
        (book.now,) = clock.fetchone() or (_UNREAD,)
    return {row[0]: Outcome(*outcomes.outcome_row(row)) for row in outcome_rows}


def _lock_named(connection: Connection, keys: Collection[EventSeat], *, locks: bool) -> Iterable[tuple[Any, ...]]:
    return read_rows(connection, seats.LOCK_SEATS if locks else seats.READ_SEATS, seats.seat_keys(sorted(keys)))


def _put_seats(book: Book, rows: Iterable[tuple[Any, ...]]) -> None:
    for row in rows:
        seat, now = seats.seat_row(row)
        book.seats[seat] = now


def _networks_due(book: Book, kept_networks: KeptNetworks, needs: Needs) -> dict[int, list[str]]:
    """The networks that are to be read, by event: those of which the batch before kept nothing."""
    due = {}
    for event_id, networks in needs.networks.items():
        if _is_bounded(book, event_id) and (of_event := kept_networks.due(book.networks[event_id], networks)):
            due[event_id] = of_event
    return due


def _is_bounded(book: Book, event_id: int) -> bool:
    event = book.events.get(event_id)
    return event is not None and event.network_limits_max < conduct.NETWORK_LIMITS_OFF


def _put_networks(
    book: Book, due: Mapping[int, Sequence[str]], rows: Iterable[conduct.NetworkRow], read_at: float
) -> None:
    """Put what was read into the book, and that the others which were to be read have nothing."""
    for event_id, networks in due.items():
        for network in networks:
            book.networks[event_id].put(network, 0, 0.0, read_at)
    for row in rows:
        book.networks[row.event_id].put(row.network, row.seats, row.unbought_seats, read_at)


def _put_fan(book: Book, row: fans.FanRow) -> None:
    fan = row.event_id, row.user_id
    for hold in row.holds_had():
        book.add_hold(hold)
    if row.types_bought is not None:
        book.bought_counts[fan] = len(row.types_bought)
        book.bought_of_types |= {(*fan, kind): number for kind, number in Counter(row.types_bought).items()}
    if row.unbought is not None or row.cancelled is not None:
        book.unbought[fan] = row.unbought_in_all()


def _read_turns(connection: Connection, book: Book, needs: Needs) -> None:
    """Read whose turn it is wherever seats are free or may become free in this batch. Only an event with a waiting list
    costs this round trip.
    """
    free_max: dict[tuple[int, int], int] = {}
    listed = {event_id for event_id, event in book.events.items() if event.waiting_list}
    if not listed:
        return
    for key, ticket in book.tickets.items():
        if key[0] in listed:
            free_max[key] = ticket.available_count
    returning = [(hold.event_id, seat[0]) for hold in book.holds.values() if hold.is_open for seat in hold.seats]
    returning += [(one.event_id, detail.seat[0]) for one in book.purchases.values() for detail in one.live]
    # A named seat may be one whose hold has lapsed, which nothing else here tells.
    returning += [key[:2] for key in needs.seats]
    for kind in returning:
        if kind in free_max:
            free_max[kind] += 1
    rows = [
        {"event_id": event_id, "ticket_type_id": ticket_type_id, "free_max": most}
        for (event_id, ticket_type_id), most in sorted(free_max.items())
        if most
    ]
    found: dict[tuple[int, int], list[entries.Entry]] = {}
    for row in read_rows(connection, entries.READ_TURNS, rows):
        entry = entries.entry_row(row)
        # One entry is one object, so that a fan's own command ends the entry that is looked at here.
        entry = book.entries.setdefault((entry.event_id, entry.user_id), entry)
        found.setdefault((entry.event_id, entry.ticket_type_id), []).append(entry)
    for key, most in free_max.items():
        if most:
            waiting = found.get(key, [])
            sizes = Counter(entry.quantity for entry in waiting)
            cut = [size for size, read in sizes.items() if read >= entries.turns_max(most, size)]
            book.turns[key] = Turns(waiting, cut)
            needs.free_rows.add(key)


def _lock_seats(
    connection: Connection, book: Book, kept: KeptRows, kept_networks: KeptNetworks, needs: Needs, *, locks: bool
) -> None:
    """Make the second round trip, if anything is still to be read: it locks and reads the other seats, and then reads
    the clock anew. It reads the networks, too, because what was kept of them is known to be right only since the
    event's version was read.
    """
    networks_due = _networks_due(book, kept_networks, needs)
    unproven_of = [event_id for event_id in sorted(needs.bought_unproven) if _is_bounded(book, event_id)]
    free_of = [key for key in sorted(needs.free_rows - book.free_rows.keys()) if key[0] in book.events]
    keys: set[EventSeat] = set()
    for hold in book.holds.values():
        if hold.is_open:
            keys.update([(hold.event_id, *seat) for seat in hold.seats])
    for purchase in book.purchases.values():
        keys.update([(purchase.event_id, *detail.seat) for detail in purchase.live])
    bought = [hold for hold in book.holds.values() if hold.state == HoldState.PURCHASED]
    paying = [hold for hold in book.holds.values() if hold.state == HoldState.PAYING]
    # One purchase is one object, so that a repeated checkout sees the seats that this batch cancels.
    book.purchases_of_holds |= {purchase.reservation_id: purchase for purchase in book.purchases.values()}
    keys -= needs.seats
    is_due = networks_due or unproven_of or free_of or keys or bought or paying or book.purchases
    if book.now is not _UNREAD and not is_due:
        return
    with connection.pipeline():
        networks = read_rows(
            connection,
            conduct.READ_NETWORKS,
            [{"event_id": event_id, "networks": due} for event_id, due in networks_due.items()],
        )
        bought_unproven = read_rows(
            connection,
            conduct.READ_BOUGHT_UNPROVEN,
            [
                {
                    "event_id": event_id,
                    # A hold may be made in the batch that buys it.
                    "networks": sorted(book.networks_of_holds(event_id) | needs.networks.get(event_id, set())),
                }
                for event_id in unproven_of
            ],
        )
        other_seats = _lock_named(connection, keys, locks=locks)
        free = {key: run(connection, seats.READ_FREE_SEATS, event_id=key[0], ticket_type_id=key[1]) for key in free_of}
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
        payment_rows = read_rows(
            connection,
            payments.READ_PAYMENTS_OF_HOLDS,
            [{"event_id": hold.event_id, "reservation_id": hold.reservation_id} for hold in paying],
        )
        # A ticket that was let in is not given back. Its entry takes a lock on its row (`db.entries.entries`), so first
        # the rows are locked, and then the entries are looked for.
        given_back = [
            {**seat_key, "purchase_id": purchase.purchase_id}
            for purchase in book.purchases.values()
            for seat_key in seats.seat_keys([(purchase.event_id, *detail.seat) for detail in purchase.live])
        ]
        if locks:
            read_rows(connection, used.LOCK_TICKETS, given_back)
        used_tickets = read_rows(connection, used.READ_USED, given_back)
        clock = run(connection, events.CLOCK)
    _put_networks(book, networks_due, map(conduct.NetworkRow._make, networks), kept_networks.now())
    for event_id, network, bought in bought_unproven:
        book.bought_unproven[event_id][network] = bought
    _put_seats(book, other_seats)
    focuses = {event_id: (x, y) for event_id, x, y in planned}
    for key, cursor in seats_of.items():
        layouts[key][key] = planned_rows(map(PlannedRow._make, cursor), focuses.get(key[0]))
    for key, cursor in free.items():
        book.free_rows[key] = FreeRows(layouts[key][key], cursor)
    book.used_tickets.update((row[0], row[1:]) for row in used_tickets)
    for purchase in purchases.purchase_rows(purchase_rows):
        book.purchases_of_holds.setdefault(purchase.reservation_id, purchase)
    for row in payment_rows:
        payment = payments.payment_row(row)
        payment = book.payments.setdefault(payment.payment_id, payment)
        book.payments_of_holds[payment.reservation_id] = payment
    (book.now,) = clock.fetchone() or (_UNREAD,)
