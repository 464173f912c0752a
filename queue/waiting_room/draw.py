"""The public draw of a lobby: its formula, by which anybody can verify a draw.

    fan hash   = the first 16 bytes of HMAC-SHA256(key = the event's fan key, message = the user id in decimal)
    draw value = HMAC-SHA256(key = the event's seed, message = the fan hash in 32 lowercase hexadecimal digits)

The lobby's fans are ordered by their draw values, compared byte by byte, and fans with equal ones by their fan hashes;
the first fan has number 1. The seed is 32 random bytes. Its SHA-256 is published before the lobby opens, and the seed
itself after the draw, together with the fan hashes in their order. The fan key is never published, so that nobody can
find a fan's user id by trying all of them.

`db.draws.draws` draws by the same formula in SQL, and the page ``/events/{id}/draw`` verifies it in the browser.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from typing import Final

FAN_HASH_BYTES: Final = 16
SEED_BYTES: Final = 32


def seed_hash(seed: bytes) -> str:
    """The commitment to a seed: its SHA-256 in hexadecimal."""
    return hashlib.sha256(seed).hexdigest()


def fan_hash(fan_key: bytes, fan: int) -> str:
    """The 32 hexadecimal digits that stand for a fan in the public list."""
    return hmac.digest(fan_key, str(fan).encode(), "sha256")[:FAN_HASH_BYTES].hex()


def draw_value(seed: bytes, fan_hash: str) -> bytes:
    """The value that a fan drew, by which the fans are ordered."""
    return hmac.digest(seed, fan_hash.encode(), "sha256")


def drawn_order(seed: bytes, fan_hashes: Iterable[str]) -> list[str]:
    """The fan hashes in the drawn order, from number 1 on."""
    return sorted(fan_hashes, key=lambda fan: (draw_value(seed, fan), fan))
