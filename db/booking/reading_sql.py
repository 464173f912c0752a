"""The SQL that the gateway reads bookings by: answers of the contract, made where the rows are."""

from __future__ import annotations

from typing import Final

_PURCHASE: Final = """json_build_object(
         'purchaseId', p.purchase_id, 'eventId', p.event_id, 'userId', p.user_id,
         'totalAmount', p.total_amount, 'currency', p.currency,
         'purchaseAt', to_char(p.purchase_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
         'status', p.status,
         'details', (SELECT json_agg(json_build_object(
                              'ticketTypeId', d.ticket_type_id, 'ticketType', t.ticket_type,
                              'rowNumber', d.row_number, 'seatNumber', d.seat_number,
                              'amount', d.amount,
                              'ticketCode', CASE WHEN d.cancelled_at IS NULL THEN d.ticket_code END,
                              'cancelledAt', to_char(d.cancelled_at AT TIME ZONE 'UTC',
                                                     'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
                            ORDER BY d.ticket_type_id, d.row_number, d.seat_number)
                       FROM purchase_detail d
                       JOIN ticket t USING (event_id, ticket_type_id)
                      WHERE d.event_id = p.event_id AND d.purchase_id = p.purchase_id))::text"""

PURCHASES_OF_FAN: Final = f"""
SELECT {_PURCHASE}
  FROM purchase p
 WHERE p.user_id = %(user_id)s
 ORDER BY p.purchase_at DESC, p.purchase_id
 LIMIT %(purchases_max)s
"""  # noqa: S608 - of constants alone

PURCHASES_NAMED: Final = f"""
SELECT k.asked, {_PURCHASE}
  FROM json_to_recordset(%(rows)s) AS k (asked int, purchase_id uuid, user_id bigint)
  JOIN purchase p ON p.purchase_id = k.purchase_id AND p.user_id = k.user_id
"""  # noqa: S608 - of constants alone

BACKLOG: Final = """
SELECT (SELECT count(*)
          FROM (SELECT
                  FROM reservation
                 WHERE state = 'held'
                   AND expires_at >= statement_timestamp()
                 LIMIT %(counted_max)s) AS live),
       lapsed.count, lapsed.seconds, unsent.count, unsent.seconds, pending.count, pending.late_seconds,
       (SELECT count(*)
          FROM (SELECT
                  FROM delivery
                 WHERE channel = 'webhook' AND state = 'dead'
                 LIMIT %(counted_max)s) AS dead),
       (SELECT count(*) FROM webhook_endpoint WHERE disabled_at IS NULL AND failing_since IS NOT NULL),
       (SELECT count(*) FROM webhook_endpoint WHERE disabled_at IS NOT NULL)
  FROM (SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(expires_at)), 0)::float AS seconds
          FROM (SELECT expires_at
                  FROM reservation
                 WHERE state = 'held'
                   AND expires_at < statement_timestamp()
                 ORDER BY expires_at
                 LIMIT %(counted_max)s) AS ended) AS lapsed,
       (SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float AS seconds
          FROM (SELECT created_at
                  FROM outbox
                 WHERE sent_at IS NULL
                 ORDER BY outbox_id
                 LIMIT %(counted_max)s) AS waiting) AS unsent,
       (SELECT count(*),
               greatest(0, coalesce(extract(epoch FROM clock_timestamp() - min(d.due_at)), 0))::float AS late_seconds
          FROM webhook_endpoint e
         CROSS JOIN LATERAL (
               SELECT due_at
                 FROM delivery
                WHERE channel = 'webhook'
                  AND recipient_id = e.endpoint_id
                  AND state = 'pending'
                ORDER BY due_at
                LIMIT %(counted_max)s) d
         WHERE e.disabled_at IS NULL) AS pending
"""
