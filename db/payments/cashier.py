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
WITH used AS (
    DELETE FROM payment_hint
     WHERE (payment_id, event_id) IN (SELECT payment_id, event_id
                                        FROM payment_hint
                                       WHERE true /* of one event: AND event_id = @ */
                                       ORDER BY at
                                       LIMIT %(rows_max)s
                                         FOR UPDATE SKIP LOCKED)
       /* of one event: AND event_id = @ */
    RETURNING event_id, payment_id, at_provider
)
UPDATE payment p
   SET due_at = now(), at_provider = p.at_provider OR used.at_provider
  FROM used
 WHERE p.event_id = used.event_id AND p.payment_id = used.payment_id AND p.state IN ('new', 'open', 'failed')
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

NOTE_OPENED: Final[LiteralString] = """
WITH clock AS MATERIALIZED (SELECT now() AS now, now() + make_interval(secs => %(look_seconds)s) AS later)
UPDATE payment
   SET state = CASE WHEN state = 'new' THEN 'open' ELSE state END, provider_ref = %(provider_ref)s,
       client_secret = %(client_secret)s, pay_href = %(pay_href)s, tries = 0, error = '',
       due_at = CASE WHEN due_at = %(taken_until)s THEN least(expires_at, clock.later) ELSE due_at END
  FROM clock
 WHERE payment.event_id = %(event_id)s AND payment_id = %(payment_id)s AND state IN ('new', 'open')
   AND (provider_ref IS NULL OR provider_ref = %(provider_ref)s OR %(pay_href)s::text IS NOT NULL)
"""
"""A late answer does not take the place of the provider's own page."""

NOTE_CAPTURED: Final[LiteralString] = """
UPDATE payment
   SET captured_amount = %(amount)s, captured_currency = %(currency)s, captured_at = now(),
       error = '', due_at = now() + make_interval(secs => %(again_seconds)s)
 WHERE event_id = %(event_id)s AND payment_id = %(payment_id)s AND captured_at IS NULL
   AND state IN ('new', 'open', 'failed')
"""

NOTE_CLOSED: Final[LiteralString] = """
WITH clock AS MATERIALIZED (SELECT now() AS now, now() + make_interval(secs => %(again_seconds)s) AS later)
UPDATE payment
   SET closed_at = coalesce(closed_at, clock.now), error = '',
       due_at = CASE WHEN state IN ('new', 'open') THEN clock.later END
  FROM clock
 WHERE payment.event_id = %(event_id)s AND payment_id = %(payment_id)s AND captured_at IS NULL
   AND (provider_ref IS NULL OR %(provider_ref)s::text IS NULL OR provider_ref = %(provider_ref)s)
   AND NOT (at_provider AND pay_href IS NULL AND state <> 'failed' AND expires_at > clock.now)
RETURNING payment_id
"""
"""What was closed to open the provider's own page in its place is not the end of the payment."""

NOTE_LATER: Final[LiteralString] = """
WITH clock AS MATERIALIZED (SELECT now() AS now, now() + make_interval(secs => %(wait_seconds)s) AS later)
UPDATE payment
   SET due_at = least(clock.later, CASE WHEN expires_at > clock.now THEN expires_at END),
       error = %(error)s, tries = CASE WHEN %(is_fault)s THEN tries ELSE 0 END
  FROM clock
 WHERE payment.event_id = %(event_id)s AND payment_id = %(payment_id)s AND state IN ('new', 'open', 'failed')
   AND due_at = %(taken_until)s
"""
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
