"""Payments held against the providers' books: how they are read, and what was found (`db.tables.payments`)."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any, Final, LiteralString, NamedTuple

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

KEPT_MAX: Final = 50
"""So many comparisons are kept."""
DIFFERENCES_MAX: Final = 500
"""So many differences of one comparison are kept; all are counted."""


class Found(msgspec.Struct, frozen=True, rename="camel"):
    """Something that a provider says otherwise than we know it: of a payment, or of none where the provider did not
    answer. ``mended``: the payment process looks at it.
    """

    provider: str
    sentence: str
    event_id: int | None = None
    payment_id: uuid.UUID | None = None
    mended: bool = False


class KnownPayment(NamedTuple):
    """A payment as we have it, to be held against the provider. ``refunded`` is what the provider gave back for us, and
    ``refunding`` what it is still to give back.
    """

    event_id: int
    payment_id: uuid.UUID
    provider: str
    provider_ref: str
    state: str
    currency: str
    captured_amount: int | None
    refunded: int
    refunding: int


_REFUNDS: Final[LiteralString] = """coalesce((SELECT sum(r.amount)
                   FROM refund r
                  WHERE r.event_id = p.event_id AND r.payment_id = p.payment_id AND r.state"""

_KNOWN: Final[LiteralString] = f"""
SELECT p.event_id, p.payment_id, p.provider, p.provider_ref, p.state,
       coalesce(nullif(p.captured_currency, ''), p.currency), p.captured_amount,
       {_REFUNDS} = 'done'), 0)::bigint,
       {_REFUNDS} <> 'done'), 0)::bigint
  FROM payment p
"""  # noqa: S608 - of constants alone

READ_SETTLED: Final[LiteralString] = f"""
{_KNOWN}
 WHERE p.created_at > clock_timestamp() - make_interval(hours => %(hours)s) AND p.payment_id > %(after)s
   AND p.provider_ref IS NOT NULL
 ORDER BY p.payment_id
 LIMIT %(rows_max)s
"""

READ_KNOWN: Final[LiteralString] = f"""
{_KNOWN}
 WHERE p.event_id = %(event_id)s AND p.payment_id = %(payment_id)s
"""

READ_ONE: Final[LiteralString] = """
SELECT captured_at IS NOT NULL
  FROM payment
 WHERE event_id = %(event_id)s AND payment_id = %(payment_id)s
"""

NAME_AGAIN: Final[LiteralString] = """
UPDATE payment
   SET provider_ref = %(provider_ref)s
 WHERE event_id = %(event_id)s AND payment_id = %(payment_id)s AND provider_ref IS NULL
"""
"""The payment process died before it noted what the provider calls the payment."""

SEND_DEAD_AGAIN: Final[LiteralString] = """
UPDATE refund SET state = 'pending', tries = 0, due_at = now() WHERE state = 'dead'
"""

BEGIN: Final[LiteralString] = """
INSERT INTO reconciliation (reconciliation_id, began_at, hours)
SELECT %(reconciliation_id)s, clock_timestamp(), %(hours)s
 WHERE %(minutes)s = 0
    OR pg_try_advisory_xact_lock(%(lock)s)
       AND NOT EXISTS (SELECT
                         FROM reconciliation
                        WHERE began_at > clock_timestamp() - make_interval(mins => %(minutes)s))
RETURNING began_at
"""
"""Begins a comparison, unless one was begun in the last minutes; with 0 in any case."""
LOCK: Final = 0xA1A_0037
"""Of many payment processes one compares."""

NOTE: Final[LiteralString] = """
UPDATE reconciliation
   SET ended_at = clock_timestamp(), payments = %(payments)s, differences = %(differences)s::jsonb
 WHERE reconciliation_id = %(reconciliation_id)s
"""

FORGET: Final[LiteralString] = """
DELETE FROM reconciliation
 WHERE reconciliation_id NOT IN (SELECT reconciliation_id
                                   FROM reconciliation
                                  ORDER BY began_at DESC
                                  LIMIT %(kept_max)s)
"""

LATEST: Final[LiteralString] = """
SELECT ended_at, payments, differences
  FROM reconciliation
 WHERE ended_at IS NOT NULL
 ORDER BY began_at DESC
 LIMIT 1
"""


class Latest(NamedTuple):
    """The latest comparison."""

    ended_at: dt.datetime
    payments: int
    differences: tuple[Found, ...]


def latest_row(row: Any) -> Latest:
    return Latest(row[0], row[1], msgspec.convert(row[2], tuple[Found, ...]))


async def read_latest(connection: AsyncConnection) -> Latest | None:
    """The latest comparison; None if there was none."""
    row = (await connection.exec_driver_sql(LATEST)).one_or_none()
    return None if row is None else latest_row(row)
