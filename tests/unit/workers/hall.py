"""Opens a `Book` on a model's state, reading what the engine would read; and compares the two afterwards."""

from __future__ import annotations

import copy
import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from booking_lane.commands import Cancel, Checkout, Command, Extend, Release, Reserve, Sweep
from booking_lane.settings import HoldSettings
from db.booking.events import EventRow, TicketRow
from db.booking.holds import Hold
from db.booking.purchases import Purchase
from db.booking.results import Result
from db.booking.seats import Seat, SeatNow
from db.booking.states import HoldState, SeatStatus
from db.events.sale import EventState
from db.plans.best_seats import rows_by_numbers
from tests.unit.workers.model import Model
from workers.engine.book import Book
from workers.engine.commands import decide
from workers.engine.free_rows import FreeRows
from workers.engine.refused import Refused

EVENT = 1
ON_SALE = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
HOLD_SECONDS = 600
GRACE_SECONDS = 15
CANCEL_UNTIL_HOURS = 24
SETTINGS = HoldSettings(seconds=HOLD_SECONDS, grace_seconds=GRACE_SECONDS, cancel_until_hours=CANCEL_UNTIL_HOURS)
PRICES = {1: 4900, 2: 12900}
QUANTITY = {1: 8, 2: 2}
SEATS = tuple([(1, row, seat) for row in (1, 2) for seat in (1, 2, 3, 4)] + [(2, 1, 1), (2, 1, 2)])


@dataclass
class Hall:
    """An event of ten seats (type 1: two rows of four; type 2: two) and a clock that a test moves on."""

    seats_per_fan_max: int = 4
    now: dt.datetime = ON_SALE + dt.timedelta(hours=1)
    date: dt.datetime = ON_SALE + dt.timedelta(days=30)
    off_sale_at: dt.datetime = ON_SALE + dt.timedelta(days=30)
    event_state: EventState = EventState.PUBLISHED
    counts: dict[int, list[int]] = field(default_factory=lambda: {1: [8, 0], 2: [2, 0]})
    purchases: dict[uuid.UUID, Purchase] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.model = Model(PRICES, SEATS, self.seats_per_fan_max, HOLD_SECONDS, GRACE_SECONDS, CANCEL_UNTIL_HOURS)

    def pass_time(self, seconds: float) -> None:
        self.now += dt.timedelta(seconds=seconds)

    def book(self, *commands: Command) -> list[dict[str, Any]]:
        """Decide a batch as the engine would, and let model and hall follow; results or problems, in order."""
        self.model.date = self.date
        book = self._open(commands)
        documents = []
        for command in commands:
            before = dict(self.model.status)
            expected = self.model.expect(command, self.now)
            try:
                document = as_document(decide(book, command))
            except Refused as refusal:
                document = as_document(refusal.document)
                assert document["code"] in expected, (command, document["code"], expected)
                assert self.model.status == before
            else:
                assert "ok" in expected, (command, document, expected)
                self.model.apply(command, document, self.now)
            documents.append(document)
        self._close(book)
        return documents

    def _open(self, commands: Sequence[Command]) -> Book:
        model = self.model
        book = Book(self.now, SETTINGS)
        book.events[EVENT] = EventRow(
            event_id=EVENT,
            version=7,
            on_sale_at=ON_SALE,
            currency="EUR",
            seats_per_fan_max=self.seats_per_fan_max,
            date=self.date,
            off_sale_at=self.off_sale_at,
            event_state=self.event_state,
        )
        for kind, (free, held) in self.counts.items():
            book.tickets[EVENT, kind] = TicketRow(EVENT, kind, f"type {kind}", PRICES[kind], free, held, QUANTITY[kind])
        fans = {command.user_id for command in commands if not isinstance(command, Sweep)}
        cancelled = {command.purchase_id for command in commands if isinstance(command, Cancel)}
        known_purchases = copy.deepcopy(self.purchases)
        book.purchases = {
            purchase.purchase_id: purchase for purchase in known_purchases.values() if purchase.purchase_id in cancelled
        }
        book.purchases_of_holds = {purchase.reservation_id: purchase for purchase in book.purchases.values()}
        named = {command.reservation_id for command in commands if isinstance(command, Checkout | Release | Extend)}
        swept = any(isinstance(command, Sweep) for command in commands)
        for key, hold in model.holds.items():
            lapsed = hold.state == "held" and not model.keeps_seats(hold, self.now)
            of_fan = hold.fan in fans and hold.state in ("held", "lapsed")
            if key in named or of_fan or (swept and lapsed):
                amounts = tuple(PRICES[seat[0]] for seat in hold.seats)
                book.add_hold(
                    Hold(
                        EVENT, key, hold.fan, HoldState(hold.state), hold.seats, sum(amounts), hold.expires_at, amounts
                    )
                )
                if hold.state == "purchased" and hold.live:
                    book.purchases_of_holds[key] = known_purchases[key]
            if swept and lapsed:
                book.lapsed.setdefault(EVENT, []).append(key)
        for fan in fans:
            bought = sum(len(hold.live) for _, hold in model.of_fan(fan) if hold.state == "purchased")
            if bought:
                book.bought_counts[EVENT, fan] = bought
        read: set[Seat] = set()
        for command in commands:
            if isinstance(command, Reserve | Checkout):
                read.update(command.seats)
            if isinstance(command, Reserve) and command.best_available:
                kind = command.best_available.ticket_type_id
                book.free_rows[EVENT, kind] = self._free_rows(kind)
        for purchase in book.purchases.values():
            read.update(detail.seat for detail in purchase.live)
        for known in book.holds.values():
            if known.state == "held":
                read.update(known.seats)
        for seat in read & set(SEATS):
            status = model.status[seat]
            if status == "reserved":
                key = model.held_by[seat]
                book.seats[EVENT, *seat] = SeatNow(SeatStatus(status), key, model.free_at(model.holds[key]))
            else:
                book.seats[EVENT, *seat] = SeatNow(SeatStatus(status))
        self._before = dict(model.status)
        return book

    def _free_rows(self, ticket_type: int) -> FreeRows:
        rows: dict[int, list[int]] = {}
        for _, row, seat in [seat for seat in SEATS if seat[0] == ticket_type]:
            rows.setdefault(row, []).append(seat)
        free = []
        for row, seats in rows.items():
            of_row = [seat for seat in seats if self.model.is_free((ticket_type, row, seat), self.now)]
            lapsed = [seat for seat in of_row if self.model.status[ticket_type, row, seat] == "reserved"]
            free.append((row, of_row, lapsed))
        return FreeRows(rows_by_numbers(rows), free)

    def _close(self, book: Book) -> None:
        """What the book would write makes of the old state the model's new one."""
        changes, model = book.changes, self.model
        for seat in SEATS:
            if (EVENT, *seat) in changes.seats:
                now = book.seats[EVENT, *seat]
                assert now.status == model.status[seat]
                assert (now.reservation_id is None) == (now.status != "reserved")
                if now.status == "reserved":
                    assert now.reservation_id == model.held_by[seat]
                    assert now.held_until == model.free_at(model.holds[model.held_by[seat]])
            else:
                assert model.status[seat] == self._before[seat], f"{seat} changes and is not written"
        for (_, kind), (free, held) in changes.counts.items():
            self.counts[kind][0] += free
            self.counts[kind][1] += held
        for kind in PRICES:
            by_status = [model.count(kind, "available"), model.count(kind, "reserved")]
            assert self.counts[kind] == by_status, "counts equal seats by status"
            ticket = book.tickets[EVENT, kind]
            assert [ticket.available_count, ticket.held_count] == by_status
        for key, hold in {**changes.new_holds, **changes.hold_states}.items():
            assert model.holds[key].state == hold.state
        if changes.seats:
            assert changes.event_ids() == {EVENT}
        for purchase in changes.purchases:
            assert purchase.reservation_id not in self.purchases, "a hold is bought once"
            assert sum(detail.amount for detail in purchase.details) == purchase.total_amount
            self.purchases[purchase.reservation_id] = copy.deepcopy(purchase)
        for cancellation in changes.cancellations:
            purchase = cancellation.purchase
            assert all(detail.cancelled_at == self.now for detail in cancellation.details)
            assert purchase.total_amount == sum(detail.amount for detail in purchase.live)
            assert purchase.status == ("confirmed" if purchase.live else "cancelled")
            self.purchases[purchase.reservation_id] = copy.deepcopy(purchase)
        sold = [detail.seat for bought in self.purchases.values() for detail in bought.live]
        assert len(sold) == len(set(sold)), "no seat is sold twice"


def as_document(told: Result | dict[str, Any]) -> dict[str, Any]:
    """A result or a problem by the names of the wire, its ids and moments as they are."""
    document: dict[str, Any] = msgspec.to_builtins(told, builtin_types=(uuid.UUID, dt.datetime))
    document.pop("version", None)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in document.items()}


def codes(documents: list[dict[str, Any]]) -> list[str]:
    return [document.get("code", "ok") for document in documents]
