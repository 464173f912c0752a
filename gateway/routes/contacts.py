"""Where fans are told of an event by mail or SMS, whom they follow, and what providers report."""

from __future__ import annotations

import logging
from hmac import compare_digest
from typing import TypeVar
from urllib.parse import parse_qsl

import msgspec
from litestar import Response
from standardwebhooks import Webhook, WebhookVerificationError

from db.messages.kinds import MAIL, SMS, SuppressionReason
from db.messages.reading import dead_letters, resend
from gateway.contacts.contacts import tidy_mail, tidy_phone
from gateway.contacts.twilio import twilio_signature, twilio_tokens
from gateway.contract.contacts import (
    ContactAnswer,
    ContactBody,
    DeadLetter,
    DeadLetterList,
    FollowBody,
    MessagesResent,
    ReplyBody,
    ReportBody,
    ResendMessagesBody,
)
from gateway.identity.sessions import Session
from gateway.routes.line import NO_STORE, PathEvent
from gateway.routes.routers import fan_router, operator_router, public_router
from gateway.services import network, services_of
from gateway.wire.addresses import below
from gateway.wire.openapi import header
from gateway.wire.problems import ProblemError, invalid
from gateway.wire.requests import AnyRequest, origin_of

logger = logging.getLogger(__name__)

fans = fan_router("contacts")
public = public_router("contacts")
operators = operator_router("messages")

REFUSED = ("invalid_request", "unknown_event")
BODY_REFUSED = ("body_too_large", "unsupported_media_type", "rate_limited", "messages_off")
SIGNED = (
    header("webhook-id", "names the report (Standard Webhooks)"),
    header("webhook-timestamp", "when it was sent, Unix time in seconds"),
    header("webhook-signature", "by the secret `ADMITONE_MESSAGE_WEBHOOK_SECRET`"),
)
REPORT = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "properties": {
                    "type": {"enum": ["bounce", "complaint"]},
                    "address": {"type": "string"},
                    "detail": {"type": "string"},
                },
                "required": ["type", "address"],
                "examples": [*ReportBody.EXAMPLES],
            },
        }
    },
}
REPLY_SIGNED = (
    *SIGNED,
    header("x-twilio-signature", "by Twilio's account token, in the place of the three others"),
)
REPLY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "properties": {"from": {"type": "string"}, "text": {"type": "string"}},
                "required": ["from", "text"],
                "examples": [*ReplyBody.EXAMPLES],
            },
        },
        "application/x-www-form-urlencoded": {
            "schema": {
                "type": "object",
                "properties": {"From": {"type": "string"}, "Body": {"type": "string"}},
                "required": ["From", "Body"],
            },
        },
    },
}
FIELDS_MAX = 200
SHOWN_LETTERS = 1
Body = TypeVar("Body", ReportBody, ReplyBody)
DEAD_SHOWN_MAX = 100


def _shortened(address: str | None) -> str | None:
    if address is None:
        return None
    name, at, domain = address.partition("@")
    return f"{name[:SHOWN_LETTERS]}…@{domain}" if at else f"{address[:3]}…{address[-2:]}"


@fans.put("/api/events/{event_id:int}/contact", status_code=200, refuses=(*REFUSED, *BODY_REFUSED))
async def give(request: AnyRequest, fan: Session, event_id: PathEvent, data: ContactBody) -> Response[ContactAnswer]:
    """Be told of an event by mail or SMS: that one's turn is near or has come, that a hold ends, one's tickets, and
    what changes. Tickets that were bought before are sent at once.
    """
    services = services_of(request)
    await services.contacts.give(
        event_id, fan.user_id, network(request), mail=data.mail, phone=data.phone, language=data.language
    )
    return await _given(request, fan, event_id)


@fans.get("/api/events/{event_id:int}/contact", refuses=REFUSED)
async def given(request: AnyRequest, fan: Session, event_id: PathEvent) -> Response[ContactAnswer]:
    """Where one is told of an event."""
    return await _given(request, fan, event_id)


async def _given(request: AnyRequest, fan: Session, event_id: int) -> Response[ContactAnswer]:
    addresses = await services_of(request).contacts.of(event_id, fan.user_id)
    answer = ContactAnswer(mail=_shortened(addresses.get(MAIL)), phone=_shortened(addresses.get(SMS)))
    return Response(answer, headers=NO_STORE)


@fans.post("/api/follows", status_code=204, refuses=(*REFUSED, *BODY_REFUSED))
async def follow(request: AnyRequest, fan: Session, data: FollowBody) -> None:
    """Hear of the events of an artist or a venue. A mail asks the address' owner first: only its link begins it."""
    await services_of(request).contacts.follow(
        data.event_id, data.what, network(request), mail=data.mail, language=data.language
    )


@public.post(
    "/api/messages/reports",
    status_code=204,
    refuses=("invalid_request", "body_too_large", "signature_invalid", "messages_off"),
    headers=SIGNED,
    body=REPORT,
)
async def report(request: AnyRequest) -> None:
    """A mail came back, or its reader complained: the address is written to no more. Signed as Standard Webhooks
    has it; a mail provider's own form is translated by a small program beside it.
    """
    data = _signed_body(request, await request.body(), ReportBody)
    await services_of(request).contacts.report(tidy_mail(data.address), SuppressionReason(data.type), data.detail)


def _signed_body(request: AnyRequest, body: bytes, kind: type[Body]) -> Body:
    """What a provider posted, once its signature is checked.

    Raises:
        ProblemError: ``messages_off``, ``signature_invalid`` or ``invalid_request``.
    """
    secret = services_of(request).settings.message.webhook_secret
    if not secret:
        raise ProblemError("messages_off")
    try:
        Webhook(secret).verify(body.decode("utf-8", "replace"), dict(request.headers))
    except (WebhookVerificationError, ValueError):
        raise ProblemError("signature_invalid") from None
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise invalid(str(error)) from None


@public.post(
    "/api/messages/replies",
    status_code=200,
    refuses=("invalid_request", "body_too_large", "signature_invalid", "messages_off"),
    headers=REPLY_SIGNED,
    body=REPLY,
)
async def reply(request: AnyRequest) -> Response[str]:
    """A reader answered an SMS. STOP, or the word for it in our languages, ends all SMS to that number, and START takes
    it back. Twilio posts a form and signs it by the account's token; any other provider posts JSON, signed as Standard
    Webhooks has it.
    """
    services = services_of(request)
    body = await request.body()
    if signature := request.headers.get("x-twilio-signature"):
        number, words = _twilio_reply(request, body, signature)
    else:
        data = _signed_body(request, body, ReplyBody)
        number, words = data.sender, data.text
    await services.contacts.replied(tidy_phone(number), words)
    # Twilio answers the reader itself.
    return Response("<Response/>", media_type="text/xml", headers=NO_STORE)


def _twilio_reply(request: AnyRequest, body: bytes, signature: str) -> tuple[str, str]:
    services = services_of(request)
    settings = services.settings
    tokens = twilio_tokens(settings.sms)
    if not tokens:
        raise ProblemError("messages_off")
    links = settings.message.links or settings.site.public_url
    base = links.rstrip("/") if "://" in links else origin_of(request) + below("")
    query = request.url.query
    address = f"{base}/api/messages/replies" + (f"?{query}" if query else "")
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=FIELDS_MAX)
    except ValueError as error:
        raise invalid(f"this is no form: {error}") from None
    if not any(compare_digest(twilio_signature(token, address, fields), signature) for token in tokens):
        raise ProblemError("signature_invalid")
    named = dict(fields)
    if "From" not in named:
        raise invalid("it does not say whose answer it is", "$.From")
    return named["From"], named.get("OptOutType") or named.get("Body", "")


@operators.get("/api/ops/messages/dead")
async def dead(request: AnyRequest) -> DeadLetterList:
    """The messages to fans that were tried too often, the newest first."""
    async with services_of(request).engine.connect() as connection:
        count, rows = await dead_letters(connection, DEAD_SHOWN_MAX)
    return DeadLetterList(
        count=count,
        messages=tuple(
            DeadLetter(
                message_id=row.message_id,
                event_id=row.event_id,
                kind=row.kind,
                channel=row.channel,
                address=row.address,
                tries=row.tries,
                error=row.error,
                ended_at=row.ended_at,
            )
            for row in rows
        ),
    )


@operators.post(
    "/api/ops/messages/resend",
    status_code=200,
    refuses=("invalid_request", "body_too_large", "unsupported_media_type"),
)
async def send_again(request: AnyRequest, operator: Session, data: ResendMessagesBody) -> MessagesResent:
    """Try a message again that was given up, or all of them. Each is tried as often as a new one."""
    async with services_of(request).engine.begin() as connection:
        number = await resend(connection, data.message_id)
    logger.info("operator %s has %d messages sent again", operator.name, number)
    return MessagesResent(resent=number)


ROUTERS = (fans, public, operators)
