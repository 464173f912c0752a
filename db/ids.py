"""Ids: of rows, which sort by the time they were made, and of fans, which nobody guesses."""

from __future__ import annotations

import os
import secrets
import time
import uuid
from typing import Final

EVENT_BITS: Final = 32
_BITS_AFTER_EVENT: Final = 30


def uuid7() -> uuid.UUID:
    """A UUIDv7 (RFC 9562): 48 bits of Unix milliseconds, then random.

    The clock here only spreads ids; nothing is decided by it.
    """
    value = (time.time_ns() // 1_000_000 & (1 << 48) - 1) << 80
    value |= int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return uuid.UUID(int=value)


def id_of_event(event_id: int) -> uuid.UUID:
    """An id that carries its event: a UUIDv8 (RFC 9562) of 48 bits of Unix milliseconds, 12 that are random, 32 of the
    event and 30 that are random. An event whose number needs more bits has ids that carry none.
    """
    if event_id >> EVENT_BITS:
        return uuid7()
    kept = 0xFFFF_FFFF_FFFF_0FFF << 64 | 0x3 << 62 | (1 << _BITS_AFTER_EVENT) - 1
    return uuid.UUID(int=uuid7().int & kept | 0x8 << 76 | event_id << _BITS_AFTER_EVENT)


def event_of_id(row_id: uuid.UUID) -> int | None:
    """The event that an id carries (`id_of_event`); None for an id that carries none."""
    if row_id.version != 8 or row_id.variant != uuid.RFC_4122:
        return None
    return row_id.int >> _BITS_AFTER_EVENT & (1 << EVENT_BITS) - 1


def first_id_of(at_seconds: float) -> uuid.UUID:
    """An id that sorts before all that were made from this moment on (Unix time)."""
    return uuid.UUID(int=(int(at_seconds * 1000) & (1 << 48) - 1) << 80)


def new_user_id() -> int:
    """A fan's number, which is 52 random bits. A counter, once lost, would give out an id again, and with it another
    fan's purchases.
    """
    return secrets.randbelow(2**52 - 1) + 1


def new_session_id() -> str:
    """A session's or a token's id: 96 random bits in hexadecimal digits. An operator names it on a command line, where
    a word that begins with a hyphen would be taken for an option.
    """
    return secrets.token_hex(12)
