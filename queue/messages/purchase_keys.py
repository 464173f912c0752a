"""The key in a purchase's own link. Who has the link has the tickets, on any device and without a session."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from base64 import b32decode, b32encode
from typing import Final

from waiting_room.errors import TokenInvalid

_FAN_BYTES: Final = 7
"""A user id has 53 bits at most, as the contract's numbers do."""
_SIGNATURE_BYTES: Final = 16
KEY_CHARACTERS: Final = 37
"""In base 32, without its padding: a key is short enough for an SMS, and nobody guesses 128 bits."""
_PADDING: Final = "=" * (-KEY_CHARACTERS % 8)


class PurchaseKeys:
    """Makes and checks keys of purchases. A key names the fan and does not end: tickets outlive every session."""

    def __init__(self, secret: str) -> None:
        self._secret = hmac.digest(secret.encode(), b"admitone purchase v1", hashlib.sha256)

    def key(self, purchase_id: uuid.UUID, user_id: int) -> str:
        """The key of the purchase that this fan made."""
        fan = user_id.to_bytes(_FAN_BYTES, "big")
        signature = hmac.digest(self._secret, purchase_id.bytes + fan, "sha256")[:_SIGNATURE_BYTES]
        return b32encode(fan + signature).decode().rstrip("=").lower()

    def fan(self, purchase_id: uuid.UUID, key: str) -> int:
        """The user id of the fan who made the purchase.

        Raises:
            TokenInvalid: it is no key of this purchase.
        """
        if len(key) != KEY_CHARACTERS:
            raise TokenInvalid("malformed")
        try:
            user_id = int.from_bytes(b32decode(key.upper() + _PADDING)[:_FAN_BYTES], "big")
        except ValueError:
            raise TokenInvalid("malformed") from None
        # The text is compared, because base 32 leaves a bit unused: a key has one spelling alone.
        if not hmac.compare_digest(key.encode(), self.key(purchase_id, user_id).encode()):
            raise TokenInvalid("signature")
        return user_id
