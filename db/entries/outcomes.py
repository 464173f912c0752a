"""What becomes of a scan."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Outcome(StrEnum):
    """``repeated``: the scan's id belongs to an entry that was undone, or to another ticket's."""

    ADMITTED = "admitted"
    USED = "used"
    CANCELLED = "cancelled"
    EVENT_CANCELLED = "event_cancelled"
    HANDED_ON = "handed_on"
    UNKNOWN = "unknown"
    REPEATED = "repeated"


CONFLICTS: Final = tuple(one for one in Outcome if one not in (Outcome.ADMITTED, Outcome.REPEATED))
"""What can be wrong with a ticket that a device without a network has let in already."""
