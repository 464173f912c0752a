"""Posts to the webhook of a chat, in the form that this chat takes (ADR 146): its address says which chat it is. Where
each vendor says so stands in docs/alarms.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import aiohttp

from db.webhooks.urls import UrlRefusedError, check_url
from workers.channels.webhooks.post import public_socket
from workers.messages.provider import Failure, Tried

ERROR_CHARS_MAX: Final = 300
GONE_STATUSES: Final = (404, 410)
RETRY_AFTER_SECONDS_MAX: Final = 3600


TEXT_CHARS_MAX: Final = 4000
"""Rocket.Chat takes 5,000 unless its operator allows more. Of the others, Discord alone takes fewer."""
DISCORD_CHARS_MAX: Final = 2000
_NOTHING: Final = "\u200b"
"""A space without width. It keeps two characters from being read as one sign."""
_GOOGLE: Final = "chat.googleapis.com"
_DISCORD: Final = ("discord.com", "discordapp.com")
_TEAMS: Final = (".logic.azure.com", ".environment.api.powerplatform.com")


def plain(text: str) -> str:
    """A text in which no chat finds a mention or a link of its own, and which shows as it stands."""
    text = text.replace("<", f"<{_NOTHING}").replace("](", f"]{_NOTHING}(")
    return text.replace("@", f"@{_NOTHING}")


def escaped(text: str) -> str:
    """The same for a chat that reads Slack's three entities. Slack wants them; others show them as they stand."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return plain(text)


def _text(text: str, link: str) -> dict[str, Any]:
    return {"text": f"{text}\n{link}"}


def _content(text: str, link: str) -> dict[str, Any]:
    """Discord's own name for a text, of which it is to read no mention."""
    return {"content": f"{text}\n{link}", "allowed_mentions": {"parse": []}}


def _card(text: str, link: str) -> dict[str, Any]:
    """An Adaptive Card, the only thing that Teams' workflows show. Its runs of text know no Markdown."""
    lines = [
        {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": line}]} for line in text.split("\n") if line
    ]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": lines,
        "actions": [{"type": "Action.OpenUrl", "title": "Open the console", "url": link}],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


class Form(NamedTuple):
    """How a chat wants to be written to: ``quoted`` what others named, and the body of a text with a link below it,
    together ``chars_max`` long at most.
    """

    quoted: Callable[[str], str]
    body: Callable[[str, str], dict[str, Any]]
    chars_max: int = TEXT_CHARS_MAX


SLACK: Final = Form(escaped, _text)
PLAIN: Final = Form(plain, _text)
TEAMS: Final = Form(plain, _card)
DISCORD: Final = Form(plain, _content, DISCORD_CHARS_MAX)
DISCORD_AS_SLACK: Final = Form(escaped, _text, DISCORD_CHARS_MAX)
"""At the address that ends with ``/slack``, which earlier releases asked for."""


def form_of(url: str) -> Form:
    """The form of the chat at an address: Teams', Google's and Discord's by their hosts, Rocket.Chat's by the two parts
    after ``/hooks/``, and that of Slack for Mattermost and all others.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host.endswith(_TEAMS):
        return TEAMS
    path = parts.path.strip("/").split("/")
    if host in _DISCORD:
        return DISCORD_AS_SLACK if path[-1] == "slack" else DISCORD
    is_rocket = len(path) >= 3 and path[-3] == "hooks"
    return PLAIN if host == _GOOGLE or is_rocket else SLACK


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

    async def send(self, url: str, body: dict[str, Any]) -> Tried:
        """Make one try. It raises only when it is cancelled, and reads only the answer's status and ``Retry-After``."""
        try:
            check_url(url, production=self._public_only)
            async with self._session.post(url, json=body, allow_redirects=False) as answer:
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
