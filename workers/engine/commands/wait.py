"""Enter the waiting list of a sold-out event."""

from __future__ import annotations

import datetime as dt

from booking_lane.commands import Proof, Wait
from db.booking.results import WaitResult
from db.events.sale import PROBLEMS, SaleState, sale_state
from db.outbox.kinds import OutboxKind, SeatsOffered
from db.outbox.writer import insert_news
from db.waiting import entries as sql
from db.waiting.chain import FIRST_LINK, link
from db.waiting.entries import Entry, ListEnd
from db.waiting.states import QUANTITY_MAX, EntryState
from workers.engine.book import Book
from workers.engine.commands.rule import Rule
from workers.engine.needs import Needs
from workers.engine.refused import Refused
from workers.engine.statements import Connection, run, run_on


def needs(command: Wait, batch: Needs) -> None:
    fan = (command.event_id, command.user_id)
    batch.fans.add(fan)
    batch.waiting_fans.add(fan)
    batch.waiting_types.add((command.event_id, command.ticket_type_id))
    if command.network and not command.proof:
        batch.waiting_networks.add((command.event_id, command.network))


def decide(book: Book, command: Wait) -> WaitResult:
    fan, kind = (command.event_id, command.user_id), (command.event_id, command.ticket_type_id)
    event = book.events[command.event_id]
    state = sale_state(event, book.now)
    if state is not SaleState.ON_SALE:
        raise Refused(PROBLEMS[state])
    waiting = book.entries.get(fan)
    if waiting is not None and waiting.state is EntryState.WAITING:
        if (waiting.ticket_type_id, waiting.quantity) == (command.ticket_type_id, command.quantity):
            return _result(waiting)
        raise Refused("already_waiting")
    if waiting is not None and _is_under_way(book, waiting):
        raise Refused("already_waiting", "Seats are kept for you now; take them or decline them first.")
    if not event.waiting_list:
        raise Refused("waiting_list_off")
    ticket = book.tickets.get(kind)
    if ticket is None:
        raise Refused("unknown_ticket_type")
    had = book.seats_had(*fan)
    if command.quantity > QUANTITY_MAX or had + command.quantity > event.seats_per_fan_max:
        raise Refused(
            "limit_exceeded",
            f"One fan may have {event.seats_per_fan_max} seats here, and wait for {QUANTITY_MAX}; you have {had}.",
            seatsPerFanMax=event.seats_per_fan_max,
        )
    _refuse_unless_sold_out(book, command)
    _refuse_unproven(book, command)
    last = book.list_ends.get(command.event_id, ListEnd(0, FIRST_LINK))
    at = book.now.replace(microsecond=book.now.microsecond // 1000 * 1000)
    entry = Entry(
        event_id=command.event_id,
        number=last.number + 1,
        user_id=command.user_id,
        ticket_type_id=command.ticket_type_id,
        quantity=command.quantity,
        state=EntryState.WAITING,
        network=command.network,
        proven=command.proof > Proof.NONE,
        entered_at=at,
        reservation_id=None,
        link=link(
            last.link,
            event_id=command.event_id,
            number=last.number + 1,
            ticket_type_id=command.ticket_type_id,
            quantity=command.quantity,
            at=at,
        ),
        had=had,
    )
    book.list_ends[command.event_id] = ListEnd(entry.number, entry.link)
    book.lists_begun.add(kind)
    book.entries[fan] = entry
    if (turns := book.turns.get(kind)) is not None:
        turns.add(entry)
    book.changes.new_entries.append(entry)
    return _result(entry)


def _is_under_way(book: Book, entry: Entry) -> bool:
    hold = None if entry.reservation_id is None else book.holds.get(entry.reservation_id)
    return hold is not None and hold.is_live(book.now)


def _refuse_unless_sold_out(book: Book, command: Wait) -> None:
    """A list begins once too few seats are free and none is held, for what is held may still come back to the line at
    the door. From then on seats that come back are the list's.
    """
    kind = (command.event_id, command.ticket_type_id)
    turns = book.turns.get(kind)
    # Without turns nothing is free in this batch.
    free = 0 if turns is None else book.free_rows[kind].ordinary_count
    has_begun = kind in book.lists_begun or book.tickets[kind].held_count == 0
    is_behind_others = turns is not None and turns.are_wanted(free)
    if not (has_begun and free < command.quantity) and not is_behind_others:
        raise Refused("not_sold_out")


def _refuse_unproven(book: Book, command: Wait) -> None:
    if command.proof or not command.network:
        return
    network = (command.event_id, command.network)
    waiting = book.networks_waiting.get(network, 0)
    if waiting >= book.settings.waiting_network_max:
        raise Refused(
            "captcha_required",
            "Many wait from your network. Solve the captcha of /api/captcha for action=reserve in this session; send "
            "it in X-Captcha-Token.",
        )
    book.networks_waiting[network] = waiting + 1


def _result(entry: Entry) -> WaitResult:
    return WaitResult(
        event_id=entry.event_id,
        number=entry.number,
        ticket_type_id=entry.ticket_type_id,
        quantity=entry.quantity,
        entered_at=entry.entered_at,
        link=entry.link.hex(),
        version=0,
    )


def write(connection: Connection, book: Book) -> None:
    """Write what changed in the waiting lists, and the news of each offer."""
    changes = book.changes
    # A fan who left may have entered anew in the same batch, and has one entry that waits.
    if changes.ended_entries:
        rows = [sql.ended_entry(entry) for entry in changes.ended_entries]
        run_on(connection, sql.WRITE_ENDED_ENTRIES, rows, now=book.now)
    if changes.new_entries:
        rows = [sql.new_entry(entry) for entry in changes.new_entries]
        run_on(connection, sql.WRITE_NEW_ENTRIES, rows, now=book.now)
    if changes.offers:
        news = [
            SeatsOffered(
                event_id=hold.event_id,
                reservation_id=hold.reservation_id,
                user_id=hold.user_id,
                seats=len(hold.seats),
                ends_at=hold.expires_at.astimezone(dt.UTC).isoformat(),
            )
            for _, hold in changes.offers
        ]
        statement, parameters = insert_news(OutboxKind.SEATS_OFFERED, news, at=book.now)
        run(connection, statement, **parameters)


RULE = Rule(needs, decide, write)
