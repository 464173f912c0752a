"""Payments and refunds as the cashier takes, notes and mends them. Each statement is a transaction of its own, so that
``now()`` is the time of the statement; Citus takes no other clock in an update.
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Final, LiteralString, NamedTuple

from db.citus.walking import Work
from db.payments.states import RefundCause, RefundState


class DuePayment(NamedTuple):
    """A payment that the cashier has until ``taken_until``. The seats are the hold's, as three arrays. ``goes_there``:
    its fan asked for the provider's own page, which is not open yet. ``term_hours`` is how long the event waits for a
    bank, 0 where it does not, and ``is_processing``: it waits already.
    """

    event_id: int
    payment_id: uuid.UUID
    reservation_id: uuid.UUID
    user_id: int
    provider: str
    state: str
    amount: int
    currency: str
    expires_at: dt.datetime
    is_over: bool
    provider_ref: str | None
    is_captured: bool
    tries: int
    taken_until: dt.datetime
    goes_there: bool
    event_name: str
    term_hours: int
    is_processing: bool
    ticket_type_ids: list[int]
    row_numbers: list[int]
    seat_numbers: list[int]


class DueRefund(NamedTuple):
    """A refund that the cashier is to send."""

    event_id: int
    refund_id: uuid.UUID
    payment_id: uuid.UUID
    amount: int
    currency: str
    tries: int
    provider: str
    provider_ref: str
    cause: str
    user_id: int
    purchase_id: uuid.UUID | None
    event_name: str


USE_HINTS: Final[LiteralString] = """
WITH hinted AS MATERIALIZED (
    SELECT h.event_id, h.payment_id, h.at_provider
      FROM payment_hint h
      JOIN payment q ON q.event_id = h.event_id AND q.payment_id = h.payment_id /* of one event: AND q.event_id = @ */
     WHERE true /* of one event: AND h.event_id = @ */
     ORDER BY h.at
     LIMIT %(rows_max)s
       FOR UPDATE SKIP LOCKED
), used AS (
    DELETE FROM payment_hint h
     USING hinted
     WHERE h.event_id = hinted.event_id AND h.payment_id = hinted.payment_id /* of one event: AND h.event_id = @ */
)
UPDATE payment p
   SET due_at = now(), at_provider = p.at_provider OR hinted.at_provider
  FROM hinted
 WHERE p.event_id = hinted.event_id AND p.payment_id = hinted.payment_id AND p.state IN ('new', 'open', 'failed')
       /* of one event: AND p.event_id = @ */
"""
_EVENTS_WITH_HINTS: Final[LiteralString] = """
SELECT event_id FROM payment_hint GROUP BY event_id ORDER BY min(at) LIMIT %(rows_max)s
"""
HINTS: Final = Work(USE_HINTS, _EVENTS_WITH_HINTS)
"""Has the payments looked at of which there may be news, however often it was said."""

TAKE_PAYMENTS: Final[LiteralString] = """
WITH due AS (
    SELECT event_id, payment_id
      FROM payment
     WHERE due_at <= now() /* of one event: AND event_id = @ */
     ORDER BY due_at
     LIMIT %(rows_max)s
       FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE payment p
       SET due_at = now() + make_interval(secs => %(lease_seconds)s), tries = p.tries + 1
      FROM due
     WHERE p.event_id = due.event_id AND p.payment_id = due.payment_id /* of one event: AND p.event_id = @ */
    RETURNING p.*
)
SELECT t.event_id, t.payment_id, t.reservation_id, t.user_id, t.provider, t.state, t.amount, t.currency, t.expires_at,
       t.expires_at <= now(), t.provider_ref, t.captured_at IS NOT NULL, t.tries,
       t.due_at, t.at_provider AND t.pay_href IS NULL, e.name, coalesce(m.payment_term_hours, 0),
       t.processing_at IS NOT NULL, r.ticket_type_ids, r.row_numbers, r.seat_numbers
  FROM taken t
  JOIN event e ON e.event_id = t.event_id /* of one event: AND e.event_id = @ */
  LEFT JOIN room m ON m.event_id = t.event_id /* of one event: AND m.event_id = @ */
  JOIN reservation r
    ON r.event_id = t.event_id AND r.reservation_id = t.reservation_id /* of one event: AND r.event_id = @ */
"""
_EVENTS_WITH_PAYMENTS: Final[LiteralString] = """
SELECT event_id FROM payment WHERE due_at <= now() GROUP BY event_id ORDER BY min(due_at) LIMIT %(rows_max)s
"""
PAYMENTS: Final = Work(TAKE_PAYMENTS, _EVENTS_WITH_PAYMENTS)
"""Takes payments for a time, after which another cashier takes those whose cashier died."""

_NAMED: Final[LiteralString] = """named AS MATERIALIZED (
    SELECT k.*, now() AS now, now() + make_interval(secs => k.wait_seconds) AS later
      FROM json_to_recordset(%(rows)s)
           AS k (event_id bigint, payment_id uuid, wait_seconds float8, provider_ref text, client_secret text,
                 pay_href text, taken_until timestamptz, amount bigint, currency text, error text, is_fault boolean)
      JOIN payment q
        ON q.event_id = k.event_id AND q.payment_id = k.payment_id /* of one event: AND q.event_id = @ */
       FOR UPDATE OF q SKIP LOCKED
)"""
"""The payments that a note is of. One that a batch has locked is noted in a later turn: the cashier, which has locked
others by then, waits for no batch, so that neither waits for the other.
"""
_NOTED: Final[LiteralString] = """
SELECT k.payment_id, n.payment_id IS NOT NULL
  FROM named k
  LEFT JOIN noted n ON n.payment_id = k.payment_id
"""

NOTE_OPENED: Final[LiteralString] = f"""
WITH {_NAMED}, noted AS (
    UPDATE payment p
       SET state = CASE WHEN p.state = 'new' THEN 'open' ELSE p.state END, provider_ref = k.provider_ref,
           client_secret = k.client_secret, pay_href = k.pay_href, tries = 0, error = '',
           due_at = CASE WHEN p.due_at = k.taken_until THEN least(p.expires_at, k.later) ELSE p.due_at END
      FROM named k
     WHERE p.event_id = k.event_id AND p.payment_id = k.payment_id AND p.state IN ('new', 'open')
       AND (p.provider_ref IS NULL OR p.provider_ref = k.provider_ref OR k.pay_href IS NOT NULL)
           /* of one event: AND p.event_id = @ */
    RETURNING p.payment_id
)
{_NOTED}"""  # noqa: S608 - of constants alone
"""A late answer does not take the place of the provider's own page."""

NOTE_CAPTURED: Final[LiteralString] = f"""
WITH {_NAMED}, noted AS (
    UPDATE payment p
       SET captured_amount = k.amount, captured_currency = k.currency, captured_at = k.now, error = '',
           due_at = k.later
      FROM named k
     WHERE p.event_id = k.event_id AND p.payment_id = k.payment_id AND p.captured_at IS NULL
       AND p.state IN ('new', 'open', 'failed') /* of one event: AND p.event_id = @ */
    RETURNING p.payment_id
)
{_NOTED}"""  # noqa: S608 - of constants alone

NOTE_CLOSED: Final[LiteralString] = f"""
WITH {_NAMED}, noted AS (
    UPDATE payment p
       SET closed_at = coalesce(p.closed_at, k.now), error = '',
           due_at = CASE WHEN p.state IN ('new', 'open') THEN k.later END
      FROM named k
     WHERE p.event_id = k.event_id AND p.payment_id = k.payment_id AND p.captured_at IS NULL
       AND (p.provider_ref IS NULL OR k.provider_ref IS NULL OR p.provider_ref = k.provider_ref)
       AND NOT (p.at_provider AND p.pay_href IS NULL AND p.state <> 'failed' AND p.expires_at > k.now)
           /* of one event: AND p.event_id = @ */
    RETURNING p.payment_id
)
{_NOTED}"""  # noqa: S608 - of constants alone
"""What was closed to open the provider's own page in its place is not the end of the payment."""

NOTE_LATER: Final[LiteralString] = f"""
WITH {_NAMED}, noted AS (
    UPDATE payment p
       SET due_at = least(k.later, CASE WHEN p.expires_at > k.now THEN p.expires_at END),
           error = k.error, tries = CASE WHEN k.is_fault THEN p.tries ELSE 0 END
      FROM named k
     WHERE p.event_id = k.event_id AND p.payment_id = k.payment_id AND p.state IN ('new', 'open', 'failed')
       AND p.due_at = k.taken_until /* of one event: AND p.event_id = @ */
    RETURNING p.payment_id
)
{_NOTED}"""  # noqa: S608 - of constants alone
"""Where there was a hint meanwhile, the payment stays due."""

TAKE_REFUNDS: Final[LiteralString] = """
WITH due AS (
    SELECT event_id, refund_id
      FROM refund
     WHERE state = 'pending' AND due_at <= now() /* of one event: AND event_id = @ */
     ORDER BY due_at
     LIMIT %(rows_max)s
       FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE refund r
       SET due_at = now() + make_interval(secs => %(lease_seconds)s), tries = r.tries + 1
      FROM due
     WHERE r.event_id = due.event_id AND r.refund_id = due.refund_id /* of one event: AND r.event_id = @ */
    RETURNING r.*
)
SELECT t.event_id, t.refund_id, t.payment_id, t.amount, coalesce(nullif(p.captured_currency, ''), p.currency), t.tries,
       p.provider, p.provider_ref, t.cause, p.user_id, p.purchase_id, e.name
  FROM taken t
  JOIN payment p USING (event_id, payment_id)
  JOIN event e USING (event_id)
 WHERE true /* of one event: AND p.event_id = @ */ /* of one event: AND e.event_id = @ */
"""
_EVENTS_WITH_REFUNDS: Final[LiteralString] = """
SELECT event_id
  FROM refund
 WHERE state = 'pending' AND due_at <= now()
 GROUP BY event_id
 ORDER BY min(due_at)
 LIMIT %(rows_max)s
"""
REFUNDS: Final = Work(TAKE_REFUNDS, _EVENTS_WITH_REFUNDS)

NOTE_REFUND: Final[LiteralString] = """
UPDATE refund
   SET state = %(state)s, error = %(error)s, due_at = now() + make_interval(secs => %(wait_seconds)s)
 WHERE event_id = %(event_id)s AND refund_id = %(refund_id)s AND state = 'pending'
"""
"""The refund was not taken by the provider."""

NOTE_REFUND_DONE: Final[LiteralString] = f"""
UPDATE refund
   SET state = '{RefundState.DONE}', provider_ref = %(provider_ref)s, error = '', done_at = now()
 WHERE event_id = %(event_id)s AND refund_id = %(refund_id)s AND state = '{RefundState.PENDING}'
RETURNING refund_id
"""  # noqa: S608 - of constants alone
"""The provider took the refund; it is told in the same statement (`db.outbox.writer.insert_news_after`)."""

REFUND_CANCELLED_EVENTS: Final[LiteralString] = f"""
INSERT INTO refund (event_id, refund_id, payment_id, amount, cause, created_at, due_at)
SELECT p.event_id, gen_random_uuid(), p.payment_id, b.total_amount, '{RefundCause.EVENT_CANCELLED}',
       clock_timestamp(), clock_timestamp()
  FROM event_cancellation c
  JOIN payment p ON p.event_id = c.event_id AND p.state = 'booked'
  JOIN purchase b ON b.event_id = p.event_id AND b.purchase_id = p.purchase_id
 WHERE b.total_amount > 0
   AND NOT EXISTS (SELECT
                     FROM refund r
                    WHERE r.event_id = p.event_id AND r.payment_id = p.payment_id
                      AND r.cause = '{RefundCause.EVENT_CANCELLED}')
 LIMIT %(rows_max)s
    ON CONFLICT DO NOTHING
"""  # noqa: S608 - of constants alone
"""What is left of the purchases of cancelled events goes back, a bounded number at a time."""

HINT: Final[LiteralString] = """
INSERT INTO payment_hint (event_id, payment_id, at)
SELECT p.event_id, p.payment_id, now()
  FROM payment p
 WHERE p.event_id = %(event_id)s AND p.payment_id = %(payment_id)s
    ON CONFLICT (payment_id, event_id) DO UPDATE SET at = excluded.at
"""
"""Says that there may be news of a payment; nothing where there is no such payment."""

HINT_AT_PROVIDER: Final[LiteralString] = """
INSERT INTO payment_hint (event_id, payment_id, at_provider, at)
SELECT p.event_id, p.payment_id, true, now()
  FROM payment p
 WHERE p.event_id = %(event_id)s AND p.payment_id = %(payment_id)s
    ON CONFLICT (payment_id, event_id) DO UPDATE SET at = excluded.at, at_provider = true
"""
"""Says that the fan wants to pay on the provider's own page."""
