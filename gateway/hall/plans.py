"""Hall plans as fans read them: an overview with counts, and the seats of each section, which never change.

A plan is made at the first request after its event was changed, once a process, in a thread: a stadium's takes a tenth
of a second. It is kept as the bytes of its answers.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.connections.old_reads import OldReads
from db.events.halls import HallSeatRow, TicketTypeCounts, begin_snapshot, hall_row, seat_rows, ticket_type_counts
from db.plans.fitting import fit
from db.plans.generated import SeatedType, generate
from db.plans.model import HallPlan, PlanRow, PlanSection, Seat, SeatFlag
from db.plans.storage import plan_document, plan_of
from gateway.contract.hall import TicketAnswer
from gateway.contract.plans import PlanFocus, PlanOverview, PlanPicture, PlanSectionSummary, PlanShape
from gateway.hall.hall import Hall, Rendered, UnknownEventError
from gateway.wire.addresses import below

_encode = msgspec.json.Encoder().encode


class UnknownPlanError(LookupError):
    """The event's plan has another version by now, or no such section."""


@dataclass(frozen=True, slots=True)
class _Section:
    """A section without its seats: what of it does not change with bookings."""

    section: PlanSection
    ticket_type_ids: tuple[int, ...]
    quantity: int
    accessible: int
    rows: tuple[str, str]


class PlanAnswers:
    """An event's plan as the bytes of its answers.

    Attributes:
        version: a hash of everything that the plan shows, prices and bookings aside.
    """

    def __init__(self, plan: HallPlan, *, is_generated: bool) -> None:
        self._plan = msgspec.structs.replace(plan, sections=())
        self._is_generated = is_generated
        self._seats: dict[int, Rendered] = {}
        self._sections: list[_Section] = []
        self._section_of_row: dict[tuple[int, int], int] = {}
        self._section_of_seat: dict[Seat, int] = {}
        hashed = hashlib.blake2b(_encode(self._plan), digest_size=8)
        for section in plan.sections:
            body = _section_body(section)
            hashed.update(_encode([section.name, section.outline, section.label_at]))
            hashed.update(body)
            self._seats[section.section_id] = Rendered(0, 0.0, body)
            self._sections.append(_summary(section))
            self._note_rows(section)
        self.version = hashed.hexdigest()
        self._overview: Rendered | None = None

    def _note_rows(self, section: PlanSection) -> None:
        """Remember the section of each row; of a row that goes over several sections, that of each seat."""
        for row in section.rows:
            key = row.ticket_type_id, row.row_number
            first = self._section_of_row.setdefault(key, section.section_id)
            if first != section.section_id:
                for seat in row.seats:
                    self._section_of_seat[*key, seat.seat_number] = section.section_id

    def seats_of(self, version: str, section_id: int) -> Rendered:
        """The answer of `GET …/plan/{version}/sections/{id}`.

        Raises:
            UnknownPlanError: the plan has another version, or no such section.
        """
        rendered = self._seats.get(section_id)
        if version != self.version or rendered is None:
            raise UnknownPlanError(version)
        return rendered

    def overview(self, hall: Hall, version_min: int | None = None) -> Rendered:
        """The answer of `GET …/plan`, rendered once for each of the hall's versions, or less often where the hall is
        busy (`Hall.is_outdated`).
        """
        if self._overview is None or hall.is_outdated(self._overview, version_min):
            began_at = time.monotonic()
            body = _encode(self._overview_of(hall))
            self._overview = Rendered(hall.version, began_at, body, time.monotonic() - began_at)
        return self._overview

    def _overview_of(self, hall: Hall) -> PlanOverview:
        plan = self._plan
        taken = self._taken(hall.taken)
        return PlanOverview(
            event_id=hall.event_id,
            plan_version=self.version,
            version=hall.version,
            is_generated=self._is_generated,
            name=plan.name or hall.event.venue,
            width=plan.width,
            height=plan.height,
            focus=_answer(PlanFocus, plan.focus),
            shapes=tuple(_answer(PlanShape, shape) for shape in plan.shapes),
            picture=None
            if plan.picture is None
            else PlanPicture(href=below(plan.picture.href), at=plan.picture.at, size=plan.picture.size),
            sections=tuple(self._summary_of(one, hall, taken[one.section.section_id]) for one in self._sections),
        )

    def _summary_of(self, one: _Section, hall: Hall, taken: int) -> PlanSectionSummary:
        prices = _prices(one.ticket_type_ids, hall.tickets)
        return PlanSectionSummary(
            section_id=one.section.section_id,
            name=one.section.name,
            outline=one.section.outline,
            label_at=one.section.label_at,
            ticket_type_ids=one.ticket_type_ids,
            price_min=min(prices),
            price_max=max(prices),
            seats=one.quantity,
            free=max(0, one.quantity - taken),
            accessible=one.accessible,
            rows=one.rows,
            href=below(f"/api/events/{hall.event_id}/plan/{self.version}/sections/{one.section.section_id}"),
        )

    def _taken(self, taken: Mapping[Seat, str]) -> Counter[int]:
        """How many seats of each section nobody can take now."""
        of_row, of_seat = self._section_of_row, self._section_of_seat
        if not of_seat:
            return Counter(of_row.get((type_, row), 0) for type_, row, _ in taken)
        return Counter(of_seat.get(seat) or of_row.get(seat[:2], 0) for seat in taken)


class _Read(NamedTuple):
    """What a plan is made of, at a revision of its event."""

    revision: int
    types: Sequence[TicketTypeCounts]
    rows: Sequence[HallSeatRow]
    document: bytes | None


class HallPlans:
    """Makes the plans of halls. Each is kept with its hall, until the event's revision changes."""

    def __init__(self, old_reads: OldReads) -> None:
        self._old_reads = old_reads
        self._kept: WeakKeyDictionary[Hall, tuple[int, PlanAnswers]] = WeakKeyDictionary()
        self._lock = asyncio.Lock()

    async def of(self, hall: Hall) -> PlanAnswers:
        """The plan of the hall.

        Raises:
            UnknownEventError: there is no such event any more.
            sqlalchemy.exc.OperationalError: the plan must be read, and Postgres does not answer.
        """
        plan = self._current(hall)
        if plan is None:
            # One at a time: each takes a thread and the seats of a whole hall.
            async with self._lock:
                plan = self._current(hall)
                if plan is None:
                    revision = hall.revision
                    plan = await self._make(hall.event_id, revision)
                    self._kept[hall] = (revision, plan)
        return plan

    def _current(self, hall: Hall) -> PlanAnswers | None:
        revision, plan = self._kept.get(hall, (-1, None))
        return plan if revision == hall.revision else None

    async def _make(self, event_id: int, revision: int) -> PlanAnswers:
        async def read(connection: AsyncConnection) -> _Read | None:
            await begin_snapshot(connection)
            row = await hall_row(connection, event_id)
            if row is None:
                return None
            types = await ticket_type_counts(connection, event_id)
            rows = await seat_rows(connection, event_id)
            return _Read(row.revision, types, rows, await plan_document(connection, event_id))

        found = await self._old_reads.read(read, lambda read: read is not None and read.revision >= revision)
        if found is None:
            raise UnknownEventError(event_id)
        return await asyncio.to_thread(_made, found)


def _made(read: _Read) -> PlanAnswers:
    seated = seated_types(read.types, read.rows)
    if read.document is None:
        return PlanAnswers(generate(seated), is_generated=True)
    return PlanAnswers(fit(plan_of(read.document), seated), is_generated=False)


def seated_types(types: Sequence[TicketTypeCounts], rows: Sequence[HallSeatRow]) -> list[SeatedType]:
    """Ticket types with their rows, of which both are sorted."""
    by_type: dict[int, list[tuple[int, tuple[int, ...]]]] = {}
    for row in rows:
        by_type.setdefault(row.ticket_type_id, []).append((row.row_number, row.seat_numbers))
    return [
        SeatedType(one.ticket_type_id, one.ticket_type, one.price, tuple(by_type.get(one.ticket_type_id, ())))
        for one in types
    ]


def _prices(ticket_type_ids: Sequence[int], tickets: Mapping[int, TicketAnswer]) -> list[int]:
    """What seats of these ticket types cost; one may be gone since the plan was made."""
    return [tickets[one].cost for one in ticket_type_ids if one in tickets] or [0]


def _summary(section: PlanSection) -> _Section:
    return _Section(
        section=msgspec.structs.replace(section, rows=()),
        ticket_type_ids=tuple(sorted({row.ticket_type_id for row in section.rows})),
        quantity=section.quantity,
        accessible=sum(seat.flags & SeatFlag.ACCESSIBLE for row in section.rows for seat in row.seats),
        rows=(section.rows[0].label, section.rows[-1].label) if section.rows else ("", ""),
    )


def _section_body(section: PlanSection) -> bytes:
    return _encode({"sectionId": section.section_id, "rows": [_row(row) for row in section.rows]})


def _row(row: PlanRow) -> dict[str, Any]:
    seats = [
        (seat.seat_number, seat.x, seat.y, seat.flags, seat.label)
        if seat.label
        else (seat.seat_number, seat.x, seat.y, seat.flags)
        for seat in row.seats
    ]
    return {"ticketTypeId": row.ticket_type_id, "rowNumber": row.row_number, "label": row.label, "seats": seats}


def _answer(kind: Any, part: msgspec.Struct) -> Any:
    return kind(**msgspec.structs.asdict(part))
