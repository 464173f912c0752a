"""What a fan has of an event, and did there: one statement for a batch's fans, which looks once into each table."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

from db.booking.conduct import IS_UNBOUGHT, PART_BLOCKED
from db.booking.holds import HOLD_COLUMNS, OPEN, Hold, hold_row

READ_FANS: Final = f"""
SELECT k.event_id, k.user_id, h.holds, h.unbought, p.types_bought, p.cancelled
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, user_id bigint)
 CROSS JOIN LATERAL (
       SELECT json_agg(json_build_array({HOLD_COLUMNS}))
                  FILTER (WHERE h.{OPEN}
                             OR h.state = 'lapsed' AND h.expires_at > statement_timestamp() - interval '1 hour')::text
                  AS holds,
              sum({PART_BLOCKED})
                  FILTER (WHERE h.created_at > statement_timestamp() - interval '1 hour' AND {IS_UNBOUGHT})::float
                  AS unbought
         FROM reservation h
        WHERE h.user_id = k.user_id AND h.event_id = k.event_id) AS h
 CROSS JOIN LATERAL (
       SELECT array_agg(d.ticket_type_id) FILTER (WHERE d.cancelled_at IS NULL) AS types_bought,
              array_agg(d.purchase_id) FILTER (WHERE d.cancelled_at > statement_timestamp() - interval '1 hour')
                  AS cancelled
         FROM purchase p
        CROSS JOIN LATERAL (
              SELECT *
                FROM purchase_detail d
               WHERE d.purchase_id = p.purchase_id AND d.event_id = p.event_id
              OFFSET 0) AS d
        WHERE p.user_id = k.user_id AND p.event_id = k.event_id) AS p
"""  # noqa: S608 - of constants alone

_HoldRow = tuple[
    int,
    uuid.UUID,
    int,
    str,
    tuple[int, ...],
    tuple[int, ...],
    tuple[int, ...],
    int,
    dt.datetime,
    tuple[int, ...],
    str,
    bool,
    dt.datetime,
    tuple[tuple[int, ...], ...] | None,
]
"""`HOLD_COLUMNS`."""
_hold_rows: Final = msgspec.json.Decoder(list[_HoldRow]).decode


class FanRow(NamedTuple):
    """What a fan has of an event. Each field is None where there is nothing.

    Attributes:
        holds: in JSON, those that are open, and those that lapsed within the hour.
        unbought: how many holds the fan let end unbought within the hour, by the part of their lives that they blocked
            seats (`db.booking.conduct`).
        types_bought: the ticket type of each seat that was bought and is not cancelled.
        cancelled: the purchase of each seat that was cancelled within the hour; such a purchase counts as unbought.
    """

    event_id: int
    user_id: int
    holds: str | None
    unbought: float | None
    types_bought: Sequence[int] | None
    cancelled: Sequence[uuid.UUID] | None

    def holds_had(self) -> list[Hold]:
        return [] if self.holds is None else [hold_row(row) for row in _hold_rows(self.holds)]

    def unbought_in_all(self) -> float:
        """How many holds and purchases count as unbought."""
        return (self.unbought or 0.0) + len(set(self.cancelled or ()))


def fan_key(event_id: int, user_id: int) -> dict[str, Any]:
    """A row of `READ_FANS`' keys."""
    return {"event_id": event_id, "user_id": user_id}
