"""One attempt of a delivery: a signed POST, and what became of it."""

from __future__ import annotations

import datetime as dt
import errno
import socket
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import msgspec
from aiohttp import AddrInfoType
from standardwebhooks import Webhook

from db.webhooks.urls import UrlRefusedError, check_url, is_public
from workers.webhooks.config import WebhookConfig

GONE: Final = 410
ERROR_CHARS_MAX: Final = 200
USER_AGENT: Final = "Admit-One-Webhooks/1"


@dataclass(frozen=True, slots=True)
class Message:
    """An outbox row for an endpoint, taken for its ``attempts``-th attempt since it was due first."""

    event_id: int
    outbox_id: uuid.UUID
    endpoint_id: int
    attempts: int
    kind: str
    payload: dict[str, Any]
    created_at: dt.datetime
    url: str
    secret: bytes
    secret_before: bytes | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """``status`` is HTTP's, None where there was no answer; ``error`` is empty for a success."""

    status: int | None
    error: str
    retry_after_seconds: int = 0

    @property
    def delivered(self) -> bool:
        return not self.error


class NotPublicError(OSError):
    """The host has an address that is not public; none such is connected to in production."""


def body_of(message: Message) -> bytes:
    """The same bytes at every attempt."""
    envelope = {
        "type": message.kind,
        "timestamp": message.created_at.astimezone(dt.UTC),
        "data": message.payload,
    }
    return msgspec.json.encode(envelope)


def headers_of(message: Message, body: bytes, at_seconds: int) -> dict[str, str]:
    """Standard Webhooks' headers: the id is the message's at every attempt, the timestamp the attempt's (Unix time).
    While a secret is being replaced there is a signature by each.
    """
    name, at = str(message.outbox_id), dt.datetime.fromtimestamp(at_seconds, dt.UTC)
    secrets = [secret for secret in (message.secret, message.secret_before) if secret is not None]
    return {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "webhook-id": name,
        "webhook-timestamp": str(at_seconds),
        "webhook-signature": " ".join(Webhook(secret).sign(name, at, body.decode()) for secret in secrets),
    }


def _public_socket(address: AddrInfoType) -> socket.socket:
    """A socket for the address that is about to be connected to: it was resolved, nobody will resolve it again."""
    if not is_public(str(address[4][0])):
        raise NotPublicError(errno.EACCES, "the host has an address that is not public")
    return socket.socket(*address[:3])


class Poster:
    """Posts messages; any number at a time, the caller bounds them.

    Args:
        now: Unix time in seconds.
    """

    def __init__(self, config: WebhookConfig, now: Callable[[], float] = time.time) -> None:
        self._config = config
        self._now = now
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, socket_factory=_public_socket if config.public_only else None),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=config.timeout_seconds, connect=config.connect_seconds),
            auto_decompress=False,
        )

    async def close(self) -> None:
        await self._session.close()

    async def post(self, message: Message) -> Outcome:
        """Never raises but when cancelled. Of the answer only the status and ``Retry-After`` are read."""
        body = body_of(message)
        try:
            check_url(message.url, production=self._config.public_only)
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
