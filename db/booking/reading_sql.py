"""Purchases as the gateway reads them: answers of the contract, made where the rows are."""

from __future__ import annotations

from typing import Final

from db.booking.states import STATUS_OF_CANCELLED_EVENT, PurchaseStatus
from db.events.sale import EventState

_OF_CANCELLED_EVENT: Final = f"e.state = '{EventState.CANCELLED}'"

_PURCHASE: Final = f"""json_build_object(
         'purchaseId', p.purchase_id, 'eventId', p.event_id, 'userId', p.user_id,
         'totalAmount', p.total_amount, 'currency', p.currency,
         'purchaseAt', to_char(p.purchase_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
         'cancelUntil', to_char(p.cancel_until AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
         'status', CASE WHEN {_OF_CANCELLED_EVENT} AND p.status = '{PurchaseStatus.CONFIRMED}'
                        THEN '{STATUS_OF_CANCELLED_EVENT}' ELSE p.status END,
         'details', (SELECT json_agg(json_build_object(
                              'ticketTypeId', d.ticket_type_id, 'ticketType', t.ticket_type,
                              'rowNumber', d.row_number, 'seatNumber', d.seat_number,
                              'rowLabel', s.row_label, 'seatLabel', s.seat_label, 'section', s.section,
                              'entrance', t.entrance,
                              'amount', d.amount,
                              'charge', CASE WHEN d.price IS NOT NULL THEN json_build_object(
                                  'price', d.price, 'fee', d.fee, 'tax', d.tax,
                                  'taxBasisPoints', d.tax_basis_points, 'discount', d.discount) END,
                              'ticketCode', CASE WHEN d.cancelled_at IS NULL AND NOT {_OF_CANCELLED_EVENT}
                                                 THEN d.ticket_code END,
                              'cancelledAt', to_char(d.cancelled_at AT TIME ZONE 'UTC',
                                                     'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
                            ORDER BY d.ticket_type_id, d.row_number, d.seat_number)
                       FROM purchase_detail d
                       JOIN ticket t USING (event_id, ticket_type_id)
                       LEFT JOIN seat s USING (event_id, ticket_type_id, row_number, seat_number)
                      WHERE d.event_id = p.event_id AND d.purchase_id = p.purchase_id))::text"""  # noqa: S608 - of constants alone

PURCHASES_OF_FAN: Final = f"""
SELECT {_PURCHASE}
  FROM purchase p
  JOIN event e USING (event_id)
 WHERE p.user_id = %(user_id)s
 ORDER BY p.purchase_at DESC, p.purchase_id
 LIMIT %(purchases_max)s
"""  # noqa: S608 - of constants alone

PURCHASES_NAMED: Final = f"""
SELECT k.asked, {_PURCHASE}
  FROM json_to_recordset(%(rows)s) AS k (asked int, purchase_id uuid, user_id bigint)
  JOIN purchase p ON p.purchase_id = k.purchase_id AND p.user_id = k.user_id
  JOIN event e ON e.event_id = p.event_id
"""  # noqa: S608 - of constants alone
