"""From an operator's request to what is to be written: every fault found at once, each with its path."""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from db.booking.charges import charge_of
from db.events.blocks import SeatBlock, blocks_of_seats
from db.events.definitions import EventRow, TicketTypeRow
from db.events.edits import ChangedTicketType, EventEdit, NewAllotment, NewTicketType, Refusal, SeatsOfType
from db.events.examination import (
    BEGINS_AFTER_EVENT,
    DOORS_AFTER_EVENT,
    ENDS_BEFORE_BEGINNING,
    faults_of_terms,
)
from db.events.sale import EventState, SaleState, sale_state
from db.events.seed import EventPlan, RoomSeed, TicketTypePlan
from db.events.terms import TERMS, Terms
from db.events.time_zones import is_time_zone
from db.plans.checking import PlanFault, PlanPaths, faults_of_seats
from db.plans.model import HallPlan
from db.rooms.steering import has_lobby
from db.texts import alike, fault_of_line, fault_of_name, tidy
from gateway.contract.allotments import AllotmentBody
from gateway.contract.plans import PlanBody
from gateway.contract.programme import (
    ALT_MAX,
    NOTICE_MAX,
    TAG_MAX,
    TYPE_NAME_MAX,
    WORD_MAX,
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
from gateway.contract.values import HALL_NUMBER_MAX, Fault, SeatAnswer
from gateway.programme.hall_csv import CsvHall, read_hall
from gateway.programme.notes import SaleTimes, standing_notes
from gateway.programme.plan_drafts import TicketTypes, contract_faults, draft, read_body
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
    "time_zone": "timeZone",
    "on_sale_at": "onSaleAt",
    "off_sale_set": "offSaleAt",
    "currency": "currency",
    "seats_per_fan_max": "seatsPerFanMax",
    "doors_at": "doorsAt",
    "picture_hash": "pictureHash",
    "picture_alt": "pictureAlt",
    "account_required": "accountRequired",
    "payments": "payments",
    "town": "town",
    "tags": "tags",
}
_MAY_BE_EMPTY: Final = {"artist": WORD_MAX, "picture_alt": ALT_MAX, "payments": WORD_MAX, "town": WORD_MAX}
"""Facts that may be empty, and how many characters they may have."""


_FACTS_OF_PATCH: Final = {"event_state": "state", "notice": "notice"}
"""Facts that a new event is not made with."""

_ATTRIBUTES: Final = {"off_sale_set": "off_sale_at"}
"""Facts whose attribute of a body, and of a plan, has another name."""


class Draft:
    """What is wrong with a request so far.

    Args:
        seats_max: of an event.
        providers: the names of the providers that may take its payments.
    """

    def __init__(self, seats_max: int, providers: tuple[str, ...] = ()) -> None:
        self.seats_max = seats_max
        self._providers = providers
        self.faults: list[Fault] = []

    def fault(self, path: str, message: str, *, line: int | None = None) -> None:
        self.faults.append(
            Fault(path=path, message=message, code="event_invalid", line=msgspec.UNSET if line is None else line)
        )

    def plan(self, body: EventBody, room: RoomSeed) -> EventPlan | None:
        """The event to be made, in the ``room`` unless the body says otherwise; None where there are faults."""
        facts = self._facts({name: getattr(body, _ATTRIBUTES.get(name, name)) for name in _FACTS})
        if body.on_sale_at > body.date:
            self.fault("$.onSaleAt", BEGINS_AFTER_EVENT)
        if body.off_sale_at is not None and body.off_sale_at <= body.on_sale_at:
            self.fault("$.offSaleAt", ENDS_BEFORE_BEGINNING)
        if body.doors_at is not None and body.doors_at > body.date:
            self.fault("$.doorsAt", DOORS_AFTER_EVENT)
        names = [
            self._name(f"$.ticketTypes[{index}].ticketType", kind.ticket_type, TYPE_NAME_MAX)
            for index, kind in enumerate(body.ticket_types)
        ]
        entrances = [
            self._name(f"$.ticketTypes[{index}].entrance", kind.entrance, TYPE_NAME_MAX, may_be_empty=True)
            for index, kind in enumerate(body.ticket_types)
        ]
        terms = [self._terms(f"$.ticketTypes[{index}]", kind) for index, kind in enumerate(body.ticket_types)]
        keys = [alike(name) for name in names]
        listed = self._csv(body.csv, {key: keys.index(key) for key in keys}, {})
        hall_plan = None if body.plan is None else self._hall_plan(body.plan, names)
        planned_seats = _seats_by_type(hall_plan)
        halls = []
        for index, kind in enumerate(body.ticket_types):
            path = f"$.ticketTypes[{index}]"
            if keys[index] and keys[index] in keys[:index]:
                self.fault(f"{path}.ticketType", f"two ticket types are named {names[index]!r}")
            hall = self._hall(path, kind.blocks, kind.rows, listed.seats.get(index, ()))
            hall = _with_seats(hall, planned_seats.get(index + 1, ()))
            if not hall and not self.faults:
                self.fault(path, "a ticket type has one seat at least")
            halls.append(hall)
        if sum(block.quantity for hall in halls for block in hall) > self.seats_max:
            self.fault("$.ticketTypes", f"an event has {self.seats_max} seats at most")
        if hall_plan is not None and not self.faults:
            self._require_whole(hall_plan, names, halls)
        if self.faults:
            return None
        said: dict[str, Any] = {
            name: value for name, value in msgspec.structs.asdict(body.room).items() if value is not msgspec.UNSET
        }
        return EventPlan(
            **{_ATTRIBUTES.get(name, name): value for name, value in facts.items()},
            ticket_types=tuple(
                TicketTypePlan(ticket_type=name, price=kind.price, entrance=entrance, terms=own, blocks=hall)
                for name, kind, entrance, own, hall in zip(
                    names, body.ticket_types, entrances, terms, halls, strict=True
                )
            ),
            room=dataclasses.replace(room, **said),
            hall_plan=hall_plan,
        )

    def _hall_plan(self, body: PlanBody, names: Sequence[str]) -> HallPlan | None:
        """The plan of a new event, whose ticket types have these names; what is wrong with it are faults."""
        drafted = draft(read_body(body, TicketTypes(dict(enumerate(names, 1)))))
        self._plan_faults(drafted.faults)
        return drafted.plan

    def _require_whole(self, plan: HallPlan, names: Sequence[str], halls: Sequence[Sequence[SeatBlock]]) -> None:
        seats = {
            (number, row, seat) for number, hall in enumerate(halls, 1) for block in hall for row, seat in block.seats()
        }
        self._plan_faults(faults_of_seats(plan, PlanPaths(), seats, dict(enumerate(names, 1)), may_add=False))

    def _plan_faults(self, faults: Iterable[PlanFault]) -> None:
        for fault in contract_faults(faults):
            self.faults.append(msgspec.structs.replace(fault, path=fault.path.replace("$", "$.plan", 1)))

    def edit(self, body: EventPatch) -> EventEdit:
        """What the body changes, as far as it has no faults."""
        said: dict[str, Any] = {
            name: value for name in _FACTS if (value := getattr(body, _ATTRIBUTES.get(name, name))) is not msgspec.UNSET
        }
        facts = self._facts(said)
        if body.state is not msgspec.UNSET:
            facts["event_state"] = body.state
            if body.state is EventState.CANCELLED and not tidy(body.why):
                self.fault("$.why", "say why the event is cancelled: nobody can undo it")
        if body.notice is not msgspec.UNSET:
            facts["notice"] = self._name("$.notice", body.notice, NOTICE_MAX, may_be_empty=True)
        changed = []
        for index, change in enumerate(body.ticket_types):
            path = f"$.ticketTypes[{index}]"
            name = (
                None
                if change.ticket_type is msgspec.UNSET
                else self._name(f"{path}.ticketType", change.ticket_type, TYPE_NAME_MAX)
            )
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
                    entrance=None
                    if change.entrance is msgspec.UNSET
                    else self._name(f"{path}.entrance", change.entrance, TYPE_NAME_MAX, may_be_empty=True),
                    terms={name: value for name in TERMS if (value := getattr(change, name)) is not msgspec.UNSET},
                )
            )
        return EventEdit(
            facts=facts,
            fact_paths={name: f"$.{wire}" for name, wire in (_FACTS | _FACTS_OF_PATCH).items()},
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

    def allotment(self, body: AllotmentBody, allotment_id: uuid.UUID) -> EventEdit:
        """The seats that the body takes out of the sale, kept under its name."""
        name = self._name("$.name", body.name, TYPE_NAME_MAX)
        return EventEdit(removed_seats=self._parts("seats", body.seats), set_aside=NewAllotment(allotment_id, name))

    def back(self, allotment_id: uuid.UUID) -> EventEdit:
        """The seats of an allotment come back."""
        return EventEdit(put_back=allotment_id)

    def seats_of_csv(self, text: str, types: Sequence[TicketTypeRow]) -> EventEdit:
        """The seats that a CSV adds to an event of these ticket types."""
        ids = {kind.ticket_type_id: kind.ticket_type_id for kind in types}
        listed = self._csv(text, {alike(kind.ticket_type): kind.ticket_type_id for kind in types}, ids)
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
                chars_max = _MAY_BE_EMPTY.get(name, WORD_MAX)
                facts[name] = self._name(f"$.{_FACTS[name]}", value, chars_max, may_be_empty=name in _MAY_BE_EMPTY)
                if name == "time_zone" and not is_time_zone(facts[name]):
                    self.fault(
                        "$.timeZone", f"there is no time zone {facts[name]!r}: name one of IANA's, e.g. Europe/Berlin"
                    )
                if name == "payments" and value and value not in self._providers:
                    self.fault("$.payments", f"this site takes no payments by {value} (ADMITONE_PAYMENT_PROVIDERS)")
            elif name == "tags":
                facts[name] = self._tags(value)
            elif isinstance(value, dt.datetime) and value.year not in YEARS:
                self.fault(f"$.{_FACTS[name]}", f"a time is of the years {YEARS.start} to {YEARS.stop - 1}")
            else:
                facts[name] = value
        return facts

    def _tags(self, tags: Sequence[str]) -> tuple[str, ...]:
        """The tags as they are stored, each once."""
        tidied = [self._name(f"$.tags[{index}]", tag, TAG_MAX) for index, tag in enumerate(tags)]
        return tuple({alike(tag).casefold(): tag for tag in reversed(tidied)}.values())[::-1]

    def _name(self, path: str, text: str, chars_max: int, *, may_be_empty: bool = False) -> str:
        """The name as it is stored; what is wrong with it is a fault."""
        name = tidy(text)
        message = fault_of_line(name, chars_max) if may_be_empty else fault_of_name(name, chars_max)
        if message is not None:
            self.fault(path, message)
        return name

    def _terms(self, path: str, kind: TicketTypeBody) -> Terms:
        """The terms of a new ticket type; what is wrong with them is a fault."""
        terms = Terms(**{name: getattr(kind, name) for name in TERMS})
        for name, message in faults_of_terms(kind.price, terms):
            self.fault(f"{path}.{name}", message)
        return terms

    def _csv(self, text: str, names: Mapping[str, int], ids: Mapping[int, int]) -> CsvHall:
        listed = read_hall(text, names, ids, self.seats_max) if text else CsvHall()
        for line, message in listed.faults:
            self.fault("$.csv", message, line=line)
        return listed

    def _new_type(self, index: int, kind: TicketTypeBody) -> NewTicketType:
        path = f"$.addTicketTypes[{index}]"
        name = self._name(f"{path}.ticketType", kind.ticket_type, TYPE_NAME_MAX)
        hall = self._hall(path, kind.blocks, kind.rows)
        if not hall:
            self.fault(path, "a ticket type has one seat at least")
        entrance = self._name(f"{path}.entrance", kind.entrance, TYPE_NAME_MAX, may_be_empty=True)
        terms = self._terms(path, kind)
        return NewTicketType(path=path, ticket_type=name, price=kind.price, entrance=entrance, terms=terms, blocks=hall)

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
        for index, block in enumerate(blocks):
            # What is past a bound could not be sent back: no row and no seat of a body may have such a number.
            for what, first, count in (
                ("row", block.first_row, block.rows),
                ("seat", block.first_seat, block.seats_per_row),
            ):
                if first + count - 1 > HALL_NUMBER_MAX:
                    self.fault(
                        f"{path}.blocks[{index}]", f"the last {what} would have a number beyond {HALL_NUMBER_MAX}"
                    )
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


def _seats_by_type(plan: HallPlan | None) -> dict[int, list[tuple[int, int]]]:
    found: dict[int, list[tuple[int, int]]] = {}
    for ticket_type_id, row, seat in plan.seats() if plan is not None else ():
        found.setdefault(ticket_type_id, []).append((row, seat))
    return found


def _with_seats(hall: tuple[SeatBlock, ...], seats: Sequence[tuple[int, int]]) -> tuple[SeatBlock, ...]:
    """The hall with these seats too."""
    if not seats:
        return hall
    return blocks_of_seats({*seats, *(seat for block in hall for seat in block.seats())})


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


def definition(event: EventRow, notes: tuple[str, ...] = ()) -> EventDefinition:
    """An event as the API answers it. ``notes`` are those of a change, before those of the event as it is."""
    sale = sale_state(event, event.now)
    return EventDefinition(
        event_id=event.event_id,
        name=event.name,
        artist=event.artist,
        venue=event.venue,
        date=event.date,
        time_zone=event.time_zone,
        on_sale_at=event.on_sale_at,
        off_sale_at=event.off_sale_at,
        state=event.event_state,
        sale=sale,
        notes=(*notes, *standing_notes(event)),
        notice=event.notice,
        currency=event.currency,
        seats_per_fan_max=event.seats_per_fan_max,
        doors_at=event.doors_at,
        picture_hash=event.picture_hash,
        picture_alt=event.picture_alt,
        account_required=event.account_required,
        payments=event.payments,
        town=event.town,
        tags=event.tags,
        ticket_types=tuple(_defined(kind) for kind in event.ticket_types),
        is_on_sale=sale is SaleState.ON_SALE,
        has_lobby=event.has_draw,
        version=event.version,
        revision=event.revision,
    )


def planned(plan: EventPlan, now: dt.datetime) -> EventDefinition:
    """An event that is yet to be made, as the API would answer it."""
    sale_times = SaleTimes(plan.date, plan.on_sale_at, plan.off_sale_at or plan.date, now)
    sale = sale_state(sale_times, now)
    return EventDefinition(
        event_id=0,
        name=plan.name,
        artist=plan.artist,
        venue=plan.venue,
        date=plan.date,
        time_zone=plan.time_zone,
        on_sale_at=plan.on_sale_at,
        off_sale_at=sale_times.off_sale_at,
        state=EventState.PUBLISHED,
        sale=sale,
        notes=standing_notes(sale_times),
        currency=plan.currency,
        seats_per_fan_max=plan.seats_per_fan_max,
        doors_at=plan.doors_at,
        picture_hash=plan.picture_hash,
        picture_alt=plan.picture_alt,
        account_required=plan.account_required,
        payments=plan.payments,
        town=plan.town,
        tags=plan.tags,
        ticket_types=tuple(
            _defined(
                TicketTypeRow(
                    number,
                    kind.ticket_type,
                    kind.price,
                    kind.quantity,
                    kind.quantity,
                    0,
                    kind.entrance,
                    kind.terms,
                    kind.hall,
                )
            )
            for number, kind in enumerate(plan.ticket_types, 1)
        ),
        is_on_sale=sale is SaleState.ON_SALE,
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
        entrance=kind.entrance,
        **dataclasses.asdict(kind.terms),
        amount=charge_of(kind.price, kind.terms).amount,
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
