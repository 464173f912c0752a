"""The alarms that stand, as the process that decides reads and writes them (`workers.alarms`), and as operators read
them.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any, Final, LiteralString, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from db.alarms.kinds import KINDS, AlarmScope
from db.alarms.states import AlarmState
from db.events.sale import EventState

LOOKED_KEY: Final = "alarms:looked"
"""In the Redis of the jobs: when the alarms were last looked at, in Unix milliseconds of Postgres' clock."""

NOW_MS: Final[LiteralString] = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"

BEGIN: Final[LiteralString] = "SELECT pg_try_advisory_xact_lock(%(lock)s), clock_timestamp()"
"""Whether this transaction decides, and the moment by which it does: at any time one process decides."""
LOCK: Final = 0xA1A_0025

EVENTS_TO_WATCH: Final[LiteralString] = f"""
SELECT e.event_id, e.name, e.time_zone, coalesce(r.state NOT IN ('off', 'closed'), false) AS has_line,
       t.quantity, t.free, t.held
  FROM event e
  JOIN (SELECT event_id, sum(quantity)::bigint AS quantity, sum(available_count)::bigint AS free,
               sum(held_count)::bigint AS held
          FROM ticket
         GROUP BY event_id) AS t USING (event_id)
  LEFT JOIN room r USING (event_id)
 WHERE e.state = '{EventState.PUBLISHED}' AND e.rehearsal_of IS NULL
   AND coalesce(e.off_sale_at, e.date) > clock_timestamp()
 ORDER BY e.on_sale_at DESC, e.event_id
 LIMIT %(events_max)s
"""  # noqa: S608 - of constants alone


class WatchedEvent(NamedTuple):
    """An event whose sale is not over, with its seats. ``has_line``: its waiting room is on."""

    event_id: int
    name: str
    time_zone: str
    has_line: bool
    quantity: int
    free: int
    held: int


_COLUMNS: Final[LiteralString] = """alarm_id, kind, scope, subject_id, state, since, fired_at, calm_since, seen_at,
       ended_at, figure, threshold, about"""

READ_STANDING: Final[LiteralString] = f"""
SELECT {_COLUMNS} FROM alarm WHERE state <> 'ended'
"""  # noqa: S608 - of constants alone

WRITE: Final[LiteralString] = f"""
INSERT INTO alarm ({_COLUMNS})
SELECT {_COLUMNS}
  FROM json_to_recordset(%(rows)s)
       AS k (alarm_id uuid, kind text, scope text, subject_id bigint, state text, since timestamptz,
             fired_at timestamptz, calm_since timestamptz, seen_at timestamptz, ended_at timestamptz,
             figure float, threshold bigint, about jsonb)
    ON CONFLICT (alarm_id) DO UPDATE
   SET state = excluded.state, since = excluded.since, fired_at = excluded.fired_at,
       calm_since = excluded.calm_since, seen_at = excluded.seen_at, ended_at = excluded.ended_at,
       figure = excluded.figure, threshold = excluded.threshold, about = excluded.about
"""  # noqa: S608 - of constants alone

DROP: Final[LiteralString] = "DELETE FROM alarm WHERE alarm_id = ANY (%(alarm_ids)s::uuid[])"

FORGET_ALARMS: Final[LiteralString] = """
DELETE FROM alarm a
 USING (SELECT alarm_id
          FROM alarm
         WHERE ended_at < clock_timestamp() - make_interval(hours => %(keep_hours)s)
         LIMIT %(rows_max)s) AS old
 WHERE a.alarm_id = old.alarm_id
"""

_SHOWN: Final[LiteralString] = f"""
SELECT {_COLUMNS}
  FROM alarm
 WHERE state = 'firing'
 UNION ALL
SELECT *
  FROM (SELECT {_COLUMNS}
          FROM alarm
         WHERE ended_at IS NOT NULL
         ORDER BY ended_at DESC
         LIMIT %(ended_max)s) AS over
"""  # noqa: S608 - of constants alone

_FIRING: Final[LiteralString] = "SELECT kind, count(*) AS number FROM alarm WHERE state = 'firing' GROUP BY kind"


class AlarmRow(NamedTuple):
    """An alarm as the table has it. ``about`` has ``names`` of the events that it is about, the ``timeZone`` of the
    venue, and the ``eventId`` whose room the link leads to, None where there is none.
    """

    alarm_id: uuid.UUID
    kind: str
    scope: AlarmScope
    subject_id: int
    state: AlarmState
    since: dt.datetime
    fired_at: dt.datetime | None
    calm_since: dt.datetime | None
    seen_at: dt.datetime
    ended_at: dt.datetime | None
    figure: float
    threshold: int
    about: dict[str, Any]


def alarm_row(row: Sequence[Any]) -> AlarmRow:
    return AlarmRow._make((row[0], row[1], AlarmScope(row[2]), row[3], AlarmState(row[4]), *row[5:13]))


async def read_alarms(connection: AsyncConnection, ended_max: int) -> list[AlarmRow]:
    """The alarms that fire, and the ones that ended last. Kinds that this release does not know are left out."""
    rows = await connection.exec_driver_sql(_SHOWN, {"ended_max": ended_max})
    return [alarm_row(row) for row in rows if row.kind in KINDS]


async def firing_alarms(connection: AsyncConnection) -> dict[str, int]:
    """How many alarms of each kind fire."""
    found = {str(row.kind): int(row.number) for row in await connection.exec_driver_sql(_FIRING)}
    return {word: found.get(word, 0) for word in KINDS}
