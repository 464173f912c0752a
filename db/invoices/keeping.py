"""How long an invoice says whom it is for: as long as the law of the seller's country wants, and then no more."""

from __future__ import annotations

from typing import Final, LiteralString

FORGET_PAYERS: Final[LiteralString] = """
UPDATE invoice i
   SET payer = '', mail = NULL
  FROM (SELECT series, number
          FROM invoice
         WHERE made_at < clock_timestamp() - make_interval(hours => %(keep_hours)s) AND payer <> ''
         LIMIT %(rows_max)s) AS old
 WHERE i.series = old.series AND i.number = old.number
"""
"""Takes the payers from old invoices. The rows stay: a number that is gone would be a gap."""
