"""The rules of text that people type: its one normal form, what of it can be seen, and when two texts are the same.

Unicode has several spellings of one text. ``é`` is one character or two, a space may be one that never breaks, and a
character of no width may stand anywhere. What is stored is tidy (`tidy`), and texts are compared by `alike` only.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

END: Final = r"$(?!\n)"
"""The end of a pattern. ``$`` alone lets Python accept a newline after it; JSON Schema has no ``\\Z``."""

NO_NUL: Final = r"^[^\x00]*" + END
"""The pattern of a text of several lines: Postgres keeps no NUL."""

ONE_LINE: Final = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*" + END
"""The pattern of a name or a label: without line ends and other control characters."""

INVISIBLE: Final = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""The characters, for use within the brackets of a pattern, that leave no mark: those that Unicode has programs ignore,
and signs that are drawn as nothing.
"""

_one_line: Final = re.compile(ONE_LINE).match
_invisible: Final = re.compile(f"[{INVISIBLE}]")
# Joiners and selectors are left out: at the end of a text they may belong to the sign before them.
_edges: Final = re.compile(r"^[\s\u00ad\u200b\u2060\ufeff]+|[\s\u00ad\u200b\u2060\ufeff]+\Z")
_space: Final = re.compile(r"\s+")


def tidy(text: str) -> str:
    """The text as it is stored: in Unicode's form NFC, with nothing blank at its ends; empty if none of it is seen."""
    return unicodedata.normalize("NFC", _edges.sub("", text)) if has_visible(text) else ""


def has_visible(text: str) -> bool:
    """Whether any character of the text leaves a mark by itself."""
    return any(map(_is_visible, text))


def alike(text: str) -> str:
    """A key that texts have in common if people take them for the same: however they are composed, with any kind of
    space, and with or without what cannot be seen. Case counts.
    """
    return unicodedata.normalize("NFC", _space.sub(" ", _invisible.sub("", text)).strip())


def sought(text: str) -> str:
    """What a search looks for, where the texts that it looks in are in the form NFKC too and case does not count."""
    return unicodedata.normalize("NFKC", alike(text))


def fault_of_name(name: str, chars_max: int) -> str | None:
    """What is wrong with a tidy name, as a sentence without its end; None: nothing is."""
    if not has_visible(name):
        return "a name has one or more characters that can be seen"
    return fault_of_line(name, chars_max)


def fault_of_line(text: str, chars_max: int) -> str | None:
    """What is wrong with a tidy text of one line, which may be empty. NFC makes a few characters longer, so a text is
    measured only when it is tidy: else an answer would hold what no request may bring.
    """
    if len(text) > chars_max:
        return f"it has {chars_max} characters at most, in Unicode's form NFC"
    return None if _one_line(text) else "it is one line, without control characters"


def with_plain_digits(text: str) -> str:
    """The text with every script's digits as 0 to 9."""
    return text if text.isascii() else "".join(_plain_digit(one) for one in text)


def _plain_digit(character: str) -> str:
    digit = unicodedata.decimal(character, None)
    return character if digit is None else str(digit)


def _is_visible(character: str) -> bool:
    if character.isalnum():
        return not _invisible.match(character)
    kind = unicodedata.category(character)
    if kind[0] in "ZM" or kind in ("Cc", "Cs") or _invisible.match(character):
        return False
    # Signs newer than this Python's tables have no category yet; these never get one.
    number = ord(character)
    return number & 0xFFFE != 0xFFFE and not 0xFDD0 <= number <= 0xFDEF
