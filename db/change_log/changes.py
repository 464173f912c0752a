"""The log of changes: its one writer and its one reader. A line is one field of one change, with its values as text.

Both return a statement with its parameters, so that whatever connection a transaction has can run it:

    connection.execute(*insert_changes(...))                   psycopg
    await connection.exec_driver_sql(*insert_changes(...))     SQLAlchemy
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, LiteralString

from db.texts import tidy

ROWS_MAX: Final = 200

Statement = tuple[LiteralString, dict[str, Any]]


class Subject(StrEnum):
    """The things that have a log. A room and an event are named by the event's id, a webhook by its endpoint's; a rule
    of alarms by its event's, which is 0 for the whole site, and a receiver of alarms by its own.
    """

    ROOM = "room"
    EVENT = "event"
    WEBHOOK = "webhook"
    ALARM_RULE = "alarm_rule"
    ALARM_RECEIVER = "alarm_receiver"


@dataclass(frozen=True, slots=True)
class Change:
    """A field that changed, with its values as `as_text` writes them."""

    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """A line of the log; ``at`` is Postgres' clock, ``revision`` the one that the change made (0: not noted)."""

    at: dt.datetime
    operator: str
    subject_id: int
    field: str
    before: str
    after: str
    why: str
    revision: int


WRITE_CHANGES: Final[LiteralString] = """
INSERT INTO change_log (subject, subject_id, operator, field, before, after, why, revision)
SELECT %(subject)s::text, %(subject_id)s::bigint, %(operator)s::text, k.field, k.before, k.after, %(why)s::text,
       %(revision)s::bigint
  FROM json_to_recordset(%(rows)s) AS k (field text, before text, after text)
"""

READ_CHANGES: Final[LiteralString] = """
SELECT at, operator, subject_id, field, before, after, why, revision
  FROM change_log
 WHERE subject = %(subject)s::text
   AND (%(subject_id)s::bigint IS NULL OR subject_id = %(subject_id)s::bigint)
   AND (%(after_revision)s::bigint IS NULL OR revision > %(after_revision)s::bigint)
 ORDER BY log_id DESC
 LIMIT %(rows_max)s
"""


def insert_changes(
    subject: Subject,
    subject_id: int,
    changes: Iterable[Change],
    operator: str,
    *,
    why: str = "",
    revision: int = 0,
) -> Statement:
    """The statement that writes a line for each change.

    Args:
        revision: the one that the changes made; 0 for a subject that has none.
    """
    rows = [{"field": change.field, "before": change.before, "after": change.after} for change in changes]
    return WRITE_CHANGES, {
        "subject": subject.value,
        "subject_id": subject_id,
        "operator": operator,
        "why": tidy(why),
        "revision": revision,
        "rows": json.dumps(rows),
    }


def select_changes(
    subject: Subject, subject_id: int | None = None, *, limit: int = ROWS_MAX, after_revision: int | None = None
) -> Statement:
    """The statement that reads the latest lines, the newest first; `change_rows` makes rows of its answer.

    Args:
        subject_id: of this one alone; None: of all.
        limit: cut to `ROWS_MAX`.
        after_revision: only what was changed after this revision.
    """
    return READ_CHANGES, {
        "subject": subject.value,
        "subject_id": subject_id,
        "after_revision": after_revision,
        "rows_max": min(limit, ROWS_MAX),
    }


def change_rows(rows: Iterable[Sequence[Any]]) -> list[ChangeRow]:
    """What the statement of `select_changes` answered."""
    return [ChangeRow(*row) for row in rows]


def as_text(value: object) -> str:
    """A field's value in the log's words: ``true``, ``300``, ``open``; nothing for None, lists with spaces between."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case dt.datetime():
            return value.astimezone(dt.UTC).isoformat()
        case list() | tuple():
            return " ".join(map(str, value))
        case _:
            return str(value)
