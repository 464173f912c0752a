"""Work that is due at any event: one statement takes it, or on a Citus cluster one for each event that has some.

A cluster locks no rows at several nodes by one statement, and sets none to a time that each node would read for itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg

from db.citus.one_event import of_one_event


@dataclass(frozen=True, slots=True)
class Work:
    """A statement that takes ``rows_max`` rows at most, whatever their events are; it has a form for one event
    (`db.citus.one_event`). ``events`` lists, for a cluster, ``rows_max`` events at most of which rows are due.
    """

    statement: LiteralString
    events: LiteralString


async def execute(
    connection: psycopg.AsyncConnection[tuple[Any, ...]],
    work: Work,
    which: Mapping[str, Any],
    *,
    is_citus: bool,
) -> list[psycopg.AsyncCursor[tuple[Any, ...]]]:
    """Run the statement, on a cluster for each event. Together the cursors have ``which["rows_max"]`` rows at most.

    Raises:
        psycopg.Error: Postgres is away. On a cluster some events may have had their turn, if no transaction is open.
    """
    if not is_citus:
        return [await connection.execute(work.statement, which, prepare=True)]
    left = which["rows_max"]
    statement = of_one_event(work.statement)
    events = await (await connection.execute(work.events, which)).fetchall()
    done = []
    for (event_id,) in events:
        one = await connection.execute(statement, {**which, "event_id": event_id, "rows_max": left})
        done.append(one)
        left -= one.rowcount
        if left <= 0:
            break
    return done
