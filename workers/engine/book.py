"""The open book of one batch: what Postgres says under the locks, and every command's decision on it.

Pure: no clock, no database, no Redis. `Book.decide` is called in order of arrival; what it changes is kept
as a difference (`Book.changes`) that the engine writes with a handful of statements.
"""

from __future__ import annotations

import base64
import datetime as dt
import os
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from booking_lane.commands import Cancel, Checkout, Command, Release, Reserve, Seat, Sweep, command_id_new
from booking_lane.problems import problem
from workers.engine.free_rows import FreeRows

EventSeat = tuple[int, int, int, int]
"""(event_id, ticket_type_id, row_number, seat_number)."""


@dataclass(slots=True)
class EventNow:
    version: int
    on_sale_at: dt.datetime
    currency: str
    seats_per_fan_max: int
    date: dt.datetime


@dataclass(slots=True)
class TicketNow:
    ticket_type: str
    price: int
    available_count: int
    held_count: int


@dataclass(slots=True)
class SeatNow:
    status: str
    reservation_id: uuid.UUID | None = None
    held_until: dt.datetime | None = None


@dataclass(slots=True)
class Hold:
    event_id: int
    reservation_id: uuid.UUID
    user_id: int
    state: str
    seats: tuple[Seat, ...]
    total_amount: int
    expires_at: dt.datetime
    amounts: tuple[int, ...]
    """Of each seat, as agreed when it was held, whatever an operator has made of the prices since."""


@dataclass(slots=True)
class Detail:
    seat: Seat
    amount: int
    ticket_code: str
    cancelled_at: dt.datetime | None = None


@dataclass(slots=True)
class Purchase:
    event_id: int
    purchase_id: uuid.UUID
    user_id: int
    reservation_id: uuid.UUID
    total_amount: int
    currency: str
    purchase_at: dt.datetime
    details: list[Detail]
    status: str = "confirmed"

    @property
    def live(self) -> list[Detail]:
        return [detail for detail in self.details if detail.cancelled_at is None]


@dataclass(slots=True)
class Cancellation:
    """What one command cancelled of a purchase, and what was left of that."""

    purchase: Purchase
    details: list[Detail]
    status: str
    total_amount: int

    @property
    def refund_amount(self) -> int:
        return sum(detail.amount for detail in self.details)


@dataclass(slots=True)
class Changes:
    """The difference a batch makes; each thing once, as it is in the end."""

    seats: set[EventSeat] = field(default_factory=set)
    counts: dict[tuple[int, int], list[int]] = field(default_factory=dict)
    new_holds: dict[uuid.UUID, Hold] = field(default_factory=dict)
    hold_states: dict[uuid.UUID, Hold] = field(default_factory=dict)
    purchases: list[Purchase] = field(default_factory=list)
    cancellations: list[Cancellation] = field(default_factory=list)

    def event_ids(self) -> set[int]:
        """Events whose version goes up."""
        changed = {seat[0] for seat in self.seats}
        changed.update(hold.event_id for hold in self.hold_states.values())
        return changed


class Refused(Exception):  # noqa: N818 - an answer, not an error
    """A command fails with a problem of the catalogue."""

    def __init__(self, code: str, detail: str | None = None, **members: Any) -> None:
        super().__init__(code)
        self.document = problem(code, detail, **members)


def seat_documents(seats: Iterable[Seat]) -> list[dict[str, int]]:
    return [{"ticketTypeId": t, "rowNumber": r, "seatNumber": n} for t, r, n in seats]


def cancelled_documents(details: Iterable[Detail]) -> list[dict[str, int]]:
    """Seats with the amount of each; their codes are of no further use."""
    return [{**seat_documents([detail.seat])[0], "amount": detail.amount} for detail in details]


def ticket_code() -> str:
    """80 random bits in base32: what the QR code says, impossible to guess."""
    return base64.b32encode(os.urandom(10)).decode()


@dataclass(slots=True)
class Book:
    """State under the locks. Dictionaries are filled by the engine before the first decision.

    Args:
        now: Postgres' clock, read once after the locks.
        hold_seconds: a hold's length. A reserved seat is free once now ≥ its hold's end + ``grace_seconds``.
        cancel_until_hours: before the event's date; from then on nothing of it is cancelled.
    """

    now: dt.datetime
    hold_seconds: int
    grace_seconds: int
    cancel_until_hours: int
    events: dict[int, EventNow] = field(default_factory=dict)
    tickets: dict[tuple[int, int], TicketNow] = field(default_factory=dict)
    seats: dict[EventSeat, SeatNow] = field(default_factory=dict)
    free_rows: dict[tuple[int, int], FreeRows] = field(default_factory=dict)
    holds: dict[uuid.UUID, Hold] = field(default_factory=dict)
    lapsed: dict[int, list[uuid.UUID]] = field(default_factory=dict)
    bought_counts: dict[tuple[int, int], int] = field(default_factory=dict)
    purchases_of_holds: dict[uuid.UUID, Purchase] = field(default_factory=dict)
    purchases: dict[uuid.UUID, Purchase] = field(default_factory=dict)
    """Those that are to be cancelled, by their id."""
    changes: Changes = field(default_factory=Changes)
    _holds_of_fans: dict[tuple[int, int], list[Hold]] = field(default_factory=dict)

    def add_hold(self, hold: Hold) -> None:
        if hold.reservation_id not in self.holds:
            self.holds[hold.reservation_id] = hold
            self._holds_of_fans.setdefault((hold.event_id, hold.user_id), []).append(hold)

    def decide(self, command: Command) -> dict[str, Any]:
        """Apply a command to the book; all of it or nothing.

        Returns: the result's document, without ``version``.

        Raises:
            Refused: it fails, and the book is as before.
        """
        if command.event_id not in self.events:
            raise Refused("unknown_event")
        match command:
            case Reserve():
                return self._reserve(command)
            case Checkout():
                return self._checkout(command)
            case Release():
                return self._release(command)
            case Cancel():
                return self._cancel(command)
            case Sweep():
                return self._sweep(command)

    # -- the five commands

    def _reserve(self, command: Reserve) -> dict[str, Any]:
        event = self.events[command.event_id]
        if self.now < event.on_sale_at:
            raise Refused("not_on_sale", onSaleAt=event.on_sale_at)
        mine = [hold for hold in self._holds_of(command) if self._is_live(hold)]
        if command.seats:
            for hold in mine:
                if hold.seats == command.seats:
                    return self._hold_document(hold)
        count = command.best_available.quantity if command.best_available else len(command.seats)
        if not command.best_available:
            self._refuse_unless_free(command)
        had = sum(len(hold.seats) for hold in mine)
        had += self.bought_counts.get((command.event_id, command.user_id), 0)
        if had + count > event.seats_per_fan_max:
            raise Refused(
                "limit_exceeded",
                f"One fan may have {event.seats_per_fan_max} seats of this event; you have {had}.",
                seatsPerFanMax=event.seats_per_fan_max,
            )
        seats = self._best_available(command) if command.best_available else command.seats
        expires_at = self.now + dt.timedelta(seconds=self.hold_seconds)
        amounts = tuple(self.tickets[command.event_id, seat[0]].price for seat in seats)
        hold = Hold(
            event_id=command.event_id,
            reservation_id=command_id_new(),
            user_id=command.user_id,
            state="held",
            seats=seats,
            total_amount=sum(amounts),
            expires_at=expires_at,
            amounts=amounts,
        )
        held_until = expires_at + dt.timedelta(seconds=self.grace_seconds)
        for seat in seats:
            self._move(command.event_id, seat, SeatNow("reserved", hold.reservation_id, held_until))
        self.add_hold(hold)
        self.changes.new_holds[hold.reservation_id] = hold
        return self._hold_document(hold)

    def _checkout(self, command: Checkout) -> dict[str, Any]:
        hold = self._hold_named(command)
        if hold.state == "purchased":
            bought = self.purchases_of_holds.get(hold.reservation_id)
            if bought is None or not bought.live:
                raise Refused("hold_mismatch", "This hold was bought, and the purchase cancelled.")
            return self._purchase_document(bought)
        if not self._is_live(hold) or not self._still_has_its_seats(hold):
            raise Refused("hold_expired")
        purchase = Purchase(
            event_id=hold.event_id,
            purchase_id=command_id_new(),
            user_id=hold.user_id,
            reservation_id=hold.reservation_id,
            total_amount=hold.total_amount,
            currency=self.events[hold.event_id].currency,
            purchase_at=self.now,
            details=[
                Detail(seat, amount, ticket_code()) for seat, amount in zip(hold.seats, hold.amounts, strict=True)
            ],
        )
        for seat in hold.seats:
            self._move(hold.event_id, seat, SeatNow("booked"))
        self._close(hold, "purchased")
        fan = (hold.event_id, hold.user_id)
        self.bought_counts[fan] = self.bought_counts.get(fan, 0) + len(hold.seats)
        self.purchases_of_holds[hold.reservation_id] = purchase
        self.changes.purchases.append(purchase)
        return self._purchase_document(purchase)

    def _release(self, command: Release) -> dict[str, Any]:
        hold = self.holds.get(command.reservation_id)
        if hold is None or hold.event_id != command.event_id:
            raise Refused("hold_mismatch")
        if hold.user_id != command.user_id:
            raise Refused("not_your_hold")
        if hold.state == "purchased":
            raise Refused("hold_mismatch", "This hold was bought already.")
        if hold.state == "held":
            self._give_back(hold, "released")
        return {
            "reservationId": hold.reservation_id,
            "eventId": hold.event_id,
            "seats": seat_documents(hold.seats),
        }

    def _cancel(self, command: Cancel) -> dict[str, Any]:
        purchase = self.purchases.get(command.purchase_id)
        if purchase is None or (purchase.event_id, purchase.user_id) != (command.event_id, command.user_id):
            raise Refused("unknown_purchase")
        live = {detail.seat: detail for detail in purchase.live}
        if not live:
            all_seats = seat_documents(detail.seat for detail in purchase.details)
            raise Refused("not_cancellable", "This purchase is cancelled already.", seats=all_seats)
        seats = command.seats or tuple(live)
        if others := [seat for seat in seats if seat not in live]:
            raise Refused("not_cancellable", seats=seat_documents(others))
        event = self.events[command.event_id]
        limit = dt.timedelta(hours=self.cancel_until_hours)
        if event.date - self.now <= limit:
            raise Refused("cancel_closed", cancelUntil=event.date - limit)
        details = [live[seat] for seat in seats]
        for detail in details:
            detail.cancelled_at = self.now
            self._move(purchase.event_id, detail.seat, SeatNow("available"))
            purchase.total_amount -= detail.amount
        if len(details) == len(live):
            purchase.status = "cancelled"
        self.bought_counts[purchase.event_id, purchase.user_id] -= len(details)
        cancellation = Cancellation(purchase, details, purchase.status, purchase.total_amount)
        self.changes.cancellations.append(cancellation)
        return {
            "purchaseId": purchase.purchase_id,
            "eventId": purchase.event_id,
            "status": cancellation.status,
            "totalAmount": cancellation.total_amount,
            "refundAmount": cancellation.refund_amount,
            "currency": purchase.currency,
            "cancelledAt": self.now,
            "details": cancelled_documents(details),
        }

    def _sweep(self, command: Sweep) -> dict[str, Any]:
        swept = 0
        for reservation_id in self.lapsed.get(command.event_id, ()):
            hold = self.holds[reservation_id]
            if hold.state == "held" and not self._is_live(hold):
                self._give_back(hold, "lapsed")
                swept += 1
        return {"holds": swept}

    # -- what they share

    def _holds_of(self, command: Command) -> list[Hold]:
        return self._holds_of_fans.get((command.event_id, command.user_id), [])

    def _is_live(self, hold: Hold) -> bool:
        return hold.state == "held" and self.now < hold.expires_at + dt.timedelta(seconds=self.grace_seconds)

    def _is_free(self, seat: SeatNow) -> bool:
        if seat.status == "reserved":
            assert seat.held_until is not None
            return seat.held_until <= self.now
        return seat.status == "available"

    def _still_has_its_seats(self, hold: Hold) -> bool:
        return all(
            (now := self.seats.get((hold.event_id, *seat))) is not None and now.reservation_id == hold.reservation_id
            for seat in hold.seats
        )

    def _refuse_unless_free(self, command: Reserve) -> None:
        unknown = [seat for seat in command.seats if (command.event_id, *seat) not in self.seats]
        if unknown:
            raise Refused("unknown_seats", seats=seat_documents(unknown))
        taken = [seat for seat in command.seats if not self._is_free(self.seats[(command.event_id, *seat)])]
        if taken:
            raise Refused("seats_taken", seats=seat_documents(taken))

    def _best_available(self, command: Reserve) -> tuple[Seat, ...]:
        wanted = command.best_available
        assert wanted is not None
        kind = (command.event_id, wanted.ticket_type_id)
        ticket = self.tickets.get(kind)
        if ticket is None:
            raise Refused("unknown_seats", "There is no such ticket type.")
        rows = self.free_rows[kind]
        block = rows.best(wanted.quantity)
        if block is None:
            if rows.count == 0 and ticket.held_count == 0:
                raise Refused("sold_out")
            raise Refused("no_block")
        row_number, seat_numbers = block
        return tuple((wanted.ticket_type_id, row_number, number) for number in seat_numbers)

    def _hold_named(self, command: Checkout) -> Hold:
        if command.reservation_id is not None:
            hold = self.holds.get(command.reservation_id)
            if hold is None or hold.event_id != command.event_id:
                raise Refused("hold_mismatch")
            if hold.user_id != command.user_id:
                raise Refused("not_your_hold")
            return hold
        mine = [hold for hold in self._holds_of(command) if hold.seats == command.seats]
        for hold in mine:
            if self._is_live(hold):
                return hold
        if mine:
            return mine[-1]
        own = {hold.reservation_id for hold in self._holds_of(command)}
        for seat in command.seats:
            now = self.seats.get((command.event_id, *seat))
            if now and not self._is_free(now) and now.status == "reserved" and now.reservation_id not in own:
                raise Refused("not_your_hold")
        raise Refused("hold_mismatch")

    def _move(self, event_id: int, seat: Seat, to: SeatNow) -> None:
        """Give a seat another status, and its ticket type the counts that go with it."""
        key = (event_id, *seat)
        kind = (event_id, seat[0])
        before = self.seats.get(key)
        # Seats that best available found were read as free, but not one by one.
        was = before.status if before else "available"
        rows = self.free_rows.get(kind)
        if before is None:
            assert rows is not None
            was = "reserved" if rows.is_lapsed(seat[1], seat[2]) else "available"
        self.seats[key] = to
        self.changes.seats.add(key)
        counts = self.changes.counts.setdefault(kind, [0, 0])
        ticket = self.tickets[kind]
        for status, change in ((was, -1), (to.status, 1)):
            if status == "available":
                counts[0] += change
                ticket.available_count += change
            elif status == "reserved":
                counts[1] += change
                ticket.held_count += change
        if rows is not None:
            if to.status == "available":
                rows.give(seat[1], seat[2])
            else:
                rows.take(seat[1], seat[2])

    def _give_back(self, hold: Hold, state: str) -> None:
        for seat in hold.seats:
            now = self.seats.get((hold.event_id, *seat))
            # A lapsed hold may have lost seats to the next fan already.
            if now is not None and now.reservation_id == hold.reservation_id:
                self._move(hold.event_id, seat, SeatNow("available"))
        self._close(hold, state)

    def _close(self, hold: Hold, state: str) -> None:
        hold.state = state
        self.changes.hold_states[hold.reservation_id] = hold

    def _hold_document(self, hold: Hold) -> dict[str, Any]:
        return {
            "reservationId": hold.reservation_id,
            "eventId": hold.event_id,
            "expiresAt": hold.expires_at,
            "totalAmount": hold.total_amount,
            "currency": self.events[hold.event_id].currency,
            "seats": [
                {**document, "amount": amount}
                for document, amount in zip(seat_documents(hold.seats), hold.amounts, strict=True)
            ],
        }

    def _purchase_document(self, purchase: Purchase) -> dict[str, Any]:
        return {
            "purchaseId": purchase.purchase_id,
            "eventId": purchase.event_id,
            "userId": purchase.user_id,
            "totalAmount": purchase.total_amount,
            "currency": purchase.currency,
            "purchaseAt": purchase.purchase_at,
            "status": purchase.status,
            "details": [
                {
                    "ticketTypeId": detail.seat[0],
                    "ticketType": self.tickets[purchase.event_id, detail.seat[0]].ticket_type,
                    "rowNumber": detail.seat[1],
                    "seatNumber": detail.seat[2],
                    "amount": detail.amount,
                    "ticketCode": detail.ticket_code,
                }
                for detail in purchase.live
            ],
        }
