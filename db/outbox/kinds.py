"""The kinds of news that leave for the outside. This is the one place where a kind is named.

A kind's word travels as it is: in the outbox, in a webhook's body, in the API and on the command line.
"""

from __future__ import annotations

import uuid
from enum import StrEnum
from typing import Literal

import msgspec


class Payload(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The content of one piece of news. Amounts are integer minor units. Of a person it has the id only."""

    event_id: int


class RoomOpened(Payload, frozen=True, kw_only=True):
    """``on_sale_at`` is a moment as Postgres writes it in JSON (RFC 3339, UTC)."""

    on_sale_at: str
    state: Literal["open"] = "open"


class RoomSteered(Payload, frozen=True, kw_only=True):
    """``revision`` is the room's, made by this change."""

    state: str
    revision: int


class RoomSoldOut(Payload, frozen=True, kw_only=True):
    state: Literal["sold_out"] = "sold_out"


class PurchaseMade(Payload, frozen=True, kw_only=True):
    """``seats`` is the number of seats bought."""

    purchase_id: uuid.UUID
    user_id: int
    seats: int
    total_amount: int
    currency: str


class CancelledSeat(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A seat that was cancelled, and what it cost."""

    ticket_type_id: int
    row_number: int
    seat_number: int
    amount: int


class PurchaseCancelled(Payload, frozen=True, kw_only=True, omit_defaults=True):
    """``details`` are the seats cancelled this time and ``seats`` their number; ``refund_amount`` is what they cost
    without ``fee_amount``, which the event's rules keep. ``total_amount`` is what is left of the purchase, and
    ``status`` is ``cancelled`` once nothing is.
    """

    purchase_id: uuid.UUID
    user_id: int
    seats: int
    details: tuple[CancelledSeat, ...]
    refund_amount: int
    total_amount: int
    currency: str
    status: str
    fee_amount: int = 0


class EventCancelled(Payload, frozen=True, kw_only=True):
    """``notice`` is the operators' sentence to the fans, ``purchases`` the number of purchases of which a seat was
    left, and ``seats`` that of these seats. ``revision`` is the event's, made by this change.
    """

    notice: str
    purchases: int
    seats: int
    revision: int
    state: Literal["cancelled"] = "cancelled"


class EventChanged(Payload, frozen=True, kw_only=True):
    """What the fans of an event must know anew. Moments are in RFC 3339, UTC; ``before`` has what was told until now.
    ``revision`` is the event's, made by this change.
    """

    name: str
    venue: str
    date: str
    doors_at: str | None
    before: dict[str, str | None]
    revision: int


class EventEdited(Payload, frozen=True, kw_only=True):
    """``revision`` is that of what was changed: the event's or its room's."""

    revision: int


class PurchaseOfCancelledEvent(Payload, frozen=True, kw_only=True):
    """A purchase as it was left by its fan: ``details`` are the seats that were not cancelled before, ``seats`` is
    their number, and ``total_amount`` their sum, which is owed to the fan.
    """

    purchase_id: uuid.UUID
    user_id: int
    seats: int
    details: tuple[CancelledSeat, ...]
    total_amount: int
    currency: str
    status: str


class SeatsOffered(Payload, frozen=True, kw_only=True):
    """Seats are held for a fan of the waiting list until ``ends_at`` (RFC 3339, UTC)."""

    reservation_id: uuid.UUID
    user_id: int
    seats: int
    ends_at: str


class RefundMade(Payload, frozen=True, kw_only=True):
    """``amount`` of a payment goes back, and its provider has taken it on. ``cause`` says why
    (`db.payments.states.RefundCause`). ``purchase_id`` is null where the payment bought nothing.
    """

    refund_id: uuid.UUID
    payment_id: uuid.UUID
    purchase_id: uuid.UUID | None
    user_id: int
    amount: int
    currency: str
    cause: str


class OutboxKind(StrEnum):
    """The kinds of news."""

    # Each kind has the struct of its payload, a headline for pages, and the sentence that says when it is sent.
    payload: type[Payload]
    headline: str
    when: str

    def __new__(cls, word: str, payload: type[Payload], headline: str, when: str) -> OutboxKind:
        kind = str.__new__(cls, word)
        kind._value_ = word
        kind.payload = payload
        kind.headline = headline
        kind.when = when
        return kind

    ROOM_OPENED = (
        "room.opened",
        RoomOpened,
        "Room opened",
        "the on-sale came, and with a lobby its draw; or a closed room was opened again",
    )
    ROOM_PAUSED = "room.paused", RoomSteered, "Room paused", "an operator paused the room"
    ROOM_RESUMED = "room.resumed", RoomSteered, "Room resumed", "an operator resumed the paused room"
    ROOM_SOLD_OUT = (
        "room.sold_out",
        RoomSoldOut,
        "Sold out",
        "no seat is free and none held; again if seats came back and went",
    )
    ROOM_CLOSED = "room.closed", RoomSteered, "Room closed", "an operator closed the room"
    PURCHASE_MADE = "purchase.made", PurchaseMade, "Purchase made", "a checkout succeeded"
    PURCHASE_CANCELLED = (
        "purchase.cancelled",
        PurchaseCancelled,
        "Purchase cancelled, or some of its seats",
        "a fan cancelled a purchase, or some of its seats; one for each time",
    )
    PURCHASE_OF_CANCELLED_EVENT = (
        "purchase.event_cancelled",
        PurchaseOfCancelledEvent,
        "Purchase void, for its event was cancelled",
        "the event of a purchase was cancelled; one for each purchase that had a seat left",
    )
    EVENT_CANCELLED = "event.cancelled", EventCancelled, "Event cancelled", "an operator cancelled the whole event"
    EVENT_CHANGED = (
        "event.changed",
        EventChanged,
        "Event moved or changed",
        "an operator changed an event's name, venue, date or doors while it was on sale or sold",
    )
    EVENT_EDITED = (
        "event.edited",
        EventEdited,
        "Event made or edited",
        "an operator made an event, or changed anything about it, its tickets, its plan or its room",
    )
    REFUND_MADE = (
        "refund.made",
        RefundMade,
        "Money paid back",
        "a payment, or a part of it, goes back: its provider has taken the refund",
    )
    SEATS_OFFERED = (
        "waiting.offered",
        SeatsOffered,
        "Seats offered to a fan who waits",
        "seats came back and are held for the first fan of the waiting list whom they suffice for",
    )
