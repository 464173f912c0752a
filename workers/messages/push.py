"""Web push (RFC 8030): encrypted for one browser (RFC 8291) and signed with the site's VAPID key (RFC 8292)."""

from __future__ import annotations

import time
from base64 import urlsafe_b64encode
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import msgspec
from py_vapid import Vapid02
from pywebpush import WebPusher, WebPushException

from db.messages.kinds import URGENT
from db.messages.queue import Taken
from db.webhooks.urls import UrlRefusedError, check_url
from messages.settings import PushSettings
from messages.writer import Written
from workers.channels.webhooks.post import public_socket
from workers.messages.pace import Pace
from workers.messages.provider import Failure, Tried

GONE_STATUSES: Final = (404, 410)
ERROR_CHARS_MAX: Final = 300
SIGNED_SECONDS: Final = 12 * 3600
RENEWED_SECONDS: Final = 3600
SIGNED_MAX: Final = 64
"""Push services, each of which has a signature of its own that is kept; there are a handful in the world."""


class WebPush:
    """Sends to browsers' push services.

    Args:
        contact: whom push services reach where the settings name nobody, as mailto: address.
        base: the site's address; what a notification leads to is told below it.
        public_only: send to https and public addresses only, as in production.
    """

    name = "push"

    def __init__(self, settings: PushSettings, contact: str, base: str, pace: Pace, *, public_only: bool) -> None:
        self._settings = settings
        self._contact = settings.contact or contact
        self._base = base
        self._public_only = public_only
        self._vapid = Vapid02.from_string(settings.private_key)
        self._pace = pace
        self._signed: dict[str, tuple[float, str]] = {}
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(socket_factory=public_socket if public_only else None),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=settings.timeout_seconds),
        )

    async def send(self, message: Taken, letter: Written) -> Tried:
        if message.keys is None:
            return Tried(Failure.GONE, "the browser is not subscribed any more")
        pushed = {
            "title": letter.subject,
            "body": letter.short,
            "url": letter.url.removeprefix(self._base + "/"),
            "tag": letter.tag,
        }
        if letter.preferences:
            pushed |= {"preferences": letter.preferences.removeprefix(self._base + "/"), "choose": letter.choose}
        p256dh, auth = message.keys
        await self._pace.wait(message.kind.urgency)
        try:
            check_url(message.address, production=self._public_only)
            pusher = WebPusher({"endpoint": message.address, "keys": {"p256dh": p256dh, "auth": auth}})
            encoded = pusher.encode(msgspec.json.encode(pushed))
            headers = {
                "Content-Encoding": "aes128gcm",
                "Content-Type": "application/octet-stream",
                "TTL": str(message.kind.useful_seconds),
                # A push service that still has a first try replaces it by the second (RFC 8030, 5.4).
                "Topic": urlsafe_b64encode(message.message_id.bytes).rstrip(b"=").decode(),
                "Urgency": "high" if message.kind.urgency == URGENT else "normal",
                "Authorization": self._authorization(message.address),
            }
            async with self._session.post(
                message.address, data=encoded["body"], headers=headers, allow_redirects=False
            ) as answer:
                if 200 <= answer.status < 300:
                    return Tried(provider_id=answer.headers.get("Location", "")[:ERROR_CHARS_MAX])
                if answer.status in GONE_STATUSES:
                    return Tried(Failure.GONE, f"it answered {answer.status}")
                is_away = answer.status in (408, 425, 429) or answer.status >= 500
                after = answer.headers.get("Retry-After", "")
                return Tried(
                    Failure.AWAY if is_away else Failure.REFUSED,
                    f"it answered {answer.status}",
                    retry_after_seconds=int(after) if after.isascii() and after.isdigit() and len(after) < 6 else 0,
                )
        except UrlRefusedError as error:
            return Tried(Failure.REFUSED, str(error)[:ERROR_CHARS_MAX])
        except (WebPushException, ValueError, TypeError) as error:
            return Tried(Failure.REFUSED, f"its keys cannot be used: {error}"[:ERROR_CHARS_MAX])
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return Tried(Failure.AWAY, (str(error) or type(error).__name__)[:ERROR_CHARS_MAX])

    def _authorization(self, endpoint: str) -> str:
        """A signature for a push service, which is made anew once an hour."""
        parts = urlsplit(endpoint)
        audience, now = f"{parts.scheme}://{parts.netloc}", time.time()
        made_at, header = self._signed.get(audience, (0.0, ""))
        if now - made_at > RENEWED_SECONDS:
            claims = {"aud": audience, "exp": int(now) + SIGNED_SECONDS, "sub": self._contact}
            header = self._vapid.sign(claims)["Authorization"]
            if len(self._signed) >= SIGNED_MAX:
                self._signed.clear()
            self._signed[audience] = (now, header)
        return header

    async def close(self) -> None:
        await self._session.close()
