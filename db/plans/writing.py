"""Gives an event a hall plan, or takes it away, between two batches as every change by an operator (ADR 22).

What the booking engine and a ticket need of the plan is written to the seats themselves. Nothing commits here: the
caller's transaction does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import psycopg

from db.change_log.changes import Change, Subject, insert_changes
from db.events.blocks import blocks_of_seats
from db.events.definitions import EventRow, read_event
from db.events.editing import edit_event
from db.events.edits import EventEdit, SeatsOfType
from db.events.examination import NO_SUCH_PICTURE
from db.outbox.kinds import EventEdited, OutboxKind
from db.outbox.writer import insert_news
from db.pictures import use_picture
from db.plans.checking import Paths, PlanFault, faults_of_seats
from db.plans.model import HallPlan, Seat
from db.plans.placing import place_seats
from db.plans.reading import READ_PLAN
from db.plans.storage import document_of, plan_of

WRITE_PLAN: Final = """
INSERT INTO event_plan (event_id, document, focus_x, focus_y, picture_hash)
VALUES (%(event_id)s, %(document)s, %(focus_x)s, %(focus_y)s, %(picture_hash)s)
    ON CONFLICT (event_id) DO UPDATE
   SET document = excluded.document, focus_x = excluded.focus_x, focus_y = excluded.focus_y,
       picture_hash = excluded.picture_hash, written_at = now()
"""

REMOVE_PLAN: Final = "DELETE FROM event_plan WHERE event_id = %(event_id)s"

UNPLACE_SEATS: Final = """
UPDATE seat
   SET x = NULL, y = NULL, ordinal = NULL, flags = NULL, row_label = NULL, seat_label = NULL, section = NULL
 WHERE event_id = %(event_id)s AND ordinal IS NOT NULL
"""

RAISE_REVISION: Final = """
UPDATE event SET version = version + 1, revision = revision + 1 WHERE event_id = %(event_id)s RETURNING revision
"""


class PlanRefusedError(Exception):
    """The plan does not fit the event; ``faults`` say everything that does not. Nothing was changed."""

    def __init__(self, faults: Sequence[PlanFault]) -> None:
        super().__init__("; ".join(fault.message for fault in faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanChange:
    """A plan that an event is to have, or None for the one that is made of its seats.

    Attributes:
        paths: where the plan's parts stand in what the operator sent.
        may_add: seats that the event does not have are added to it.
    """

    plan: HallPlan | None
    paths: Paths
    may_add: bool = False


def change_plan(
    connection: psycopg.Connection,
    event_id: int,
    change: PlanChange,
    operator: str,
    why: str,
    *,
    seats_max: int,
    revision: int | None = None,
) -> bool:
    """Change the event's plan and log it; False where it has this plan already.

    Raises:
        PlanRefusedError: the plan has other seats than the event.
        UnknownEventError, EventChangedError, EventRefusedError, psycopg.Error: as `edit_event`.
    """
    # An edit of nothing writes nothing; it takes the event's lock and compares the revision.
    edit_event(connection, event_id, EventEdit(), operator, why, seats_max=seats_max, revision=revision)
    plan = change.plan
    if plan is not None:
        event = read_event(connection, event_id)
        seats = _seats_of(event)
        names = {one.ticket_type_id: one.ticket_type for one in event.ticket_types}
        faults = faults_of_seats(plan, change.paths, seats, names, may_add=change.may_add)
        if faults:
            raise PlanRefusedError(faults)
        if not has_its_picture(connection, plan):
            raise PlanRefusedError([PlanFault("$.picture.href", NO_SUCH_PICTURE)])
        if change.may_add:
            _add_seats(connection, event_id, set(plan.seats()) - seats, operator, why, seats_max)
    before = read_plan(connection, event_id)
    if plan == before:
        return False
    if plan is None:
        connection.execute(REMOVE_PLAN, {"event_id": event_id})
        connection.execute(UNPLACE_SEATS, {"event_id": event_id})
    else:
        write_plan(connection, event_id, plan)
    row = connection.execute(RAISE_REVISION, {"event_id": event_id}).fetchone()
    assert row is not None
    line = Change("plan", described(before), described(plan))
    connection.execute(*insert_changes(Subject.EVENT, event_id, [line], operator, why=why, revision=row[0]))
    edited = EventEdited(event_id=event_id, revision=row[0])
    connection.execute(*insert_news(OutboxKind.EVENT_EDITED, [edited]))
    return True


def read_plan(connection: psycopg.Connection, event_id: int) -> HallPlan | None:
    """The plan that the event was given, if any."""
    row = connection.execute(READ_PLAN, {"event_id": event_id}).fetchone()
    return None if row is None else plan_of(row[0])


def has_its_picture(connection: psycopg.Connection, plan: HallPlan) -> bool:
    """Whether the picture behind the plan, if it names one, was uploaded. It then stays until the connection's
    transaction has written the plan.
    """
    return plan.picture is None or use_picture(connection, plan.picture.hash)


def write_plan(connection: psycopg.Connection, event_id: int, plan: HallPlan) -> None:
    """Write the plan, and to the event's seats what it says of each."""
    focus_x, focus_y = plan.focus.at
    parameters = {
        "event_id": event_id,
        "document": document_of(plan),
        "focus_x": focus_x,
        "focus_y": focus_y,
        "picture_hash": None if plan.picture is None else plan.picture.hash,
    }
    connection.execute(WRITE_PLAN, parameters)
    place_seats(connection, event_id, plan)


def described(plan: HallPlan | None) -> str:
    """A plan in the log's words."""
    if plan is None:
        return "made of the seats"
    quantity = sum(section.quantity for section in plan.sections)
    picture = "" if plan.picture is None else ", with a picture"
    return f"{plan.name or 'a plan'}, {len(plan.sections)} sections, {quantity} seats{picture}"


def _seats_of(event: EventRow) -> set[Seat]:
    return {
        (one.ticket_type_id, row, seat)
        for one in event.ticket_types
        for block in one.blocks
        for row, seat in block.seats()
    }


def _add_seats(
    connection: psycopg.Connection, event_id: int, seats: Iterable[Seat], operator: str, why: str, seats_max: int
) -> None:
    by_type: dict[int, list[tuple[int, int]]] = {}
    for ticket_type_id, row, seat in seats:
        by_type.setdefault(ticket_type_id, []).append((row, seat))
    added = tuple(
        SeatsOfType(path="$.sections", ticket_type_id=ticket_type_id, blocks=blocks_of_seats(these))
        for ticket_type_id, these in sorted(by_type.items())
    )
    if added:
        edit_event(connection, event_id, EventEdit(added_seats=added), operator, why, seats_max=seats_max)
