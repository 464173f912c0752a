"""Holds: what a live one is, the row of one, and the SQL of the hot path.

A hold has two ends. Until ``expires_at``, the end that its fan was shown, it is *live*: it is listed as the fan's,
counts against the fan's seat limit, and keeps the fan's slot. For the grace after that it *keeps its seats*: nobody
else can take them, it can still be bought by a checkout that was on its way, and its fan may hold the seats anew.
After the grace it has *lapsed*, whether or not a sweep has closed it. The holds of a cancelled event can be bought no
longer, and the next sweep closes them.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from db.booking.charges import Charge, Noted, charges_noted
from db.booking.seats import Seat
from db.booking.states import NEXT_STATES, OPEN_STATES, HoldState, ends_at
from db.events.sale import EventState
from db.lanes.maps import OF_LANE

OPEN: Final = "state IN (" + ", ".join(f"'{state}'" for state in OPEN_STATES) + ")"
"""SQL: a reservation is neither bought nor given back nor swept."""


def live(hold: str = "reservation", at: str = "statement_timestamp()") -> str:
    """SQL: ``hold`` (a table's name or alias) is live at a moment."""
    return f"({hold}.{OPEN} AND {hold}.expires_at > {at})"


def keeps_slot(hold: str) -> str:
    """SQL: ``hold`` is live, and its fan is still at it: the fan whose bank takes days has gone."""
    return f"""({live(hold)} AND NOT ({hold}.state = '{HoldState.PAYING}' AND EXISTS (
                SELECT
                  FROM payment
                 WHERE payment.reservation_id = {hold}.reservation_id AND payment.event_id = {hold}.event_id
                   AND payment.state = 'open' AND payment.processing_at IS NOT NULL)))"""  # noqa: S608 - of constants alone


def keeps_seats(hold: str = "reservation", at: str = "statement_timestamp()") -> str:
    """SQL: nobody but its fan can take the seats of ``hold``. Its parameter is ``grace_seconds``."""
    return f"({hold}.{OPEN} AND {hold}.expires_at > {at} - make_interval(secs => %(grace_seconds)s))"


def lapsed(hold: str = "reservation", at: str = "statement_timestamp()") -> str:
    """SQL: ``hold`` is over, and no sweep has closed it yet. Its parameter is ``grace_seconds``."""
    return f"({hold}.{OPEN} AND {hold}.expires_at <= {at} - make_interval(secs => %(grace_seconds)s))"


def due(hold: str, event: str) -> str:
    """SQL: ``hold`` of ``event`` is to be closed by a sweep, because it has lapsed or because its event is cancelled.
    Its parameter is ``grace_seconds``.
    """
    return f"""({hold}.{OPEN} AND {hold}.expires_at <= CASE {event}.state WHEN '{EventState.CANCELLED}' THEN 'infinity'
            ELSE statement_timestamp() - make_interval(secs => %(grace_seconds)s) END)"""


HOLD_COLUMNS: Final = """h.event_id, h.reservation_id, h.user_id, h.state, h.ticket_type_ids, h.row_numbers,
       h.seat_numbers, h.total_amount, h.expires_at, h.amounts, h.network, h.proven, h.created_at, h.charges"""


LATEST: Final = dt.datetime.max.replace(tzinfo=dt.UTC)


@dataclass(slots=True)
class Hold:
    """A fan's hold. ``amounts`` has what each seat costs its fan as it was agreed, even if prices were changed since,
    and ``charges_note`` what of it is fee and tax (`db.booking.charges.noted`).

    ``network`` is the address prefix that it was made from, and ``proven`` whether its fan proved to be a person
    (`db.booking.conduct`).
    """

    event_id: int
    reservation_id: uuid.UUID
    user_id: int
    state: HoldState
    seats: tuple[Seat, ...]
    total_amount: int
    expires_at: dt.datetime
    amounts: tuple[int, ...]
    network: str = ""
    proven: bool = False
    created_at: dt.datetime = LATEST
    charges_note: Noted | None = None

    @property
    def charges(self) -> tuple[Charge, ...]:
        """What is charged for each seat."""
        return charges_noted(self.amounts, self.charges_note)

    @property
    def is_open(self) -> bool:
        """Whether it is neither bought nor given back nor swept."""
        return self.state in OPEN_STATES

    def is_live(self, now: dt.datetime) -> bool:
        return self.state in OPEN_STATES and now < self.expires_at

    def keeps_seats(self, now: dt.datetime, grace: dt.timedelta) -> bool:
        """Whether nobody but its fan can take the seats."""
        end = ends_at(self.state, self.expires_at, grace)
        return end is not None and now < end

    def become(self, state: HoldState) -> None:
        """Go to another state.

        Raises:
            ValueError: no hold goes from its state to that one.
        """
        if state not in NEXT_STATES[self.state]:
            raise ValueError(f"a hold that is {self.state} cannot become {state}")
        self.state = state


def hold_row(row: Sequence[Any]) -> Hold:
    """A row of `HOLD_COLUMNS`."""
    event_id, reservation_id, user_id, state, types, rows, numbers, total_amount, expires_at, amounts, *by = row
    seats = tuple(zip(types, rows, numbers, strict=True))
    each = seat_amounts(amounts, total_amount, len(seats))
    return Hold(event_id, reservation_id, user_id, HoldState(state), seats, total_amount, expires_at, each, *by)


def seat_amounts(noted: Sequence[int], total_amount: int, seats: int) -> tuple[int, ...]:
    """The amount of each seat: as recorded, or an equal share of the total for a hold of an older release, which
    recorded only the total.
    """
    if noted:
        return tuple(noted)
    share, rest = divmod(total_amount, seats)
    return tuple(share + (index < rest) for index in range(seats))


READ_HOLDS: Final = f"""
SELECT {HOLD_COLUMNS}
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, reservation_id uuid, user_id bigint)
  JOIN reservation h USING (event_id, reservation_id)
 WHERE h.user_id IS DISTINCT FROM k.user_id OR NOT h.{OPEN}
"""  # noqa: S608 - of constants alone
"""A key's ``user_id`` is a fan whose open holds are read anyway (`db.booking.fans`): they are not read twice."""

READ_DUE_HOLDS: Final = f"""
SELECT {HOLD_COLUMNS}
  FROM unnest(%(event_ids)s::bigint[]) AS k (event_id)
  JOIN event e USING (event_id)
 CROSS JOIN LATERAL (
       SELECT *
         FROM reservation h
        WHERE h.event_id = e.event_id
          AND {due("h", "e")}
        ORDER BY h.expires_at
        LIMIT %(holds_max)s) AS h
 ORDER BY h.event_id, h.expires_at
"""  # noqa: S608 - of constants alone

WRITE_NEW_HOLDS: Final = """
INSERT INTO reservation (event_id, reservation_id, user_id, state, ticket_type_ids, row_numbers,
                         seat_numbers, amounts, total_amount, created_at, expires_at, lifetime_ends_at,
                         network, proven, charges, ended_at)
SELECT k.event_id, k.reservation_id, k.user_id, k.state, k.ticket_type_ids, k.row_numbers, k.seat_numbers,
       k.amounts, k.total_amount, %(now)s, k.expires_at, k.expires_at,
       k.network, k.proven, k.charges, CASE WHEN k.state IN ('held', 'paying') THEN NULL ELSE %(now)s::timestamptz END
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, reservation_id uuid, user_id bigint, state text, ticket_type_ids int[],
             row_numbers int[], seat_numbers int[], amounts bigint[], total_amount bigint,
             expires_at timestamptz, network text, proven boolean, charges bigint[])
"""


def new_hold(hold: Hold) -> dict[str, Any]:
    """A row of `WRITE_NEW_HOLDS`."""
    row = {
        "event_id": hold.event_id,
        "reservation_id": hold.reservation_id,
        "user_id": hold.user_id,
        "state": hold.state,
        "ticket_type_ids": [seat[0] for seat in hold.seats],
        "row_numbers": [seat[1] for seat in hold.seats],
        "seat_numbers": [seat[2] for seat in hold.seats],
        "amounts": hold.amounts,
        "total_amount": hold.total_amount,
        "expires_at": hold.expires_at,
        "network": hold.network,
        "proven": hold.proven,
    }
    return row if hold.charges_note is None else row | {"charges": hold.charges_note}


WRITE_HOLD_STATES: Final = """
UPDATE reservation r
   SET state = k.state,
       proven = k.proven,
       ended_at = CASE WHEN k.state IN ('held', 'paying') THEN NULL ELSE %(now)s::timestamptz END
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, reservation_id uuid, state text, proven boolean)
 WHERE r.event_id = k.event_id AND r.reservation_id = k.reservation_id
"""


def hold_state(hold: Hold) -> dict[str, Any]:
    """A row of `WRITE_HOLD_STATES`."""
    return {
        "event_id": hold.event_id,
        "reservation_id": hold.reservation_id,
        "state": hold.state,
        "proven": hold.proven,
    }


WRITE_HOLD_ENDS: Final = """
UPDATE reservation r
   SET expires_at = k.expires_at, lifetime_ends_at = greatest(r.lifetime_ends_at, k.expires_at)
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, reservation_id uuid, expires_at timestamptz)
 WHERE r.event_id = k.event_id AND r.reservation_id = k.reservation_id
"""


def hold_end(hold: Hold) -> dict[str, Any]:
    """A row of `WRITE_HOLD_ENDS`."""
    return {"event_id": hold.event_id, "reservation_id": hold.reservation_id, "expires_at": hold.expires_at}


EVENTS_WITH_DUE_HOLDS: Final = f"""
SELECT DISTINCT event_id
  FROM reservation
 WHERE {OF_LANE}
   AND {lapsed()}
 UNION
SELECT event_id
  FROM event_cancellation c
 WHERE {OF_LANE}
   AND done_at IS NULL
   AND EXISTS (SELECT FROM reservation r WHERE r.event_id = c.event_id AND r.{OPEN} OFFSET 0)
 LIMIT %(events_max)s
"""  # noqa: S608 - of constants alone
"""The events of a lane with holds that a sweep is to close. ``OFFSET 0`` has the few cancelled events read first: else
each sweep reads all open holds, while its lane books nothing (ADR 146). Citus takes no such subquery beside a ``WITH``.
"""
