"""Writes the invoices of what was paid, and the credit notes of what went back, in one transaction with their numbers.

A number is given by locking the row of its series, so a process that dies before the commit has given none, and there
is no gap. One process at a time writes; it never meets a booking, which takes no lock of these.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, LiteralString, NamedTuple

import msgspec
import psycopg

from db.booking.order_codes import code_of as order_code_of
from db.events.time_zones import zone_of
from db.invoices.model import Charged, Content, InvoiceKind, Line, Payer, Seller, lines_of, seal_payer
from db.invoices.settings import InvoiceSettings
from db.orders.answers import open_content
from db.payments.states import RefundCause
from db.sealing.keyring import SealError

ONE_WRITER: Final = 0x1A_401CE
"""The advisory lock of who writes invoices."""
_CREDITED: Final = f"('{RefundCause.CANCELLED}', '{RefundCause.EVENT_CANCELLED}')"
"""SQL: refunds of what was bought. Other money that goes back never bought anything, and has no invoice."""

BEGIN: Final[LiteralString] = "SELECT pg_try_advisory_xact_lock(%(lock)s), clock_timestamp()"

HAS_SELLERS: Final[LiteralString] = "SELECT EXISTS (SELECT 1 FROM event WHERE seller IS NOT NULL)"

PAID: Final[LiteralString] = """
SELECT p.event_id, p.payment_id, p.purchase_id, b.order_number, b.purchase_at, p.currency, e.name, e.venue, e.date,
       e.time_zone, e.seller, a.content, coalesce(a.address, c.address), coalesce(a.language, c.language, 'en')
  FROM payment p
  JOIN purchase b ON b.purchase_id = p.purchase_id AND b.event_id = p.event_id
  JOIN event e ON e.event_id = p.event_id
  LEFT JOIN order_answers a ON a.reservation_id = b.reservation_id AND a.event_id = b.event_id
  LEFT JOIN contact c ON c.event_id = b.event_id AND c.user_id = b.user_id AND c.channel = 'mail'
 WHERE p.state = 'booked' AND NOT p.invoiced AND p.ended_at >= %(since)s
   AND (%(of_site)s OR e.seller IS NOT NULL)
 ORDER BY p.ended_at, p.payment_id
 LIMIT %(rows_max)s
"""
"""What was paid and has no invoice, in the order in which it was booked."""

RETURNED: Final[LiteralString] = f"""
SELECT r.event_id, p.purchase_id, r.created_at, min(r.cause), sum(r.amount)::bigint, i.series, i.number, i.currency,
       i.content, i.payer, i.mail, i.language
  FROM refund r
  JOIN payment p ON p.payment_id = r.payment_id AND p.event_id = r.event_id
  JOIN invoice i ON i.purchase_id = p.purchase_id AND i.event_id = p.event_id AND i.kind = '{InvoiceKind.INVOICE}'
 WHERE NOT r.credited AND r.cause IN {_CREDITED}
 GROUP BY r.event_id, p.purchase_id, r.created_at, i.series, i.number
 ORDER BY r.created_at, p.purchase_id
 LIMIT %(rows_max)s
"""  # noqa: S608 - of constants alone
"""What went back of invoices and is on no credit note. What one batch gives back of a purchase is one credit note."""

SEATS: Final[LiteralString] = """
SELECT d.event_id, d.purchase_id, d.cancelled_at, t.ticket_type, d.amount, d.price, d.fee, d.tax, d.tax_basis_points,
       d.discount, d.cancel_fee
  FROM json_to_recordset(%(rows)s) AS k (event_id bigint, purchase_id uuid)
  JOIN purchase_detail d ON d.purchase_id = k.purchase_id AND d.event_id = k.event_id
  JOIN ticket t ON t.event_id = d.event_id AND t.ticket_type_id = d.ticket_type_id
 ORDER BY d.purchase_id, d.ticket_type_id, d.row_number, d.seat_number
"""

NUMBER: Final[LiteralString] = """
INSERT INTO invoice_series (series, last_number)
VALUES (%(series)s, %(count)s)
    ON CONFLICT (series) DO UPDATE SET last_number = invoice_series.last_number + excluded.last_number
RETURNING last_number
"""
"""Gives the next numbers; the row stays locked until the transaction ends."""

WRITE: Final[LiteralString] = """
INSERT INTO invoice (series, number, kind, event_id, purchase_id, credited_at, of_series, of_number, made_at, currency,
                     amount, tax, language, content, payer, mail)
SELECT k.series, k.number, k.kind, k.event_id, k.purchase_id, k.credited_at, k.of_series, k.of_number, k.made_at,
       k.currency, k.amount, k.tax, k.language, k.content, k.payer, k.mail
  FROM json_to_recordset(%(rows)s)
       AS k (series text, number bigint, kind text, event_id bigint, purchase_id uuid, credited_at timestamptz,
             of_series text, of_number bigint, made_at timestamptz, currency text, amount bigint, tax bigint,
             language text, content jsonb, payer text, mail text)
"""

NOTE_INVOICED: Final[LiteralString] = """
UPDATE payment p
   SET invoiced = true
  FROM json_to_recordset(%(rows)s) AS k (event_id bigint, payment_id uuid)
 WHERE p.payment_id = k.payment_id AND p.event_id = k.event_id
"""

NOTE_CREDITED: Final[LiteralString] = f"""
UPDATE refund r
   SET credited = true
  FROM json_to_recordset(%(rows)s) AS k (event_id bigint, purchase_id uuid, created_at timestamptz)
  JOIN payment p ON p.purchase_id = k.purchase_id AND p.event_id = k.event_id
 WHERE r.payment_id = p.payment_id AND r.event_id = p.event_id AND r.created_at = k.created_at
   AND r.cause IN {_CREDITED}
"""  # noqa: S608 - of constants alone


class Paid(NamedTuple):
    """A row of `PAID`; ``answers`` and ``mail`` are sealed."""

    event_id: int
    payment_id: uuid.UUID
    purchase_id: uuid.UUID
    order_number: int
    purchase_at: dt.datetime
    currency: str
    event_name: str
    venue: str
    event_date: dt.datetime
    time_zone: str
    seller: dict[str, Any] | None
    answers: str | None
    mail: str | None
    language: str


class Returned(NamedTuple):
    """A row of `RETURNED`, with the invoice that it takes back in part or whole; ``payer`` and ``mail`` are sealed."""

    event_id: int
    purchase_id: uuid.UUID
    created_at: dt.datetime
    cause: str
    amount: int
    series: str
    number: int
    currency: str
    content: dict[str, Any]
    payer: str
    mail: str | None
    language: str


class _Seat(NamedTuple):
    cancelled_at: dt.datetime | None
    charged: Charged


class _Document(NamedTuple):
    """An invoice or a credit note before it has a number."""

    kind: InvoiceKind
    event_id: int
    purchase_id: uuid.UUID
    credited_at: dt.datetime | None
    of_series: str | None
    of_number: int | None
    currency: str
    language: str
    content: Content
    payer: str
    mail: str | None


class Written(NamedTuple):
    """How many documents were written. ``faults`` are what went back of purchases and does not come to what their seats
    give back: it has no credit note, and the audit names it.
    """

    documents: int
    faults: list[str]


class _CreditError(Exception):
    """The seats that were given back do not come to what goes back for them."""


Connection = psycopg.AsyncConnection[Any]
_Seats = Mapping[tuple[int, uuid.UUID], Sequence[_Seat]]


async def write_due(
    connection: Connection,
    settings: InvoiceSettings,
    *,
    rows_max: int,
    probe: Callable[[str], None] = lambda point: None,
) -> Written:
    """Write the invoices and credit notes that are due, ``rows_max`` of each at most.

    Args:
        probe: called at ``pay_numbered``, when numbers are given and nothing is committed.

    Raises:
        psycopg.Error: nothing was written, and no number given.
    """
    site = Seller.of_site(settings)
    async with connection.transaction():
        if site is None and not await _one(connection, HAS_SELLERS, {}):
            return Written(0, [])
        begun = await (await connection.execute(BEGIN, {"lock": ONE_WRITER})).fetchone()
        if begun is None or not begun[0]:
            return Written(0, [])
        made_at: dt.datetime = begun[1]
        which = {"since": settings.since_at, "of_site": site is not None, "rows_max": rows_max}
        paid = [Paid._make(row) for row in await _all(connection, PAID, which)]
        written = await _write(connection, await _invoices(connection, paid, site), made_at, probe)
        rows = [{"event_id": one.event_id, "payment_id": one.payment_id} for one in paid]
        await connection.execute(NOTE_INVOICED, _json(rows))
        returned = [Returned._make(row) for row in await _all(connection, RETURNED, {"rows_max": rows_max})]
        notes, faults = await _credit_notes(connection, returned)
        written += await _write(connection, notes, made_at, probe)
        credited = [
            {"event_id": one.event_id, "purchase_id": one.purchase_id, "created_at": one.credited_at} for one in notes
        ]
        await connection.execute(NOTE_CREDITED, _json(credited))
        return Written(written, faults)


async def _invoices(connection: Connection, paid: Sequence[Paid], site: Seller | None) -> list[_Document]:
    seats = await _seats(connection, paid)
    return [_invoice(one, [seat.charged for seat in seats[one.event_id, one.purchase_id]], site) for one in paid]


def _invoice(paid: Paid, seats: Iterable[Charged], site: Seller | None) -> _Document:
    seller = site if paid.seller is None else msgspec.convert(paid.seller, Seller)
    assert seller is not None
    content = Content(
        seller=seller,
        event_name=paid.event_name,
        venue=paid.venue,
        event_date=paid.event_date,
        time_zone=paid.time_zone,
        order_code=order_code_of(paid.order_number),
        purchase_at=paid.purchase_at,
        lines=lines_of(seats, InvoiceKind.INVOICE),
    )
    return _Document(
        kind=InvoiceKind.INVOICE,
        event_id=paid.event_id,
        purchase_id=paid.purchase_id,
        credited_at=None,
        of_series=None,
        of_number=None,
        currency=paid.currency,
        language=paid.language,
        content=content,
        payer=_payer(paid.answers),
        mail=paid.mail,
    )


def _payer(answers: str | None) -> str:
    """Whom the invoice is for, sealed. The law wants no more of a payer than a name and an address."""
    payer = Payer()
    if answers is not None:
        try:
            content = open_content(answers)
        except SealError:
            # The order's own page cannot show the name either.
            pass
        else:
            payer = Payer(content.name, content.address)
    return seal_payer(payer)


async def _credit_notes(connection: Connection, returned: Sequence[Returned]) -> tuple[list[_Document], list[str]]:
    seats = await _seats(connection, returned)
    notes, faults = [], []
    for one in returned:
        try:
            notes.append(_credit_note(one, seats[one.event_id, one.purchase_id]))
        except _CreditError as error:
            faults.append(str(error))
    return notes, faults


def _credit_note(returned: Returned, seats: Iterable[_Seat]) -> _Document:
    if returned.cause == RefundCause.EVENT_CANCELLED:
        gone = [seat.charged for seat in seats if seat.cancelled_at is None]
    else:
        gone = [seat.charged for seat in seats if seat.cancelled_at == returned.created_at]
    lines = lines_of(gone, InvoiceKind.CREDIT_NOTE)
    if sum(line.amount for line in lines) != returned.amount:
        raise _CreditError(
            f"purchase {returned.purchase_id} of event {returned.event_id}: {returned.amount} went back at "
            f"{returned.created_at}, and its seats come to {sum(line.amount for line in lines)}"
        )
    return _Document(
        kind=InvoiceKind.CREDIT_NOTE,
        event_id=returned.event_id,
        purchase_id=returned.purchase_id,
        credited_at=returned.created_at,
        of_series=returned.series,
        of_number=returned.number,
        currency=returned.currency,
        language=returned.language,
        content=msgspec.structs.replace(msgspec.convert(returned.content, Content), lines=lines),
        payer=returned.payer,
        mail=returned.mail,
    )


async def _seats(connection: Connection, of: Sequence[Paid] | Sequence[Returned]) -> _Seats:
    """The seats of purchases, those that were given back too."""
    found: defaultdict[tuple[int, uuid.UUID], list[_Seat]] = defaultdict(list)
    keys = {(one.event_id, one.purchase_id) for one in of}
    rows = [{"event_id": event_id, "purchase_id": purchase_id} for event_id, purchase_id in sorted(keys)]
    for event_id, purchase_id, cancelled_at, *charged in await _all(connection, SEATS, _json(rows)):
        found[event_id, purchase_id].append(_Seat(cancelled_at, Charged._make(charged)))
    return found


async def _write(
    connection: Connection, documents: Sequence[_Document], made_at: dt.datetime, probe: Callable[[str], None]
) -> int:
    """Give each document its number, and write it."""
    if not documents:
        return 0
    by_series: defaultdict[str, list[_Document]] = defaultdict(list)
    for one in documents:
        year = made_at.astimezone(zone_of(one.content.time_zone)).year
        by_series[one.content.seller.series_of(one.kind, one.event_id, year)].append(one)
    rows = []
    for series in sorted(by_series):
        counted = by_series[series]
        last: int = await _one(connection, NUMBER, {"series": series, "count": len(counted)})
        first = last - len(counted) + 1
        rows += [_row(one, series, first + place, made_at) for place, one in enumerate(counted)]
    probe("pay_numbered")
    await connection.execute(WRITE, _json(rows))
    return len(rows)


def _row(document: _Document, series: str, number: int, made_at: dt.datetime) -> dict[str, Any]:
    lines: tuple[Line, ...] = document.content.lines
    return {
        **document._asdict(),
        "series": series,
        "number": number,
        "made_at": made_at,
        "amount": sum(line.amount for line in lines),
        "tax": sum(line.tax for line in lines),
    }


def _json(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    return {"rows": msgspec.json.encode(rows).decode()}


async def _all(connection: Connection, statement: LiteralString, which: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    return await (await connection.execute(statement, which)).fetchall()


async def _one(connection: Connection, statement: LiteralString, which: Mapping[str, Any]) -> Any:
    row = await (await connection.execute(statement, which)).fetchone()
    return None if row is None else row[0]
