"""A small, consistent world of bookings written by hand in SQL, without the engine that the audit judges."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from pathlib import Path
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from tests.factories import PRICES, Seat, add_counts, set_seats, write_hold, write_purchase

GRACE_SECONDS = 15


class World:
    """Books as the engine would, records each command, and keeps the ledger of what clients were told.

    ``after_seconds`` places a command that long after the world's beginning, twenty minutes ago.
    """

    def __init__(self, connection: psycopg.Connection, event_id: int) -> None:
        self.connection = connection
        self.event_id = event_id
        row = connection.execute("SELECT clock_timestamp()").fetchone()
        assert row is not None
        self.now: dt.datetime = row[0]
        self.ledger: list[dict[str, Any]] = []

    def at(self, after_seconds: float) -> dt.datetime:
        return self.now - dt.timedelta(minutes=20) + dt.timedelta(seconds=after_seconds)

    def reserve(self, user_id: int, seats: list[Seat], *, after_seconds: float) -> dict[str, Any]:
        at = self.at(after_seconds)
        reservation_id, expires_at = write_hold(
            self.connection, self.event_id, seats, user_id=user_id, created_at=at, grace_seconds=GRACE_SECONDS
        )
        result = {
            "reservationId": str(reservation_id),
            "eventId": self.event_id,
            "expiresAt": expires_at.isoformat(),
            "totalAmount": sum(PRICES[seat[0]] for seat in seats),
            "currency": "EUR",
            "seats": [{**self._wire(seat), "amount": PRICES[seat[0]]} for seat in seats],
            "version": 1,
        }
        self.tell("reserve", user_id, at, result=result)
        return result

    def checkout(self, user_id: int, hold: dict[str, Any], *, after_seconds: float) -> dict[str, Any]:
        at = self.at(after_seconds)
        seats = [(seat["ticketTypeId"], seat["rowNumber"], seat["seatNumber"]) for seat in hold["seats"]]
        purchase_id = write_purchase(
            self.connection, self.event_id, seats, hold["reservationId"], user_id=user_id, purchase_at=at
        )
        result = {
            "purchaseId": str(purchase_id),
            "eventId": self.event_id,
            "userId": user_id,
            "totalAmount": hold["totalAmount"],
            "currency": "EUR",
            "purchaseAt": at.isoformat(),
            "status": "confirmed",
            "details": [
                {**self._wire(seat), "ticketType": f"type {seat[0]}", "amount": PRICES[seat[0]], "ticketCode": "code"}
                for seat in seats
            ],
            "version": 1,
        }
        self.tell("checkout", user_id, at, result=result)
        return result

    def release(self, user_id: int, hold: dict[str, Any], *, after_seconds: float) -> None:
        seats = [(seat["ticketTypeId"], seat["rowNumber"], seat["seatNumber"]) for seat in hold["seats"]]
        set_seats(self.connection, self.event_id, seats, "available", None, None)
        add_counts(self.connection, self.event_id, seats, available=1, held=-1)
        self._state(hold, "released")
        result = {
            "reservationId": hold["reservationId"],
            "eventId": self.event_id,
            "seats": [self._wire(seat) for seat in seats],
            "version": 1,
        }
        self.tell("release", user_id, self.at(after_seconds), result=result)

    def cancel(self, user_id: int, bought: dict[str, Any], *, after_seconds: float) -> None:
        at = self.at(after_seconds)
        seats = [(seat["ticketTypeId"], seat["rowNumber"], seat["seatNumber"]) for seat in bought["details"]]
        self.connection.execute(
            "UPDATE purchase_detail SET cancelled_at = %s WHERE purchase_id = %s", (at, bought["purchaseId"])
        )
        self.connection.execute(
            "UPDATE purchase SET status = 'cancelled', total_amount = 0 WHERE purchase_id = %s",
            (bought["purchaseId"],),
        )
        set_seats(self.connection, self.event_id, seats, "available", None, None)
        add_counts(self.connection, self.event_id, seats, available=1, held=0)
        result = {
            "purchaseId": bought["purchaseId"],
            "eventId": self.event_id,
            "status": "cancelled",
            "totalAmount": 0,
            "refundAmount": bought["totalAmount"],
            "currency": "EUR",
            "cancelledAt": at.isoformat(),
            "details": [{**self._wire(seat), "amount": PRICES[seat[0]]} for seat in seats],
            "version": 1,
        }
        self.tell("cancel", user_id, at, result=result)

    def tell(
        self,
        kind: str,
        user_id: int,
        at: dt.datetime,
        *,
        result: dict[str, Any] | None = None,
        code: str | None = None,
        recorded: bool = True,
    ) -> None:
        job_id = uuid.uuid4()
        if recorded:
            outcome = (
                {"status": "succeeded", "result": result}
                if code is None
                else {"status": "failed", "problem": {"code": code}}
            )
            self.connection.execute(
                "INSERT INTO booking_command VALUES (%s, %s, %s, %s, '', %s, %s)",
                (self.event_id, job_id, kind, user_id, Jsonb(outcome), at),
            )
        self.ledger.append(
            {
                "at": (at + dt.timedelta(milliseconds=40)).isoformat(),
                "userId": user_id,
                "eventId": self.event_id,
                "kind": kind,
                "jobId": str(job_id),
                "status": "succeeded" if code is None else "failed",
                "result": result,
                "code": code,
            }
        )

    def write_ledger(self, path: Path) -> Path:
        path.write_text("".join(json.dumps(line) + "\n" for line in self.ledger))
        return path

    def line(self, kind: str, user_id: int) -> dict[str, Any]:
        """The fan's one line of this kind, to be altered."""
        (found,) = (line for line in self.ledger if (line["kind"], line["userId"]) == (kind, user_id))
        return found

    def _wire(self, seat: Seat) -> dict[str, Any]:
        return {"ticketTypeId": seat[0], "rowNumber": seat[1], "seatNumber": seat[2]}

    def _state(self, hold: dict[str, Any], state: str) -> None:
        self.connection.execute(
            "UPDATE reservation SET state = %s WHERE reservation_id = %s", (state, hold["reservationId"])
        )
