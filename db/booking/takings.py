"""What an event has taken: by ticket type, rate of tax, and whether the tax is included."""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

TAKINGS: Final = """
SELECT d.ticket_type_id, t.ticket_type, d.tax_basis_points,
       d.tax = 0 OR d.amount = coalesce(d.price, d.amount) - d.discount + d.fee,
       count(*) FILTER (WHERE d.cancelled_at IS NULL),
       coalesce(sum(coalesce(d.price, d.amount)) FILTER (WHERE d.cancelled_at IS NULL), 0)::bigint,
       coalesce(sum(d.discount) FILTER (WHERE d.cancelled_at IS NULL), 0)::bigint,
       coalesce(sum(d.fee) FILTER (WHERE d.cancelled_at IS NULL), 0)::bigint,
       coalesce(sum(d.tax) FILTER (WHERE d.cancelled_at IS NULL), 0)::bigint,
       coalesce(sum(d.amount) FILTER (WHERE d.cancelled_at IS NULL), 0)::bigint,
       count(d.cancelled_at),
       coalesce(sum(d.amount) FILTER (WHERE d.cancelled_at IS NOT NULL), 0)::bigint,
       count(p.given_by) FILTER (WHERE d.cancelled_at IS NULL)
  FROM purchase_detail d
  JOIN purchase p USING (event_id, purchase_id)
  JOIN ticket t USING (event_id, ticket_type_id)
 WHERE d.event_id = %(event_id)s
 GROUP BY 1, 2, 3, 4
 ORDER BY 1, 3, 4
"""


class TakingsRow(NamedTuple):
    """Seats that were sold, in minor units: prices, discounts, fees and tax, and ``amount``, what their fans paid.

    The seats that were cancelled are not in these; ``cancelled_amount`` is what was paid for them.
    ``complimentary_seats`` are those of ``seats`` that an operator gave away.
    """

    ticket_type_id: int
    ticket_type: str
    tax_basis_points: int
    tax_included: bool
    seats: int
    prices: int
    discounts: int
    fees: int
    tax: int
    amount: int
    cancelled_seats: int
    cancelled_amount: int
    complimentary_seats: int


async def takings(connection: AsyncConnection, event_id: int) -> list[TakingsRow]:
    """What the event has taken, as it was charged at each sale."""
    rows = await connection.exec_driver_sql(TAKINGS, {"event_id": event_id})
    return [TakingsRow._make(row) for row in rows]
