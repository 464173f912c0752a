"""Settings of messages to fans and of operators' alarms: when they leave, and the providers that take them."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import unquote, urlsplit

import msgspec
from msgspec import Meta

from db.settings import Section, bounded, setting
from db.texts import ONE_LINE


class MessageSettings(Section, frozen=True, kw_only=True):
    """The n-th retry comes ``retry_first_seconds`` times three to the n-1 after its try, ``retry_seconds_max`` at
    most.
    """

    links: Annotated[
        str,
        setting("where links in messages lead, e.g. https://venue.example; empty: ADMITONE_PUBLIC_URL, which is whole"),
    ] = ""
    at_once_max: Annotated[
        int,
        bounded("messages of one channel under way at once, a worker process; and as many that are urgent", 1, 200),
    ] = 16
    tries_max: Annotated[int, bounded("tries of a message before an operator must look at it", 1, 50)] = 8
    retry_first_seconds: Annotated[
        float, bounded("after a first failed try; three times as long after each further one", 1, 3600)
    ] = 5
    retry_seconds_max: Annotated[float, bounded("between two tries", 1, 86_400)] = 3600
    keep_hours: Annotated[int, bounded("how long messages are kept once they are sent or given up", 24, 8760)] = 720
    contact_keep_hours: Annotated[
        int, bounded("how long a fan's address is kept after the event that it was given for", 24, 8760)
    ] = 168
    quiet_from: Annotated[int, bounded("hour of the venue's day from which no follower is written to", 0, 23)] = 21
    quiet_until: Annotated[int, bounded("hour of the venue's day until which no follower is written to", 0, 23)] = 8
    near_minutes: Annotated[int, bounded("how long before the estimated turn a fan is told that it is near", 1, 60)] = 5
    turn_minutes: Annotated[
        int, bounded("how long the place of an absent fan is kept at the front who was told of the turn", 2, 60)
    ] = 10
    hold_ending_seconds: Annotated[int, bounded("how long before the end of a hold its fan is told", 30, 600)] = 120
    webhook_secret: Annotated[
        str, setting("signs the reports of bounces and complaints that providers post; empty: none are taken")
    ] = ""


class MailSettings(Section, frozen=True, kw_only=True):
    url: Annotated[
        str,
        setting(
            "SMTP server: smtps://user:password@host:465, or smtp://…:587, which goes on with STARTTLS; smtp+plain://… "
            "speaks no TLS; empty: no mail, in development the mailbox page"
        ),
    ] = ""
    fallback_url: Annotated[str, setting("SMTP server that is used where the first one fails; empty: none")] = ""
    sender: Annotated[
        str,
        setting("address that mails come from, e.g. tickets@venue.example"),
        Meta(max_length=254, pattern=ONE_LINE),
    ] = "tickets@localhost"
    return_path: Annotated[
        str,
        setting(
            "address that mails come back to, e.g. bounces@venue.example; each gets +id before its @, which your server"
            " must ignore; empty: the sender's"
        ),
        Meta(max_length=200, pattern=ONE_LINE),
    ] = ""
    bounces_url: Annotated[
        str,
        setting(
            "mailbox that mails come back to: imaps://user:password@host:993/INBOX, or imap://…:143, which goes on with"
            " STARTTLS; imap+plain://… speaks no TLS; empty: none is read"
        ),
    ] = ""
    bounces_every_seconds: Annotated[int, bounded("between two looks into that mailbox", 5, 86_400)] = 60
    per_second: Annotated[
        float, bounded("mails a second to one SMTP server, of all worker pools together", 0.1, 10_000)
    ] = 150
    timeout_seconds: Annotated[int, bounded("a step of a talk with an SMTP server", 1, 120)] = 15
    connections: Annotated[int, bounded("connections to one SMTP server, a worker process", 1, 50)] = 4
    ca_file: Annotated[
        str, setting("file of the authorities that SMTP servers are trusted by; empty: the system's")
    ] = ""
    dkim_key: Annotated[str, setting("file of the RSA key that signs mails (DKIM), in PEM; empty: none are signed")] = (
        ""
    )
    dkim_selector: Annotated[str, setting("selector of the DKIM key in the DNS")] = "admitone"
    font: Annotated[
        str,
        setting(
            "TrueType font of ticket PDFs, for names beyond Latin-1; empty: DejaVu or Noto, where the system has it"
        ),
    ] = ""


class SmsSettings(Section, frozen=True, kw_only=True):
    url: Annotated[
        str,
        setting(
            "provider of SMS: twilio://AccountSid:AuthToken@host/, or https://user:token@host/path, which is sent JSON;"
            " empty: no SMS"
        ),
    ] = ""
    fallback_url: Annotated[str, setting("provider of SMS that is used where the first one fails; empty: none")] = ""
    sender: Annotated[str, setting("number or name that SMS come from")] = ""
    per_second: Annotated[float, bounded("SMS a second to one provider, of all worker pools together", 0.1, 1000)] = 10
    timeout_seconds: Annotated[int, bounded("one request to a provider of SMS", 1, 60)] = 10


class PushSettings(Section, frozen=True, kw_only=True):
    public_key: Annotated[
        str,
        setting(
            "VAPID public key (RFC 8292) in base64url, by which browsers subscribe to web push; empty: no web push",
            variable="ADMITONE_PUSH_PUBLIC_KEY",
        ),
    ] = ""
    private_key: Annotated[
        str, setting("VAPID private key of the public one, in base64url; without it nothing is pushed")
    ] = ""
    contact: Annotated[
        str,
        setting(
            "whom push services reach if we send too much, e.g. mailto:ops@venue.example; empty: the sender of mails"
        ),
    ] = ""
    per_second: Annotated[float, bounded("pushes a second, of all worker pools together", 0.1, 10_000)] = 200
    timeout_seconds: Annotated[int, bounded("one request to a push service", 1, 60)] = 10


class AlarmSettings(Section, frozen=True, kw_only=True):
    """Settings of operators' alarms. Their thresholds are set in the console."""

    remind_minutes: Annotated[
        int,
        bounded("after so long an alarm that still stands is told again, and again after as long; 0: never", 0, 1440),
    ] = 60
    group_seconds: Annotated[
        int, bounded("alarms that begin or end within so long are told in one message", 0, 300)
    ] = 10
    chat_timeout_seconds: Annotated[int, bounded("one request to the webhook of a chat", 1, 60)] = 10
    keep_hours: Annotated[int, bounded("how long alarms are kept once they are over", 24, 8760)] = 720


def is_public_key(text: str) -> bool:
    """Whether this is an uncompressed point of P-256 in base64url, as `PushManager.subscribe` takes it."""
    try:
        key = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return False
    return len(key) == 65 and key[0] == 4


SMTP_SCHEMES = {"smtp": 587, "smtps": 465, "smtp+plain": 25}
IMAP_SCHEMES = {"imap": 143, "imaps": 993, "imap+plain": 143}
SMS_SCHEMES = ("twilio", "https", "http")


class ProviderUrlError(ValueError):
    """The address of a provider cannot be used. The message says how one is written."""


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's address, taken apart."""

    scheme: str
    host: str
    port: int
    user: str
    password: str
    path: str

    def __repr__(self) -> str:
        return f"<{self.scheme} {self.host}>"


def provider_of(url: str, schemes: tuple[str, ...], ports: Mapping[str, int] = SMTP_SCHEMES) -> Provider:
    """Takes an address apart; ``ports`` has the port of a scheme where the address names none.

    Raises:
        ProviderUrlError: it has another scheme, or no host.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or ports.get(parts.scheme, 0)
    except ValueError as error:
        raise ProviderUrlError(str(error)) from None
    if parts.scheme not in schemes or not parts.hostname:
        raise ProviderUrlError(
            f"it begins with none of {', '.join(f'{scheme}://' for scheme in schemes)}, or has no host"
        )
    return Provider(
        scheme=parts.scheme,
        host=parts.hostname,
        port=port,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        path=parts.path or "/",
    )
