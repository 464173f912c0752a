"""Refusals by the terms of ticket types: their own sale windows, and their own limits for a fan."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from db.booking.seats import Seat
from workers.engine.book import Book
from workers.engine.refused import Refused


def refuse_outside_windows(book: Book, event_id: int, ticket_type_ids: Iterable[int]) -> None:
    """Refuse seats of ticket types that are not sold now.

    Raises:
        Refused: ``type_not_on_sale`` or ``type_sale_over``, with the ticket type.
    """
    for ticket_type_id in ticket_type_ids:
        ticket = book.tickets.get((event_id, ticket_type_id))
        if ticket is None or ticket.terms.is_sold_at(book.now):
            continue
        terms = ticket.terms
        if terms.sold_from is not None and book.now < terms.sold_from:
            raise Refused("type_not_on_sale", ticketTypeId=ticket_type_id, soldFrom=terms.sold_from)
        raise Refused("type_sale_over", ticketTypeId=ticket_type_id, soldUntil=terms.sold_until)


def refuse_beyond_type_limits(book: Book, event_id: int, user_id: int, seats: Sequence[Seat]) -> None:
    """Refuse seats with which the fan would have more of a ticket type than its limit.

    Raises:
        Refused: ``type_limit_exceeded``, with the ticket type and its limit.
    """
    for ticket_type_id in {seat[0] for seat in seats}:
        ticket = book.tickets[event_id, ticket_type_id]
        limit = ticket.terms.seats_per_fan_max
        if limit is None:
            continue
        had = book.seats_had_of(event_id, user_id, ticket_type_id)
        count = sum(seat[0] == ticket_type_id for seat in seats)
        if had + count > limit:
            raise Refused(
                "type_limit_exceeded",
                f"One fan may have {limit} seats of {ticket.ticket_type}; you have {had}.",
                ticketTypeId=ticket_type_id,
                seatsPerFanMax=limit,
            )
