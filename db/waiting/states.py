"""The states of an entry of a waiting list."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class EntryState(StrEnum):
    """``offered``: seats are, or were, held for its fan; the hold itself says what became of them. ``passed``: at its
    turn its fan had as many seats as one fan may have.
    """

    WAITING = "waiting"
    OFFERED = "offered"
    LEFT = "left"
    PASSED = "passed"


QUANTITY_MAX: Final = 10
"""So many seats one entry asks for at most: its turn needs as many free seats at one moment."""
