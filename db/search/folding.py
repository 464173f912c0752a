"""One spelling for all that people type: words in small Latin letters, without marks, whatever script they came in.

Both what is searched and what is searched for go through `words`, so that only the two have to agree: the spelling is
no transliteration that a reader would want to see.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from anyascii import anyascii

from db.texts import INVISIBLE

FOLDING: Final = 1
"""Goes up when the spelling changes, so that every event's words are written anew (`db.search.writing`)."""

WORD_CHARS_MAX: Final = 40

_JOINED: Final = re.compile("[" + INVISIBLE + "'\u2018\u2019\u02bc\u02bb\u00b4`\u0640]")
"""What is left out, so that its neighbours are one word: apostrophes, and what cannot be seen."""

_UNSPACED: Final = re.compile(
    r"[\u3005\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+"
)
"""Kanji, kana and Chinese, which are written without spaces between words."""

_KANA: Final = re.compile(r"[\u3040-\u30ff\u31f0-\u31ff]+\Z")
_GREEK_OU: Final = re.compile("ου")
_WORD: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


def fold(text: str) -> str:
    """The words of a text, in their order, with blanks between them: the key that two spellings have in common."""
    return " ".join(words(text))


def words(text: str) -> Iterator[str]:
    """The words of a text. A word with hyphens gives its parts, and then itself as one word.

    A text without spaces gives each pair of neighbours, as it is usual for these scripts; kana also give their sound.
    """
    if not text:
        return
    text = _JOINED.sub("", unicodedata.normalize("NFKC", text))
    ends_at = 0
    for run in _UNSPACED.finditer(text):
        yield from _spaced(text[ends_at : run.start()])
        yield from _pairs(run.group())
        ends_at = run.end()
    yield from _spaced(text[ends_at:])


def _pairs(run: str) -> Iterator[str]:
    if len(run) == 1:
        yield run
    for left, right in pairwise(run):
        yield left + right
    if _KANA.match(run):
        yield from _spaced(run)


def _spaced(text: str) -> Iterator[str]:
    marked = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(one for one in marked if unicodedata.category(one) != "Mn")
    for word in _WORD.findall(anyascii(_GREEK_OU.sub("ou", plain)).lower()):
        parts = word.split("-")
        for part in parts:
            yield part[:WORD_CHARS_MAX]
        if len(parts) > 1:
            yield "".join(parts)[:WORD_CHARS_MAX]
