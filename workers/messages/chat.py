"""Posts to the webhook of a chat: one JSON object with ``text``, as Slack, Mattermost and others take it."""

from __future__ import annotations

from typing import Final

import aiohttp

from db.webhooks.urls import UrlRefusedError, check_url
from workers.channels.webhooks.post import public_socket
from workers.messages.provider import Failure, Tried

ERROR_CHARS_MAX: Final = 300
GONE_STATUSES: Final = (404, 410)
RETRY_AFTER_SECONDS_MAX: Final = 3600


def escaped(text: str) -> str:
    """A text in which no chat finds a mention or a link of its own: Slack's three characters are escaped, and an ``@``
    is kept from naming anybody.
    """
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("@", "@\u200b")


class Chat:
    """Posts to chats. The caller bounds how many posts are under way at once.

    Args:
        public_only: post to https and public addresses only, as in production.
    """

    def __init__(self, timeout_seconds: int, *, public_only: bool) -> None:
        self._public_only = public_only
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(socket_factory=public_socket if public_only else None),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=timeout_seconds),
        )

    async def send(self, url: str, text: str) -> Tried:
        """Make one try. It raises only when it is cancelled, and reads only the answer's status and ``Retry-After``."""
        try:
            check_url(url, production=self._public_only)
            async with self._session.post(url, json={"text": text}, allow_redirects=False) as answer:
                if 200 <= answer.status < 300:
                    return Tried()
                error = f"it answered {answer.status}"
                if answer.status in GONE_STATUSES:
                    return Tried(Failure.GONE, error)
                if answer.status in (408, 425, 429) or answer.status >= 500:
                    after = answer.headers.get("Retry-After", "")
                    seconds = int(after) if after.isascii() and after.isdigit() and len(after) < 6 else 0
                    return Tried(Failure.AWAY, error, retry_after_seconds=min(seconds, RETRY_AFTER_SECONDS_MAX))
                return Tried(Failure.REFUSED, error)
        except UrlRefusedError as error:
            return Tried(Failure.REFUSED, str(error)[:ERROR_CHARS_MAX])
        except TimeoutError:
            return Tried(Failure.AWAY, "no answer in time")
        except aiohttp.ClientConnectorError as error:
            return Tried(Failure.AWAY, str(error)[:ERROR_CHARS_MAX])
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # Such an error may name the whole address, and who knows a chat's address can write there.
            return Tried(Failure.AWAY, type(error).__name__)

    async def close(self) -> None:
        await self._session.close()
