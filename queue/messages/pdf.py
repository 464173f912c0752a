"""Tickets as a PDF: each a page of its own that looks as the ticket on the site's page does."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import segno

from db.messages.queue import EventFacts, TicketFacts
from messages.languages import locale_of, translations_of
from messages.look import Look
from messages.moments import CLOCK, moment_in
from messages.money import money_in
from messages.pen import Pen, document, rgb

if TYPE_CHECKING:
    from fpdf import FPDF

PAGE_MM: Final = (148, 210)
"""A5: two tickets fit a sheet of A4 at a printer that is told so."""
_CARD: Final = (10.0, 10.0, 128.0, 190.0)
"""Left, top, width and height of the ticket's card, in millimetres."""
_PADDING: Final = 9.0
_CORNER: Final = 7.0
_BITE: Final = 5.0
_TEAR_MIN, _TEAR_MAX = 96.0, 122.0
"""Where the stub with the code begins: long names push it down."""
_QR_MAX: Final = 68.0

Fact = tuple[str, str]


def tickets_pdf(
    event: EventFacts, tickets: Sequence[TicketFacts], language: str, title: str, look: Look, font: str = ""
) -> bytes | None:
    """The tickets, one a page of A5. None where no font has the letters of their words.

    Args:
        language: the tag of one of the site's languages.
        font: the file of a font that comes first; empty: those of the system.
    """
    locale = locale_of(language)
    _ = translations_of(language).gettext
    when = moment_in(locale, event.date, event.time_zone)
    if event.doors_at is not None:
        when += f" · {_('Doors')} {moment_in(locale, event.doors_at, event.time_zone, CLOCK)}"
    pages = [
        _Page(
            label=_("Admit one"),
            facts=[
                row
                for row in (
                    [(_("Ticket"), one.ticket_type)],
                    [fact for fact in ((_("Section"), one.section), (_("Entrance"), one.entrance)) if fact[1]],
                    [
                        (_("Row"), one.row),
                        (_("Seat"), one.seat),
                        # The narrow space is in no font of every PDF reader.
                        (_("Price"), money_in(locale, one.amount, one.currency).replace("\u202f", "\u00a0")),
                    ],
                )
                if row
            ],
            code=one.ticket_code,
            qr=one.qr,
        )
        for one in tickets
    ]
    words = "".join((look.name, event.name, event.venue, when, *(page.words for page in pages)))
    begun = document(words, PAGE_MM, font, title, language)
    if begun is None:
        return None
    pdf, family = begun
    card = _Card(pdf, look, family, right_to_left=locale.text_direction == "rtl")
    for number, page in enumerate(pages, 1):
        pdf.add_page()
        card.draw(event, when, page, f"{number} / {len(pages)}" if len(pages) > 1 else "")
    return bytes(pdf.output())


class _Page:
    """What stands on one ticket: rows of facts, each with its name, and the code in letters and as a QR code."""

    def __init__(self, *, label: str, facts: list[list[Fact]], code: str, qr: str) -> None:
        self.label = label
        self.facts = facts
        self.code = code
        self.qr = qr

    @property
    def words(self) -> str:
        return self.label + self.code + "".join(name + said for row in self.facts for name, said in row)


class _Card(Pen):
    """Draws tickets."""

    def __init__(self, pdf: FPDF, look: Look, family: str, *, right_to_left: bool) -> None:
        self._left, self._top, self._width, self._height = _CARD
        super().__init__(pdf, family, self._left + _PADDING, self._width - 2 * _PADDING, right_to_left=right_to_left)
        self._look = look

    def draw(self, event: EventFacts, when: str, page: _Page, count: str) -> None:
        pdf = self._pdf
        pdf.set_fill_color(*rgb(self._look.colour))
        pdf.rect(*_CARD, style="F", round_corners=True, corner_radius=_CORNER)
        pdf.set_text_color(*rgb(self._look.ink))
        y = self._top + _PADDING
        self._line(self._look.name, y, 10, self._inner, bold=True)
        if count:
            self._line(count, y, 10, self._inner, at_end=True)
        y += 10
        y = self._line(page.label, y, 9, self._inner) + 1
        y = self._block(event.name, y, size=24, size_min=12, lines_max=2, bold=True) + 1.5
        y = self._block(event.venue, y, size=12, size_min=9, lines_max=2)
        y = self._block(when, y, size=12, size_min=9, lines_max=2) + 4
        for row in page.facts:
            y = self._row(row, y) + 2.5
        self._stub(min(max(y + 2, _TEAR_MIN), _TEAR_MAX), page)

    def _row(self, facts: list[Fact], y: float) -> float:
        """Facts side by side; return where they end."""
        width = self._inner / len(facts)
        ends = y
        for place, (name, said) in enumerate(facts):
            after = self._line(name, y, 8, width - 2, column=place * width)
            ends = max(ends, self._line(said, after, 16, width - 2, column=place * width, bold=True))
        return ends

    def _stub(self, tear: float, page: _Page) -> None:
        """The part below the perforation, which the door looks at."""
        pdf = self._pdf
        pdf.set_draw_color(*rgb(self._look.ink))
        pdf.set_line_width(0.4)
        pdf.set_dash_pattern(dash=1.6, gap=1.6)
        pdf.line(self._left + _BITE + 2, tear, self._left + self._width - _BITE - 2, tear)
        pdf.set_dash_pattern()
        pdf.set_fill_color(255, 255, 255)
        for edge in (self._left, self._left + self._width):
            pdf.ellipse(edge - _BITE, tear - _BITE, 2 * _BITE, 2 * _BITE, style="F")
        bottom = self._top + self._height
        size = min(_QR_MAX, bottom - tear - 22)
        left, top = (pdf.w - size) / 2, tear + (bottom - tear - size - 10) / 2
        pdf.rect(left, top, size, size, style="F", round_corners=True, corner_radius=3)
        pdf.image(_qr(page.qr), x=left, y=top, w=size, h=size)
        pdf.set_font("Courier", "B", 13)
        pdf.set_xy(self._left, top + size + 3)
        pdf.cell(self._width, 6, page.code, align="C")


def _qr(text: str) -> io.BytesIO:
    picture = io.BytesIO()
    segno.make_qr(text, error="m").save(picture, kind="png", scale=8, border=4)
    picture.seek(0)
    return picture
