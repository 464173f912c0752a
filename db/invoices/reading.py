"""Invoices as their fan, the office and its accountants read them; this module writes nothing."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any, Final, LiteralString, NamedTuple

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.invoices.model import Content, InvoiceKind, Payer, code_of, open_payer
from db.messages.addresses import opened
from db.sealing.keyring import SealError

_COLUMNS: Final[LiteralString] = """
SELECT series, number, kind, event_id, purchase_id, of_series, of_number, made_at, currency, amount, tax, language,
       content, payer, mail
  FROM invoice
"""

OF_PURCHASE: Final[LiteralString] = f"""
{_COLUMNS}
 WHERE purchase_id = %(purchase_id)s AND event_id = %(event_id)s
 ORDER BY made_at, kind = '{InvoiceKind.CREDIT_NOTE}', series, number
"""

OF_EVENT: Final[LiteralString] = f"""
{_COLUMNS}
 WHERE event_id = %(event_id)s AND (made_at, series, number) > (%(made_at)s, %(series)s, %(number)s)
 ORDER BY made_at, series, number
 LIMIT %(rows_max)s
"""

CODES: Final[LiteralString] = """
SELECT purchase_id, series, number
  FROM invoice
 WHERE event_id = %(event_id)s AND purchase_id = ANY (%(purchase_ids)s)
 ORDER BY made_at, series, number
"""


class InvoiceRow(NamedTuple):
    """An invoice or a credit note; a credit note names its invoice by ``of_series`` and ``of_number``. ``payer`` is
    empty once it was forgotten, or where no key of this site opens it; so is ``mail``.
    """

    series: str
    number: int
    kind: InvoiceKind
    event_id: int
    purchase_id: uuid.UUID
    of_series: str | None
    of_number: int | None
    made_at: dt.datetime
    currency: str
    amount: int
    tax: int
    language: str
    content: Content
    payer: Payer
    mail: str

    @property
    def code(self) -> str:
        """Its number as it is written."""
        return code_of(self.series, self.number)

    @property
    def of_code(self) -> str | None:
        """The number of the invoice that a credit note takes back."""
        if self.of_series is None or self.of_number is None:
            return None
        return code_of(self.of_series, self.of_number)


def invoice_row(row: Any) -> InvoiceRow:
    """A row of `OF_PURCHASE` or `OF_EVENT`."""
    series, number, kind, *first, content, payer, mail = row
    return InvoiceRow._make(
        (
            series,
            number,
            InvoiceKind(kind),
            *first,
            msgspec.convert(content, Content),
            _opened_payer(payer),
            _opened_mail(mail),
        )
    )


def _opened_payer(sealed: str) -> Payer:
    try:
        found = open_payer(sealed)
    except SealError:
        return Payer()
    return msgspec.json.decode(found, type=Payer) if found else Payer()


def _opened_mail(sealed: str | None) -> str:
    try:
        return opened(sealed) if sealed else ""
    except SealError:
        return ""


async def invoices_of(connection: AsyncConnection, event_id: int, purchase_id: uuid.UUID) -> list[InvoiceRow]:
    """The invoice of a purchase, and then its credit notes; empty where it has none, or none yet."""
    which = {"event_id": event_id, "purchase_id": purchase_id}
    return [invoice_row(row) for row in await connection.exec_driver_sql(OF_PURCHASE, which)]


async def invoices_of_event(
    connection: AsyncConnection, event_id: int, after: InvoiceRow | None, rows_max: int
) -> list[InvoiceRow]:
    """The event's invoices and credit notes after one of them, in the order in which they were made."""
    which = {
        "event_id": event_id,
        "made_at": dt.datetime.min.replace(tzinfo=dt.UTC) if after is None else after.made_at,
        "series": "" if after is None else after.series,
        "number": 0 if after is None else after.number,
        "rows_max": rows_max,
    }
    return [invoice_row(row) for row in await connection.exec_driver_sql(OF_EVENT, which)]


async def codes_of(
    connection: AsyncConnection, event_id: int, purchase_ids: list[uuid.UUID]
) -> dict[uuid.UUID, list[str]]:
    """The numbers of the invoices and credit notes of some purchases."""
    which = {"event_id": event_id, "purchase_ids": purchase_ids}
    found: dict[uuid.UUID, list[str]] = {}
    rows: Any = await connection.exec_driver_sql(CODES, which)
    for purchase_id, series, number in rows:
        found.setdefault(purchase_id, []).append(code_of(series, number))
    return found
