"""Passes to a shop with a room of ours before it: JWTs signed by EdDSA (RFC 8037), which the shop's edge verifies with
the site's public keys and without asking us.

There are two kinds, told apart by their audience. An *arrival* travels in the address by which a fan is sent to the
shop: it lives for a minute, is used once, and the check (`gateway.shops.check`) gives a *pass* for it, which lives in a
cookie of the shop's own host and is renewed by use. `docs/shop-pass-vectors.json` has examples, valid and not.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from .errors import TokenInvalid
from .key_ring import Key, KeyGroup, Secret, ring_of
from .open_passes import ALGORITHM, key_set_of

ARRIVAL_SECONDS: Final = 60
TOKEN_CHARS_MAX: Final = 1024
AGENT_BYTES: Final = 9
_PURPOSE: Final = b"admitone shop pass v1"
_Seconds = Annotated[int, msgspec.Meta(ge=0, le=2**53)]

Kind = Literal["pass", "arrival"]


class ShopPass(msgspec.Struct, frozen=True, kw_only=True):
    """What a token says.

    Attributes:
        aud: what the token is for, and the room: ``shop:7`` or ``arrival:7``.
        sub: the fan's number.
        jti: names this token.
        iat, exp: when it was signed and when it ends (Unix time, seconds).
        end: when the last renewal ends.
        ua: `agent_hash` of the browser that it was given to.
    """

    iss: str
    aud: str
    sub: str
    jti: str
    iat: _Seconds
    exp: _Seconds
    end: _Seconds
    ua: str

    @property
    def fan(self) -> int:
        return int(self.sub)


class _Keys(NamedTuple):
    made_of: tuple[Key, ...]
    private: tuple[Ed25519PrivateKey, ...]
    key_set: dict[str, Any]
    header: str
    by_header: dict[str, Ed25519PublicKey]


_decode: Final = msgspec.json.Decoder(ShopPass).decode


def audience(kind: Kind, event: int) -> str:
    return f"{'shop' if kind == 'pass' else 'arrival'}:{event}"


def agent_hash(agent: bytes) -> str:
    """The ``User-Agent`` of a browser as a token names it: the first bytes of its SHA-256, in base 64 for addresses."""
    return _text(hashlib.sha256(agent).digest()[:AGENT_BYTES])


class ShopPasses:
    """Signs tokens of both kinds, verifies them, and gives the keys to verify them with.

    Args:
        now: the clock that ends tokens (Unix time, seconds).
    """

    def __init__(self, secret: Secret, now: Callable[[], float]) -> None:
        self._ring = ring_of(secret)
        self._made = _made_of(self._ring.derived(KeyGroup.PLACES, _PURPOSE))
        self._now = now

    def sign(self, claims: ShopPass) -> str:
        """The token, signed by the key that signs now."""
        keys = self._keys
        signed = f"{keys.header}.{_text(msgspec.json.encode(claims))}"
        return f"{signed}.{_text(keys.private[0].sign(signed.encode()))}"

    def verify(self, token: bytes, kind: Kind, event: int) -> ShopPass:
        """What the token says.

        Raises:
            TokenInvalid: ``malformed``, ``signature``, ``event`` (it is of another room or kind) or ``expired``.
        """
        signed, _, signature = token.rpartition(b".")
        header, _, payload = signed.partition(b".")
        if not payload or len(token) > TOKEN_CHARS_MAX or not token.isascii():
            raise TokenInvalid("malformed")
        key = self._keys.by_header.get(header.decode())
        if key is None:
            raise TokenInvalid("signature")
        try:
            key.verify(_bytes(signature), signed)
            claims = _decode(_bytes(payload))
        except (InvalidSignature, ValueError):
            # msgspec's errors are ValueErrors. A signature in another spelling than ours would be another cookie.
            raise TokenInvalid("signature") from None
        if _text(_bytes(signature)).encode() != signature:
            raise TokenInvalid("signature")
        if claims.aud != audience(kind, event):
            raise TokenInvalid("event")
        if claims.exp <= self._now():
            raise TokenInvalid("expired")
        return claims

    def key_set(self) -> dict[str, Any]:
        """The public keys as a JSON Web Key Set, the one that signs in front. A new one is in it before it signs."""
        return self._keys.key_set

    @property
    def made_of(self) -> object:
        """The keys in use; another object once they changed."""
        return self._keys.made_of

    @property
    def _keys(self) -> _Keys:
        derived = self._ring.derived(KeyGroup.PLACES, _PURPOSE)
        if derived is not self._made.made_of:
            self._made = _made_of(derived)
        return self._made


def _made_of(derived: tuple[Key, ...]) -> _Keys:
    private = tuple(Ed25519PrivateKey.from_private_bytes(key.secret) for key in derived)
    key_set = key_set_of(private)
    headers = [
        _text(msgspec.json.encode({"alg": ALGORITHM, "kid": one["kid"], "typ": "JWT"})) for one in key_set["keys"]
    ]
    public = {header: key.public_key() for header, key in zip(headers, private, strict=True)}
    return _Keys(derived, private, key_set, headers[0], public)


def _text(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def _bytes(text: bytes) -> bytes:
    return urlsafe_b64decode(text + b"=" * (-len(text) % 4))
