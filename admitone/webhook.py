"""``admitone webhook``: registers, lists and removes webhooks from the command line, as the console does."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

from sqlalchemy.ext.asyncio import AsyncConnection

from admitone.settings import Settings
from db.connections.engines import transaction
from db.outbox.kinds import OutboxKind
from db.webhooks import endpoints as db
from db.webhooks.deliveries import resend as resend_deliveries
from db.webhooks.urls import check_outward

OPERATOR = "command line"


def _transaction(settings: Settings) -> AbstractAsyncContextManager[AsyncConnection]:
    return transaction(settings.db.url, "admitone-webhook")


async def add(settings: Settings, url: str, kinds: Sequence[str], event_id: int | None, description: str) -> str:
    """Register a webhook, and give its number and its secret.

    Raises:
        ValueError: the URL is refused, or there is no such kind of news.
        LookupError: there is no such event.
        db.webhooks.endpoints.TooManyEndpointsError: there are as many as there may be.
    """
    unknown = sorted(set(kinds) - set(OutboxKind))
    if unknown:
        raise ValueError(f"there is no kind {unknown[0]}; there are {', '.join(OutboxKind)}")
    check_outward(url, production=settings.site.production)
    async with _transaction(settings) as connection:
        row, secret = await db.add_endpoint(
            connection,
            url=url,
            kinds=sorted(set(kinds or OutboxKind)),
            event_id=event_id,
            description=description[: db.DESCRIPTION_CHARS_MAX],
            operator=OPERATOR,
        )
    return f"{row.endpoint_id} {db.secret_text(secret)}"


async def listed(settings: Settings) -> list[str]:
    """One line of text for each webhook."""
    async with _transaction(settings) as connection:
        rows = await db.endpoints(connection)
    return [_line(row) for row in rows]


def _line(row: db.EndpointRow) -> str:
    if row.disabled_at is not None:
        state = f"disabled ({row.disabled_why}) since {row.disabled_at:%Y-%m-%d %H:%M} UTC"
    elif row.failing_since is not None:
        state = f"failing since {row.failing_since:%Y-%m-%d %H:%M} UTC"
    else:
        state = "enabled"
    of = "all events" if row.event_id is None else f"event {row.event_id}"
    kinds = " ".join(row.kinds)
    return f"{row.endpoint_id} {row.url} {state}; {kinds} of {of}; {row.pending} pending, {row.dead} given up"


async def remove(settings: Settings, endpoint_id: int) -> None:
    """Remove the webhook.

    Raises:
        LookupError: there is no such webhook.
    """
    async with _transaction(settings) as connection:
        await db.remove_endpoint(connection, endpoint_id, OPERATOR)


async def resend(settings: Settings, endpoint_id: int) -> int:
    """Make the webhook's deliveries due again that were given up, and return their number.

    Raises:
        LookupError: there is no such webhook.
    """
    async with _transaction(settings) as connection:
        return await resend_deliveries(connection, endpoint_id, None, OPERATOR)
