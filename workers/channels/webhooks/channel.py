"""Webhooks as a channel. It takes the messages that are due to each endpoint, tries failed ones again, and disables
endpoints that fail for too long.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from db.change_log.changes import Change, Subject, insert_changes
from db.outbox.channels import ChannelName
from db.webhooks import channel as sql
from workers.channels.channel import Connection, Ended, Outcome
from workers.channels.webhooks.post import GONE, Poster, WebhookMessage
from workers.channels.webhooks.settings import WebhookSettings

logger = logging.getLogger(__name__)

LEASE_MARGIN_SECONDS: Final = 5
RETRY_FACTOR: Final = 4
JITTER: Final = 0.2
OPERATOR: Final = "dispatcher"


def retry_wait_seconds(settings: WebhookSettings, attempts: int, retry_after_seconds: int = 0) -> float:
    """How long after the ``attempts``-th attempt failed the next one comes, before it is spread by chance."""
    wait: float = settings.retry_first_seconds * RETRY_FACTOR ** min(attempts - 1, 30)
    return min(max(wait, retry_after_seconds), settings.retry_seconds_max)


class Webhooks:
    """The channel of webhooks (`workers.channels.channel.Channel`).

    Args:
        public_only: deliver to https and public addresses only, as in production.
    """

    name = ChannelName.WEBHOOK

    def __init__(self, settings: WebhookSettings, *, public_only: bool) -> None:
        self._settings = settings
        self._poster = Poster(settings, public_only=public_only)

    async def take(self, connection: Connection, under_way: Mapping[int, int]) -> list[WebhookMessage]:
        """The messages that are due; each endpoint gets no more at once than the settings allow."""
        busy = [{"recipient_id": endpoint_id, "under_way": number} for endpoint_id, number in under_way.items()]
        taken = await connection.execute(
            sql.TAKE,
            {
                "busy": msgspec.json.encode(busy).decode(),
                "at_once_max": self._settings.at_once_max,
                "lease_seconds": self._settings.timeout_seconds + LEASE_MARGIN_SECONDS,
            },
            prepare=False,
        )
        return [WebhookMessage(*row) for row in await taken.fetchall()]

    async def send(self, message: WebhookMessage) -> Outcome:
        """Post the message. One that was taken too often is not posted: its dispatcher died during each attempt."""
        if message.attempts > self._settings.attempts_max:
            return Outcome(None, "its dispatcher died during each attempt")
        return await self._poster.post(message)

    def retry_seconds(self, attempts: int, outcome: Outcome) -> float | None:
        """The wait of the settings' schedule, made a little shorter or longer by chance."""
        if attempts >= self._settings.attempts_max:
            return None
        wait = retry_wait_seconds(self._settings, attempts, outcome.retry_after_seconds)
        return wait * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads retries

    async def note(self, connection: Connection, ended: Ended[WebhookMessage]) -> None:
        """Note which endpoints answer and which fail; disable those that are gone or have failed for too long."""
        delivered: dict[int, bool] = {}
        for message, outcome in ended:
            delivered[message.recipient_id] = delivered.get(message.recipient_id, False) or outcome.delivered
        rows = [{"endpoint_id": key, "delivered": value} for key, value in sorted(delivered.items())]
        await connection.execute(sql.NOTE_ENDPOINTS, {"rows": msgspec.json.encode(rows).decode()}, prepare=True)
        gone = sorted({message.recipient_id for message, outcome in ended if outcome.status == GONE})
        if gone:
            found = await connection.execute(sql.DISABLE_GONE, {"endpoint_ids": gone})
            await _log_disabled(connection, await found.fetchall(), "it answered 410 Gone")
        failing = sorted(key for key, value in delivered.items() if not value)
        if failing:
            hours = self._settings.failing_hours_max
            which = {"endpoint_ids": failing, "failing_hours_max": hours}
            found = await connection.execute(sql.DISABLE_FAILING, which, prepare=True)
            await _log_disabled(connection, await found.fetchall(), f"it failed for {hours} hours")

    async def close(self) -> None:
        """Close the connections to endpoints."""
        await self._poster.close()


async def _log_disabled(connection: Connection, endpoints: Iterable[tuple[int]], why: str) -> None:
    for (endpoint_id,) in endpoints:
        line = Change("enabled", "true", f"false: {why}")
        await connection.execute(*insert_changes(Subject.WEBHOOK, endpoint_id, [line], OPERATOR))
        logger.error("webhook endpoint %d is disabled: `admitone webhook list` says why", endpoint_id)
