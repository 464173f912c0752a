"""Answers about events as fans see them: ticket types, seats, counts."""

from __future__ import annotations

from typing import Literal

import msgspec

from db.events.sale import EventState, SaleState
from gateway.contract.values import AnswerBody, Moment, PictureHash, TimeZone


class EventAnswer(AnswerBody, kw_only=True):
    """Seats are sold from ``onSaleAt`` on and until ``offSaleAt``, while the event is ``published``. ``notice`` is a
    sentence of the operators' to the event's fans, empty where there is none.

    With ``accountRequired`` fans join the line and hold seats in a session of an account alone.

    ``payments`` is the provider that takes its payments; empty where nothing is to be paid: a checkout buys at once.

    The event's picture is at ``/pictures/{pictureHash}.webp``, and smaller at ``/pictures/{pictureHash}-small.webp``.
    """

    event_id: int
    name: str
    artist: str
    date: Moment
    time_zone: TimeZone
    venue: str
    on_sale_at: Moment
    off_sale_at: Moment
    event_state: EventState = msgspec.field(name="state")
    currency: str
    seats_per_fan_max: int
    notice: str = ""
    doors_at: Moment | None = None
    picture_hash: PictureHash | None = None
    picture_alt: str = ""
    account_required: bool = False
    payments: str = ""


class TicketAnswer(AnswerBody, kw_only=True):
    ticket_type_id: int
    ticket_type: str
    price: int
    quantity: int
    available_count: int
    held_count: int


class RoomSummary(AnswerBody, kw_only=True):
    """``waiting`` counts the fans in line, and the fans in the lobby while there is one. ``sale`` is where the event's
    sale stands, and ``reason`` says in a sentence why nothing is sold; it is empty while the event is on sale.
    """

    state: str
    waiting: int
    sale: SaleState
    reason: str


class InitialCall(AnswerBody, kw_only=True):
    event: EventAnswer
    tickets: tuple[TicketAnswer, ...]
    room: RoomSummary
    version: int


class SeatRow(AnswerBody, kw_only=True):
    row_number: int
    seat_numbers: tuple[int, ...]


class Section(AnswerBody, kw_only=True):
    ticket_type_id: int
    rows: tuple[SeatRow, ...]


class SeatMap(AnswerBody, kw_only=True):
    event_id: int
    version: int
    sections: tuple[Section, ...]
    taken: tuple[tuple[int, int, int, Literal["reserved", "booked"]], ...]


ProposalReason = Literal["nearest", "cheapest", "further_back", "aisle"]


class ProposedSeat(AnswerBody, kw_only=True):
    """A free seat of a proposal. ``label`` is what it is called, and ``seatNumber`` what a booking names it by."""

    ticket_type_id: int
    row_number: int
    seat_number: int
    label: str
    amount: int


class Proposal(AnswerBody, kw_only=True):
    """Free seats side by side in one row, in their order. ``reason`` says what speaks for them; with ``leavesSingle``,
    a single seat beside them would be left alone.
    """

    reason: ProposalReason
    ticket_type_id: int
    ticket_type: str
    row_number: int
    row_label: str
    total_amount: int
    leaves_single: bool
    seats: tuple[ProposedSeat, ...]


class ProposalList(AnswerBody, kw_only=True):
    """Up to three proposals, the nearest to the middle first; none if no row has so many free seats side by side."""

    event_id: int
    version: int
    quantity: int
    accessible: bool
    currency: str
    proposals: tuple[Proposal, ...]


class EventList(AnswerBody, kw_only=True):
    events: tuple[EventAnswer, ...]
    cursor: str | None = None
