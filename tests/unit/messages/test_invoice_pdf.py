"""Invoices as PDF: each in its own language, of the same bytes each time."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import msgspec
import pytest

from db.invoices.model import Content, InvoiceKind, Line, Payer, Seller
from db.invoices.reading import InvoiceRow
from messages.invoice_pdf import _Paper, invoices_pdf
from messages.look import Look

MADE_AT = dt.datetime(2027, 1, 1, 0, 30, tzinfo=dt.UTC)


def invoice(language: str = "de", lines: int = 2, **other: Any) -> InvoiceRow:
    content = Content(
        seller=Seller(
            name="Kulturhalle GmbH",
            address="Hauptstraße 1; 10115 Berlin",
            tax_id="DE123456789",
            note="Es gelten unsere Bedingungen.",
        ),
        event_name="Nachtflug – Lena Brandt und Band",
        venue="Kulturhalle",
        event_date=MADE_AT + dt.timedelta(weeks=6),
        time_zone="America/New_York",
        order_code="ABCDEFGH",
        purchase_at=MADE_AT,
        lines=tuple(
            Line(
                ticket_type=f"Parkett {number}",
                quantity=2,
                price=4900,
                discount=500 * (number % 2),
                fee=250,
                tax_basis_points=1900 if number % 2 else 700,
                tax_included=True,
                amount=2 * (5150 - 500 * (number % 2)),
                tax=1485 if number % 2 else 674,
            )
            for number in range(lines)
        ),
    )
    row = InvoiceRow(
        series="2026-",
        number=42,
        kind=InvoiceKind.INVOICE,
        event_id=1,
        purchase_id=uuid.UUID(int=1),
        of_series=None,
        of_number=None,
        made_at=MADE_AT,
        currency="EUR",
        amount=19_600,
        tax=2159,
        language=language,
        content=content,
        payer=Payer("Ada King", "St James 12\nLondon"),
        mail="ada@example.org",
    )
    return row._replace(**other)


@pytest.mark.parametrize("language", ["en", "de", "fr", "es", "ja", "ar", "xx"])
def test_an_invoice_is_the_same_file_each_time_in_every_language(language: str) -> None:
    note = invoice(language, kind=InvoiceKind.CREDIT_NOTE, number=43, of_series="2026-", of_number=42)
    first, again = (invoices_pdf([invoice(language), note], Look()) for _ in range(2))
    assert first is not None
    assert first[:5] == b"%PDF-"
    assert first.count(b"/Type /Page\n") == 2
    assert first == again
    assert len(first) < 300_000, "only the letters that it has come with it"


def test_many_lines_go_on_over_the_page() -> None:
    found = invoices_pdf([invoice(lines=40)], Look())
    assert found is not None
    assert found.count(b"/Type /Page\n") == 3


def test_what_stands_on_it_is_of_the_venues_day_and_the_sums_are_by_rate() -> None:
    paper = _Paper(invoice())
    assert paper.title == "Rechnung 2026-00042"
    assert dict(paper.facts) == {"Datum": "31. Dezember 2026", "Bestellung": "ABCDEFGH"}
    assert paper.seller == (
        "Verkäufer",
        ["Kulturhalle GmbH", "Hauptstraße 1", "10115 Berlin", "Steuernummer DE123456789"],
    )
    assert paper.payer == ("Für", ["Ada King", "St James 12", "London", "ada@example.org"])
    said = [(name, amount.replace("\u00a0", " ")) for name, amount in (*paper.sums, paper.total)]
    assert [(name.replace("\u00a0", " "), amount) for name, amount in said] == [
        ("Netto", "96,26 €"),
        ("Steuer 7 %", "6,74 €"),
        ("Netto", "78,15 €"),
        ("Steuer 19 %", "14,85 €"),
        ("Summe", "196,00 €"),
    ]
    assert paper.rows[1][0][2].replace("\u00a0", " ") == "46,50 €"
    assert "Rabatt" in paper.rows[1][1]


def test_a_tax_free_one_shows_no_sums_and_letters_of_no_font_none() -> None:
    free = invoice()
    line = Line(
        ticket_type="Hall",
        quantity=1,
        price=100,
        discount=0,
        fee=0,
        tax_basis_points=0,
        tax_included=True,
        amount=100,
        tax=0,
    )
    content = msgspec.structs.replace(free.content, lines=(line,))
    paper = _Paper(free._replace(content=content, payer=Payer(), mail=""))
    assert (paper.sums, paper.payer[1]) == ([], [])
    assert invoices_pdf([invoice(payer=Payer("\U00012000"))], Look()) is None
