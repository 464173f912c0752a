"""Access codes: how they are made, written and kept.

What is kept of a code is an HMAC keyed with the secret and bound to the event: a reader of the table learns no code,
not even one that could be guessed, and a code of one event is none of another. A new secret ends all codes.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import unicodedata
from typing import Final

CODE_MAX: Final = 64
"""Characters of a code as somebody types it."""
NAMED_CODE: Final = "^(?:[A-Za-z0-9][ -]?){4,}$"
"""What an operator may name a code: four letters and digits at least."""
LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's 32 characters, of which none looks like another: five bits each."""
GROUPS: Final = 3
GROUP_LETTERS: Final = 4
_LOOKALIKES: Final = str.maketrans("OIL", "011")


def random_code() -> str:
    """A code of 60 bits, as ``7K2M-Q0XD-93HA``."""
    return "-".join("".join(secrets.choice(LETTERS) for _ in range(GROUP_LETTERS)) for _ in range(GROUPS))


def random_codes(count: int) -> list[str]:
    """So many different ones."""
    codes: set[str] = set()
    while len(codes) < count:
        codes.add(random_code())
    return sorted(codes)


def plain(code: str) -> str:
    """A code without what people add or confuse: letter case, spaces, hyphens, O for 0, I and L for 1."""
    letters = "".join(letter for letter in unicodedata.normalize("NFKC", code).upper() if letter.isalnum())
    return letters.translate(_LOOKALIKES)


class CodeHasher:
    """What stands for codes in Postgres; ``secret`` is the one that signs everything else."""

    def __init__(self, secret: str) -> None:
        self._key = hmac.digest(secret.encode(), b"admitone access code v1", hashlib.sha256)

    def hash(self, event: int, code: str) -> bytes:
        """32 bytes for the event's code, however it is typed."""
        return hmac.digest(self._key, f"{event}:{plain(code)}".encode(), "sha256")
