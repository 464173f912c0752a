"""Fonts for the PDF of tickets: those that the system has, for a site ships none."""

from __future__ import annotations

import os
import secrets
import string
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

FOLDERS: Final = ("/usr/share/fonts", "/usr/local/share/fonts", "/Library/Fonts", "/System/Library/Fonts")
FILES: Final = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "NotoSansArabic-Regular.ttf",
    "NotoNaskhArabic-Regular.ttf",
    "NotoSansJP-Regular.ttf",
    "NotoSansJP-Regular.otf",
    "NotoSansCJKjp-Regular.otf",
    "NotoSansCJK-Regular.ttc",
    "ipag.ttf",
    "ipaexg.ttf",
    "VL-Gothic-Regular.ttf",
    "wqy-microhei.ttc",
    "DroidSansFallbackFull.ttf",
    "NotoSansHebrew-Regular.ttf",
    "NotoSansThai-Regular.ttf",
    "NotoSansDevanagari-Regular.ttf",
)
"""The first ones are tried first. DejaVu Sans has Latin, Greek, Cyrillic, Arabic and Hebrew letters in one file."""
FONTS_MAX: Final = 4
FOUND_MAX: Final = 20_000
SMALL_MAX: Final = 32


@cache
def installed() -> tuple[str, ...]:
    """The files of `FILES` that the system has, in their order. It is looked up once."""
    found: dict[str, str] = {}
    for number, (folder, name) in enumerate(_files()):
        if number > FOUND_MAX:
            break
        if name in FILES:
            found.setdefault(name, str(Path(folder) / name))
    return tuple(found[name] for name in FILES if name in found)


def _files() -> Iterator[tuple[str, str]]:
    for top in FOLDERS:
        for folder, _, names in os.walk(top):
            for name in names:
                yield folder, name


def fonts_for(words: str, font: str = "", others: Sequence[str] | None = None) -> list[str] | None:
    """The font files that have all letters of the words together, the one with the most letters of them first; None
    where some letter is in none.

    Args:
        font: the file that the settings name, which comes first; empty: none.
        others: files in the place of the installed ones.
    """
    missing = {sign for sign in words if not sign.isspace()}
    chosen: list[str] = []
    candidates = [path for path in (font, *(installed() if others is None else others)) if path]
    for path in candidates:
        if path == font or missing <= letters_of(path):
            found = missing & letters_of(path)
            if found:
                chosen.append(path)
                missing -= found
        if not missing:
            return chosen
    while missing and len(chosen) < FONTS_MAX:
        best = max(candidates, key=lambda path: len(missing & letters_of(path)), default="")
        found = missing & letters_of(best) if best else set()
        if not found:
            return None
        chosen.append(best)
        missing -= found
    return None if missing else chosen


class SmallFonts:
    """Parts of fonts with a few letters, as files. A font for Japanese is so large that to read it takes a second, and
    the tickets of an event have the same letters.
    """

    def __init__(self) -> None:
        self._folder: TemporaryDirectory[str] | None = None
        self._files: OrderedDict[tuple[str, frozenset[str]], str] = OrderedDict()

    def of(self, path: str, letters: frozenset[str]) -> str:
        """A file with these letters of a font, and those of ASCII."""
        key = (path, letters)
        if key not in self._files:
            self._files[key] = self._write(path, letters)
            if len(self._files) > SMALL_MAX:
                Path(self._files.popitem(last=False)[1]).unlink(missing_ok=True)
        return self._files[key]

    def _write(self, path: str, letters: frozenset[str]) -> str:
        from fontTools import subset

        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="admitone-fonts-")
        # Joined letters of Arabic are found by the font's own tables.
        options = subset.Options(layout_features=["*"], font_number=0, notdef_outline=True)
        options.drop_tables += ["FFTM"]
        font = subset.load_font(path, options)
        subsetter = subset.Subsetter(options)
        subsetter.populate(text="".join(letters) + string.printable)
        subsetter.subset(font)
        suffix = ".otf" if "CFF " in font else ".ttf"
        file = str(Path(self._folder.name) / f"{secrets.token_hex(8)}{suffix}")
        subset.save_font(font, file, options)
        font.close()
        return file


small_fonts: Final = SmallFonts()


@lru_cache(maxsize=len(FILES) + 1)
def letters_of(path: str) -> frozenset[str]:
    """The letters of a font file; none where it cannot be read."""
    from fontTools.ttLib import TTFont, TTLibError

    try:
        with TTFont(path, fontNumber=0, lazy=True) as file:
            return frozenset(map(chr, file.getBestCmap() or ()))
    except (OSError, TTLibError):
        return frozenset()
