"""From an operator's request to what is to be written: every fault found at once, each with its path."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from db.events.blocks import SeatBlock, blocks_of_seats
from db.events.definitions import EventRow, TicketTypeRow
from db.events.edits import ChangedTicketType, EventEdit, NewTicketType, Refusal, SeatsOfType
from db.events.seed import EventPlan, RoomSeed, TicketTypePlan
from db.rooms.steering import has_lobby
from gateway.contract.programme import (
    DefinedTicketType,
    EventBody,
    EventDefinition,
    EventPatch,
    HallBlock,
    HallRow,
    SeatsBody,
    SeatsOfTypeBody,
    TicketTypeBody,
)
from gateway.contract.values import Fault, SeatAnswer
from gateway.programme.hall_csv import CsvHall, read_hall
from gateway.wire.problems import ProblemError

YEARS: Final = range(2000, 2200)
FAULTS_SAID_MAX: Final = 3
"""In a problem's sentence; its ``errors`` have all."""
SEATS_SAID_MAX: Final = 100
_FACTS: Final = {
    "name": "name",
    "artist": "artist",
    "venue": "venue",
    "date": "date",
    "on_sale_at": "onSaleAt",
    "currency": "currency",
    "seats_per_fan_max": "seatsPerFanMax",
}


class Draft:
    """What is wrong with a request so far.

    Args:
        seats_max: of an event.
    """

    def __init__(self, seats_max: int) -> None:
        self.seats_max = seats_max
        self.faults: list[Fault] = []

    def fault(self, path: str, message: str, *, line: int | None = None) -> None:
        self.faults.append(
            Fault(path=path, message=message, code="event_invalid", line=msgspec.UNSET if line is None else line)
        )

    def plan(self, body: EventBody, room: RoomSeed) -> EventPlan | None:
        """The event to be made, in the ``room`` unless the body says otherwise; None where there are faults."""
        facts = self._facts({name: getattr(body, name) for name in _FACTS})
        if body.on_sale_at > body.date:
            self.fault("$.onSaleAt", "the sale would begin after the event")
        names = [kind.ticket_type.strip() for kind in body.ticket_types]
        listed = self._csv(body.csv, {name: names.index(name) for name in names}, {})
        halls = []
        for index, kind in enumerate(body.ticket_types):
            path = f"$.ticketTypes[{index}]"
            if not names[index]:
                self.fault(f"{path}.ticketType", "a name has more than blanks")
            elif names[index] in names[:index]:
                self.fault(f"{path}.ticketType", f"two ticket types are named {names[index]!r}")
            hall = self._hall(path, kind.blocks, kind.rows, listed.seats.get(index, ()))
            if not hall and not self.faults:
                self.fault(path, "a ticket type has one seat at least")
            halls.append(hall)
        if sum(block.quantity for hall in halls for block in hall) > self.seats_max:
            self.fault("$.ticketTypes", f"an event has {self.seats_max} seats at most")
        if self.faults:
            return None
        said: dict[str, Any] = {
            name: value for name, value in msgspec.structs.asdict(body.room).items() if value is not msgspec.UNSET
        }
        return EventPlan(
            **facts,
            ticket_types=tuple(
                TicketTypePlan(ticket_type=name, price=kind.price, blocks=hall)
                for name, kind, hall in zip(names, body.ticket_types, halls, strict=True)
            ),
            room=dataclasses.replace(room, **said),
        )

    def edit(self, body: EventPatch) -> EventEdit:
        """What the body changes, as far as it has no faults."""
        said = {name: value for name in _FACTS if (value := getattr(body, name)) is not msgspec.UNSET}
        changed = []
        for index, change in enumerate(body.ticket_types):
            path = f"$.ticketTypes[{index}]"
            name = None if change.ticket_type is msgspec.UNSET else change.ticket_type.strip()
            if name == "":
                self.fault(f"{path}.ticketType", "a name has more than blanks")
            if change.ticket_type_id in (other.ticket_type_id for other in body.ticket_types[:index]):
                self.fault(f"{path}.ticketTypeId", "this ticket type is named already")
            if change.ticket_type_id in body.remove_ticket_types:
                self.fault(f"{path}.ticketTypeId", "this ticket type is to be removed")
            changed.append(
                ChangedTicketType(
                    path=path,
                    ticket_type_id=change.ticket_type_id,
                    ticket_type=name,
                    price=None if change.price is msgspec.UNSET else change.price,
                )
            )
        return EventEdit(
            facts=self._facts(said),
            fact_paths={name: f"$.{wire}" for name, wire in _FACTS.items()},
            changed_types=tuple(changed),
            added_types=tuple(self._new_type(index, kind) for index, kind in enumerate(body.add_ticket_types)),
            removed_types=tuple(
                (f"$.removeTicketTypes[{index}]", ticket_type_id)
                for index, ticket_type_id in enumerate(body.remove_ticket_types)
            ),
            added_seats=self._parts("addSeats", body.add_seats),
            removed_seats=self._parts("removeSeats", body.remove_seats),
        )

    def seats(self, body: SeatsBody) -> EventEdit:
        """The seats that the body adds and removes."""
        return EventEdit(added_seats=self._parts("add", body.add), removed_seats=self._parts("remove", body.remove))

    def seats_of_csv(self, text: str, types: Sequence[TicketTypeRow]) -> EventEdit:
        """The seats that a CSV adds to an event of these ticket types."""
        ids = {kind.ticket_type_id: kind.ticket_type_id for kind in types}
        listed = self._csv(text, {kind.ticket_type: kind.ticket_type_id for kind in types}, ids)
        if not listed.seats and not listed.faults:
            self.fault("$", "there is no seat in it", line=1)
        return EventEdit(
            added_seats=tuple(
                SeatsOfType(path="$", ticket_type_id=ticket_type_id, blocks=blocks_of_seats(seats))
                for ticket_type_id, seats in sorted(listed.seats.items())
            )
        )

    def _facts(self, said: Mapping[str, Any]) -> dict[str, Any]:
        facts: dict[str, Any] = {}
        for name, value in said.items():
            if isinstance(value, str):
                facts[name] = value.strip()
                if not facts[name] and name != "artist":
                    self.fault(f"$.{_FACTS[name]}", "a name has more than blanks")
            elif isinstance(value, dt.datetime) and value.year not in YEARS:
                self.fault(f"$.{_FACTS[name]}", f"a time is of the years {YEARS.start} to {YEARS.stop - 1}")
            else:
                facts[name] = value
        return facts

    def _csv(self, text: str, names: Mapping[str, int], ids: Mapping[int, int]) -> CsvHall:
        listed = read_hall(text, names, ids, self.seats_max) if text else CsvHall()
        for line, message in listed.faults:
            self.fault("$.csv", message, line=line)
        return listed

    def _new_type(self, index: int, kind: TicketTypeBody) -> NewTicketType:
        path = f"$.addTicketTypes[{index}]"
        name = kind.ticket_type.strip()
        if not name:
            self.fault(f"{path}.ticketType", "a name has more than blanks")
        hall = self._hall(path, kind.blocks, kind.rows)
        if not hall:
            self.fault(path, "a ticket type has one seat at least")
        return NewTicketType(path=path, ticket_type=name, price=kind.price, blocks=hall)

    def _parts(self, name: str, parts: Sequence[SeatsOfTypeBody]) -> tuple[SeatsOfType, ...]:
        found = []
        for index, part in enumerate(parts):
            path = f"$.{name}[{index}]"
            if part.ticket_type_id in (other.ticket_type_id for other in parts[:index]):
                self.fault(f"{path}.ticketTypeId", "this ticket type is named already")
            hall = self._hall(path, part.blocks, part.rows)
            if hall:
                found.append(SeatsOfType(path=path, ticket_type_id=part.ticket_type_id, blocks=hall))
            else:
                self.fault(path, "no seat is named")
        return tuple(found)

    def _hall(
        self,
        path: str,
        blocks: Sequence[HallBlock],
        rows: Sequence[HallRow],
        listed: Iterable[tuple[int, int]] = (),
    ) -> tuple[SeatBlock, ...]:
        """Seats named in three ways as blocks that do not overlap; none where there are too many, which is a fault."""
        made = [
            SeatBlock(
                rows=block.rows,
                seats_per_row=block.seats_per_row,
                first_row=block.first_row,
                first_seat=block.first_seat,
            )
            for block in blocks
        ]
        listed = list(listed)
        total = sum(block.quantity for block in made) + sum(len(row.seat_numbers) for row in rows) + len(listed)
        if total > self.seats_max:
            self.fault(path, f"an event has {self.seats_max} seats at most, these are {total}")
            return ()
        if len(made) == 1 and not rows and not listed:
            return tuple(made)
        seats = set(listed)
        ways = [(f"{path}.blocks[{index}]", list(block.seats())) for index, block in enumerate(made)]
        for index, row in enumerate(rows):
            ways.append((f"{path}.rows[{index}]", [(row.row_number, seat) for seat in row.seat_numbers]))
        for where, these in ways:
            before = len(seats)
            seats.update(these)
            if len(seats) != before + len(these):
                self.fault(where, f"seats of it are named already, {before + len(these) - len(seats)} in number")
        return blocks_of_seats(seats)


def faults_of(refusals: Iterable[Refusal]) -> list[Fault]:
    return [
        Fault(
            path=refusal.path,
            message=refusal.message,
            code=refusal.code,
            seats=tuple(
                SeatAnswer(ticket_type_id=kind, row_number=row, seat_number=seat) for kind, row, seat in refusal.seats
            )
            if refusal.seats
            else msgspec.UNSET,
        )
        for refusal in refusals
    ]


def refused(faults: Sequence[Fault]) -> ProblemError:
    """The problem of a change with these faults: what makes no sense in itself comes before what stands against it."""
    codes = [fault.code for fault in faults if fault.code is not msgspec.UNSET]
    code = "event_invalid" if "event_invalid" in codes else codes[0]
    said = [
        f"{fault.message} (at {fault.path if fault.line is msgspec.UNSET else f'line {fault.line}'})"
        for fault in faults
    ]
    more = f"; and {len(said) - FAULTS_SAID_MAX} more" if len(said) > FAULTS_SAID_MAX else ""
    seats = [seat for fault in faults if fault.seats is not msgspec.UNSET for seat in fault.seats]
    members: dict[str, Any] = {"seats": msgspec.to_builtins(seats[:SEATS_SAID_MAX])} if seats else {}
    return ProblemError(
        code, "; ".join(said[:FAULTS_SAID_MAX]) + more, errors=msgspec.to_builtins(list(faults)), **members
    )


def definition(event: EventRow) -> EventDefinition:
    """An event as the API answers it."""
    return EventDefinition(
        event_id=event.event_id,
        name=event.name,
        artist=event.artist,
        venue=event.venue,
        date=event.date,
        on_sale_at=event.on_sale_at,
        currency=event.currency,
        seats_per_fan_max=event.seats_per_fan_max,
        ticket_types=tuple(_defined(kind) for kind in event.ticket_types),
        is_on_sale=event.is_on_sale,
        has_lobby=event.has_draw,
        version=event.version,
        revision=event.revision,
    )


def planned(plan: EventPlan, now: dt.datetime) -> EventDefinition:
    """An event that is yet to be made, as the API would answer it."""
    return EventDefinition(
        event_id=0,
        name=plan.name,
        artist=plan.artist,
        venue=plan.venue,
        date=plan.date,
        on_sale_at=plan.on_sale_at,
        currency=plan.currency,
        seats_per_fan_max=plan.seats_per_fan_max,
        ticket_types=tuple(
            _defined(TicketTypeRow(number, kind.ticket_type, kind.price, kind.quantity, kind.quantity, 0, kind.hall))
            for number, kind in enumerate(plan.ticket_types, 1)
        ),
        is_on_sale=plan.on_sale_at <= now,
        has_lobby=has_lobby(plan.room.lobby_minutes, plan.on_sale_at, now),
        version=0,
        revision=0,
    )


def _defined(kind: TicketTypeRow) -> DefinedTicketType:
    return DefinedTicketType(
        ticket_type_id=kind.ticket_type_id,
        ticket_type=kind.ticket_type,
        price=kind.price,
        quantity=kind.quantity,
        available_count=kind.available_count,
        held_count=kind.held_count,
        booked_count=kind.quantity - kind.available_count - kind.held_count,
        blocks=tuple(
            HallBlock(
                rows=block.rows,
                seats_per_row=block.seats_per_row,
                first_row=block.first_row,
                first_seat=block.first_seat,
            )
            for block in kind.blocks
        ),
    )
