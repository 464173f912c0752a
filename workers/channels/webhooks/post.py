"""One attempt of a delivery to a webhook: a signed POST, and how it ended."""

from __future__ import annotations

import datetime as dt
import errno
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import aiohttp
import msgspec
from aiohttp import AddrInfoType
from standardwebhooks import Webhook

from db.sealing.keyring import SealedField, keyring
from db.webhooks.urls import UrlRefusedError, check_url, is_public
from workers.channels.channel import Message, Outcome
from workers.channels.webhooks.settings import WebhookSettings

GONE: Final = 410
ERROR_CHARS_MAX: Final = 200
USER_AGENT: Final = "Admit-One-Webhooks/1"


@dataclass(frozen=True, slots=True)
class WebhookMessage(Message):
    """A message with the address of its endpoint and the secrets that sign it, sealed as they are stored."""

    url: str
    secret: bytes
    secret_before: bytes | None


class NotPublicError(OSError):
    """The host has an address that is not public: in production no connection is made to it."""


def body_of(message: WebhookMessage) -> bytes:
    """The body, which has the same bytes at every attempt."""
    envelope = {
        "type": message.kind,
        "timestamp": message.created_at.astimezone(dt.UTC),
        "data": message.payload,
    }
    return msgspec.json.encode(envelope)


def headers_of(message: WebhookMessage, body: bytes, at_seconds: int) -> dict[str, str]:
    """Standard Webhooks' headers: the id is the message's at every attempt, the timestamp the attempt's (Unix time).
    While a secret is being replaced there is a signature by each.

    Raises:
        SealError: no key of this site opens a secret.
    """
    name, at = str(message.outbox_id), dt.datetime.fromtimestamp(at_seconds, dt.UTC)
    keys = keyring()
    secrets = [
        keys.open_bytes(SealedField.WEBHOOK_SECRET, secret)
        for secret in (message.secret, message.secret_before)
        if secret is not None
    ]
    return {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "webhook-id": name,
        "webhook-timestamp": str(at_seconds),
        "webhook-signature": " ".join(Webhook(secret).sign(name, at, body.decode()) for secret in secrets),
    }


def public_socket(address: AddrInfoType) -> socket.socket:
    """A socket for an address that was just resolved. It is connected to exactly this address, so the check holds."""
    if not is_public(str(address[4][0])):
        raise NotPublicError(errno.EACCES, "the host has an address that is not public")
    return socket.socket(*address[:3])


class Poster:
    """Posts messages. The caller bounds how many are under way at once.

    Args:
        public_only: refuse addresses that are not https or not public.
        now: Unix time in seconds.
    """

    def __init__(self, settings: WebhookSettings, *, public_only: bool, now: Callable[[], float] = time.time) -> None:
        self._public_only = public_only
        self._now = now
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, socket_factory=public_socket if public_only else None),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=settings.timeout_seconds, connect=settings.connect_seconds),
            auto_decompress=False,
        )

    async def close(self) -> None:
        await self._session.close()

    async def post(self, message: WebhookMessage) -> Outcome:
        """Make one attempt. It raises only when it is cancelled, and reads only the answer's status and
        ``Retry-After``.
        """
        body = body_of(message)
        try:
            check_url(message.url, production=self._public_only)
            async with self._session.post(
                message.url,
                data=body,
                headers=headers_of(message, body, int(self._now())),
                allow_redirects=False,
            ) as answer:
                if 200 <= answer.status < 300:
                    return Outcome(answer.status, "")
                after = answer.headers.get("Retry-After", "")
                return Outcome(
                    answer.status,
                    f"it answered {answer.status}",
                    int(after) if after.isascii() and after.isdigit() and len(after) < 8 else 0,
                )
        except TimeoutError:
            return Outcome(None, "no answer in time")
        except (aiohttp.ClientError, UrlRefusedError, OSError, ValueError) as error:
            return Outcome(None, (str(error) or type(error).__name__)[:ERROR_CHARS_MAX])
