"""Colours and how well text on them can be read (WCAG 2.2, success criterion 1.4.3)."""

from __future__ import annotations

import re
from typing import Final

CONTRAST_MIN: Final = 4.5
"""Of text of any size against what is behind it."""
INK: Final = "#17181c"
WHITE: Final = "#ffffff"

_is_colour: Final = re.compile(r"#[0-9a-fA-F]{6}").fullmatch


def is_colour(text: str) -> bool:
    return _is_colour(text) is not None


def luminance(colour: str) -> float:
    """How bright a colour is, from 0 (black) to 1 (white), as WCAG defines it."""
    red, green, blue = (_linear(int(colour[at : at + 2], 16) / 255) for at in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """From 1 (equal) to 21 (black on white)."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def readable_on(colour: str) -> str | None:
    """The colour of text that can be read best on ``colour``; None where neither ink nor white can be read."""
    best = max((INK, WHITE), key=lambda text: contrast(text, colour))
    return best if contrast(best, colour) >= CONTRAST_MIN else None
