"""Dates as people search for them. An event's date is searched as a few words of its own, such as ``=2027-06-12``.

No word of a text begins with ``=``, so the two are never taken for each other.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from babel import Locale

from db.languages import LANGUAGE_TAGS
from db.search.folding import words

MONTH_CHARS_MIN: Final = 3

_ISO: Final = re.compile(r"(?<!\d)(\d{4})-(\d{1,2})-(\d{1,2})(?!\d)")
_DAY_FIRST: Final = re.compile(r"(?<!\d)(\d{1,2})[./](\d{1,2})[./](\d{4})?(?!\d)")
_ISO_MONTH: Final = re.compile(r"(?<!\d)(\d{4})-(\d{2})(?![\d-])")
_YEAR: Final = re.compile(r"20\d\d\Z")
_DAY: Final = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?\Z")


def date_words(local: dt.datetime) -> tuple[str, ...]:
    """The words by which an event's date is found; ``local`` is in the venue's time zone."""
    return (
        f"={local:%Y-%m-%d}",
        f"={local:%m-%d}",
        f"={local:%Y-%m}",
        f"={local:%m}",
        f"={local:%Y}",
        f"=w{local.isoweekday()}",
    )


@dataclass(frozen=True, slots=True)
class Dated:
    """A search text without the dates that can be nothing else, and the words of these dates."""

    text: str
    dates: tuple[str, ...]


def take_dates(text: str) -> Dated:
    """Take the dates in figures out of a search text: 2027-06-12, 12.6.2027, 12/06/2027, 12.6., 2027-06.

    Figures that are no date of the calendar stay in the text.
    """
    found: list[str] = []

    def iso(match: re.Match[str]) -> str:
        return _note(match, match[1], match[2], match[3])

    def day_first(match: re.Match[str]) -> str:
        return _note(match, match[3], match[2], match[1])

    def month(match: re.Match[str]) -> str:
        return _note(match, match[1], match[2], None)

    def _note(match: re.Match[str], year: str | None, month: str, day: str | None) -> str:
        try:
            at = dt.date(int(year or 2000), int(month), int(day or 1))
        except ValueError:
            return match[0]
        if day is None:
            found.append(f"={at:%Y-%m}")
        else:
            found.append(f"={at:%Y-%m-%d}" if year else f"={at:%m-%d}")
        return " "

    text = _ISO_MONTH.sub(month, _DAY_FIRST.sub(day_first, _ISO.sub(iso, text)))
    return Dated(text, tuple(found))


def date_meanings(asked: Sequence[str]) -> list[tuple[int, int, str]]:
    """Words that may be a date, as (first, behind the last, the date's word): ``june 2027``, ``12 june``, ``friday``.

    They may be names as well ("August", "May"), so the caller lets such words mean either.
    """
    found: list[tuple[int, int, str]] = []
    names = _names()
    for index, word in enumerate(asked):
        month = names.get(word, "")
        if not month:
            if _YEAR.match(word):
                found.append((index, index + 1, f"={word}"))
            continue
        if month.startswith("=w"):
            found.append((index, index + 1, month))
            continue
        first, last, key = index, index + 1, month
        behind = asked[last] if last < len(asked) else ""
        before = _DAY.match(asked[index - 1]) if index else None
        after = _DAY.match(behind)
        day = before or after
        if day is not None and 1 <= int(day[1]) <= 31:
            first, last = (index - 1, last) if before else (first, last + 1)
            key = f"={month[1:]}-{int(day[1]):02d}"
            behind = asked[last] if last < len(asked) else ""
        if _YEAR.match(behind):
            key = f"={behind}-{key[1:]}"
            last += 1
        found.append((first, last, key))
    return found


def prepare() -> None:
    """Read the names of months and weekdays now, and not with the first search."""
    _names()


@cache
def _names() -> dict[str, str]:
    """The names of months and weekdays in the site's languages, folded, as dates' words."""
    named: dict[str, str] = {}
    for tag in LANGUAGE_TAGS:
        locale = Locale.parse(tag, sep="-")
        for context in ("format", "stand-alone"):
            for width in ("wide", "abbreviated"):
                for number, name in locale.months[context][width].items():
                    _name(named, name, f"={number:02d}")
                for number, name in locale.days[context][width].items():
                    _name(named, name, f"=w{number + 1}")
    return named


def _name(named: dict[str, str], name: str, key: str) -> None:
    folded = list(words(name))
    if len(folded) == 1 and len(folded[0]) >= MONTH_CHARS_MIN and not folded[0].isdigit():
        named.setdefault(folded[0], key)
