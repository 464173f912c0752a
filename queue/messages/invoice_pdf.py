"""Invoices and credit notes as a PDF, each from a page of its own on, in the look of the tickets.

The same rows make the same bytes: language, names and amounts stand with the invoice, and nothing is asked of today.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from babel import Locale
from babel.dates import format_date
from babel.numbers import format_percent

from db.events.time_zones import zone_of
from db.invoices.model import InvoiceKind, Line, address_lines, taxes_of
from db.invoices.reading import InvoiceRow
from messages.languages import known, locale_of, translations_of
from messages.look import Look
from messages.moments import moment_in
from messages.money import money_in
from messages.pen import Pen, document, rgb

if TYPE_CHECKING:
    from fpdf import FPDF

PAGE_MM: Final = (210, 297)
_BAND: Final = (15.0, 15.0, 180.0, 44.0)
"""Left, top, width and height of the coloured head, in millimetres."""
_CORNER: Final = 7.0
_PADDING: Final = 9.0
_INK: Final = (24, 24, 27)
_PALE: Final = (95, 95, 105)
_BOTTOM: Final = 262.0
_COLUMNS: Final = ((0.0, 72.0), (74.0, 18.0), (94.0, 34.0), (130.0, 32.0))
"""Where the columns of the table begin, and how wide they are: type, quantity, each, amount."""


def invoices_pdf(invoices: Sequence[InvoiceRow], look: Look, font: str = "") -> bytes | None:
    """The invoice of a purchase and its credit notes. None where no font has the letters of their words.

    Args:
        font: the file of a font that comes first; empty: those of the system.
    """
    papers = [_Paper(one) for one in invoices]
    begun = document(
        look.name + "".join(paper.words for paper in papers),
        PAGE_MM,
        font,
        " · ".join(paper.title for paper in papers),
        papers[0].language,
    )
    if begun is None:
        return None
    pdf, family = begun
    pdf.set_creation_date(invoices[-1].made_at)
    for paper in papers:
        _Sheet(pdf, look, family, paper).draw()
    return bytes(pdf.output())


class _Paper:
    """What stands on an invoice, in words of its language."""

    def __init__(self, invoice: InvoiceRow) -> None:
        self.language = known(invoice.language)
        self.locale: Locale = locale_of(self.language)
        _: Callable[[str], str] = translations_of(self.language).gettext
        content, seller = invoice.content, invoice.content.seller
        is_credit = invoice.kind is InvoiceKind.CREDIT_NOTE
        zone = zone_of(content.time_zone)
        day = format_date(invoice.made_at.astimezone(zone).date(), format="long", locale=self.locale)
        credit_note, invoice_word, tax_number, tax_word = _("Credit note"), _("Invoice"), _("Tax number"), _("Tax")
        self.kind = credit_note if is_credit else invoice_word
        self.number = invoice.code
        self.title = f"{self.kind} {self.number}"
        self.facts = [
            (_("Date"), day),
            (_("Order"), content.order_code),
            *([(_("Corrects the invoice"), invoice.of_code)] if invoice.of_code else []),
        ]
        tax_id = [f"{tax_number} {seller.tax_id}"] if seller.tax_id else []
        self.seller = (_("Seller"), [seller.name, *address_lines(seller.address), *tax_id])
        payer = [part for part in (invoice.payer.name, *address_lines(invoice.payer.address), invoice.mail) if part]
        self.payer = (_("For"), payer)
        self.event = content.event_name
        self.evening = f"{moment_in(self.locale, content.event_date, content.time_zone)} · {content.venue}"
        self.head = (_("Ticket"), _("Quantity"), _("Each"), _("Amount"))
        self._currency = invoice.currency
        self._included = {"fee": _("Booking fee"), "discount": _("Discount"), "kept": _("Kept for the cancellation")}
        self.rows = [self._row(line) for line in content.lines]
        self.sums = []
        for one in taxes_of(content.lines):
            if one.tax_basis_points:
                rate = format_percent(one.tax_basis_points / 10_000, format="#,##0.## %", locale=self.locale)
                self.sums.append((_("Net"), self._money(one.net)))
                self.sums.append((f"{tax_word} {_plain(rate)}", self._money(one.tax)))
        self.total = (_("Total"), self._money(invoice.amount))
        self.foot = [
            _("This amount goes back to you in the way in which you paid.") if is_credit else _("This is paid."),
            *([seller.note] if seller.note else []),
        ]

    def _money(self, amount: int) -> str:
        return _plain(money_in(self.locale, amount, self._currency))

    def _row(self, line: Line) -> tuple[tuple[str, str, str, str], str]:
        """The cells of a line, and what is said below it."""
        each = self._money((line.amount + line.kept) // line.quantity)
        parts = [
            f"{self._included[name]} {self._money(amount)}"
            for name, amount in (("fee", line.fee), ("discount", line.discount), ("kept", line.kept))
            if amount
        ]
        return (line.ticket_type, str(line.quantity), each, self._money(line.amount)), " · ".join(parts)

    @property
    def words(self) -> str:
        """All letters of it."""
        cells = ["".join(cells) + below for cells, below in self.rows]
        pairs = [name + said for name, said in (*self.facts, *self.sums, self.total)]
        people = [heading + "".join(lines) for heading, lines in (self.seller, self.payer)]
        parts = (self.title, self.event, self.evening, *self.head, *cells, *pairs, *people, *self.foot)
        return "".join(parts)


def _plain(text: str) -> str:
    """The narrow space is in no font of every PDF reader."""
    return text.replace("\u202f", "\u00a0")


class _Sheet(Pen):
    """Draws one invoice."""

    def __init__(self, pdf: FPDF, look: Look, family: str, paper: _Paper) -> None:
        left, _, width, _ = _BAND
        is_rtl = paper.locale.text_direction == "rtl"
        super().__init__(pdf, family, left + _PADDING, width - 2 * _PADDING, right_to_left=is_rtl)
        self._look = look
        self._paper = paper

    def draw(self) -> None:
        paper = self._paper
        y = self._page()
        half = self._inner / 2
        ends = y
        for column, (heading, lines) in enumerate((paper.seller, paper.payer)):
            if not lines:
                continue
            self._ink(_PALE)
            at = self._line(heading, y, 8, half - 4, column=column * half)
            self._ink(_INK)
            for number, line in enumerate(lines):
                at = self._line(line, at, 10.5, half - 4, column=column * half, bold=number == 0)
            ends = max(ends, at)
        y = self._block(paper.event, ends + 9, size=14, size_min=10, lines_max=2, bold=True)
        self._ink(_PALE)
        y = self._block(paper.evening, y, size=10, size_min=8, lines_max=2) + 5
        y = self._cells(paper.head, y, 8)
        self._rule(y + 1)
        y += 2.5
        for cells, below in paper.rows:
            if y > _BOTTOM:
                y = self._page()
            self._ink(_INK)
            y = self._cells(cells, y, 10.5)
            if below:
                self._ink(_PALE)
                y = self._line(below, y, 8, self._inner * 0.75)
            y += 1.5
        if y > _BOTTOM - 6 * len(paper.sums) - 14:
            y = self._page()
        self._rule(y + 1)
        y += 3
        for name, said in paper.sums:
            self._ink(_PALE)
            self._line(name, y, 10, 60, column=66)
            self._ink(_INK)
            y = self._line(said, y, 10, 32, column=130, at_end=True)
        self._ink(_INK)
        self._line(paper.total[0], y + 1, 13, 60, column=66, bold=True)
        y = self._line(paper.total[1], y + 1, 13, 40, column=122, bold=True, at_end=True) + 8
        self._ink(_PALE)
        for sentence in paper.foot:
            y = self._block(sentence, y, size=9, size_min=7, lines_max=4) + 1

    def _page(self) -> float:
        """Begin a page with the coloured head; return where it ends."""
        pdf, paper = self._pdf, self._paper
        left, top, width, height = _BAND
        pdf.add_page()
        pdf.set_fill_color(*rgb(self._look.colour))
        pdf.rect(left, top, width, height, style="F", round_corners=True, corner_radius=_CORNER)
        self._ink(rgb(self._look.ink))
        y = self._line(self._look.name, top + _PADDING - 2, 10, self._inner, bold=True) + 2
        # In one line with Arabic words the parts of a number would change places.
        self._line(paper.number, y, 22, self._inner / 2, column=self._inner / 2, bold=True, at_end=True)
        y = self._line(paper.kind, y, 22, self._inner / 2, bold=True) + 2.5
        column = 0.0
        for name, said in paper.facts:
            after = self._line(name, y, 8, 52, column=column)
            self._line(said, after, 11, 52, column=column, bold=True)
            column += 55
        self._ink(_INK)
        return top + height + 10

    def _cells(self, cells: tuple[str, ...], y: float, size: float) -> float:
        """A row of the table; return where it ends."""
        ends = y
        for number, (text, (column, width)) in enumerate(zip(cells, _COLUMNS, strict=True)):
            ends = max(ends, self._line(text, y, size, width, column=column, at_end=number > 0))
        return ends

    def _rule(self, y: float) -> None:
        self._pdf.set_draw_color(210, 210, 215)
        self._pdf.set_line_width(0.3)
        self._pdf.line(self._begins, y, self._begins + self._inner, y)

    def _ink(self, colour: tuple[int, int, int]) -> None:
        self._pdf.set_text_color(*colour)
