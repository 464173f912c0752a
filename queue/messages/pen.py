"""Draws lines of text in a PDF: in a font that has their letters, and turned round where lines begin at the right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from messages.fonts import fonts_for, small_fonts

if TYPE_CHECKING:
    from fpdf import FPDF

CORE_ENCODING: Final = "windows-1252"
CORE_FONT: Final = "Helvetica"
POINTS_A_MM: Final = 72 / 25.4


def document(words: str, page_mm: tuple[int, int], font: str, title: str, language: str) -> tuple[FPDF, str] | None:
    """An empty PDF, and the font that it is written in. None where no font has the letters of ``words``.

    Args:
        font: the file of a font that comes first; empty: those of the system.
    """
    # It is large, and few processes ever make a PDF.
    from fpdf import FPDF

    fonts = _fonts(words, font)
    if fonts is None:
        return None
    pdf = FPDF(format=page_mm)
    pdf.core_fonts_encoding = CORE_ENCODING
    pdf.set_title(title)
    pdf.set_lang(language)
    pdf.set_auto_page_break(False)
    pdf.set_margin(0)
    pdf.c_margin = 0
    for path in fonts:
        pdf.add_font(path, "", path)
    if fonts:
        # Arabic letters are joined, and lines that begin at the right are turned round.
        pdf.set_fallback_fonts(fonts[1:], exact_match=False)
        pdf.set_text_shaping(True)
    return pdf, fonts[0] if fonts else CORE_FONT


class Pen:
    """Writes between two edges of a page.

    Args:
        family: the font; that of every PDF reader has bold letters too.
        left, width: where lines begin in a language that is written from the left, and how long they are, in
            millimetres.
    """

    def __init__(self, pdf: FPDF, family: str, left: float, width: float, *, right_to_left: bool) -> None:
        self._pdf = pdf
        self._family = family
        self._bold = "B" if family == CORE_FONT else ""
        self._begins = left
        self._inner = width
        self._right_to_left = right_to_left

    def _block(self, text: str, y: float, *, size: float, size_min: float, lines_max: int, bold: bool = False) -> float:
        """Lines of text, smaller where they would be too many; return where they end."""
        pdf = self._pdf
        height, needed = 0.0, 0.0
        while True:
            pdf.set_font(self._family, self._bold if bold else "", size)
            height = size / POINTS_A_MM * 1.2
            pdf.set_xy(self._begins, y)
            # With this output it returns the height of all lines.
            needed = cast(float, pdf.multi_cell(self._inner, height, text, dry_run=True, output="HEIGHT"))
            if needed <= height * (lines_max + 0.5) or size <= size_min:
                break
            size -= 1
        pdf.set_xy(self._begins, y)
        pdf.multi_cell(self._inner, height, text, align="R" if self._right_to_left else "L")
        return y + needed

    def _line(
        self,
        text: str,
        y: float,
        size: float,
        width: float,
        *,
        column: float = 0.0,
        bold: bool = False,
        at_end: bool = False,
    ) -> float:
        """One line of text, made small enough for its width; return where it ends.

        Args:
            column: how far from the beginning of a line its column begins.
            at_end: it ends where lines end.
        """
        pdf = self._pdf
        height = size / POINTS_A_MM * 1.25
        while True:
            pdf.set_font(self._family, self._bold if bold else "", size)
            if size <= 5 or pdf.get_string_width(text) <= width:
                break
            size -= 0.5
        x = self._begins + self._inner - column - width if self._right_to_left else self._begins + column
        pdf.set_xy(x, y)
        pdf.cell(width, height, text, align="R" if self._right_to_left is not at_end else "L")
        return y + height


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue of a colour such as ``#f5b301``."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _fonts(words: str, font: str) -> list[str] | None:
    """Font files that have all letters, none for what the font of every PDF reader has; None where there are none."""
    try:
        words.encode(CORE_ENCODING)
    except UnicodeEncodeError:
        fonts, letters = fonts_for(words, font), frozenset(words)
        return None if fonts is None else [small_fonts.of(path, letters) for path in fonts]
    return []
