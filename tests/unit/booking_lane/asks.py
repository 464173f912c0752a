"""Commands for tests, with the fields that a test does not care about filled in."""

from __future__ import annotations

import uuid
from typing import Any

from booking_lane.commands import (
    Batch,
    BestAvailable,
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
    command_id_new,
)
from db.booking.seats import Seat

NEVER_MS = 2**53


def _head(event: int, fan: int, fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "command_id": command_id_new(),
        "event_id": event,
        "user_id": fan,
        "received_at_ms": 0,
        "deadline_ms": NEVER_MS,
        **fields,
    }


def reserve(event: int, fan: int, *seats: Seat, **fields: Any) -> Reserve:
    return Reserve(**_head(event, fan, fields), seats=seats)


def best(event: int, fan: int, ticket_type: int, quantity: int, **fields: Any) -> Reserve:
    return Reserve(**_head(event, fan, fields), best_available=BestAvailable(ticket_type, quantity))


def checkout(event: int, fan: int, *seats: Seat, hold: uuid.UUID | str | None = None, **fields: Any) -> Checkout:
    hold = uuid.UUID(hold) if isinstance(hold, str) else hold
    return Checkout(**_head(event, fan, fields), seats=seats, reservation_id=hold)


def release(event: int, fan: int, hold: uuid.UUID | str, **fields: Any) -> Release:
    hold = uuid.UUID(hold) if isinstance(hold, str) else hold
    return Release(**_head(event, fan, fields), reservation_id=hold)


def extend(event: int, fan: int, hold: uuid.UUID | str, seconds: int, **fields: Any) -> Extend:
    hold = uuid.UUID(hold) if isinstance(hold, str) else hold
    return Extend(**_head(event, fan, fields), reservation_id=hold, seconds=seconds)


def cancel(event: int, fan: int, purchase: uuid.UUID | str, *seats: Seat, **fields: Any) -> Cancel:
    purchase = uuid.UUID(purchase) if isinstance(purchase, str) else purchase
    return Cancel(**_head(event, fan, fields), purchase_id=purchase, seats=seats)


def give(event: int, guest: int, *seats: Seat, **fields: Any) -> Give:
    return Give(**_head(event, guest, fields), reservation_id=uuid.uuid4(), seats=seats, given_by="ada")


def take(event: int, fan: int, purchase: uuid.UUID | str, seat: Seat, issue: int = 1, **fields: Any) -> Take:
    purchase = uuid.UUID(purchase) if isinstance(purchase, str) else purchase
    return Take(**_head(event, fan, fields), purchase_id=purchase, seat=seat, issue_number=issue)


def wait(event: int, fan: int, ticket_type: int, quantity: int, **fields: Any) -> Wait:
    return Wait(**_head(event, fan, fields), ticket_type_id=ticket_type, quantity=quantity)


def leave(event: int, fan: int, **fields: Any) -> Leave:
    return Leave(**_head(event, fan, fields))


def sweep(event: int, **fields: Any) -> Sweep:
    return Sweep(**_head(event, 0, fields))


def batch(*commands: Command, lane: int = 0, origin: str = "a gateway") -> Batch:
    return Batch(command_id_new(), origin, lane, commands)


def confirm(event: int, fan: int, payment: uuid.UUID, hold: uuid.UUID | str, *seats: Seat, **fields: Any) -> Confirm:
    hold = uuid.UUID(hold) if isinstance(hold, str) else hold
    return Confirm(**_head(event, fan, fields), payment_id=payment, reservation_id=hold, seats=seats)


def keep(event: int, fan: int, payment: uuid.UUID, hold: uuid.UUID, **fields: Any) -> Keep:
    return Keep(**_head(event, fan, fields), payment_id=payment, reservation_id=hold)


def fail(event: int, fan: int, payment: uuid.UUID, hold: uuid.UUID | str, **fields: Any) -> Fail:
    hold = uuid.UUID(hold) if isinstance(hold, str) else hold
    return Fail(**_head(event, fan, fields), payment_id=payment, reservation_id=hold)


def merge(event: int, fan: int, from_fan: int, **fields: Any) -> Merge:
    return Merge(**_head(event, fan, fields), from_user_id=from_fan)
