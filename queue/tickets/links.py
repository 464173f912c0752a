"""The link by which a ticket is handed on. Who opens it first, with a session, can take the ticket."""

from __future__ import annotations

import hmac
import struct
import uuid
from base64 import b32decode, b32encode
from typing import Final

from tickets.signed import SignedTicket
from waiting_room.errors import TokenInvalid
from waiting_room.key_ring import Key, KeyGroup, Secret, equals_one, ring_of

_EVENT_BYTES: Final = 7
_SAID: Final = struct.Struct(f">{_EVENT_BYTES}s16sIIIH")
_MAC_BYTES: Final = 16
TOKEN_CHARS: Final = -(-(_SAID.size + _MAC_BYTES) * 8 // 5)
_PADDING: Final = "=" * (-TOKEN_CHARS % 8)


class TicketLinks:
    """Makes and checks the tokens of these links. A token is bound to an issue of the ticket, so that it ends once
    somebody takes the ticket. Nothing is stored about it.
    """

    def __init__(self, secret: Secret) -> None:
        self._ring = ring_of(secret)

    def token(self, ticket: SignedTicket) -> str:
        """The token that gives this ticket to its bearer: small letters of base 32."""
        said = _SAID.pack(
            ticket.event_id.to_bytes(_EVENT_BYTES, "big"), ticket.purchase_id.bytes, *ticket.seat, ticket.issue_number
        )
        return _text(said + hmac.digest(self._keys[0].secret, said, "sha256")[:_MAC_BYTES])

    def ticket(self, token: str) -> SignedTicket:
        """The ticket that a token gives.

        Raises:
            TokenInvalid: we did not make it.
        """
        if len(token) != TOKEN_CHARS:
            raise TokenInvalid("malformed")
        try:
            content = b32decode(token.upper() + _PADDING)
        except ValueError:
            raise TokenInvalid("malformed") from None
        said, mac = content[: _SAID.size], content[_SAID.size :]
        if token != _text(content) or not equals_one(self._keys, said, mac, _MAC_BYTES):
            raise TokenInvalid("signature")
        event, purchase, ticket_type_id, row_number, seat_number, issue_number = _SAID.unpack(said)
        seat = (ticket_type_id, row_number, seat_number)
        return SignedTicket(int.from_bytes(event, "big"), uuid.UUID(bytes=purchase), seat, issue_number)

    @property
    def _keys(self) -> tuple[Key, ...]:
        return self._ring.derived(KeyGroup.LINKS, b"admitone handing on v1")


def _text(content: bytes) -> str:
    return b32encode(content).decode().rstrip("=").lower()
