"""Entries of waiting lists as a batch reads and writes them, and the events whose sweep has something to offer."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from db.booking.holds import live
from db.events.sale import EventState, sale_end
from db.lanes.maps import OF_LANE
from db.waiting.states import QUANTITY_MAX, EntryState

_COLUMNS: Final = """w.event_id, w.number, w.user_id, w.ticket_type_id, w.quantity, w.state, w.network, w.proven,
       w.entered_at, w.reservation_id, w.link"""


@dataclass(slots=True)
class Entry:
    """``had`` is how many seats its fan has bought or holds, as far as it was read with the entry."""

    event_id: int
    number: int
    user_id: int
    ticket_type_id: int
    quantity: int
    state: EntryState
    network: str
    proven: bool
    entered_at: dt.datetime
    reservation_id: uuid.UUID | None
    link: bytes
    had: int = 0


def entry_row(row: Sequence[Any]) -> Entry:
    """A row of `READ_TURNS` or `READ_ENTRIES_OF_FANS`."""
    event_id, number, user_id, ticket_type_id, quantity, state, network, proven, at, reservation_id, link, *had = row
    return Entry(
        event_id,
        number,
        user_id,
        ticket_type_id,
        quantity,
        EntryState(state),
        network,
        proven,
        at,
        reservation_id,
        bytes(link),
        *had,
    )


TURNS_SPARE: Final = 4
"""So many entries more are read than could be served, for those whose fan has enough seats by now."""
TURNS_MAX: Final = 64
"""So many entries of one size are looked at in a batch; the next sweep goes on."""


def turns_max(free_max: int, quantity: int) -> int:
    """How many entries of a size `READ_TURNS` reads where ``free_max`` seats may become free."""
    return min(free_max // quantity + TURNS_SPARE, TURNS_MAX)


READ_TURNS: Final = f"""
SELECT {_COLUMNS},
       (SELECT count(*)
          FROM purchase p
          JOIN purchase_detail d ON d.purchase_id = p.purchase_id AND d.event_id = p.event_id
         WHERE p.user_id = w.user_id AND p.event_id = w.event_id AND d.cancelled_at IS NULL)::int
     + (SELECT coalesce(sum(cardinality(h.seat_numbers)), 0)
          FROM reservation h
         WHERE h.user_id = w.user_id AND h.event_id = w.event_id AND {live("h")})::int
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, ticket_type_id int, free_max int)
 CROSS JOIN LATERAL generate_series(1, least(k.free_max, {QUANTITY_MAX})) AS q (quantity)
 CROSS JOIN LATERAL (
       SELECT *
         FROM waiting_entry w
        WHERE w.event_id = k.event_id AND w.ticket_type_id = k.ticket_type_id AND w.quantity = q.quantity
          AND w.state = 'waiting'
        ORDER BY w.number
        LIMIT least(k.free_max / q.quantity + {TURNS_SPARE}, {TURNS_MAX})) AS w
 ORDER BY w.event_id, w.ticket_type_id, w.number
"""  # noqa: S608 - of constants alone
"""The first entries of each size that as many seats as may become free could serve."""

READ_ENTRIES_OF_FANS: Final = f"""
SELECT {_COLUMNS}
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, user_id bigint)
  JOIN waiting_entry w USING (event_id, user_id)
  LEFT JOIN reservation h ON h.event_id = w.event_id AND h.reservation_id = w.reservation_id
 WHERE w.state = 'waiting' OR w.state = 'offered' AND {live("h")}
 ORDER BY w.number
"""  # noqa: S608 - of constants alone
"""The entries of fans that are not over: those that wait, and those whose offer is under way."""

READ_ENDS_OF_LISTS: Final = """
SELECT w.event_id, w.number, w.link
  FROM unnest(%(event_ids)s::bigint[]) AS k (event_id)
 CROSS JOIN LATERAL (
       SELECT *
         FROM waiting_entry w
        WHERE w.event_id = k.event_id
        ORDER BY w.number DESC
        LIMIT 1) AS w
"""


class ListEnd(NamedTuple):
    """The last entry that was made in an event's list."""

    number: int
    link: bytes


READ_BEGUN: Final = """
SELECT k.event_id, k.ticket_type_id
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, ticket_type_id int)
 WHERE EXISTS (SELECT FROM waiting_entry w WHERE w.event_id = k.event_id AND w.ticket_type_id = k.ticket_type_id)
"""
"""The ticket types in whose list somebody has entered."""

READ_NETWORKS_WAITING: Final = """
SELECT k.event_id, k.network,
       (SELECT count(*)
          FROM waiting_entry w
         WHERE w.event_id = k.event_id AND w.network = k.network AND w.state = 'waiting' AND NOT w.proven)
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, network text)
"""
"""How many entries of a network wait whose fans did not prove to be persons."""

WRITE_NEW_ENTRIES: Final = """
INSERT INTO waiting_entry (event_id, number, user_id, ticket_type_id, quantity, state, network, proven, entered_at,
                           ended_at, reservation_id, link)
SELECT k.event_id, k.number, k.user_id, k.ticket_type_id, k.quantity, k.state, k.network, k.proven, k.entered_at,
       CASE k.state WHEN 'waiting' THEN NULL ELSE %(now)s::timestamptz END, k.reservation_id, k.link
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, number int, user_id bigint, ticket_type_id int, quantity smallint, state text,
             network text, proven boolean, entered_at timestamptz, reservation_id uuid, link bytea)
"""

WRITE_ENDED_ENTRIES: Final = """
UPDATE waiting_entry w
   SET state = k.state, reservation_id = k.reservation_id, ended_at = %(now)s
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, number int, state text, reservation_id uuid)
 WHERE w.event_id = k.event_id AND w.number = k.number
"""


def new_entry(entry: Entry) -> dict[str, Any]:
    """A row of `WRITE_NEW_ENTRIES`."""
    return {
        "event_id": entry.event_id,
        "number": entry.number,
        "user_id": entry.user_id,
        "ticket_type_id": entry.ticket_type_id,
        "quantity": entry.quantity,
        "state": entry.state,
        "network": entry.network,
        "proven": entry.proven,
        "entered_at": entry.entered_at,
        "reservation_id": entry.reservation_id,
        "link": "\\x" + entry.link.hex(),
    }


def ended_entry(entry: Entry) -> dict[str, Any]:
    """A row of `WRITE_ENDED_ENTRIES`."""
    return {
        "event_id": entry.event_id,
        "number": entry.number,
        "state": entry.state,
        "reservation_id": entry.reservation_id,
    }


EVENTS_WITH_OFFERS_DUE: Final = f"""
SELECT e.event_id
  FROM room r
  JOIN event e USING (event_id)
 WHERE r.waiting_list
   AND {OF_LANE}
   AND e.state = '{EventState.PUBLISHED}'
   AND e.on_sale_at <= statement_timestamp() AND {sale_end("e")} > statement_timestamp()
   AND EXISTS (
       SELECT
         FROM ticket t
         JOIN waiting_entry w
           ON w.event_id = t.event_id AND w.ticket_type_id = t.ticket_type_id AND w.state = 'waiting'
          AND w.quantity <= t.available_count
        WHERE t.event_id = e.event_id AND t.available_count > 0)
 LIMIT %(events_max)s
"""  # noqa: S608 - of constants alone
"""The events of a lane of which more seats are free than somebody waits for: an operator added them, or switched the
list on.
"""
