"""The chain that proves a waiting list's order: the link of each entry is a hash of the entry and of the link before.

An entry cannot be put in between, taken out or changed later without changing every link after it, and each fan is
told the link of the own entry. The audit computes the same in SQL (`db.audit.invariants`).
"""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Final

FIRST_LINK: Final = b""
"""What stands before the first entry of an event."""


def link(before: bytes, *, event_id: int, number: int, ticket_type_id: int, quantity: int, at: dt.datetime) -> bytes:
    """The link of an entry made ``at``, of which the milliseconds since 1970 count."""
    words = f"{event_id}:{number}:{ticket_type_id}:{quantity}:{milliseconds(at)}"
    return hashlib.sha256(before + words.encode()).digest()


def milliseconds(at: dt.datetime) -> int:
    """Milliseconds since 1970, cut off."""
    since = at - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return since // dt.timedelta(milliseconds=1)
