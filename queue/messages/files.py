"""Files that come with a mail: tickets as a PDF, and a calendar entry."""

from __future__ import annotations

import datetime as dt
import io
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import segno

from db.messages.kinds import MessageKind
from messages.calendars import MEDIA_TYPE, evening_entry, sale_entry
from messages.fonts import fonts_for, small_fonts
from messages.languages import locale_of, translations_of
from messages.letters import File, Letter, Occasion
from messages.look import Look
from messages.moments import moment_in
from messages.money import money_in

if TYPE_CHECKING:
    from fpdf import FPDF, Align

_CORE_ENCODING: Final = "windows-1252"


def files_of(occasion: Occasion, letter: Letter, look: Look, font: str = "") -> list[File]:
    """What comes with a letter: tickets and their evening, or the moment of a sale."""
    if occasion.kind is MessageKind.PURCHASE:
        files = [File("event.ics", MEDIA_TYPE, _evening(occasion, letter))]
        pdf = tickets_pdf(occasion, letter, look, font)
        return files if pdf is None else [File("tickets.pdf", "application/pdf", pdf), *files]
    if occasion.kind is MessageKind.SALE_TOMORROW:
        return [File("sale.ics", MEDIA_TYPE, _sale(occasion, letter))]
    return []


def _evening(occasion: Occasion, letter: Letter) -> bytes:
    event = occasion.event
    entry = evening_entry(
        occasion.payload["purchaseId"],
        urlsplit(letter.url).netloc,
        letter.url,
        event.name,
        event.date,
        event.time_zone,
        revision=event.revision,
        now=dt.datetime.now(dt.UTC),
    )
    entry.say(location=event.venue)
    return entry.file()


def _sale(occasion: Occasion, letter: Letter) -> bytes:
    event, host, now = occasion.event, urlsplit(letter.url).netloc, dt.datetime.now(dt.UTC)
    entry = sale_entry(
        occasion.event_id, host, letter.url, letter.subject, event.on_sale_at, revision=event.revision, now=now
    )
    entry.say(location=event.venue)
    return entry.file()


def tickets_pdf(occasion: Occasion, letter: Letter, look: Look, font: str = "") -> bytes | None:
    """The tickets, one a page of A5. None where no font has the letters of their words: the mail shows them all the
    same.
    """
    # It is large, and only a purchase needs it.
    from fpdf import FPDF, Align

    event, locale = occasion.event, locale_of(letter.language)
    _ = translations_of(letter.language).gettext
    when = moment_in(locale, event.date, event.time_zone)
    pages = [
        (
            f"{one.section} · {one.ticket_type}" if one.section else one.ticket_type,
            _("Row %(row)s, seat %(seat)s") % {"row": one.row, "seat": one.seat},
            money_in(locale, one.amount, one.currency).replace("\u202f", "\u00a0"),
            one.ticket_code,
        )
        for one in occasion.tickets
    ]
    words = "".join((look.name, event.name, event.venue, when, *(word for page in pages for word in page)))
    fonts = _fonts(words, font)
    if fonts is None:
        return None
    pdf = FPDF(format=(148, 210))
    pdf.core_fonts_encoding = _CORE_ENCODING
    pdf.set_title(letter.subject)
    pdf.set_lang(letter.language)
    pdf.set_auto_page_break(False)
    for path in fonts:
        pdf.add_font(path, "", path)
    if fonts:
        # Arabic letters are joined, and lines that begin at the right are turned round.
        pdf.set_fallback_fonts(fonts[1:], exact_match=False)
        pdf.set_text_shaping(True)
    name = fonts[0] if fonts else "Helvetica"
    align = Align.R if locale.text_direction == "rtl" else Align.L
    for number, (kind, seat, price, code) in enumerate(pages, 1):
        pdf.add_page()
        pdf.set_fill_color(*(int(look.colour[at : at + 2], 16) for at in (1, 3, 5)))
        pdf.set_text_color(*(int(look.ink[at : at + 2], 16) for at in (1, 3, 5)))
        pdf.rect(0, 0, pdf.w, 16, style="F")
        pdf.set_xy(10, 4)
        _line(pdf, name, 13, look.name, align)
        pdf.set_text_color(0, 0, 0)
        pdf.set_xy(10, 22)
        _line(pdf, name, 20, event.name, align)
        for text in (when, event.venue, kind, seat, price):
            _line(pdf, name, 12, text, align)
        pdf.image(_qr(code), x=(pdf.w - 70) / 2, y=pdf.get_y() + 6, w=70, h=70)
        pdf.set_y(pdf.get_y() + 80)
        pdf.set_font(name, size=12)
        pdf.cell(0, 7, f"{code}   {number} / {len(pages)}", align="C")
    return bytes(pdf.output())


def _line(pdf: FPDF, family: str, size: int, text: str, align: Align) -> None:
    pdf.set_font(family, size=size)
    pdf.set_x(10)
    pdf.multi_cell(pdf.w - 20, size * 0.55, text, align=align, new_x="LMARGIN", new_y="NEXT")


def _qr(code: str) -> io.BytesIO:
    picture = io.BytesIO()
    segno.make_qr(code, error="m").save(picture, kind="png", scale=8, border=4)
    picture.seek(0)
    return picture


def _fonts(words: str, font: str) -> list[str] | None:
    """Font files that have all letters, none for what the font of every PDF reader has; None where there are none."""
    try:
        words.encode(_CORE_ENCODING)
    except UnicodeEncodeError:
        fonts, letters = fonts_for(words, font), frozenset(words)
        return None if fonts is None else [small_fonts.of(path, letters) for path in fonts]
    return []
