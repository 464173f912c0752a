"""What must hold of payments: nothing is charged without a ticket, and nothing ticketed without a charge."""

from __future__ import annotations

from typing import Final, LiteralString

SETTLE_SECONDS_MAX: Final = 60
"""What was paid is a ticket, or on its way back, after so long at most; a lane that is away may take longer."""

_REFUNDS: Final[LiteralString] = """
(SELECT coalesce(sum(r.amount), 0)::bigint
   FROM refund r
  WHERE r.event_id = p.event_id AND r.payment_id = p.payment_id)"""

_CANCELLED: Final[LiteralString] = """
(SELECT coalesce(sum(d.amount - d.cancel_fee), 0)::bigint
   FROM purchase_detail d
  WHERE d.event_id = p.event_id AND d.purchase_id = p.purchase_id AND d.cancelled_at IS NOT NULL)"""

INVARIANTS: Final[dict[str, tuple[str, LiteralString]]] = {
    "paid_has_ticket_or_refund": (
        "What was paid has its purchase, or goes back whole, a minute later at most.",
        f"""
        SELECT p.event_id, p.payment_id, p.user_id, p.state, p.captured_amount, p.captured_at
          FROM payment p
          LEFT JOIN purchase b ON b.event_id = p.event_id AND b.purchase_id = p.purchase_id
         WHERE p.captured_at + make_interval(secs => %(settle_seconds_max)s) < %(now)s
           AND NOT coalesce(CASE p.state
                   WHEN 'booked' THEN b.user_id IS NOT NULL AND b.reservation_id = p.reservation_id
                   WHEN 'returned' THEN {_REFUNDS} = p.captured_amount
                END, false)
         LIMIT %(rows_max)s
        """,  # noqa: S608 - of constants alone
    ),
    "ticket_has_payment": (
        "Every purchase that costs something, of an event with payments, was paid: once, and to the last unit.",
        """
        SELECT b.event_id, b.purchase_id, b.user_id, d.amount, p.payment_id, p.captured_amount
          FROM event e
          JOIN purchase b USING (event_id)
          JOIN (SELECT event_id, purchase_id, sum(amount)::bigint AS amount
                  FROM purchase_detail
                 GROUP BY event_id, purchase_id) d ON d.event_id = b.event_id AND d.purchase_id = b.purchase_id
          LEFT JOIN payment p
            ON p.event_id = b.event_id AND p.purchase_id = b.purchase_id AND p.state = 'booked'
         WHERE e.payments <> '' AND d.amount > 0
           AND (p.captured_amount IS DISTINCT FROM d.amount OR p.captured_currency <> b.currency)
         LIMIT %(rows_max)s
        """,
    ),
    "refunds_equal_cancelled": (
        "What goes back for a purchase is what was cancelled of it without fees; of a cancelled event, what was left.",
        f"""
        SELECT p.event_id, p.payment_id, p.purchase_id, {_CANCELLED} AS cancelled, {_REFUNDS} AS refunds,
               b.total_amount
          FROM payment p
          JOIN purchase b ON b.event_id = p.event_id AND b.purchase_id = p.purchase_id
          LEFT JOIN event_cancellation c ON c.event_id = p.event_id
         WHERE p.state = 'booked'
           AND {_REFUNDS} <> {_CANCELLED} + CASE
                   WHEN c.cancelled_at + make_interval(secs => %(settle_seconds_max)s) < %(now)s
                        OR EXISTS (SELECT
                                     FROM refund r
                                    WHERE r.event_id = p.event_id AND r.payment_id = p.payment_id
                                      AND r.cause = 'event_cancelled')
                   THEN b.total_amount ELSE 0 END
         LIMIT %(rows_max)s
        """,  # noqa: S608 - of constants alone
    ),
    "refunds_within_payment": (
        "Never goes more back than was paid.",
        f"""
        SELECT p.event_id, p.payment_id, p.captured_amount, {_REFUNDS} AS refunds
          FROM payment p
         WHERE {_REFUNDS} > coalesce(p.captured_amount, 0)
         LIMIT %(rows_max)s
        """,  # noqa: S608 - of constants alone
    ),
    "refund_is_not_dead": (
        "No refund was given up: `admitone payments reconcile --resend` sends it again.",
        """
        SELECT event_id, refund_id, payment_id, amount, tries, error
          FROM refund
         WHERE state = 'dead'
         LIMIT %(rows_max)s
        """,
    ),
    "bank_has_its_term": (
        "A payment that a bank works on has its hold as long as its term, and no longer than any term may be.",
        """
        SELECT p.event_id, p.payment_id, p.processing_at, p.expires_at, r.state, r.expires_at AS hold_expires_at
          FROM payment p
          JOIN reservation r ON r.event_id = p.event_id AND r.reservation_id = p.reservation_id
         WHERE p.state IN ('new', 'open') AND p.processing_at IS NOT NULL
           AND (p.expires_at > p.processing_at + interval '480 hours'
                OR p.expires_at > %(now)s AND (r.state <> 'paying' OR r.expires_at <> p.expires_at))
         LIMIT %(rows_max)s
        """,
    ),
    "payment_ends": (
        "No payment is under way much longer than its hold, unless its provider is away.",
        """
        SELECT event_id, payment_id, state, expires_at, tries, error
          FROM payment
         WHERE state IN ('new', 'open') AND error = ''
           AND expires_at + make_interval(secs => %(settle_seconds_max)s) < %(now)s
         LIMIT %(rows_max)s
        """,
    ),
}

AT_BANKS: Final[LiteralString] = """
SELECT count(*), coalesce(sum(cardinality(r.seat_numbers)), 0)::bigint, max(p.expires_at)
  FROM payment p
  JOIN reservation r ON r.event_id = p.event_id AND r.reservation_id = p.reservation_id
 WHERE p.state = 'open' AND p.processing_at IS NOT NULL
"""
"""What is neither paid nor failed for days, and breaks nothing: payments, the seats kept for them, and until when."""
