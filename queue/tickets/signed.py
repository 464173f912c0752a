"""The signed ticket: a short text in a ticket's QR code, which anybody with the site's public keys verifies without us.

The text is base 32 (RFC 4648, capitals, no padding), whose letters a QR code packs most densely. It says 106 bytes,
numbers with their high byte first:

====== ===== ======================================================================================
offset bytes what they say
====== ===== ======================================================================================
0      1     version, 1
1      4     key id: the beginning of the key's thumbprint (RFC 7638), which is its ``kid`` in the key set
5      7     event
12     16    purchase (UUID)
28     4     ticket type
32     4     row; 0 for a ticket without a seat
36     4     seat in the row; of a ticket without a seat its number within the ticket type
40     2     issue number: 1 when it is bought, one more each time it is handed on
42     64    Ed25519 signature (RFC 8032) of the bytes before it
====== ===== ======================================================================================

`docs/ticket-vectors.json` has examples, valid and not, for verifiers in other languages.
"""

from __future__ import annotations

import struct
import uuid
from base64 import b32decode, urlsafe_b64decode
from binascii import b2a_base64
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from db.booking.seats import Seat

VERSION: Final = 1
KEY_ID_BYTES: Final = 4
SIGNATURE_BYTES: Final = 64
ISSUE_NUMBER_MAX: Final = 2**16 - 1
_EVENT_BYTES: Final = 7
_SAID: Final = struct.Struct(f">B{KEY_ID_BYTES}s{_EVENT_BYTES}s16sIIIH")
TICKET_BYTES: Final = _SAID.size + SIGNATURE_BYTES
TICKET_CHARS: Final = -(-TICKET_BYTES * 8 // 5)
_PADDING: Final = "=" * (-TICKET_CHARS % 8)

_LETTERS_BEFORE: Final = -TICKET_CHARS % 4
"""Base 64 makes four letters of three bytes."""
_SPARE_BITS: Final = TICKET_CHARS * 5 - TICKET_BYTES * 8
_SPREAD_BYTES: Final = (TICKET_CHARS + _LETTERS_BEFORE) * 6 // 8
_SPREAD: Final = tuple(
    (letters, low, low << 5 * letters)
    for letters in (128, 64, 32, 16, 8, 4, 2, 1)
    for low in (sum((1 << 5 * letters) - 1 << 12 * letters * block for block in range(128 // letters)),)
)
"""How five bits a letter become six with a zero before: so many letters are moved on by as many bits, those of the
second mask, past those of the first.
"""
_TO_BASE32: Final = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
"""The letters of base 64 for the numbers below 32."""

Reason = Literal["malformed", "unknown_version", "unknown_key", "signature"]


class SignedTicket(NamedTuple):
    """What a signed ticket says. ``seat`` is (ticket type, row, seat), with row 0 for a ticket without a seat."""

    event_id: int
    purchase_id: uuid.UUID
    seat: Seat
    issue_number: int


class PublicKey(NamedTuple):
    """A key that verifies tickets; ``key_id`` is the beginning of its thumbprint."""

    key_id: bytes
    key: Ed25519PublicKey


class TicketInvalid(Exception):  # noqa: N818 - named as the line's errors are
    """The text is no ticket of these keys. ``reason`` is malformed, unknown_version, unknown_key or signature."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


def said_of(ticket: SignedTicket, key_id: bytes) -> bytes:
    """What the ticket says before its signature.

    Raises:
        struct.error: a number is too large for its field.
        OverflowError: the event's is.
    """
    return _SAID.pack(
        VERSION,
        key_id,
        ticket.event_id.to_bytes(_EVENT_BYTES, "big"),
        ticket.purchase_id.bytes,
        *ticket.seat,
        ticket.issue_number,
    )


def signed_text(said: bytes, key: Ed25519PrivateKey) -> str:
    """The ticket's text. The same words and key always give the same text."""
    return _text(said + key.sign(said))


def verify_ticket(text: str, keys: Iterable[PublicKey]) -> SignedTicket:
    """What a ticket says, if one of the keys signed it. Whether the ticket was cancelled or handed on since, only the
    site or a list of its tickets knows: of a seat's tickets the one with the highest issue number is valid.

    Raises:
        TicketInvalid
    """
    content = _content(text)
    _, key_id, event, purchase, ticket_type_id, row_number, seat_number, issue_number = _SAID.unpack_from(content)
    named = [one for one in keys if one.key_id == key_id]
    if not named:
        raise TicketInvalid("unknown_key")
    said, signature = content[: _SAID.size], content[_SAID.size :]
    if not any(_is_signed(one.key, said, signature) for one in named):
        raise TicketInvalid("signature")
    seat = (ticket_type_id, row_number, seat_number)
    return SignedTicket(int.from_bytes(event, "big"), uuid.UUID(bytes=purchase), seat, issue_number)


def public_keys(key_set: Mapping[str, Any]) -> tuple[PublicKey, ...]:
    """The keys of a JSON Web Key Set, as `/.well-known/jwks.json` gives it. Keys of other kinds are passed over.

    Raises:
        ValueError: a key is no key.
    """
    return tuple(
        PublicKey(_bytes(one["kid"])[:KEY_ID_BYTES], Ed25519PublicKey.from_public_bytes(_bytes(one["x"])))
        for one in key_set["keys"]
        if (one.get("kty"), one.get("crv")) == ("OKP", "Ed25519")
    )


def _content(text: str) -> bytes:
    """The bytes of a text that has the form of a ticket of this version."""
    if len(text) != TICKET_CHARS:
        raise TicketInvalid("malformed")
    try:
        content = b32decode(text + _PADDING)
    except ValueError:
        raise TicketInvalid("malformed") from None
    # The last letter has bits to spare: a ticket has one spelling alone, or a used one would come as another.
    if _text(content) != text:
        raise TicketInvalid("malformed")
    if content[0] != VERSION:
        raise TicketInvalid("unknown_version")
    return content


def _is_signed(key: Ed25519PublicKey, said: bytes, signature: bytes) -> bool:
    try:
        key.verify(signature, said)
    except InvalidSignature:
        return False
    return True


def _text(content: bytes) -> str:
    """The content in base 32, by way of base 64, which Python writes in C: `b32encode` takes five times as long, or a
    third of a signature's time.
    """
    number = int.from_bytes(content, "big") << _SPARE_BITS
    for letters, staying, moving in _SPREAD:
        number = number & staying | (number & moving) << letters
    text = b2a_base64(number.to_bytes(_SPREAD_BYTES, "big"), newline=False)
    return text[_LETTERS_BEFORE:].translate(_TO_BASE32).decode()


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
