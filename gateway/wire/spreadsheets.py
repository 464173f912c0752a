"""Cells of a CSV, which people open with programs that compute."""

from __future__ import annotations

from typing import Final

BEGIN_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")


def cell(text: str) -> str:
    """The text as a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(BEGIN_FORMULAS) else text
