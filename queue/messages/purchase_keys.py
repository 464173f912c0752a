"""The key in a purchase's own link. Who has the link has the tickets, on any device and without a session."""

from __future__ import annotations

import hmac
import uuid
from base64 import b32decode, b32encode
from typing import Final

from waiting_room.errors import TokenInvalid
from waiting_room.key_ring import Key, KeyGroup, Secret, equals_one, ring_of

_FAN_BYTES: Final = 7
"""A user id has 53 bits at most, as the contract's numbers do."""
_SIGNATURE_BYTES: Final = 16
KEY_CHARACTERS: Final = 37
"""In base 32, without its padding: a key is short enough for an SMS, and nobody guesses 128 bits."""
_PADDING: Final = "=" * (-KEY_CHARACTERS % 8)


class PurchaseKeys:
    """Makes and checks keys of purchases. A key names the fan and does not end: tickets outlive every session, and a
    link that was signed before the site's keys were rotated opens them still.
    """

    def __init__(self, secret: Secret) -> None:
        self._ring = ring_of(secret)

    def key(self, purchase_id: uuid.UUID, user_id: int) -> str:
        """The key of the purchase that this fan made."""
        fan = user_id.to_bytes(_FAN_BYTES, "big")
        signature = hmac.digest(self._keys[0].secret, purchase_id.bytes + fan, "sha256")[:_SIGNATURE_BYTES]
        return _text(fan + signature)

    def fan(self, purchase_id: uuid.UUID, key: str) -> int:
        """The user id of the fan who made the purchase.

        Raises:
            TokenInvalid: it is no key of this purchase.
        """
        if len(key) != KEY_CHARACTERS:
            raise TokenInvalid("malformed")
        try:
            content = b32decode(key.upper() + _PADDING)
        except ValueError:
            raise TokenInvalid("malformed") from None
        fan, signature = content[:_FAN_BYTES], content[_FAN_BYTES:]
        # Base 32 leaves a bit unused, and takes capitals: a key has one spelling alone.
        if key != _text(content) or not equals_one(self._keys, purchase_id.bytes + fan, signature, _SIGNATURE_BYTES):
            raise TokenInvalid("signature")
        return int.from_bytes(fan, "big")

    @property
    def _keys(self) -> tuple[Key, ...]:
        return self._ring.derived(KeyGroup.LINKS, b"admitone purchase v1")


def _text(content: bytes) -> str:
    return b32encode(content).decode().rstrip("=").lower()
