"""The public draw of a lobby: the formula, and how anybody rechecks it.

    fan hash   = the first 16 bytes of HMAC-SHA256(key = the event's fan key, message = the user id in decimal)
    draw value = HMAC-SHA256(key = the event's seed, message = the fan hash in 32 lowercase hexadecimal digits)

The lobby's fans are ordered by their draw values, as 32 bytes from the first on, equal ones by their fan hashes; the
first has number 1. The seed, 32 random bytes, was committed to by its SHA-256 before the lobby opened and is
published after the draw, with the fan hashes in their order. The fan key is never published: without it nobody
finds a user id by trying them all.

`db.draws.draws` draws by the same formula in SQL, and the page ``/events/{id}/draw`` rechecks it in the browser.
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
    """What stands for a fan in the public list: 32 hexadecimal digits."""
    return hmac.digest(fan_key, str(fan).encode(), "sha256")[:FAN_HASH_BYTES].hex()


def draw_value(seed: bytes, fan_hash: str) -> bytes:
    """What a fan drew."""
    return hmac.digest(seed, fan_hash.encode(), "sha256")


def drawn_order(seed: bytes, fan_hashes: Iterable[str]) -> list[str]:
    """The fan hashes from number 1 on."""
    return sorted(fan_hashes, key=lambda fan: (draw_value(seed, fan), fan))
