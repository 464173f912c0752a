"""What must hold of invoices: numbers without a gap, an invoice for each payment, a credit note for each refund."""

from __future__ import annotations

from typing import Final, LiteralString

INVOICE_SECONDS_MAX: Final = 600
"""A payment has its invoice, and a refund its credit note, after so long at most."""

INVARIANTS: Final[dict[str, tuple[str, LiteralString]]] = {
    "invoice_numbers_have_no_gap": (
        "The numbers of each series of invoices begin with 1, and none is missing up to the last one given.",
        """
        SELECT series, s.last_number, i.numbers, i.first_number, i.highest_number
          FROM invoice_series s
          FULL JOIN (SELECT series, count(*) AS numbers, min(number) AS first_number, max(number) AS highest_number
                       FROM invoice
                      GROUP BY series) i USING (series)
         WHERE coalesce(s.last_number, 0) <> coalesce(i.numbers, 0)
            OR coalesce(i.first_number, 1) <> 1
            OR coalesce(i.highest_number, 0) <> coalesce(s.last_number, 0)
         LIMIT %(rows_max)s
        """,
    ),
    "payment_has_invoice": (
        "Each payment that bought something has its invoice ten minutes later, where the site or event has a seller.",
        """
        SELECT p.event_id, p.payment_id, p.purchase_id, p.captured_amount, p.ended_at
          FROM payment p
          JOIN event e ON e.event_id = p.event_id
          LEFT JOIN invoice i
            ON i.purchase_id = p.purchase_id AND i.event_id = p.event_id AND i.kind = 'invoice'
         WHERE p.state = 'booked' AND i.number IS NULL
           AND (%(invoices_of_site)s OR e.seller IS NOT NULL)
           AND p.ended_at >= %(invoices_since)s
           AND p.ended_at + make_interval(secs => %(invoice_seconds_max)s) < %(now)s
         LIMIT %(rows_max)s
        """,
    ),
    "invoice_equals_payment": (
        "Each invoice is of a payment, of what was paid, with the tax that was charged.",
        """
        SELECT i.event_id, i.series, i.number, i.purchase_id, i.amount, i.tax, p.captured_amount, d.tax AS tax_charged
          FROM invoice i
          LEFT JOIN payment p
            ON p.purchase_id = i.purchase_id AND p.event_id = i.event_id AND p.state = 'booked'
          LEFT JOIN (SELECT event_id, purchase_id, sum(tax)::bigint AS tax
                       FROM purchase_detail
                      GROUP BY event_id, purchase_id) d
            ON d.purchase_id = i.purchase_id AND d.event_id = i.event_id
         WHERE i.kind = 'invoice'
           AND (p.captured_amount IS DISTINCT FROM i.amount OR p.captured_currency <> i.currency
                OR d.tax IS DISTINCT FROM i.tax)
         LIMIT %(rows_max)s
        """,
    ),
    "credit_notes_equal_refunds": (
        "The credit notes of an invoice name it, and come to what went back, ten minutes later at most.",
        """
        SELECT i.event_id, i.series, i.number, i.purchase_id, i.amount, c.amount AS credited, c.foreign_notes,
               r.amount AS refunded, r.amount_before AS refunded_before
          FROM invoice i
          LEFT JOIN (SELECT n.event_id, n.purchase_id, sum(n.amount)::bigint AS amount,
                            count(*) FILTER (WHERE o.purchase_id IS DISTINCT FROM n.purchase_id
                                                OR o.kind <> 'invoice') AS foreign_notes
                       FROM invoice n
                       LEFT JOIN invoice o ON o.series = n.of_series AND o.number = n.of_number
                      WHERE n.kind = 'credit_note'
                      GROUP BY n.event_id, n.purchase_id) c
            ON c.purchase_id = i.purchase_id AND c.event_id = i.event_id
          LEFT JOIN (SELECT p.event_id, p.purchase_id, sum(r.amount)::bigint AS amount,
                            coalesce(sum(r.amount) FILTER (
                                WHERE r.created_at + make_interval(secs => %(invoice_seconds_max)s) < %(now)s
                            ), 0)::bigint AS amount_before
                       FROM refund r
                       JOIN payment p ON p.payment_id = r.payment_id AND p.event_id = r.event_id
                      WHERE p.purchase_id IS NOT NULL
                      GROUP BY p.event_id, p.purchase_id) r
            ON r.purchase_id = i.purchase_id AND r.event_id = i.event_id
         WHERE i.kind = 'invoice'
           AND (coalesce(c.amount, 0) NOT BETWEEN coalesce(r.amount_before, 0) AND coalesce(r.amount, 0)
                OR coalesce(c.foreign_notes, 0) > 0)
         LIMIT %(rows_max)s
        """,
    ),
}
