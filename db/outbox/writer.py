"""Writes news into the outbox: every row goes through `insert_news`.

News is written by the transaction that makes it true, whatever connection that transaction has:

    connection.execute(*insert_news(kind, payloads))                   psycopg
    await connection.exec_driver_sql(*insert_news(kind, payloads))     SQLAlchemy
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final, LiteralString

import msgspec

from db.ids import uuid7
from db.outbox.kinds import OutboxKind, Payload

WRITE_OUTBOX: Final[LiteralString] = """
INSERT INTO outbox (event_id, outbox_id, kind, payload, created_at)
SELECT (k.payload ->> 'eventId')::bigint, k.outbox_id, %(kind)s::text, k.payload,
       coalesce(%(at)s::timestamptz, clock_timestamp())
  FROM json_to_recordset(%(rows)s)
       AS k (outbox_id uuid, payload jsonb)
"""


def insert_news(
    kind: OutboxKind, payloads: Sequence[Payload], *, at: dt.datetime | None = None
) -> tuple[LiteralString, dict[str, Any]]:
    """The statement that writes one row for each payload, with its parameters.

    Args:
        at: when it happened, by Postgres' clock; None: the moment at which the statement runs.

    Raises:
        TypeError: a payload is not of the kind's struct.
    """
    return WRITE_OUTBOX, _parameters(kind, payloads, at)


def insert_news_after(
    change: LiteralString, kind: OutboxKind, payload: Payload
) -> tuple[LiteralString, dict[str, Any]]:
    """The statement that makes a change and, if that changed a row, writes the news of it; with the parameters of the
    news. It is for connections that several tasks share, where no transaction can span two statements.

    Args:
        change: an ``UPDATE … RETURNING`` of one row, whose parameters the caller adds.

    Raises:
        TypeError: the payload is not of the kind's struct.
    """
    statement: LiteralString = f"WITH changed AS ({change}) {WRITE_OUTBOX} WHERE EXISTS (SELECT FROM changed)"
    return statement, _parameters(kind, [payload], None)


def _parameters(kind: OutboxKind, payloads: Sequence[Payload], at: dt.datetime | None) -> dict[str, Any]:
    for payload in payloads:
        if type(payload) is not kind.payload:
            raise TypeError(f"{kind} says {kind.payload.__name__}, not {type(payload).__name__}")
    rows = [{"outbox_id": uuid7(), "payload": payload} for payload in payloads]
    return {"kind": kind.value, "at": at, "rows": msgspec.json.encode(rows).decode()}
