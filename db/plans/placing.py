"""Writes to an event's seats what its hall plan says of each. The engine and tickets read nothing else of the plan."""

from __future__ import annotations

from collections.abc import Collection, Container
from typing import Any, Final

import psycopg

from db.plans.adjacency import ordinals
from db.plans.model import HallPlan, Seat
from db.plans.reading import READ_PLAN
from db.plans.storage import plan_of

PLACE_SEATS: Final = """
UPDATE seat s
   SET x = k.x, y = k.y, ordinal = k.ordinal, flags = k.flags, row_label = k.row_label, seat_label = k.seat_label,
       section = k.section
  FROM unnest(%(ticket_type_ids)s::int[], %(row_numbers)s::int[], %(seat_numbers)s::int[], %(xs)s::int[],
              %(ys)s::int[], %(ordinals)s::int[], %(flags)s::smallint[], %(row_labels)s::text[],
              %(seat_labels)s::text[], %(sections)s::text[])
       AS k (ticket_type_id, row_number, seat_number, x, y, ordinal, flags, row_label, seat_label, section)
 WHERE s.event_id = %(event_id)s AND s.ticket_type_id = k.ticket_type_id
   AND s.row_number = k.row_number AND s.seat_number = k.seat_number
   AND (s.x, s.y, s.ordinal, s.flags, s.row_label, s.seat_label, s.section)
       IS DISTINCT FROM (k.x, k.y, k.ordinal, k.flags, k.row_label, k.seat_label, k.section)
"""
"""Only what differs: a seat's new version costs as much as a booking of it."""


def place_seats(
    connection: psycopg.Connection, event_id: int, plan: HallPlan, only: Container[Seat] | None = None
) -> None:
    """Write to the event's seats, or ``only`` to these, what the plan says of them."""
    connection.execute(PLACE_SEATS, {"event_id": event_id, **_columns(plan, only)})


def place_added_seats(connection: psycopg.Connection, event_id: int, seats: Collection[Seat]) -> None:
    """Give seats that were just added the places that the event's plan has for them, if it was given one.

    A plan may know them, for example from before they were removed. Others stand below the plan (`db.plans.fitting`).
    """
    if not seats:
        return
    row = connection.execute(READ_PLAN, {"event_id": event_id}).fetchone()
    if row is not None:
        place_seats(connection, event_id, plan_of(row[0]), seats)


def _columns(plan: HallPlan, only: Container[Seat] | None) -> dict[str, list[Any]]:
    names = (
        "ticket_type_ids", "row_numbers", "seat_numbers", "xs", "ys", "ordinals", "flags", "row_labels", "seat_labels",
        "sections",
    )  # fmt: skip
    rows: list[tuple[Any, ...]] = []
    next_ordinals: dict[tuple[int, int], int] = {}
    for section in plan.sections:
        for row in section.rows:
            key = row.ticket_type_id, row.row_number
            # The parts of a row that goes over several sections are not side by side.
            numbers = ordinals(row.seats, next_ordinals.get(key, 0))
            next_ordinals[key] = numbers[-1] + 2
            row_label = None if row.label == str(row.row_number) else row.label
            rows.extend(
                (
                    *key,
                    seat.seat_number,
                    seat.x,
                    seat.y,
                    ordinal,
                    seat.flags,
                    row_label,
                    seat.label or None,
                    section.name,
                )
                for seat, ordinal in zip(row.seats, numbers, strict=True)
                if only is None or (*key, seat.seat_number) in only
            )
    return {name: [row[index] for row in rows] for index, name in enumerate(names)}
