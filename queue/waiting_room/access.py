"""Access codes, and vouchers, which are codes too: how they are made, written and stored.

Of a code only an HMAC is stored, whose message includes the event. So a reader of the table learns no code, not even by
guessing, and a code is valid at one event only. A code is good for as long as the site keeps the key of its HMAC.
"""

from __future__ import annotations

import hmac
import secrets
import unicodedata
from typing import Final

from db.texts import END, with_plain_digits

from .key_ring import KeyGroup, Secret, ring_of

CODE_MAX: Final = 64
"""A code that a fan types may have at most this many characters."""
NAMED_CODE: Final = "^(?:[A-Za-z0-9][ -]?){4,}" + END
"""The pattern of a code that an operator chooses: it has at least four letters and digits."""
LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's 32 characters, none of which looks like another. Each carries five bits."""
GROUPS: Final = 3
GROUP_LETTERS: Final = 4
ACCESS_CODES: Final = b"admitone access code v1"
VOUCHERS: Final = b"admitone voucher v1"
"""What the keys of the hashes are derived for: a code has another hash as a voucher."""
_LOOKALIKES: Final = str.maketrans("OIL", "011")


def random_code() -> str:
    """A random code of 60 bits, for example ``7K2M-Q0XD-93HA``."""
    return "-".join("".join(secrets.choice(LETTERS) for _ in range(GROUP_LETTERS)) for _ in range(GROUPS))


def random_codes(count: int) -> list[str]:
    """``count`` different random codes, sorted."""
    codes: set[str] = set()
    while len(codes) < count:
        codes.add(random_code())
    return sorted(codes)


def plain(code: str) -> str:
    """The code in one form, however a fan types it: upper case, without spaces, hyphens and accents, 0 for O, 1 for I
    and L, and any script's digits as 0 to 9. So the dotted and the dotless i of Turkish are an I.
    """
    letters = unicodedata.normalize("NFKD", with_plain_digits(code)).upper()
    return "".join(letter for letter in letters if letter.isalnum()).translate(_LOOKALIKES)


class CodeHasher:
    """Makes the hashes of codes that Postgres stores; ``purpose`` is `ACCESS_CODES` or `VOUCHERS`."""

    def __init__(self, secret: Secret, purpose: bytes = ACCESS_CODES) -> None:
        self._ring = ring_of(secret)
        self._purpose = purpose

    def hash(self, event: int, code: str) -> bytes:
        """32 bytes for the event's code, however it is typed."""
        return self.hashes(event, code)[0]

    def hashes(self, event: int, code: str) -> tuple[bytes, ...]:
        """The code's hash by each key that the site has, for the code may have been issued before keys were rotated."""
        message = f"{event}:{plain(code)}".encode()
        keys = self._ring.derived(KeyGroup.CODES, self._purpose)
        return tuple(hmac.digest(key.secret, message, "sha256") for key in keys)
