"""Webhook endpoints as operators register them. The caller commits."""

from __future__ import annotations

import base64
import datetime as dt
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final

from sqlalchemy import Label, delete, func, insert, literal, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from db.change_log.changes import Change, Subject, as_text, insert_changes
from db.sealing.keyring import SealedField, keyring
from db.tables.events import Event
from db.tables.outbox import Delivery
from db.tables.webhooks import WebhookEndpoint
from db.texts import tidy
from db.webhooks.channel import WEBHOOKS

ENDPOINTS_MAX: Final = 20
DESCRIPTION_CHARS_MAX: Final = 200
SECRET_BYTES: Final = 32
SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - how Standard Webhooks marks one
COUNTED_MAX: Final = 10_000

_LOCK: Final = 0x7EB0_0C5


class UnknownEndpointError(LookupError):
    """There is no such webhook endpoint."""


class TooManyEndpointsError(Exception):
    """There are `ENDPOINTS_MAX` already."""


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """An endpoint without its secrets. ``disabled_why`` is empty, ``operator``, ``gone`` or ``failing``. ``pending`` is
    the number of deliveries still to be made, ``dead`` of those given up, each counted up to `COUNTED_MAX`.
    """

    endpoint_id: int
    url: str
    description: str
    kinds: Sequence[str]
    event_id: int | None
    secret_before_until: dt.datetime | None
    created_at: dt.datetime
    delivered_at: dt.datetime | None
    failing_since: dt.datetime | None
    disabled_at: dt.datetime | None
    disabled_why: str
    pending: int
    dead: int


def secret_text(secret: bytes) -> str:
    """The secret as Standard Webhooks writes it."""
    return SECRET_PREFIX + base64.b64encode(secret).decode()


def _sealed(secret: bytes) -> bytes:
    return keyring().seal_bytes(SealedField.WEBHOOK_SECRET, secret)


def _counted(state: str) -> Label[int]:
    bounded = (
        select(literal(1))
        .where(
            Delivery.channel == WEBHOOKS.name,
            Delivery.recipient_id == WebhookEndpoint.endpoint_id,
            Delivery.state == state,
        )
        .limit(COUNTED_MAX)
        .correlate(WebhookEndpoint)
        .subquery()
    )
    return select(func.count()).select_from(bounded).scalar_subquery().label(state)


_ENDPOINTS = select(
    *(
        WebhookEndpoint.__table__.c[field.name]
        for field in fields(EndpointRow)
        if field.name not in ("pending", "dead")
    ),
    _counted("pending"),
    _counted("dead"),
).order_by(WebhookEndpoint.endpoint_id)


async def endpoints(connection: AsyncConnection) -> list[EndpointRow]:
    """All endpoints, the oldest first."""
    found = await connection.execute(_ENDPOINTS.limit(ENDPOINTS_MAX))
    return [EndpointRow(**row._asdict()) for row in found]


async def endpoint(connection: AsyncConnection, endpoint_id: int) -> EndpointRow:
    """The endpoint.

    Raises:
        UnknownEndpointError: there is no such endpoint.
    """
    row = (await connection.execute(_ENDPOINTS.where(WebhookEndpoint.endpoint_id == endpoint_id))).one_or_none()
    if row is None:
        raise UnknownEndpointError("there is no such webhook endpoint")
    return EndpointRow(**row._asdict())


async def add_endpoint(
    connection: AsyncConnection,
    *,
    url: str,
    kinds: Sequence[str],
    event_id: int | None,
    description: str,
    operator: str,
) -> tuple[EndpointRow, bytes]:
    """Register an endpoint; it gets the news of what happens from now on.

    Returns:
        The endpoint and its secret, which is shown at no other time.

    Raises:
        TooManyEndpointsError: there are `ENDPOINTS_MAX` already.
        LookupError: there is no such event.
    """
    # Without the lock two transactions at once could both add the last endpoint.
    await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    if await connection.scalar(select(func.count()).select_from(WebhookEndpoint)) >= ENDPOINTS_MAX:  # type: ignore[operator]
        raise TooManyEndpointsError
    if event_id is not None:
        await _need_event(connection, event_id)
    secret = secrets.token_bytes(SECRET_BYTES)
    endpoint_id = await connection.scalar(
        insert(WebhookEndpoint)
        .values(url=url, kinds=list(kinds), event_id=event_id, description=tidy(description), secret=_sealed(secret))
        .returning(WebhookEndpoint.endpoint_id)
    )
    assert endpoint_id is not None
    made = await endpoint(connection, endpoint_id)
    await log_endpoint(connection, endpoint_id, operator, {"url": ("", url), "kinds": ("", as_text(made.kinds))})
    return made, secret


async def change_endpoint(
    connection: AsyncConnection, endpoint_id: int, changes: Mapping[str, object], operator: str
) -> EndpointRow:
    """Set ``url``, ``kinds``, ``event_id``, ``description`` or ``enabled``, and log each that differs.

    An endpoint that is enabled again gets the messages that wait for it, and its time of failing begins anew.

    Raises:
        UnknownEndpointError: there is no such endpoint.
        LookupError: there is no such event.
    """
    before = await lock_endpoint(connection, endpoint_id)
    changes = {name: tidy(value) if isinstance(value, str) else value for name, value in changes.items()}
    changed = {name: value for name, value in changes.items() if name != "enabled" and value != getattr(before, name)}
    if changed.get("event_id") is not None:
        await _need_event(connection, int(str(changed["event_id"])))
    logged = {name: (as_text(getattr(before, name)), as_text(value)) for name, value in changed.items()}
    enabled = before.disabled_at is None
    if changes.get("enabled", enabled) != enabled:
        logged["enabled"] = (as_text(enabled), as_text(not enabled))
        changed |= (
            {"disabled_at": func.now(), "disabled_why": "operator"}
            if enabled
            else {"disabled_at": None, "disabled_why": "", "failing_since": None}
        )
    if not changed:
        return before
    await connection.execute(
        update(WebhookEndpoint).where(WebhookEndpoint.endpoint_id == endpoint_id).values(**changed)
    )
    await log_endpoint(connection, endpoint_id, operator, logged)
    return await endpoint(connection, endpoint_id)


async def remove_endpoint(connection: AsyncConnection, endpoint_id: int, operator: str) -> None:
    """Remove the endpoint; messages that wait for it are never sent.

    Raises:
        UnknownEndpointError: there is no such endpoint.
    """
    before = await lock_endpoint(connection, endpoint_id)
    await connection.execute(delete(WebhookEndpoint).where(WebhookEndpoint.endpoint_id == endpoint_id))
    await log_endpoint(connection, endpoint_id, operator, {"url": (before.url, "")})


async def rotate_secret(
    connection: AsyncConnection, endpoint_id: int, overlap_hours: int, operator: str
) -> tuple[EndpointRow, bytes]:
    """Give the endpoint a new secret; for ``overlap_hours`` messages are signed with the old one too.

    Returns:
        The endpoint and its new secret, which is shown at no other time.

    Raises:
        UnknownEndpointError: there is no such endpoint.
    """
    await lock_endpoint(connection, endpoint_id)
    secret = secrets.token_bytes(SECRET_BYTES)
    await connection.execute(
        update(WebhookEndpoint)
        .where(WebhookEndpoint.endpoint_id == endpoint_id)
        .values(
            secret_before=WebhookEndpoint.secret,
            secret_before_until=func.clock_timestamp() + dt.timedelta(hours=overlap_hours),
            secret=_sealed(secret),
        )
    )
    await log_endpoint(connection, endpoint_id, operator, {"secret": ("", "replaced")})
    return await endpoint(connection, endpoint_id), secret


async def lock_endpoint(connection: AsyncConnection, endpoint_id: int) -> EndpointRow:
    """The endpoint, with its row locked until the transaction ends.

    Raises:
        UnknownEndpointError: there is no such endpoint.
    """
    await connection.execute(
        select(WebhookEndpoint.endpoint_id).where(WebhookEndpoint.endpoint_id == endpoint_id).with_for_update()
    )
    return await endpoint(connection, endpoint_id)


async def _need_event(connection: AsyncConnection, event_id: int) -> None:
    if await connection.scalar(select(Event.event_id).where(Event.event_id == event_id)) is None:
        raise LookupError("there is no such event")


async def log_endpoint(
    connection: AsyncConnection, endpoint_id: int, operator: str, changes: Mapping[str, tuple[str, str]]
) -> None:
    """Log the changes to the endpoint: (before, after) of each field."""
    lines = [Change(field, before, after) for field, (before, after) in changes.items()]
    await connection.exec_driver_sql(*insert_changes(Subject.WEBHOOK, endpoint_id, lines, operator))
