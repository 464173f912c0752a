"""The edge as a channel: each piece of news that changes pages has the cache before the site forget them.

An attempt that fails is made again, a few times within a minute. After that the cache has forgotten by itself.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping
from typing import Final

import aiohttp
import msgspec

from db.edge import channel as sql
from db.edge.keys import Provider
from db.edge.settings import EdgeSettings
from db.outbox.channels import ChannelName
from workers.channels.channel import Connection, Ended, Message, Outcome
from workers.channels.edge.purges import NOT_KEPT, Call, calls

logger = logging.getLogger(__name__)

LEASE_MARGIN_SECONDS: Final = 5
RETRY_FIRST_SECONDS: Final = 0.5
RETRY_SECONDS_MAX: Final = 30.0
JITTER: Final = 0.2
ANSWER_BYTES_MAX: Final = 65_536
USER_AGENT: Final = "Admit-One-Edge/1"


class Edge:
    """The channel of the edge (`workers.channels.channel.Channel`).

    Args:
        public_url: where fans find the site.
    """

    name = ChannelName.EDGE

    def __init__(self, settings: EdgeSettings, *, public_url: str = "") -> None:
        self._settings = settings
        self._public_url = public_url
        self._session = aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=settings.timeout_seconds),
            headers={"User-Agent": USER_AGENT},
        )

    async def take(self, connection: Connection, under_way: Mapping[int, int]) -> list[Message]:
        """The news that is due; no more at once than the settings allow."""
        free = self._settings.at_once_max - under_way.get(sql.RECIPIENT, 0)
        lease_seconds = self._settings.timeout_seconds + LEASE_MARGIN_SECONDS
        bounds = {"rows_max": max(0, free), "lease_seconds": lease_seconds}
        taken = await connection.execute(sql.TAKE, bounds, prepare=False)
        return [Message(*row) for row in await taken.fetchall()]

    async def send(self, message: Message) -> Outcome:
        """Have every address of the provider told, if there is any. If one fails, all are told again: to forget twice
        does no harm.
        """
        told = calls(self._settings, message.event_id, self._public_url)
        outcomes = await asyncio.gather(*(self._call(call) for call in told))
        return next((outcome for outcome in outcomes if not outcome.delivered), Outcome(None, ""))

    async def _call(self, call: Call) -> Outcome:
        try:
            async with self._session.request(
                call.method, call.url, headers=call.headers, json=call.body, allow_redirects=False
            ) as answer:
                is_done = 200 <= answer.status < 300 or (
                    self._settings.provider is Provider.NGINX and answer.status in NOT_KEPT
                )
                if is_done and self._settings.provider is Provider.CLOUDFLARE:
                    is_done = _is_success(await answer.content.read(ANSWER_BYTES_MAX))
                after = answer.headers.get("Retry-After", "")
                return Outcome(
                    answer.status,
                    "" if is_done else f"it answered {answer.status}",
                    int(after) if after.isascii() and after.isdigit() and len(after) < 8 else 0,
                )
        except TimeoutError:
            return Outcome(None, "no answer in time")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # The text of an error may name a header, and so the token.
            return Outcome(None, type(error).__name__)

    def retry_seconds(self, attempts: int, outcome: Outcome) -> float | None:
        """Twice as long after each further attempt, made a little shorter or longer by chance."""
        if attempts >= self._settings.attempts_max:
            logger.error("the edge was not told of a change, and shows it late: %s", outcome.error)
            return None
        wait: float = max(RETRY_FIRST_SECONDS * 2 ** (attempts - 1), outcome.retry_after_seconds)
        return min(wait, RETRY_SECONDS_MAX) * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads retries

    async def note(self, connection: Connection, ended: Ended[Message]) -> None:
        """Nothing is noted of the one recipient."""

    async def close(self) -> None:
        """Close the connections to the provider."""
        await self._session.close()


def _is_success(body: bytes) -> bool:
    """Whether Cloudflare's answer says that it was done; its status alone does not."""
    try:
        answer = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return False
    return isinstance(answer, dict) and answer.get("success") is True
