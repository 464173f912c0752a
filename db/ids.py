"""Ids: of rows, which sort by the time they were made, and of fans, which nobody guesses."""

from __future__ import annotations

import os
import secrets
import time
import uuid


def uuid7() -> uuid.UUID:
    """A UUIDv7 (RFC 9562): 48 bits of Unix milliseconds, then random.

    The clock here only spreads ids; nothing is decided by it.
    """
    value = (time.time_ns() // 1_000_000 & (1 << 48) - 1) << 80
    value |= int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return uuid.UUID(int=value)


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
