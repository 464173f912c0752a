"""The codes of tickets: made by the engine, sealed in Postgres and in Redis, opened where a fan is answered.

A stored code begins with 16 hexadecimal digits of a keyed hash, by which the code is found, and goes on with the sealed
code. The codes of older releases have 16 letters and are stored as they are.
"""

from __future__ import annotations

import os
import re
from typing import Final

from db.sealing.keyring import SealedField, SealError, keyring

CODE_CHARS: Final = 16
BEGINNING_CHARS: Final = 16
"""As many as a code has, so that SQL finds old and new ones by one comparison."""

_LETTERS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567" * 8
"""The letters of base32 (RFC 4648), one for each byte: five random bits a letter."""
_IN_JSON: Final = re.compile(rb'("ticketCode" ?: ?")([0-9a-f]{16}sealed:[A-Za-z0-9_=-]+)"')


def new_code() -> str:
    """A new code for a ticket's QR code, as it is stored: 80 random bits in base32, impossible to guess."""
    return stored_code(os.urandom(CODE_CHARS).translate(_LETTERS).decode())


def stored_code(code: str) -> str:
    """A code as it is stored."""
    return _beginning(code) + keyring().seal(SealedField.TICKET_CODE, code)


def open_code(stored: str) -> str:
    """The code on the ticket.

    Raises:
        SealError: no key of this site opens it.
    """
    if len(stored) <= BEGINNING_CHARS:
        return stored
    return keyring().open(SealedField.TICKET_CODE, stored[BEGINNING_CHARS:])


def beginnings_of(code: str) -> list[str]:
    """What the stored forms of a code begin with."""
    return [code, _beginning(code)]


def with_codes(answer: bytes) -> bytes:
    """A command's outcome or a purchase in JSON, with the codes of its tickets in place of what is stored. A code that
    no key opens is left as it is.
    """
    return _IN_JSON.sub(_opened, answer)


def _opened(found: re.Match[bytes]) -> bytes:
    try:
        return found[1] + open_code(found[2].decode()).encode() + b'"'
    except SealError:
        return found[0]


def _beginning(code: str) -> str:
    return keyring().lookup(SealedField.TICKET_CODE, code)[: BEGINNING_CHARS // 2].hex()
