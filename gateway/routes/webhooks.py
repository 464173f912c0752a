"""Operators' webhooks: where news is sent, with which secret, and what became of it."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator
from typing import Annotated, Final, Literal

import msgspec
from litestar import Response
from litestar.params import Parameter

from db.change_log.changes import Subject, change_rows, select_changes
from db.outbox.kinds import OutboxKind
from db.webhooks import deliveries as delivered
from db.webhooks import endpoints as db
from gateway.contract.values import ID_MAX
from gateway.contract.webhooks import (
    DeliveryAnswer,
    DeliveryList,
    ResendBody,
    Resent,
    WebhookAnswer,
    WebhookBody,
    WebhookList,
    WebhookLogLine,
    WebhookLogList,
    WebhookPatch,
    WebhookSecret,
)
from gateway.identity.sessions import Session
from gateway.routes.outward import check_outward
from gateway.routes.routers import operator_router
from gateway.services import services_of
from gateway.wire.problems import ProblemError, invalid
from gateway.wire.requests import AnyRequest

operators = operator_router("webhooks")

SECRET_OVERLAP_HOURS: Final = 24
CHANGED: Final = ("url", "kinds", "event_id", "description", "enabled")
REFUSED: Final = ("invalid_request", "unknown_webhook")
BODY_REFUSED: Final = ("invalid_request", "body_too_large", "unsupported_media_type")
PathEndpoint = Annotated[int, Parameter(ge=1, le=ID_MAX, description="webhook's id")]


def _answer(row: db.EndpointRow) -> WebhookAnswer:
    return WebhookAnswer(
        webhook_id=row.endpoint_id,
        url=row.url,
        description=row.description,
        kinds=msgspec.convert(row.kinds, tuple[OutboxKind, ...]),
        event_id=row.event_id,
        enabled=row.disabled_at is None,
        disabled_why=row.disabled_why,
        disabled_at=_utc(row.disabled_at),
        created_at=row.created_at,
        delivered_at=_utc(row.delivered_at),
        failing_since=_utc(row.failing_since),
        old_secret_until=_utc(row.secret_before_until),
        pending=row.pending,
        dead=row.dead,
    )


def _utc(at: dt.datetime | None) -> dt.datetime | None:
    return None if at is None else at.astimezone(dt.UTC)


@contextlib.contextmanager
def _problems() -> Iterator[None]:
    """What Postgres knows not, or takes no more of, as a problem."""
    try:
        yield
    except db.UnknownEndpointError:
        raise ProblemError("unknown_webhook") from None
    except db.TooManyEndpointsError:
        raise ProblemError("too_many_webhooks") from None
    except LookupError:
        raise ProblemError("unknown_event") from None


@operators.get("/api/ops/webhooks")
async def endpoints(request: AnyRequest) -> WebhookList:
    """Every webhook, the oldest first."""
    services = services_of(request)
    async with services.engine.connect() as connection:
        found = await db.endpoints(connection)
    return WebhookList(webhooks=tuple(_answer(row) for row in found))


@operators.post(
    "/api/ops/webhooks",
    status_code=201,
    refuses=(*BODY_REFUSED, "url_refused", "too_many_webhooks", "unknown_event"),
)
async def add(request: AnyRequest, operator: Session, data: WebhookBody) -> Response[WebhookSecret]:
    """Register a webhook: it is told of what happens from now on. The secret is told here and never again."""
    services = services_of(request)
    await check_outward(services, data.url)
    with _problems():
        async with services.engine.begin() as connection:
            row, secret = await db.add_endpoint(
                connection,
                url=data.url,
                kinds=sorted(set(data.kinds)),
                event_id=data.event_id,
                description=data.description,
                operator=operator.name,
            )
    return _secret(row, secret)


def _secret(row: db.EndpointRow, secret: bytes) -> Response[WebhookSecret]:
    return Response(
        WebhookSecret(webhook=_answer(row), secret=db.secret_text(secret)), headers={"Cache-Control": "no-store"}
    )


@operators.get("/api/ops/webhooks/log")
async def log(request: AnyRequest) -> WebhookLogList:
    """Who changed which webhook, the newest first; ``dispatcher`` disables one that is gone or fails for long."""
    services = services_of(request)
    async with services.engine.connect() as connection:
        found = await connection.exec_driver_sql(*select_changes(Subject.WEBHOOK))
    return WebhookLogList(
        entries=tuple(
            WebhookLogLine(
                at=line.at,
                operator=line.operator,
                webhook_id=line.subject_id,
                field=line.field,
                before=line.before,
                after=line.after,
            )
            for line in change_rows(found)
        )
    )


@operators.get("/api/ops/webhooks/{webhook_id:int}", refuses=REFUSED)
async def endpoint(request: AnyRequest, webhook_id: PathEndpoint) -> WebhookAnswer:
    """One webhook."""
    services = services_of(request)
    with _problems():
        async with services.engine.connect() as connection:
            return _answer(await db.endpoint(connection, webhook_id))


@operators.patch(
    "/api/ops/webhooks/{webhook_id:int}",
    refuses=(*REFUSED, *BODY_REFUSED, "url_refused", "unknown_event"),
)
async def change(request: AnyRequest, operator: Session, webhook_id: PathEndpoint, data: WebhookPatch) -> WebhookAnswer:
    """Change a webhook. Enabled again, it is sent all that waits for it."""
    services = services_of(request)
    changes: dict[str, object] = {
        name: value for name in CHANGED if (value := getattr(data, name)) is not msgspec.UNSET
    }
    if not changes:
        raise invalid("nothing to change is named")
    if not isinstance(data.kinds, msgspec.UnsetType):
        changes["kinds"] = sorted(set(data.kinds))
    if not isinstance(data.url, msgspec.UnsetType):
        await check_outward(services, data.url)
    with _problems():
        async with services.engine.begin() as connection:
            return _answer(await db.change_endpoint(connection, webhook_id, changes, operator.name))


@operators.delete("/api/ops/webhooks/{webhook_id:int}", status_code=204, refuses=REFUSED)
async def remove(request: AnyRequest, operator: Session, webhook_id: PathEndpoint) -> None:
    """Remove a webhook; what waits for it is never sent."""
    services = services_of(request)
    with _problems():
        async with services.engine.begin() as connection:
            await db.remove_endpoint(connection, webhook_id, operator.name)


@operators.post("/api/ops/webhooks/{webhook_id:int}/rotate", status_code=200, refuses=REFUSED)
async def rotate(request: AnyRequest, operator: Session, webhook_id: PathEndpoint) -> Response[WebhookSecret]:
    """A new secret, told here and never again. For a day every message is signed with the old one too."""
    services = services_of(request)
    with _problems():
        async with services.engine.begin() as connection:
            row, secret = await db.rotate_secret(connection, webhook_id, SECRET_OVERLAP_HOURS, operator.name)
    return _secret(row, secret)


@operators.get("/api/ops/webhooks/{webhook_id:int}/deliveries", refuses=REFUSED)
async def deliveries(
    request: AnyRequest,
    webhook_id: PathEndpoint,
    delivery_state: Annotated[
        Literal["pending", "delivered", "dead"] | None, Parameter(query="state", description="of this state only")
    ] = None,
    limit: Annotated[int, Parameter(ge=1, le=delivered.DELIVERIES_MAX)] = 50,
) -> DeliveryList:
    """A webhook's latest deliveries, the newest first."""
    services = services_of(request)
    with _problems():
        async with services.engine.connect() as connection:
            found = await delivered.deliveries(connection, webhook_id, state=delivery_state, limit=limit)
    return DeliveryList(
        deliveries=tuple(
            DeliveryAnswer(
                message_id=row.outbox_id,
                event_id=row.event_id,
                kind=row.kind,
                state=msgspec.convert(row.state, Literal["pending", "delivered", "dead"]),
                attempts=row.attempts,
                created_at=row.created_at,
                next_attempt_at=row.due_at if row.state == "pending" else None,
                ended_at=_utc(row.ended_at),
                status=row.status,
                error=row.error,
            )
            for row in found
        )
    )


@operators.post(
    "/api/ops/webhooks/{webhook_id:int}/resend",
    status_code=200,
    refuses=(*REFUSED, *BODY_REFUSED),
)
async def resend(request: AnyRequest, operator: Session, webhook_id: PathEndpoint, data: ResendBody) -> Resent:
    """Send a message again, whatever became of it; without ``messageId`` all that were given up."""
    services = services_of(request)
    with _problems():
        async with services.engine.begin() as connection:
            number = await delivered.resend(connection, webhook_id, data.message_id, operator.name)
    return Resent(resent=number)


ROUTERS = (operators,)
