"""The books of the built-in test provider: it stands for a company elsewhere, and shares nothing but the server."""

from __future__ import annotations

from typing import Final, LiteralString

OPEN_INTENT: Final[LiteralString] = """
INSERT INTO provider_intent (event_id, payment_id, amount, currency)
VALUES (%(event_id)s, %(payment_id)s, %(amount)s, %(currency)s)
    ON CONFLICT DO NOTHING
"""

READ_INTENT: Final[LiteralString] = """
SELECT CASE WHEN state = 'open' AND pays_at <= now() THEN 'captured' ELSE state END,
       state = 'open' AND pays_at > now(),
       CASE WHEN state = 'open' AND pays_at <= now() THEN amount ELSE captured_amount END,
       currency, refunded_amount, state = 'captured' AND pays_at > now()
  FROM provider_intent
 WHERE event_id = %(event_id)s AND payment_id = %(payment_id)s
"""
"""One that is to be paid later is paid once its time has come. The last column: nothing is said of it until then."""

PAY_INTENT: Final[LiteralString] = """
UPDATE provider_intent
   SET state = 'captured', captured_amount = %(amount)s, pays_at = NULL
 WHERE event_id = %(event_id)s AND payment_id = %(payment_id)s AND state = 'open'
"""

PAY_INTENT_LATER: Final[LiteralString] = """
UPDATE provider_intent
   SET pays_at = now() + make_interval(secs => %(seconds)s)
 WHERE event_id = %(event_id)s AND payment_id = %(payment_id)s AND state = 'open'
"""

PAY_INTENT_SILENTLY: Final[LiteralString] = """
UPDATE provider_intent
   SET state = 'captured', captured_amount = %(amount)s, pays_at = now() + make_interval(secs => %(seconds)s)
 WHERE event_id = %(event_id)s AND payment_id = %(payment_id)s AND state = 'open'
"""

DECLINE_INTENT: Final[LiteralString] = """
UPDATE provider_intent
   SET state = 'declined'
 WHERE event_id = %(event_id)s AND payment_id = %(payment_id)s AND state = 'open' AND pays_at IS NULL
"""

CLOSE_INTENT: Final[LiteralString] = """
UPDATE provider_intent
   SET state = CASE WHEN pays_at IS NULL THEN 'cancelled' ELSE state END
 WHERE event_id = %(event_id)s AND payment_id = %(payment_id)s AND state = 'open'
"""
"""One that the bank is working on cannot be cancelled any more."""

REFUND_INTENT: Final[LiteralString] = """
UPDATE provider_intent
   SET refunded_amount = refunded_amount + %(amount)s, refund_ids = refund_ids || ' ' || %(refund_id)s::text,
       captured_amount = CASE WHEN state = 'open' THEN amount ELSE captured_amount END, state = 'captured'
 WHERE event_id = %(event_id)s AND payment_id = %(payment_id)s
   AND (state = 'captured' OR state = 'open' AND pays_at <= now())
   AND position(%(refund_id)s::text IN refund_ids) = 0
   AND refunded_amount + %(amount)s <= CASE WHEN state = 'open' THEN amount ELSE captured_amount END
"""
"""A refund of one id happens once."""

READ_REFUND: Final[LiteralString] = """
SELECT position(%(refund_id)s::text IN refund_ids) > 0
  FROM provider_intent
 WHERE event_id = %(event_id)s AND payment_id = %(payment_id)s
"""

TAKEN: Final[LiteralString] = """
SELECT event_id, payment_id, CASE WHEN state = 'open' THEN amount ELSE captured_amount END, currency,
       refunded_amount
  FROM provider_intent
 WHERE state = 'captured' OR state = 'open' AND pays_at <= now()
"""
"""These books have no dates: all that was taken."""
