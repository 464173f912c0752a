"""Finds the reasons against an edit of an event: it would strand a fan, or it makes no sense."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import psycopg

from db.booking.charges import AMOUNT_MAX, charge_of
from db.booking.holds import live
from db.booking.seats import TAKEN
from db.events.allotments import is_allotment
from db.events.definitions import EventRow
from db.events.edits import SEATS_NAMED_MAX, EventEdit, Refusal, Seat, seat_rows
from db.events.sale import EventState
from db.events.terms import Terms
from db.events.ticket_types import TICKET_TYPES_MAX
from db.pictures import use_picture
from db.texts import alike

BEGINS_AFTER_EVENT: Final = "the sale would begin after the event"
DOORS_AFTER_EVENT: Final = "the doors would open after the event has begun"
NO_SUCH_PICTURE: Final = "there is no such picture; upload it again"
ENDS_BEFORE_BEGINNING: Final = "the sale would end before it begins"
SALE_MOVES_SECONDS_MIN: Final = 10
"""An on-sale with a lobby is moved neither to a moment closer than this nor from one: its draw may be under way."""

MOST_OF_A_FAN: Final = f"""
SELECT coalesce(max(had), 0)::bigint
  FROM (SELECT user_id, sum(seats) AS had
          FROM (SELECT r.user_id, cardinality(r.seat_numbers) AS seats
                  FROM reservation r
                 WHERE r.event_id = %(event_id)s AND {live("r")}
                 UNION ALL
                SELECT p.user_id, 1
                  FROM purchase p
                  JOIN purchase_detail d USING (event_id, purchase_id)
                 WHERE p.event_id = %(event_id)s AND d.cancelled_at IS NULL) AS seats
         GROUP BY user_id) AS fans
"""  # noqa: S608 - of constants alone

MOST_OF_A_FAN_BY_TYPE: Final = f"""
SELECT ticket_type_id, max(had)::bigint
  FROM (SELECT user_id, ticket_type_id, count(*) AS had
          FROM (SELECT r.user_id, t.ticket_type_id
                  FROM reservation r
                 CROSS JOIN LATERAL unnest(r.ticket_type_ids) AS t (ticket_type_id)
                 WHERE r.event_id = %(event_id)s AND {live("r")}
                 UNION ALL
                SELECT p.user_id, d.ticket_type_id
                  FROM purchase p
                  JOIN purchase_detail d USING (event_id, purchase_id)
                 WHERE p.event_id = %(event_id)s AND d.cancelled_at IS NULL) AS seats
         WHERE ticket_type_id = ANY (%(ticket_type_ids)s::int[])
         GROUP BY user_id, ticket_type_id) AS fans
 GROUP BY ticket_type_id
"""  # noqa: S608 - of constants alone

SOLD_OR_HELD: Final = f"""
SELECT EXISTS (
       SELECT 1 FROM seat
        WHERE event_id = %(event_id)s
          AND {TAKEN})
"""  # noqa: S608 - of constants alone

TYPES_EVER_SOLD: Final = """
SELECT DISTINCT ticket_type_id
  FROM purchase_detail
 WHERE event_id = %(event_id)s AND ticket_type_id = ANY (%(ticket_type_ids)s::int[])
"""

SEATS_THAT_STAY: Final = """
SELECT k.item, k.ticket_type_id, r.row_number, n.seat_number, f.why, count(*) OVER (PARTITION BY k.item, f.why)
  FROM json_to_recordset(%(blocks)s)
       AS k (item int, ticket_type_id int, first_row int, rows int, first_seat int, seats_per_row int)
 CROSS JOIN LATERAL generate_series(k.first_row, k.first_row + k.rows - 1) AS r (row_number)
 CROSS JOIN LATERAL generate_series(k.first_seat, k.first_seat + k.seats_per_row - 1) AS n (seat_number)
  LEFT JOIN seat s
    ON s.event_id = %(event_id)s AND s.ticket_type_id = k.ticket_type_id
   AND s.row_number = r.row_number AND s.seat_number = n.seat_number
 CROSS JOIN LATERAL (SELECT CASE WHEN s.event_id IS NULL THEN 'unknown_seats'
                                 WHEN s.status = 'booked' THEN 'seats_sold'
                                 WHEN s.status = 'reserved' AND s.held_until > clock_timestamp() THEN 'seats_held'
                             END) AS f (why)
 WHERE f.why IS NOT NULL
 ORDER BY k.item, f.why, r.row_number, n.seat_number
 LIMIT %(rows_max)s
"""

SEATS_THERE: Final = """
SELECT k.item, s.ticket_type_id, s.row_number, s.seat_number, count(*) OVER (PARTITION BY k.item)
  FROM json_to_recordset(%(blocks)s)
       AS k (item int, ticket_type_id int, first_row int, rows int, first_seat int, seats_per_row int)
 CROSS JOIN LATERAL generate_series(k.first_row, k.first_row + k.rows - 1) AS r (row_number)
 CROSS JOIN LATERAL generate_series(k.first_seat, k.first_seat + k.seats_per_row - 1) AS n (seat_number)
  JOIN (SELECT event_id, ticket_type_id, row_number, seat_number FROM seat
         UNION ALL
        SELECT event_id, ticket_type_id, row_number, seat_number FROM allotment_seat) AS s
    ON s.event_id = %(event_id)s AND s.ticket_type_id = k.ticket_type_id
   AND s.row_number = r.row_number AND s.seat_number = n.seat_number
 ORDER BY k.item, s.row_number, s.seat_number
 LIMIT %(rows_max)s
"""

TAKEN_OF_TYPES: Final = f"""
SELECT ticket_type_id, row_number, seat_number, CASE status WHEN 'booked' THEN 'seats_sold' ELSE 'seats_held' END,
       count(*) OVER (PARTITION BY ticket_type_id, status)
  FROM seat
 WHERE event_id = %(event_id)s
   AND ticket_type_id = ANY (%(ticket_type_ids)s::int[])
   AND {TAKEN}
 ORDER BY ticket_type_id, status, row_number, seat_number
 LIMIT %(rows_max)s
"""  # noqa: S608 - of constants alone


class Examination:
    """Finds every reason against an edit, under the event's lock. It only reads, but keeps a picture that is named from
    being forgotten.
    """

    def __init__(self, connection: psycopg.Connection, event: EventRow, edit: EventEdit, seats_max: int) -> None:
        self._connection = connection
        self._event = event
        self._edit = edit
        self._seats_max = seats_max
        self._types = {ticket_type.ticket_type_id: ticket_type for ticket_type in event.ticket_types}
        self._refusals: list[Refusal] = []

    def refusals(self) -> list[Refusal]:
        """Every reason; none where the edit may be written."""
        facts = {name: value for name, value in self._edit.facts.items() if value != getattr(self._event, name)}
        if "event_state" in facts and self._event.event_state is EventState.CANCELLED:
            self._refuse("cancelled_for_good", "event_state", "a cancelled event stays cancelled")
        if "on_sale_at" in facts:
            self._examine_sale(facts["on_sale_at"])
        if "currency" in facts and self._sold_or_held():
            self._refuse("currency_in_use", "currency", f"seats are sold or held in {self._event.currency}")
        if "payments" in facts and self._sold_or_held():
            self._refuse("payments_in_use", "payments", "seats are sold or held already, paid or not as they were")
        if "seats_per_fan_max" in facts:
            self._examine_limit(facts["seats_per_fan_max"])
        if facts.get("picture_hash") is not None and not use_picture(self._connection, facts["picture_hash"]):
            self._refuse("event_invalid", "picture_hash", NO_SUCH_PICTURE)
        self._examine_order_of_times(facts)
        self._examine_types()
        self._examine_terms()
        self._examine_removed_types()
        self._examine_seats()
        if self._edit.put_back is not None and not is_allotment(
            self._connection, self._event.event_id, self._edit.put_back
        ):
            self._refuse("unknown_allotment", "$", "there is no such allotment")
        return self._refusals

    def _refuse(self, code: str, path: str, message: str, seats: Iterable[Seat] = ()) -> None:
        self._refusals.append(Refusal(code, self._edit.fact_paths.get(path, path), message, tuple(seats)))

    def _sold_or_held(self) -> bool:
        row = self._connection.execute(SOLD_OR_HELD, {"event_id": self._event.event_id}).fetchone()
        assert row is not None
        return bool(row[0])

    def _examine_order_of_times(self, facts: Mapping[str, Any]) -> None:
        names = ("date", "on_sale_at", "off_sale_set", "doors_at")
        if not facts.keys() & set(names):
            return
        date, on_sale_at, off_sale_set, doors_at = [
            self._edit.facts.get(name, getattr(self._event, name)) for name in names
        ]
        if on_sale_at > date:
            self._refuse("event_invalid", "on_sale_at", BEGINS_AFTER_EVENT)
        if off_sale_set is not None and off_sale_set <= on_sale_at:
            self._refuse("event_invalid", "off_sale_set", ENDS_BEFORE_BEGINNING)
        if doors_at is not None and doors_at > date:
            self._refuse("event_invalid", "doors_at", DOORS_AFTER_EVENT)

    def _examine_sale(self, moment: dt.datetime) -> None:
        event = self._event
        close = event.now + dt.timedelta(seconds=SALE_MOVES_SECONDS_MIN)
        if event.sale_has_begun and self._sold_or_held():
            self._refuse("sale_begun", "on_sale_at", "the sale has begun, and seats are sold or held")
        elif event.has_draw and event.on_sale_at <= close:
            self._refuse("sale_begun", "on_sale_at", "the sale has begun, and its lobby is drawn")
        elif event.has_draw and moment <= close:
            self._refuse(
                "event_invalid",
                "on_sale_at",
                f"a sale with a lobby begins {SALE_MOVES_SECONDS_MIN} s from now or later",
            )

    def _examine_limit(self, limit: int) -> None:
        row = self._connection.execute(MOST_OF_A_FAN, {"event_id": self._event.event_id}).fetchone()
        assert row is not None
        if row[0] > limit:
            self._refuse("limit_too_low", "seats_per_fan_max", f"a fan has {row[0]} seats already")

    def _examine_types(self) -> None:
        edit = self._edit
        removed = {ticket_type_id for _, ticket_type_id in edit.removed_types}
        names = {ticket_type.ticket_type_id: ticket_type.ticket_type for ticket_type in self._event.ticket_types}
        for change in edit.changed_types:
            if change.ticket_type_id not in names:
                self._refuse("unknown_ticket_type", change.path, f"there is no ticket type {change.ticket_type_id}")
            elif change.ticket_type is not None:
                names[change.ticket_type_id] = change.ticket_type
        taken = [alike(name) for ticket_type_id, name in names.items() if ticket_type_id not in removed]
        paths = {alike(one.ticket_type): one.path for one in edit.changed_types if one.ticket_type is not None}
        for added in edit.added_types:
            taken.append(alike(added.ticket_type))
            paths[taken[-1]] = added.path
        for name in sorted({name for name in taken if taken.count(name) > 1 and name in paths}):
            self._refuse("event_invalid", paths[name], f"two ticket types would be named {name!r}")
        if not taken:
            self._refuse("event_invalid", "$", "an event has one ticket type at least")
        if len(taken) > TICKET_TYPES_MAX:
            self._refuse("event_invalid", "$", f"an event has {TICKET_TYPES_MAX} ticket types at most")

    def _examine_terms(self) -> None:
        limits: dict[int, tuple[str, int]] = {}
        for change in self._edit.changed_types:
            now = self._types.get(change.ticket_type_id)
            if now is None:
                continue
            terms = dataclasses.replace(now.terms, **change.terms)
            for name, message in faults_of_terms(now.price if change.price is None else change.price, terms):
                self._refuse("event_invalid", f"{change.path}.{name}", message)
            if terms.seats_per_fan_max not in (None, now.terms.seats_per_fan_max):
                limits[change.ticket_type_id] = f"{change.path}.seatsPerFanMax", terms.seats_per_fan_max
        if not limits:
            return
        asked = {"event_id": self._event.event_id, "ticket_type_ids": sorted(limits)}
        for ticket_type_id, most in self._connection.execute(MOST_OF_A_FAN_BY_TYPE, asked).fetchall():
            path, limit = limits[ticket_type_id]
            if most > limit:
                self._refuse("limit_too_low", path, f"a fan has {most} seats of it already")

    def _examine_removed_types(self) -> None:
        paths = {ticket_type_id: path for path, ticket_type_id in self._edit.removed_types}
        for ticket_type_id in sorted(paths.keys() - self._types.keys()):
            self._refuse("unknown_ticket_type", paths[ticket_type_id], f"there is no ticket type {ticket_type_id}")
        removed = {"event_id": self._event.event_id, "ticket_type_ids": sorted(paths.keys() & self._types.keys())}
        if not removed["ticket_type_ids"]:
            return
        rows = self._connection.execute(TAKEN_OF_TYPES, removed | {"rows_max": SEATS_NAMED_MAX}).fetchall()
        self._refuse_taken(paths, [(r[0], *r) for r in rows])
        refused = {row[0] for row in rows if row[3] == "seats_sold"}
        for (ticket_type_id,) in self._connection.execute(TYPES_EVER_SOLD, removed).fetchall():
            if ticket_type_id not in refused:
                self._refuse(
                    "seats_sold", paths[ticket_type_id], "tickets of it were sold and cancelled; purchases tell of them"
                )

    def _refuse_taken(self, paths: Mapping[int, str], rows: Sequence[tuple[Any, ...]]) -> None:
        """Refuse to take seats away. A row is (item, ticket_type_id, row_number, seat_number, code, how many seats of
        the item have this code).
        """
        words = {"unknown_seats": "not there", "seats_sold": "sold", "seats_held": "held"}
        for item, code in dict.fromkeys((row[0], row[4]) for row in rows):
            these = [row for row in rows if (row[0], row[4]) == (item, code)]
            seats = [(row[1], row[2], row[3]) for row in these]
            self._refuse(code, paths[item], f"{_of_these(these[0][5])} {words[code]}", seats)

    def _examine_seats(self) -> None:
        event, edit = self._event, self._edit
        removed = {ticket_type_id for _, ticket_type_id in edit.removed_types}
        remaining = self._types.keys() - removed
        for part in (*edit.added_seats, *edit.removed_seats):
            if part.ticket_type_id not in remaining:
                self._refuse("unknown_ticket_type", part.path, f"there is no ticket type {part.ticket_type_id}")
        taking = [part for part in edit.removed_seats if part.ticket_type_id in remaining]
        if taking:
            rows = self._connection.execute(
                SEATS_THAT_STAY,
                {"event_id": event.event_id, "blocks": seat_rows(taking), "rows_max": SEATS_NAMED_MAX},
            ).fetchall()
            self._refuse_taken(dict(enumerate(part.path for part in taking)), rows)
        giving = [part for part in edit.added_seats if part.ticket_type_id in remaining]
        if giving:
            rows = self._connection.execute(
                SEATS_THERE,
                {"event_id": event.event_id, "blocks": seat_rows(giving), "rows_max": SEATS_NAMED_MAX},
            ).fetchall()
            for item in dict.fromkeys(row[0] for row in rows):
                these = [row for row in rows if row[0] == item]
                seats = [(row[1], row[2], row[3]) for row in these]
                self._refuse("seats_exist", giving[item].path, f"{_of_these(these[0][4])} there already", seats)
        self._examine_quantity()

    def _examine_quantity(self) -> None:
        edit = self._edit
        removed = {ticket_type_id for _, ticket_type_id in edit.removed_types}
        total = sum(
            ticket_type.quantity
            for ticket_type in self._event.ticket_types
            if ticket_type.ticket_type_id not in removed
        )
        added = [*(ticket_type.blocks for ticket_type in edit.added_types), *(part.blocks for part in edit.added_seats)]
        total += sum(block.quantity for blocks in added for block in blocks)
        total -= sum(block.quantity for part in edit.removed_seats for block in part.blocks)
        for part in edit.removed_seats:
            ticket_type = self._types.get(part.ticket_type_id)
            if ticket_type is None or part.ticket_type_id in removed or self._refusals:
                continue
            given = sum(
                block.quantity
                for one in edit.added_seats
                if one.ticket_type_id == part.ticket_type_id
                for block in one.blocks
            )
            if ticket_type.quantity + given <= sum(block.quantity for block in part.blocks):
                # A type without seats would be told as sold out, though nobody bought any.
                words = f"{ticket_type.ticket_type} would have no seat left: remove the ticket type itself"
                self._refuse("event_invalid", part.path, words)
        if added and total > self._seats_max:
            self._refuse("event_invalid", "$", f"the event would have {total} seats; it has {self._seats_max} at most")


def faults_of_terms(price: int, terms: Terms) -> list[tuple[str, str]]:
    """What makes no sense in a ticket type's terms: (the field of the API, a sentence) of each fault."""
    faults = []
    if charge_of(price, terms).amount > AMOUNT_MAX:
        faults.append(("price", f"with fee and tax a seat would cost more than {AMOUNT_MAX}"))
    if terms.sold_from is not None and terms.sold_until is not None and terms.sold_until <= terms.sold_from:
        faults.append(("soldUntil", "it would be sold until before it is sold"))
    return faults


def _of_these(count: int) -> str:
    return f"{count} of these seats {'is' if count == 1 else 'are'}"
