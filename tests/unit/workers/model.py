"""The rules of booking written down naively, on one table of seats: what the engine must agree with."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from booking_lane.commands import (
    Cancel,
    Checkout,
    Command,
    Confirm,
    Extend,
    Fail,
    Give,
    Keep,
    Leave,
    Merge,
    Release,
    Reserve,
    Sweep,
    Take,
    Wait,
)
from db.booking.seats import Seat

NOBODY = uuid.UUID(int=0)
ONCE = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)


@dataclass
class ModelHold:
    fan: int
    seats: tuple[Seat, ...]
    expires_at: dt.datetime
    state: str = "held"
    purchase_id: object = None
    promised_until: dt.datetime | None = None
    cancelled: set[Seat] = field(default_factory=set)
    made_at: dt.datetime = ONCE

    @property
    def live(self) -> tuple[Seat, ...]:
        """The seats without those that were bought and cancelled."""
        return tuple(seat for seat in self.seats if seat not in self.cancelled)


@dataclass
class Model:
    """One event. `expect` says what may come of a command, `apply` does what did."""

    prices: dict[int, int]
    all_seats: tuple[Seat, ...]
    seats_per_fan_max: int
    hold_seconds: int
    grace_seconds: int
    cancel_until_hours: float = 0
    date: dt.datetime = dt.datetime(9999, 1, 1, tzinfo=dt.UTC)
    status: dict[Seat, str] = field(default_factory=dict)
    held_by: dict[Seat, uuid.UUID] = field(default_factory=dict)
    holds: dict[uuid.UUID, ModelHold] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.status = dict.fromkeys(self.all_seats, "available")

    # -- what is so

    def free_at(self, hold: ModelHold) -> dt.datetime:
        return hold.expires_at + dt.timedelta(seconds=self.grace_seconds)

    def is_live(self, hold: ModelHold, now: dt.datetime) -> bool:
        """Until the end that its fan was shown."""
        return hold.state == "held" and now < hold.expires_at

    def keeps_seats(self, hold: ModelHold, now: dt.datetime) -> bool:
        """From that end on, for the grace: only its fan can take the seats."""
        return hold.state == "held" and now < self.free_at(hold)

    def is_free(self, seat: Seat, now: dt.datetime, fan: int | None = None) -> bool:
        """Whether anybody may take it, or this ``fan`` may."""
        if self.status[seat] == "reserved":
            hold = self.holds[self.held_by[seat]]
            return self.free_at(hold) <= now or (hold.fan == fan and not self.is_live(hold, now))
        return self.status[seat] == "available"

    def of_fan(self, fan: int) -> list[tuple[uuid.UUID, ModelHold]]:
        return [(key, hold) for key, hold in self.holds.items() if hold.fan == fan]

    def seats_of(self, fan: int, now: dt.datetime) -> int:
        return sum(
            len(hold.live) for _, hold in self.of_fan(fan) if hold.state == "purchased" or self.is_live(hold, now)
        )

    def count(self, ticket_type: int, status: str) -> int:
        return sum(seat[0] == ticket_type and now == status for seat, now in self.status.items())

    def best_block(self, ticket_type: int, quantity: int, now: dt.datetime, fan: int) -> tuple[Seat, ...]:
        """Adjacent free seats. First, those that leave no seat alone, then those that leave one alone at a row's end;
        of these, the block nearest to the middle of the first row. A block that leaves no seat alone steps a little
        aside where more parties of its size then find room beside it.
        """
        rows: dict[int, list[int]] = {}
        for _, row, number in sorted(seat for seat in self.all_seats if seat[0] == ticket_type):
            rows.setdefault(row, []).append(number)
        best_of_rows = []
        for depth, (row, numbers) in enumerate(sorted(rows.items())):
            free = [self.is_free((ticket_type, row, number), now, fan) for number in numbers]
            blocks = {
                first: (_alone(free, first, quantity), _far(depth, first, quantity, len(numbers)), row, first)
                for first in range(len(numbers) - quantity + 1)
                if all(free[first : first + quantity])
            }
            if blocks:
                best_of_rows.append(_with_room_beside(blocks, free, min(blocks.values()), quantity))
        if not best_of_rows:
            return ()
        *_, row, first = min(best_of_rows)
        return tuple((ticket_type, row, number) for number in rows[row][first : first + quantity])

    # -- what may come of a command

    def expect(self, command: Command, now: dt.datetime) -> set[str]:
        """Codes of the problems that may come of it, or ``ok``."""
        match command:
            case Reserve(best_available=None):
                return {self._expect_reserve(command, now)}
            case Reserve():
                return {self._expect_best(command, now)}
            case Checkout():
                return self._expect_checkout(command, now)
            case Release():
                hold = self.holds.get(command.reservation_id)
                if hold is None:
                    return {"hold_mismatch"}
                if hold.fan != command.user_id:
                    return {"not_your_hold"}
                return {"hold_mismatch" if hold.state == "purchased" else "ok"}
            case Extend():
                hold = self.holds.get(command.reservation_id)
                if hold is None or hold.fan != command.user_id:
                    return {"hold_mismatch"}
                return {"ok" if self.is_live(hold, now) else "hold_expired"}
            case Cancel():
                return {self._expect_cancel(command, now)}
            case Take():
                raise AssertionError("this model has one fan for all seats of a purchase: see test_handing_on")
            case Wait() | Leave() | Give():
                raise NotImplementedError("the model knows no waiting list, and no guests")
            case Sweep() | Confirm() | Fail() | Keep() | Merge():
                return {"ok"}

    def _expect_reserve(self, command: Reserve, now: dt.datetime) -> str:
        if any(hold.seats == command.seats and self.is_live(hold, now) for _, hold in self.of_fan(command.user_id)):
            return "ok"
        if any(seat not in self.status for seat in command.seats):
            return "unknown_seats"
        if not all(self.is_free(seat, now, command.user_id) for seat in command.seats):
            return "seats_taken"
        within = self.seats_of(command.user_id, now) + len(command.seats) <= self.seats_per_fan_max
        return "ok" if within else "limit_exceeded"

    def _expect_best(self, command: Reserve, now: dt.datetime) -> str:
        wanted = command.best_available
        assert wanted is not None
        if self.seats_of(command.user_id, now) + wanted.quantity > self.seats_per_fan_max:
            return "limit_exceeded"
        if wanted.ticket_type_id not in self.prices:
            return "unknown_seats"
        if self.best_block(wanted.ticket_type_id, wanted.quantity, now, command.user_id):
            return "ok"
        all_sold = self.count(wanted.ticket_type_id, "booked") == sum(
            seat[0] == wanted.ticket_type_id for seat in self.all_seats
        )
        return "sold_out" if all_sold else "no_block"

    def _expect_checkout(self, command: Checkout, now: dt.datetime) -> set[str]:
        if command.reservation_id is not None:
            hold = self.holds.get(command.reservation_id)
            if hold is None:
                return {"hold_mismatch"}
            if hold.fan != command.user_id:
                return {"not_your_hold"}
            if hold.state == "purchased":
                return {"ok" if hold.live else "hold_mismatch"}
            return {self._expect_sale(hold, now)}
        mine = [hold for _, hold in self.of_fan(command.user_id) if hold.seats == command.seats]
        for hold in mine:
            if self.keeps_seats(hold, now):
                return {self._expect_sale(hold, now)}
        # How a hold that is no more is called depends on how long ago it ended.
        refusals = {"hold_expired", "hold_mismatch", "not_your_hold"}
        return refusals | {"ok"} if any(hold.state == "purchased" and hold.live for hold in mine) else refusals

    def _expect_sale(self, hold: ModelHold, now: dt.datetime) -> str:
        if not self.keeps_seats(hold, now):
            return "hold_expired"
        within = self.seats_of(hold.fan, now) + len(hold.seats) <= self.seats_per_fan_max
        return "ok" if self.is_live(hold, now) or within else "limit_exceeded"

    def bought(self, purchase_id: object) -> ModelHold | None:
        """What became this purchase."""
        return next((hold for hold in self.holds.values() if str(hold.purchase_id) == str(purchase_id)), None)

    def _expect_cancel(self, command: Cancel, now: dt.datetime) -> str:
        hold = self.bought(command.purchase_id)
        if hold is None or hold.fan != command.user_id:
            return "unknown_purchase"
        if not hold.live or not set(command.seats) <= set(hold.live):
            return "not_cancellable"
        return "ok" if now < self.cancel_ends_at(hold) else "cancel_closed"

    def cancel_ends_at(self, hold: ModelHold) -> dt.datetime:
        """So long before the event, or when the purchase promised if that is later, but never once it has begun."""
        by_date = self.date - dt.timedelta(hours=self.cancel_until_hours)
        return by_date if hold.promised_until is None else min(self.date, max(by_date, hold.promised_until))

    # -- what did

    def apply(self, command: Command, result: dict[str, Any], now: dt.datetime) -> None:
        """Let the command have succeeded with this result; asserts that the result is true."""
        match command:
            case Reserve():
                self._reserved(command, result, now)
            case Checkout():
                self._bought(command, result)
            case Release():
                self._give_back(self.holds[command.reservation_id], command.reservation_id, "released")
            case Extend():
                hold = self.holds[command.reservation_id]
                longer = min(hold.expires_at + dt.timedelta(seconds=command.seconds), now + dt.timedelta(hours=1))
                hold.expires_at = max(hold.expires_at, longer)
                assert dt.datetime.fromisoformat(str(result["expiresAt"])) == hold.expires_at
            case Cancel():
                self._cancelled(command, result)
            case Sweep():
                for key, hold in self.holds.items():
                    if hold.state == "held" and not self.keeps_seats(hold, now):
                        self._give_back(hold, key, "lapsed")
            case Merge():
                self._merged(command, now)

    def _merged(self, command: Merge, now: dt.datetime) -> None:
        """The held seats beyond the limit go back, the other fan's first and of each the newest."""
        comes_along = self.seats_of(command.from_user_id, now) > 0
        held = [
            found
            for fan in (command.from_user_id, command.user_id)
            for found in sorted(self.of_fan(fan), key=lambda found: (found[1].made_at, found[0]), reverse=True)
            if self.is_live(found[1], now)
        ]
        for _, hold in self.of_fan(command.from_user_id):
            hold.fan = command.user_id
        for key, hold in held if comes_along else ():
            if self.seats_of(command.user_id, now) > self.seats_per_fan_max:
                self._give_back(hold, key, "released")

    def _reserved(self, command: Reserve, result: dict[str, Any], now: dt.datetime) -> None:
        key = _uuid(result["reservationId"])
        seats = seats_in(result["seats"])
        if key in self.holds:
            hold = self.holds[key]
            assert (hold.fan, hold.seats) == (command.user_id, command.seats), "one's own hold, and no other"
        else:
            wanted = command.best_available
            fan = command.user_id
            assert seats == (
                self.best_block(wanted.ticket_type_id, wanted.quantity, now, fan) if wanted else command.seats
            )
            room = self.seats_per_fan_max - self.seats_of(fan, now) - len(seats)
            for ended_key, ended in self.of_fan(fan):
                is_over = bool(set(ended.seats) & set(seats)) or len(ended.seats) > room
                if self.keeps_seats(ended, now) and not self.is_live(ended, now) and is_over:
                    self._give_back(ended, ended_key, "lapsed")
            until = now + dt.timedelta(seconds=self.hold_seconds)
            hold = self.holds[key] = ModelHold(command.user_id, seats, until, made_at=now)
            for seat in seats:
                self.status[seat], self.held_by[seat] = "reserved", key
        assert seats == hold.seats
        assert _time(result["expiresAt"]) == hold.expires_at
        assert result["totalAmount"] == sum(self.prices[seat[0]] for seat in seats)

    def _bought(self, command: Checkout, result: dict[str, Any]) -> None:
        seats = seats_in(result["details"])
        mine = [
            (key, hold)
            for key, hold in self.of_fan(command.user_id)
            if hold.live == seats and hold.state in ("held", "purchased")
        ]
        again = [hold for _, hold in mine if hold.purchase_id == result["purchaseId"]]
        if not again:
            named = [
                (key, hold)
                for key, hold in mine
                if hold.state == "held"
                and all(self.held_by.get(seat) == key for seat in seats)
                and command.reservation_id in (None, key)
            ]
            ((_, hold),) = named
            hold.state, hold.purchase_id = "purchased", result["purchaseId"]
            hold.promised_until = self.cancel_ends_at(hold)
            for seat in seats:
                self.status[seat] = "booked"
                del self.held_by[seat]
        assert result["totalAmount"] == sum(self.prices[seat[0]] for seat in seats)
        assert len({detail["ticketCode"] for detail in result["details"]}) == len(seats)

    def _cancelled(self, command: Cancel, result: dict[str, Any]) -> None:
        hold = self.bought(command.purchase_id)
        assert hold is not None
        seats = seats_in(result["details"])
        assert seats == (command.seats or hold.live), "those named, or all that are left"
        hold.cancelled.update(seats)
        for seat in seats:
            self.status[seat] = "available"
        assert result["refundAmount"] == sum(self.prices[seat[0]] for seat in seats)
        assert result["totalAmount"] == sum(self.prices[seat[0]] for seat in hold.live)
        assert result["status"] == ("confirmed" if hold.live else "cancelled")

    def _give_back(self, hold: ModelHold, key: uuid.UUID, state: str) -> None:
        if hold.state != "held":
            return
        for seat in hold.seats:
            if self.held_by.get(seat) == key:
                self.status[seat] = "available"
                del self.held_by[seat]
        hold.state = state


def seats_in(documents: Iterable[dict[str, Any]]) -> tuple[Seat, ...]:
    return tuple((one["ticketTypeId"], one["rowNumber"], one["seatNumber"]) for one in documents)


def _uuid(value: object) -> uuid.UUID:
    return value if isinstance(value, uuid.UUID) else uuid.UUID(str(value))


def _time(value: object) -> dt.datetime:
    return value if isinstance(value, dt.datetime) else dt.datetime.fromisoformat(str(value))


ASIDE_COST_MAX = 64
"""What it may cost a block to step aside, by the third power of its quantity (ADR 53)."""


def _with_room_beside(
    blocks: dict[int, tuple[int, int, int, int]], free: list[bool], best: tuple[int, int, int, int], quantity: int
) -> tuple[int, int, int, int]:
    """The row's best block, or the cheapest beside it that leaves whole parties' room on one of its sides."""
    alone, far, _, first = best
    begin, end = first, first + quantity
    while begin and free[begin - 1]:
        begin -= 1
    while end < len(free) and free[end]:
        end += 1
    # Singles leave room for pairs.
    size = max(2, quantity)
    before, after = first - begin, end - first - quantity
    if alone or before // size + after // size == (before + after) // size:
        return best
    aside = [
        block
        for start, block in blocks.items()
        if begin <= start <= end - quantity
        and not block[0]
        and 0 in ((start - begin) % size, (end - start - quantity) % size)
    ]
    cheapest = min(aside, default=best)
    return cheapest if cheapest[1] - far <= ASIDE_COST_MAX * quantity**3 else best


def _alone(free: list[bool], first: int, quantity: int) -> int:
    """How bad it is that a block leaves single seats alone: 0 if it leaves none."""
    after = [is_free and not first <= place < first + quantity for place, is_free in enumerate(free)]
    at_end = between = 0
    for place in {first - 1, first + quantity} & set(range(len(free))):
        if after[place] and not any(after[near] for near in (place - 1, place + 1) if 0 <= near < len(free)):
            is_end = place in (0, len(free) - 1)
            at_end, between = at_end + is_end, between + (not is_end)
    return [at_end, 3 if at_end == 0 else 4, 4][between]


def _far(depth: int, first: int, quantity: int, seats: int) -> int:
    """The squares of the distances from a point three seats before the middle of the first row, with a quarter added of
    the squares of the distances from the middle of the row.
    """
    asides = [10 * (2 * place - seats + 1) // 2 for place in range(first, first + quantity)]
    return sum(aside**2 + aside**2 // 4 + (30 + 10 * depth) ** 2 for aside in asides)
