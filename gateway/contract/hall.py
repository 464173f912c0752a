"""Answers about events as fans see them: ticket types, seats, counts."""

from __future__ import annotations

import datetime as dt
from typing import Literal

import msgspec

from db.booking.charges import Charge
from db.events.sale import EventState, SaleState
from gateway.contract.values import AnswerBody, Moment, PictureHash, TimeZone


class EventAnswer(AnswerBody, kw_only=True):
    """Seats are sold from ``onSaleAt`` on and until ``offSaleAt``, while the event is ``published``. ``notice`` is a
    sentence of the operators' to the event's fans, empty where there is none.

    With ``accountRequired`` fans join the line and hold seats in a session of an account alone.

    ``payments`` is the provider that takes its payments; empty where nothing is to be paid: a checkout buys at once.
    With ``asks`` a fan answers some questions before a checkout (`GET /api/events/{eventId}/asks`).

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
    asks: bool = False
    town: str = ""
    tags: tuple[str, ...] = ()


class TicketAnswer(AnswerBody, kw_only=True, omit_defaults=True):
    """A ticket type. A seat of it costs ``amount``: the ``price``, the booking ``fee``, and the ``tax`` where it is not
    included in both; where ``amount`` is missing, it costs the price. ``taxBasisPoints`` is the tax's rate in
    hundredths of a percent. Nothing of it is sold before ``soldFrom`` and from ``soldUntil`` on, and one fan may have
    ``seatsPerFanMax`` seats of it. Each of these fields is missing where the ticket type has no such thing.
    """

    ticket_type_id: int
    ticket_type: str
    price: int
    quantity: int
    available_count: int
    held_count: int
    fee: int = 0
    tax: int = 0
    tax_basis_points: int = 0
    tax_included: bool = True
    amount: int | None = None
    sold_from: Moment | None = None
    sold_until: Moment | None = None
    seats_per_fan_max: int | None = None

    @property
    def cost(self) -> int:
        """What a fan pays for a seat."""
        return self.price if self.amount is None else self.amount

    @property
    def charge(self) -> Charge:
        return Charge(self.price, self.fee, self.tax, self.tax_basis_points, self.cost)

    def is_sold_at(self, now: dt.datetime) -> bool:
        """Whether the ticket type's own sale window is open."""
        return (self.sold_from is None or self.sold_from <= now) and (self.sold_until is None or now < self.sold_until)


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


class FoundEvent(EventAnswer, kw_only=True):
    """An event that was found. The cheapest of its seats costs ``priceFrom``, which is null where it has no ticket
    types; ``available`` says whether a seat is neither sold nor held.
    """

    price_from: int | None = None
    available: bool = False


class FacetValue(AnswerBody, kw_only=True):
    """A town, or a month such as 2027-06, and how many of the events found are there or then."""

    value: str
    count: int


class PriceFacet(AnswerBody, kw_only=True):
    """How many of the events found begin at a price from ``priceMin`` on and below ``priceMax``, in minor units."""

    currency: str
    price_min: int
    price_max: int | None
    count: int


class Facets(AnswerBody, kw_only=True):
    """How the events found divide: ``total`` is their number, ``available`` that of those with a free seat. Towns are
    the most frequent first, months the next first. ``atLeast`` says that there are more events than were counted, so
    that each number is at least so much.
    """

    total: int
    available: int
    towns: tuple[FacetValue, ...]
    months: tuple[FacetValue, ...]
    prices: tuple[PriceFacet, ...]
    at_least: bool = False


class Suggestion(AnswerBody, kw_only=True):
    """What a fan who types may mean: a text to search for, and of what it is."""

    text: str
    kind: Literal["artist", "event", "venue", "town"]


class EventList(AnswerBody, kw_only=True, omit_defaults=True):
    """A page of events; go on with the ``cursor`` while there is one. ``loose`` says that no event has every word of
    ``q``, so that these have some. ``facets`` and ``suggestions`` are there if they were asked for.
    """

    events: tuple[FoundEvent, ...]
    cursor: str | None
    loose: bool = False
    facets: Facets | None = None
    suggestions: tuple[Suggestion, ...] | None = None
