"""What the hall plan that an event was given calls its rows and seats, and in which part of the hall they are.

The labels are part of the hall in memory, so that the answers that name seats cost no query, and a booking's result
needs none of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from db.booking.charges import Charge
from db.booking.results import HeldSeat, seat_charge
from db.events.halls import LabelledRow, SeatKey


class SeatLabels(NamedTuple):
    """What a seat is called. A row or a seat that is called by its number has None, and so has one without a plan."""

    row: str | None = None
    seat: str | None = None
    section: str | None = None


UNLABELLED: Final = SeatLabels()
_SEATS_OF: Final = {"reserve": "seats", "checkout": "details"}
"""The field of a result that has seats with labels, by the command's kind."""

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class HallLabels:
    """The labels of one hall. It is false where the event was given no plan, or one without any labels."""

    def __init__(self, rows: Iterable[LabelledRow] = ()) -> None:
        self._rows: dict[tuple[int, int], list[tuple[str | None, str | None, Mapping[int, str | None]]]] = {}
        for row in rows:
            seats = dict(zip(row.seat_numbers, row.seat_labels or (None,) * len(row.seat_numbers), strict=True))
            parts = self._rows.setdefault((row.ticket_type_id, row.row_number), [])
            parts.append((row.row_label, row.section, seats))

    def __bool__(self) -> bool:
        return bool(self._rows)

    def of(self, seat: SeatKey) -> SeatLabels:
        for row_label, section, seats in self._rows.get(seat[:2], ()):
            if seat[2] in seats:
                return SeatLabels(row_label, seats[seat[2]], section)
        return UNLABELLED

    def find(self, row: str, seat: str) -> list[SeatKey]:
        """The seats that are called by these words, in either case."""
        return [
            (ticket_type_id, row_number, seat_number)
            for (ticket_type_id, row_number), parts in self._rows.items()
            for row_label, _, seats in parts
            if (row_label or str(row_number)).casefold() == row.casefold()
            for seat_number, label in seats.items()
            if (label or str(seat_number)).casefold() == seat.casefold()
        ]

    def held_seats(self, seats: Sequence[SeatKey], charges: Sequence[Charge]) -> tuple[HeldSeat, ...]:
        """The seats of a hold, each with its charge and labels."""
        return tuple(
            HeldSeat(*seat, charge.amount, labels.row, labels.seat, labels.section, seat_charge(charge))
            for seat, charge in zip(seats, charges, strict=True)
            for labels in (self.of(seat),)
        )

    def in_outcome(self, kind: str, outcome: bytes) -> bytes:
        """A command's outcome in JSON, its seats with their labels; unchanged where there are none."""
        field = _SEATS_OF.get(kind)
        if field is None or not self._rows:
            return outcome
        job: dict[str, Any] = _decode(outcome)
        for seat in (job.get("result") or {}).get(field, ()):
            labels = self.of((seat["ticketTypeId"], seat["rowNumber"], seat["seatNumber"]))
            named = zip(("rowLabel", "seatLabel", "section"), labels, strict=True)
            seat.update((name, label) for name, label in named if label is not None)
        return _encode(job)


NO_LABELS: Final = HallLabels()
