"""The links in messages, and the signed tokens in them: who opens one needs no session."""

from __future__ import annotations

import hmac
import re
import time
import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Final

import msgspec

from db.messages.kinds import SMS
from messages.languages import ENGLISH
from messages.purchase_keys import PurchaseKeys
from waiting_room.errors import TokenInvalid
from waiting_room.key_ring import Key, KeyGroup, Secret, equals_one, ring_of
from waiting_room.signing import TOKEN_CHARS_MAX, Signer

TOKEN_SECONDS: Final = 400 * 86_400
"""A link to unsubscribe works for as long as somebody keeps a mail."""
CONFIRM_SECONDS: Final = 7 * 86_400
ACCOUNT_LINK_SECONDS: Final = 3600
TICKETS_LINK_SECONDS: Final = 3600
_PHONE_BYTES: Final = 7
_MAC_BYTES: Final = 11
_is_phone: Final = re.compile(r"\+[1-9][0-9]{6,14}").fullmatch
_is_short: Final = re.compile(r"[A-Za-z0-9_-]{24}").fullmatch


class Reader(msgspec.Struct, frozen=True, kw_only=True):
    """An address that reads our messages, and the kind of message in which the link stands; empty: none."""

    channel: str
    address: str
    kind: str = ""


class Confirmation(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody read the mail to a follower's address."""

    follower: str


class AccountLink(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody read the mail to this address, which was written at ``at_ms`` (Unix time)."""

    mail: str
    at_ms: int


class TicketsLink(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who lost the way to the tickets read the mail to this address."""

    mail: str


class LinkTokens:
    """Signs and verifies the tokens of links."""

    def __init__(self, secret: Secret, *, now: Callable[[], float] = time.time) -> None:
        self._ring = ring_of(secret)
        self._readers = Signer(self._ring, KeyGroup.LINKS, "admitone reader v1", Reader, now=now)
        self._confirmations = Signer(self._ring, KeyGroup.LINKS, "admitone confirmation v1", Confirmation, now=now)
        self._accounts = Signer(self._ring, KeyGroup.LINKS, "admitone account link v1", AccountLink, now=now)
        self._tickets = Signer(self._ring, KeyGroup.LINKS, "admitone tickets link v1", TicketsLink, now=now)
        self.purchases = PurchaseKeys(self._ring)
        self._now = now

    def sign_reader(self, reader: Reader) -> str:
        """A token for a reader. That for a phone is short, for each SMS has 160 letters: it names no kind, and does not
        end. It is empty where the address is too long for a token.
        """
        if reader.channel == SMS and _is_phone(reader.address):
            number = int(reader.address[1:]).to_bytes(_PHONE_BYTES, "big")
            mac = hmac.digest(self._phone_keys[0].secret, number, "sha256")[:_MAC_BYTES]
            return urlsafe_b64encode(number + mac).decode()
        token = self._readers.sign(reader, int(self._now()) + TOKEN_SECONDS)
        return token if len(token) <= TOKEN_CHARS_MAX else ""

    def verify_reader(self, token: str) -> Reader:
        """Raises:
        TokenInvalid: we did not sign it, or it has ended.
        """
        if not _is_short(token):
            return self._readers.verify(token)[0]
        content = urlsafe_b64decode(token)
        number, mac = content[:_PHONE_BYTES], content[_PHONE_BYTES:]
        if not equals_one(self._phone_keys, number, mac, _MAC_BYTES):
            raise TokenInvalid("signature")
        return Reader(channel=SMS, address=f"+{int.from_bytes(number, 'big')}")

    @property
    def _phone_keys(self) -> tuple[Key, ...]:
        return self._ring.derived(KeyGroup.LINKS, b"admitone phone v1")

    def sign_confirmation(self, follower_id: uuid.UUID | str) -> str:
        return self._confirmations.sign(Confirmation(follower=str(follower_id)), int(self._now()) + CONFIRM_SECONDS)

    def verify_confirmation(self, token: str) -> uuid.UUID:
        """Raises:
        TokenInvalid: we did not sign it, or it has ended.
        """
        return uuid.UUID(self._confirmations.verify(token)[0].follower)

    def sign_account_link(self, mail: str) -> str:
        """A token by which the owner of an address sets the password of an account."""
        now = self._now()
        return self._accounts.sign(AccountLink(mail=mail, at_ms=int(now * 1000)), int(now) + ACCOUNT_LINK_SECONDS)

    def verify_account_link(self, token: str) -> AccountLink:
        """Raises:
        TokenInvalid: we did not sign it, or it has ended.
        """
        return self._accounts.verify(token)[0]

    def sign_tickets_link(self, mail: str) -> str:
        """A token by which the owner of an address finds the tickets that were bought with it."""
        return self._tickets.sign(TicketsLink(mail=mail), int(self._now()) + TICKETS_LINK_SECONDS)

    def verify_tickets_link(self, token: str) -> str:
        """The address.

        Raises:
            TokenInvalid: we did not sign it, or it has ended.
        """
        return self._tickets.verify(token)[0].mail


class Links:
    """Makes the addresses in messages.

    Args:
        base: scheme, host and path of the site, without a slash at its end.
    """

    def __init__(self, base: str, tokens: LinkTokens) -> None:
        self.base = base.rstrip("/")
        self.tokens = tokens

    def page(self, path: str, language: str = ENGLISH) -> str:
        """A page's address in a language; ``path`` begins with a slash."""
        return self.base + ("" if language == ENGLISH else f"/{language}") + path

    def event(self, event_id: int, language: str, place: str = "") -> str:
        """An event's page. The place token stands after the ``#``, which no browser sends to a server."""
        return self.page(f"/events/{event_id}", language) + (f"#place={place}" if place else "")

    def purchase(self, purchase_id: str, user_id: int, language: str) -> str:
        """The tickets' page. The link opens it on any device; without a fan (0), in the fan's own browser only."""
        key = self.tokens.purchases.key(uuid.UUID(purchase_id), user_id) if user_id else ""
        return self.page(f"/purchases/{purchase_id}", language) + (f"?key={key}" if key else "")

    def preferences(self, token: str, language: str) -> str:
        return self.page(f"/messages/{token}", language)

    def unsubscribe(self, token: str) -> str:
        """Takes a POST, too, without any page (RFC 8058)."""
        return self.page(f"/messages/{token}/unsubscribe")

    def account(self, token: str, language: str) -> str:
        """Where the owner of an address sets the password. The token stands in the path, for the page works without
        scripts; it is good once, and for an hour.
        """
        return self.page(f"/account/links/{token}", language)

    def tickets(self, token: str, language: str) -> str:
        """Where the owner of an address finds the tickets, for an hour."""
        return self.page(f"/purchases/found/{token}", language)

    def confirm(self, token: str, language: str) -> str:
        return self.page(f"/messages/confirm/{token}", language)
