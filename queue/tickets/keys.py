"""The keys that sign tickets: the group ``tickets`` of the site's keys, of which the public halves are published.

The group is apart from ``links``. A leaked link key is removed at once, and may not void the tickets that were printed;
an old key of tickets can go once the events are over for which it signed, while links never end.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tickets.signed import PublicKey, SignedTicket, public_keys, said_of, signed_text, verify_ticket
from waiting_room.key_ring import Key, KeyGroup, Secret, ring_of
from waiting_room.open_passes import key_set_of

_PURPOSE: Final = b"admitone ticket v1"


class _Keys(NamedTuple):
    """The private keys, the one that signs in front, and their public halves in the same order.

    ``texts`` are tickets that the first key signed, by what they say. They go with the keys, so that a key which was
    taken away has signed none of those that are given out.
    """

    made_of: tuple[Key, ...]
    private: tuple[Ed25519PrivateKey, ...]
    key_set: dict[str, Any]
    public: tuple[PublicKey, ...]
    texts: dict[bytes, str]


class TicketKeys:
    """Signs tickets, verifies them, and gives the keys to verify them with.

    Args:
        texts_max: so many signed tickets are kept, because a fan looks at a ticket more than once, and its signature is
            a quarter of what reading it costs.
    """

    def __init__(self, secret: Secret, *, texts_max: int = 0) -> None:
        self._texts_max = texts_max
        self._ring = ring_of(secret)
        self._made = _made_of(self._ring.derived(KeyGroup.TICKETS, _PURPOSE))

    def sign(self, ticket: SignedTicket) -> str:
        """The text of the ticket's QR code."""
        keys = self._keys
        said = said_of(ticket, keys.public[0].key_id)
        text = keys.texts.get(said)
        if text is None:
            text = signed_text(said, keys.private[0])
            if self._texts_max:
                if len(keys.texts) >= self._texts_max:
                    keys.texts.clear()
                keys.texts[said] = text
        return text

    def verify(self, text: str) -> SignedTicket:
        """What a ticket of this site says.

        Raises:
            TicketInvalid
        """
        return verify_ticket(text, self._keys.public)

    def key_set(self) -> dict[str, Any]:
        """The public keys as a JSON Web Key Set, the one that signs in front. A new one is in it before it signs."""
        return self._keys.key_set

    @property
    def _keys(self) -> _Keys:
        derived = self._ring.derived(KeyGroup.TICKETS, _PURPOSE)
        # The ring makes new keys only where they changed, and to make them ready takes as long as to sign.
        if derived is not self._made.made_of:
            self._made = _made_of(derived)
        return self._made


def _made_of(derived: tuple[Key, ...]) -> _Keys:
    private = tuple(Ed25519PrivateKey.from_private_bytes(key.secret) for key in derived)
    key_set = key_set_of(private)
    return _Keys(derived, private, key_set, public_keys(key_set), {})
