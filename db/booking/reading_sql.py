"""Purchases as the gateway reads them: answers of the contract, made where the rows are."""

from __future__ import annotations

from typing import Final

from db.booking.states import STATUS_OF_CANCELLED_EVENT, PurchaseStatus
from db.citus.at_node import IS_HERE
from db.events.sale import EventState

_OF_CANCELLED_EVENT: Final = f"e.state = '{EventState.CANCELLED}'"


def _purchase(viewer: str) -> str:
    """A purchase as JSON, as a fan sees it: the fan who bought sees all its seats, and a fan to whom some of its
    tickets were handed sees those. A ticket has its code only for the fan who has it now.

    ``ticket`` is what a signed ticket says, its parts with colons between; the gateway signs it. ``orderCode`` is the
    order's number, of which the gateway makes the code.

    Args:
        viewer: the expression of the fan's user id.
    """
    has_ticket = (
        f"d.cancelled_at IS NULL AND NOT {_OF_CANCELLED_EVENT} AND coalesce(d.holder_user_id, p.user_id) = {viewer}"
    )
    return f"""json_build_object(
         'purchaseId', p.purchase_id, 'eventId', p.event_id, 'userId', {viewer},
         'totalAmount', CASE WHEN p.user_id = {viewer} THEN p.total_amount
                             ELSE (SELECT coalesce(sum(h.amount), 0)
                                     FROM purchase_detail h
                                    WHERE h.event_id = p.event_id AND h.purchase_id = p.purchase_id
                                          /* of one event: AND h.event_id = @ */
                                      AND h.holder_user_id = {viewer} AND h.cancelled_at IS NULL) END,
         'currency', p.currency, 'orderCode', p.order_number::text, 'complimentary', p.given_by IS NOT NULL,
         'received', p.user_id <> {viewer},
         'purchaseAt', to_char(p.purchase_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
         'cancelUntil', to_char(p.cancel_until AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
         'status', CASE WHEN {_OF_CANCELLED_EVENT} AND p.status = '{PurchaseStatus.CONFIRMED}'
                        THEN '{STATUS_OF_CANCELLED_EVENT}' ELSE p.status END,
         'details', (SELECT json_agg(json_build_object(
                              'ticketTypeId', d.ticket_type_id, 'ticketType', t.ticket_type,
                              'rowNumber', d.row_number, 'seatNumber', d.seat_number,
                              'rowLabel', s.row_label, 'seatLabel', s.seat_label, 'section', s.section,
                              'entrance', t.entrance,
                              'amount', d.amount, 'cancelFee', d.cancel_fee,
                              'charge', CASE WHEN d.price IS NOT NULL THEN json_build_object(
                                  'price', d.price, 'fee', d.fee, 'tax', d.tax,
                                  'taxBasisPoints', d.tax_basis_points, 'discount', d.discount) END,
                              'ticketCode', CASE WHEN {has_ticket} THEN d.ticket_code END,
                              'ticket', CASE WHEN {has_ticket}
                                             THEN concat_ws(':', d.event_id, d.purchase_id, d.ticket_type_id,
                                                            d.row_number, d.seat_number, d.issue_number) END,
                              'issueNumber', d.issue_number,
                              'handedOn', coalesce(d.holder_user_id, p.user_id) <> {viewer},
                              'cancelledAt', to_char(d.cancelled_at AT TIME ZONE 'UTC',
                                                     'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
                            ORDER BY d.ticket_type_id, d.row_number, d.seat_number)
                       FROM purchase_detail d
                       JOIN ticket t USING (event_id, ticket_type_id)
                       LEFT JOIN seat s USING (event_id, ticket_type_id, row_number, seat_number)
                      WHERE d.event_id = p.event_id AND d.purchase_id = p.purchase_id
                            /* of one event: AND d.event_id = @ */
                        AND (p.user_id = {viewer} OR d.holder_user_id = {viewer})))::text"""  # noqa: S608 - of constants alone


PURCHASES_OF_FAN: Final = f"""
SELECT {_purchase("k.user_id")}
  FROM (SELECT %(user_id)s::bigint AS user_id, b.event_id, b.purchase_id
          FROM (SELECT event_id, purchase_id
                  FROM purchase
                 WHERE user_id = %(user_id)s
                 UNION
                SELECT event_id, purchase_id
                  FROM purchase_detail
                 WHERE holder_user_id = %(user_id)s) AS b) AS k
  JOIN purchase p ON p.purchase_id = k.purchase_id AND p.event_id = k.event_id
  JOIN event e ON e.event_id = p.event_id
 ORDER BY p.purchase_at DESC, p.purchase_id
 LIMIT %(purchases_max)s
"""  # noqa: S608 - of constants alone

PURCHASES_NAMED: Final = f"""
SELECT k.asked, {_purchase("k.user_id")}
  FROM json_to_recordset(%(rows)s) AS k (asked int, purchase_id uuid, user_id bigint)
  JOIN purchase p ON p.purchase_id = k.purchase_id
  JOIN event e ON e.event_id = p.event_id
 WHERE (p.user_id = k.user_id
        OR EXISTS (SELECT
                     FROM purchase_detail d
                    WHERE d.purchase_id = p.purchase_id AND d.event_id = p.event_id AND d.holder_user_id = k.user_id
                          /* of one event: AND d.event_id = @ */))
   /* of one event: AND p.event_id = @ */
"""  # noqa: S608 - of constants alone

PURCHASES_AT_NODE: Final = f"""
SELECT here.is_here, found.*
  FROM ({IS_HERE}) AS here
  LEFT JOIN LATERAL ({PURCHASES_NAMED}) AS found ON true
"""  # noqa: S608 - of constants alone
"""At the node that has the event's rows (`db.citus.reading`)."""
