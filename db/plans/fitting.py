"""Makes a stored plan show exactly the seats that its event has now.

A plan is written for the seats of its day (`db.plans.checking`). Seats that an operator removes or adds later must not
make it useless: the ones that are gone are left out, and new ones stand in sections of their own below the rest.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from db.plans.generated import SeatedType, blocks_below
from db.plans.model import ROW_PITCH, HallPlan, PlanRow, PlanSection


def fit(plan: HallPlan, types: Sequence[SeatedType]) -> HallPlan:
    """The plan with the seats of these ticket types, no more and no fewer."""
    event = {(one.ticket_type_id, row, seat) for one in types for row, seats in one.rows for seat in seats}
    planned = set(plan.seats())
    if planned == event:
        return plan
    sections = [fitted for section in plan.sections if (fitted := _without(section, planned - event)) is not None]
    missing = event - planned
    left, top = 4 * ROW_PITCH, plan.height + 2 * ROW_PITCH
    first_id = max((section.section_id for section in plan.sections), default=0) + 1
    added = blocks_below([_only(one, missing) for one in types], left, top, first_id)
    points = [point for section in added for point in section.outline]
    return msgspec.structs.replace(
        plan,
        sections=(*sections, *added),
        width=max(plan.width, *(x + ROW_PITCH for x, _ in points)) if points else plan.width,
        height=max(plan.height, *(y + ROW_PITCH for _, y in points)) if points else plan.height,
    )


def _without(section: PlanSection, gone: set[tuple[int, int, int]]) -> PlanSection | None:
    rows: list[PlanRow] = []
    for row in section.rows:
        kept = tuple(seat for seat in row.seats if (row.ticket_type_id, row.row_number, seat.seat_number) not in gone)
        if kept:
            rows.append(msgspec.structs.replace(row, seats=kept))
    return msgspec.structs.replace(section, rows=tuple(rows)) if rows else None


def _only(one: SeatedType, seats: set[tuple[int, int, int]]) -> SeatedType:
    rows = (
        (row, tuple(number for number in numbers if (one.ticket_type_id, row, number) in seats))
        for row, numbers in one.rows
    )
    return SeatedType(one.ticket_type_id, one.name, one.price, tuple((row, kept) for row, kept in rows if kept))
