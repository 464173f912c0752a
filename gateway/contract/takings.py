"""Answers about what an event has taken."""

from __future__ import annotations

from gateway.contract.values import AnswerBody


class TakingsLine(AnswerBody, kw_only=True):
    """Sold seats of a ticket type at one rate of tax, in minor units: ``amount`` is what their fans paid, which is
    ``prices`` without ``discounts``, ``fees``, and the ``tax`` where it is not included. Cancelled seats are not in it;
    ``cancelledAmount`` is what was paid for them. ``complimentarySeats`` are those of ``seats`` that were given away.
    """

    ticket_type_id: int
    ticket_type: str
    tax_basis_points: int
    tax_included: bool
    seats: int
    prices: int
    discounts: int
    fees: int
    tax: int
    amount: int
    cancelled_seats: int
    cancelled_amount: int
    complimentary_seats: int


class Takings(AnswerBody, kw_only=True):
    """What an event has taken. ``amount`` and ``tax`` are the sums of the lines."""

    event_id: int
    currency: str
    seats: int
    amount: int
    tax: int
    lines: tuple[TakingsLine, ...]
