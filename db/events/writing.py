"""Writes an edit that was examined and not refused, with its lines in the change log."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import psycopg

from db.booking.purchases import COUNT_SHORTENED
from db.change_log.changes import Change, Subject, as_text, insert_changes
from db.events.allotments import keep_seats, put_back
from db.events.blocks import SeatBlock
from db.events.cancelling import Bookings, record_cancellation
from db.events.definitions import EventRow
from db.events.edits import FACTS, Edited, EventEdit, seat_rows
from db.events.sale import EventState
from db.events.terms import RECORD_COLUMNS, TERMS, terms_row
from db.events.ticket_types import add_seats, add_ticket_types, describe
from db.outbox.kinds import EventChanged, EventEdited, OutboxKind
from db.outbox.writer import insert_news
from db.plans.placing import place_added_seats
from db.search.writing import index_event

CHANGE_TICKET_TYPES: Final = f"""
UPDATE ticket t
   SET ticket_type = k.ticket_type, price = k.price, entrance = k.entrance,
       {", ".join(f"{name} = k.{name}" for name in TERMS)}
  FROM json_to_recordset(%(rows)s)
       AS k (ticket_type_id int, ticket_type text, price bigint, entrance text, {RECORD_COLUMNS})
 WHERE t.event_id = %(event_id)s AND t.ticket_type_id = k.ticket_type_id
"""  # noqa: S608 - of constants alone

REMOVE_TICKET_TYPES: Final = """
DELETE FROM ticket WHERE event_id = %(event_id)s AND ticket_type_id = ANY (%(ticket_type_ids)s::int[])
"""

REMOVE_SEATS: Final = """
WITH removed AS (
    DELETE FROM seat s
     USING json_to_recordset(%(blocks)s)
            AS k (item int, ticket_type_id int, first_row int, rows int, first_seat int, seats_per_row int)
      CROSS JOIN LATERAL generate_series(k.first_row, k.first_row + k.rows - 1) AS r (row_number)
      CROSS JOIN LATERAL generate_series(k.first_seat, k.first_seat + k.seats_per_row - 1) AS n (seat_number)
     WHERE s.event_id = %(event_id)s AND s.ticket_type_id = k.ticket_type_id
       AND s.row_number = r.row_number AND s.seat_number = n.seat_number
    RETURNING s.ticket_type_id, s.status
)
UPDATE ticket t
   SET quantity = t.quantity - c.seats, available_count = t.available_count - c.available,
       held_count = t.held_count - c.lapsed
  FROM (SELECT ticket_type_id, count(*)::int AS seats,
               (count(*) FILTER (WHERE status = 'available'))::int AS available,
               (count(*) FILTER (WHERE status = 'reserved'))::int AS lapsed
          FROM removed
         GROUP BY ticket_type_id) AS c
 WHERE t.event_id = %(event_id)s AND t.ticket_type_id = c.ticket_type_id
"""

CHANGE_EVENT: Final = """
UPDATE event
   SET name = %(name)s, artist = %(artist)s, venue = %(venue)s, date = %(date)s, time_zone = %(time_zone)s,
       on_sale_at = %(on_sale_at)s, off_sale_at = %(off_sale_set)s, state = %(event_state)s, currency = %(currency)s,
       seats_per_fan_max = %(seats_per_fan_max)s, notice = %(notice)s,
       doors_at = %(doors_at)s, picture_hash = %(picture_hash)s, picture_alt = %(picture_alt)s,
       account_required = %(account_required)s, payments = %(payments)s,
       town = %(town)s, tags = %(tags)s::text[],
       version = version + 1, revision = revision + 1
 WHERE event_id = %(event_id)s
"""

TOLD_TO_FANS: Final = ("name", "venue", "date", "doors_at")
"""The facts whose change is news to who has tickets or waits for them."""

LOGGED_AS: Final = {"off_sale_set": "off_sale_at", "event_state": "state"}
"""The names of facts in the log, where they differ."""

NOTE_TYPES_MADE: Final = """
UPDATE event SET ticket_types_made = %(last)s WHERE event_id = %(event_id)s
"""

RAISE_ROOM_REVISION: Final = """
UPDATE room SET revision = revision + 1 WHERE event_id = %(event_id)s RETURNING revision
"""


class Writing:
    """Writes an edit that was examined and not refused, and logs it."""

    def __init__(
        self,
        connection: psycopg.Connection,
        event: EventRow,
        edit: EventEdit,
        operator: str,
        why: str,
        cancel_until_hours: float,
    ) -> None:
        self._connection = connection
        self._event = event
        self._edit = edit
        self._operator = operator
        self._why = why
        self._cancel_until_hours = cancel_until_hours
        self._types = {ticket_type.ticket_type_id: ticket_type for ticket_type in event.ticket_types}
        self._lines: list[Change] = []

    def write(self) -> Edited:
        """Write what differs; where nothing does, nothing is written."""
        event, edit = self._event, self._edit
        facts = {name: edit.facts.get(name, getattr(event, name)) for name in FACTS}
        self._lines += [
            Change(LOGGED_AS.get(name, name), as_text(getattr(event, name)), as_text(value))
            for name, value in facts.items()
            if value != getattr(event, name)
        ]
        self._change_types()
        self._remove_types()
        self._move_seats()
        self._put_back()
        self._add_types()
        self._place_seats()
        if not self._lines:
            return Edited(changed=False, sale_moved=False)
        self._connection.execute(CHANGE_EVENT, {"event_id": event.event_id, **facts, "tags": list(facts["tags"])})
        index_event(self._connection, event.event_id)
        self._log(Subject.EVENT, event.revision + 1, self._lines)
        edited = EventEdited(event_id=event.event_id, revision=event.revision + 1)
        self._connection.execute(*insert_news(OutboxKind.EVENT_EDITED, [edited]))
        self._tell(facts)
        off_sale_at = facts["off_sale_set"] or facts["date"]
        moved = [
            Change(name, as_text(getattr(event, name)), as_text(moment))
            for name, moment in (("on_sale_at", facts["on_sale_at"]), ("off_sale_at", off_sale_at))
            if moment != getattr(event, name)
        ]
        if facts["event_state"] != event.event_state:
            moved.append(Change("event_state", event.event_state, facts["event_state"]))
        if facts["account_required"] != event.account_required:
            before, after = as_text(event.account_required), as_text(facts["account_required"])
            moved.append(Change("account_required", before, after))
        return Edited(
            changed=True,
            sale_moved=bool(moved) and self._raise_room_revision(moved),
            cancelled=self._cancel(facts),
            shortened=self._shortened(facts["date"]),
        )

    def _tell(self, facts: Mapping[str, Any]) -> None:
        """Write the news of what fans must know anew, where the event is published and stays so."""
        event = self._event
        before = {name: _as_news(getattr(event, name)) for name in TOLD_TO_FANS}
        after = {name: _as_news(facts[name]) for name in TOLD_TO_FANS}
        if before == after or {event.event_state, facts["event_state"]} != {EventState.PUBLISHED}:
            return
        news = EventChanged(
            event_id=event.event_id,
            name=facts["name"],
            venue=facts["venue"],
            date=facts["date"].astimezone(dt.UTC).isoformat(),
            doors_at=after["doors_at"],
            before={name: value for name, value in before.items() if value != after[name]},
            revision=event.revision + 1,
        )
        self._connection.execute(*insert_news(OutboxKind.EVENT_CHANGED, [news]))

    def _cancel(self, facts: Mapping[str, Any]) -> Bookings | None:
        event = self._event
        if facts["event_state"] == event.event_state or facts["event_state"] != EventState.CANCELLED:
            return None
        return record_cancellation(
            self._connection, event.event_id, notice=facts["notice"], revision=event.revision + 1
        )

    def _shortened(self, date: dt.datetime) -> int:
        """How many purchases can be cancelled for less long, now that the event has this date."""
        if date >= self._event.date:
            return 0
        dates = {"before": self._event.date, "after": date, "closed": dt.timedelta(hours=self._cancel_until_hours)}
        row = self._run(COUNT_SHORTENED, **dates).fetchone()
        assert row is not None
        return int(row[0])

    def _change_types(self) -> None:
        rows = []
        for change in self._edit.changed_types:
            now = self._types[change.ticket_type_id]
            name = now.ticket_type if change.ticket_type is None else change.ticket_type
            price = now.price if change.price is None else change.price
            entrance = now.entrance if change.entrance is None else change.entrance
            terms = dataclasses.replace(now.terms, **change.terms)
            if (name, price, entrance, terms) == (now.ticket_type, now.price, now.entrance, now.terms):
                continue
            row = {"ticket_type_id": change.ticket_type_id, "ticket_type": name, "price": price, "entrance": entrance}
            rows.append(row | terms_row(terms))
            if name != now.ticket_type:
                self._lines.append(Change(f"ticket_type {change.ticket_type_id}", now.ticket_type, name))
            if price != now.price:
                self._lines.append(Change(f"price of {name}", str(now.price), str(price)))
            if entrance != now.entrance:
                self._lines.append(Change(f"entrance of {name}", now.entrance, entrance))
            self._lines += [
                Change(f"{term} of {name}", as_text(getattr(now.terms, term)), as_text(getattr(terms, term)))
                for term in TERMS
                if getattr(terms, term) != getattr(now.terms, term)
            ]
        if rows:
            self._run(CHANGE_TICKET_TYPES, rows=json.dumps(rows))

    def _remove_types(self) -> None:
        removed = sorted({ticket_type_id for _, ticket_type_id in self._edit.removed_types})
        if removed:
            self._run(REMOVE_TICKET_TYPES, ticket_type_ids=removed)
        for ticket_type_id in removed:
            ticket_type = self._types[ticket_type_id]
            self._lines.append(
                Change(
                    "ticket_types",
                    f"{ticket_type.ticket_type}, {ticket_type.quantity} seats at {ticket_type.price}",
                    "",
                )
            )

    def _move_seats(self) -> None:
        quantities = {ticket_type.ticket_type_id: ticket_type.quantity for ticket_type in self._event.ticket_types}
        if (allotment := self._edit.set_aside) is not None:
            kept = keep_seats(
                self._connection, self._event.event_id, allotment, self._edit.removed_seats, self._operator
            )
            self._lines.append(Change("allotments", "", f"{allotment.name}, {kept} seats"))
        if self._edit.removed_seats:
            self._run(REMOVE_SEATS, blocks=seat_rows(self._edit.removed_seats))
        if self._edit.added_seats:
            add_seats(
                self._connection,
                self._event.event_id,
                [(part.ticket_type_id, part.blocks) for part in self._edit.added_seats],
            )
        for sign, parts in (("-", self._edit.removed_seats), ("+", self._edit.added_seats)):
            for part in parts:
                moved = sum(block.quantity for block in part.blocks)
                before = quantities[part.ticket_type_id]
                quantities[part.ticket_type_id] = after = before + (moved if sign == "+" else -moved)
                name = f"seats of {self._types[part.ticket_type_id].ticket_type}"
                self._lines.append(Change(name, str(before), f"{after} ({sign} {_in_words(part.blocks)})"))

    def _put_back(self) -> None:
        if self._edit.put_back is None:
            return
        name, seats = put_back(self._connection, self._event.event_id, self._edit.put_back)
        place_added_seats(self._connection, self._event.event_id, seats)
        self._lines.append(Change("allotments", f"{name}, {len(seats)} seats", ""))

    def _add_types(self) -> None:
        added = self._edit.added_types
        if not added:
            return
        # An id that was removed is never given again: a page that still has it would hold seats at another's price.
        first = max(self._event.ticket_types_made, *self._types, 0) + 1
        types = [(one.ticket_type, one.price, one.entrance, one.terms, one.blocks) for one in added]
        add_ticket_types(self._connection, self._event.event_id, first, types)
        self._run(NOTE_TYPES_MADE, last=first + len(types) - 1)
        self._lines += [Change("ticket_types", "", describe(one.ticket_type, one.price, one.blocks)) for one in added]

    def _place_seats(self) -> None:
        parts = [(part.ticket_type_id, part.blocks) for part in self._edit.added_seats]
        seats = {(type_id, *seat) for type_id, blocks in parts for block in blocks for seat in block.seats()}
        place_added_seats(self._connection, self._event.event_id, seats)

    def _raise_room_revision(self, moved: list[Change]) -> bool:
        """Raise the room's revision too, because Redis keeps the times of the sale in the room's configuration, and
        every gateway learns of a new one at once. Returns False for an event without a room.
        """
        room = self._run(RAISE_ROOM_REVISION).fetchone()
        if room is None:
            return False
        self._log(Subject.ROOM, room[0], moved)
        return True

    def _log(self, subject: Subject, revision: int, lines: Iterable[Change]) -> None:
        logged = insert_changes(subject, self._event.event_id, lines, self._operator, why=self._why, revision=revision)
        self._connection.execute(*logged)

    def _run(self, statement: str, **parameters: object) -> psycopg.Cursor[tuple[Any, ...]]:
        return self._connection.execute(statement, {"event_id": self._event.event_id, **parameters})


def _as_news(value: object) -> str | None:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat()
    return None if value is None else str(value)


def _in_words(blocks: Sequence[SeatBlock]) -> str:
    first = blocks[0]
    more = f" and {len(blocks) - 1} more blocks" if len(blocks) > 1 else ""
    return (
        f"rows {first.first_row}-{first.first_row + first.rows - 1}, "
        f"seats {first.first_seat}-{first.first_seat + first.seats_per_row - 1}{more}"
    )
