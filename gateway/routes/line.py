"""The line: join, poll, stream, claim, leave."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
import segno
from litestar import Response
from litestar.params import Parameter

from gateway.contract.line import Claimed, Handover, JoinBody, JsonWebKeySet, OpenPass, Place
from gateway.contract.push import PushBody, PushSubscriptionBody
from gateway.contract.values import ID_MAX
from gateway.identity.answers import CLAIMED, JOINED, Step
from gateway.identity.sessions import Session
from gateway.identity.suspicions import verdict_of
from gateway.line.joining import JoinAsk
from gateway.line.moments import from_ms
from gateway.routes.routers import fan_router, public_router
from gateway.services import Services, address, services_of
from gateway.wire.addresses import below
from gateway.wire.openapi import header, link
from gateway.wire.problems import ProblemError
from gateway.wire.requests import AnyRequest, answer, origin_of
from gateway.wire.stream import Stream, StreamResponse
from waiting_room.model import RoomCounts, Standing

fans = fan_router("queue")
public = public_router("queue")

PASS_HEADER = header("X-Admission-Pass", "the admission pass; the cookie `admitone_pass_{eventId}` does as well")
PLACE_HEADER = header(
    "X-Place-Token",
    "the place token: it restores a place that Redis has lost, and brings another session's place into this",
)
OF_EVENT = {"event_id": "$request.path.event_id"}
TO_CLAIM = link("queueClaim", OF_EVENT)
TO_LEAVE = link("queueLeave", OF_EVENT)
TO_RESERVE = link(
    "bookingReserve",
    {"X-Admission-Pass": "$response.body#/pass", "Prefer": "wait=10"},
    {"eventId": "$request.path.event_id", "bestAvailable": {"ticketTypeId": 1, "quantity": 1}},
)
PathEvent = Annotated[int, Parameter(ge=1, le=ID_MAX, description="event id")]
Token = Annotated[str | None, Parameter(query="token", max_length=1024, description="place token")]
KEY_SET_SECONDS = 60
NO_STORE = {"Cache-Control": "no-store"}
LINE_REFUSED = ("invalid_request", "unknown_event", "rebuilding")


@fans.post(
    "/api/queue/{event_id:int}",
    weighed=JOINED,
    status_code=201,
    refuses=(
        *LINE_REFUSED,
        "conduct_refused",
        "body_too_large",
        "unsupported_media_type",
        "network_denied",
        "rate_limited",
        "account_required",
        "captcha_required",
        "captcha_failed",
        "captcha_unavailable",
        "line_full",
        "code_unknown",
        "code_used",
        "code_not_yet",
        "code_expired",
        "too_many_codes",
    ),
    also={200: Place},
    headers=(PLACE_HEADER, PASS_HEADER),
    links={
        "201": {
            "poll": link("queuePoll", {**OF_EVENT, "token": "$response.body#/token"}),
            "claim": TO_CLAIM,
            "leave": TO_LEAVE,
            "reserve": TO_RESERVE,
        },
        "200": {"claim": TO_CLAIM, "leave": TO_LEAVE, "reserve": TO_RESERVE},
    },
)
async def join(
    request: AnyRequest, fan: Session, event_id: PathEvent, data: JoinBody | None = None, token: Token = None
) -> Response[Place]:
    """Join the line, or find one's place in it; with an access code, in the priority class.

    In production a browser that has done nothing before joins as a new fan, in a new session, whose cookie the answer
    brings: so nobody shares the place who knew the session from before. A token in ``Authorization`` stays as it is.
    """
    services = services_of(request)
    fan = services.identity.at_first_join(request, fan)
    device = data.device if data else None
    if device is not None and not fan.rehearses:
        services.suspicions.note_device(
            event_id, fan.user_id, address(request), device.fingerprint or "", len(device.tells)
        )
    ask = JoinAsk(
        event_id=event_id,
        fan=fan,
        address=address(request),
        place=services.passes.place(request, event_id, fan, token),
        admission=services.passes.valid_admission(request, event_id, fan.user_id),
        captcha_token=data.captcha_token if data else None,
        access_code=data.access_code if data else None,
        is_suspicious=verdict_of(request).is_answered,
    )
    standing, counts = await services.joining.join(ask)
    if standing.joined == "new":
        services.suspicions.ended(fan.user_id, Step.JOIN, succeeded=True)
    if standing.idle:
        # To join again is a sign of life: the fan is called again.
        await services.finding.act(event_id, fan)
        standing = await services.finding.standing(event_id, fan)
    place = services.places.place(event_id, standing, counts, fan.user_id, fan.jti)
    status_code = 200 if standing.joined == "known" else 201
    cookies = services.passes.cookies(event_id, place.admission_pass)
    return answer(place, status_code=status_code, cookies=cookies)


@fans.get(
    "/api/queue/{event_id:int}",
    refuses=(*LINE_REFUSED, "not_in_line", "rate_limited"),
    headers=(PLACE_HEADER, PASS_HEADER),
)
async def poll(request: AnyRequest, fan: Session, event_id: PathEvent, token: Token = None) -> Response[Place]:
    """Where one stands; polling is a heartbeat."""
    services = services_of(request)
    standing, counts = await _find(services, request, event_id, fan, token)
    place = services.places.place(event_id, standing, counts, fan.user_id, fan.jti)
    return answer(place, cookies=services.passes.cookies(event_id, place.admission_pass))


async def _find(
    services: Services, request: AnyRequest, event_id: int, fan: Session, token: str | None
) -> tuple[Standing, RoomCounts]:
    place = services.passes.place(request, event_id, fan, token)
    admission = services.passes.valid_admission(request, event_id, fan.user_id)
    return await services.finding.find(event_id, fan, place, admission, address(request))


@fans.get(
    "/api/queue/{event_id:int}/stream",
    media_type="text/event-stream",
    refuses=(*LINE_REFUSED, "not_in_line", "rate_limited", "too_many_streams"),
    headers=(PLACE_HEADER, PASS_HEADER),
)
async def stream(request: AnyRequest, fan: Session, event_id: PathEvent, token: Token = None) -> StreamResponse:
    """One's place as it changes, and the call when it comes."""
    services = services_of(request)
    slot = services.stream_slots.of_fan(fan.user_id)
    slot.require_free()
    standing, counts = await _find(services, request, event_id, fan, token)
    place = services.places.place(event_id, standing, counts, fan.user_id, fan.jti)

    async def subscribe(opened: Stream) -> Callable[[], Awaitable[None]]:
        return await services.line_streams.subscribe(opened, event_id, fan.user_id, fan.jti, place, counts)

    return StreamResponse(subscribe, slot)


@fans.post(
    "/api/queue/{event_id:int}/claim",
    weighed=CLAIMED,
    status_code=200,
    refuses=("invalid_request", "unknown_event", "account_required", "not_called"),
    links={"200": {"reserve": TO_RESERVE}},
)
async def claim(request: AnyRequest, fan: Session, event_id: PathEvent) -> Response[Claimed]:
    """Turn the call into an admission."""
    services = services_of(request)
    standing = await services.finding.claim(event_id, fan)
    services.suspicions.ended(fan.user_id, Step.CLAIM, succeeded=True)
    assert standing.pass_until_ms is not None
    token = services.places.sign_pass(event_id, fan.user_id, standing.pass_until_ms)
    counts = await services.finding.counts(event_id)
    claimed = Claimed(
        admission_pass=token,
        expires_at=from_ms(standing.idle_ends_ms or standing.pass_until_ms),
        idle_ends_at=None if standing.idle_ends_ms is None else from_ms(standing.idle_ends_ms),
        may_run_out=counts.is_crowded,
    )
    return answer(claimed, cookies=services.passes.cookies(event_id, token))


@fans.post(
    "/api/queue/{event_id:int}/choosing",
    status_code=200,
    refuses=(*LINE_REFUSED, "not_in_line"),
    headers=(PLACE_HEADER, PASS_HEADER),
)
async def choosing(request: AnyRequest, fan: Session, event_id: PathEvent) -> Response[Place]:
    """Say that one is choosing seats; one's place is the answer.

    While seats are scarce, a pass ends at ``idleEndsAt`` if its fan does nothing until then. Each try to reserve puts
    that off, and so does this call for some minutes after the last try. Send it when a person does something, e.g.
    picks a seat, at most every five seconds. A fan whose place is ``idle`` is called again after it.
    """
    services = services_of(request)
    await services.finding.act(event_id, fan)
    standing, counts = await _find(services, request, event_id, fan, None)
    place = services.places.place(event_id, standing, counts, fan.user_id, fan.jti)
    return answer(place, cookies=services.passes.cookies(event_id, place.admission_pass))


@fans.delete(
    "/api/queue/{event_id:int}",
    status_code=204,
    refuses=("invalid_request", "unknown_event"),
)
async def leave(request: AnyRequest, fan: Session, event_id: PathEvent) -> None:
    """Leave the line and give up the pass."""
    await services_of(request).finding.leave(event_id, fan)


@fans.post("/api/queue/{event_id:int}/handover", status_code=200, refuses=(*LINE_REFUSED, "not_in_line"))
async def hand_over(request: AnyRequest, fan: Session, event_id: PathEvent) -> Response[Handover]:
    """A short-lived link that brings one's place to another device. A fan who is let in stays on this one."""
    services = services_of(request)
    standing, _ = await _find(services, request, event_id, fan, None)
    handed = services.places.handover(event_id, standing, fan.user_id, fan.jti)
    if handed is None:
        raise ProblemError("not_in_line")
    token, expires_at = handed
    # After the # it is sent to no server, and stands in no log.
    href = f"{origin_of(request)}{below(f'/events/{event_id}')}#place={token}"
    qr = segno.make_qr(href, error="l").svg_data_uri(border=4, omitsize=True, dark="#000", light="#fff")
    return Response(Handover(href=href, qr=qr, expires_at=expires_at), headers=NO_STORE)


@fans.get(
    "/api/queue/{event_id:int}/pass",
    refuses=(*LINE_REFUSED, "not_in_line", "rate_limited", "not_admitted"),
    headers=(PLACE_HEADER, PASS_HEADER),
)
async def open_pass(request: AnyRequest, fan: Session, event_id: PathEvent) -> Response[OpenPass]:
    """A pass that a shop beside this one verifies by itself, with the keys of `/.well-known/jwks.json` (EdDSA): its
    audience is ``event:{eventId}``, and it lasts five minutes at most.

    Where the line stands before a shop, this is the shop's own pass (docs/gate.md): its audience is ``shop:{eventId}``,
    it is bound to the request's ``User-Agent``, and an app shows it in ``X-Admitone-Pass``.
    """
    services = services_of(request)
    standing, _ = await _find(services, request, event_id, fan, None)
    if standing.pass_until_ms is None:
        raise ProblemError("not_admitted")
    row = await services.rooms.required_row(event_id)
    if row.shop is not None:
        agent = request.headers.get("user-agent", "").encode("latin-1")
        shown = await services.shop_checks.token(event_id, fan.user_id, agent)
        if shown is None:
            raise ProblemError("not_admitted")
        return Response(OpenPass(token=shown[0], expires_at=from_ms(shown[1] * 1000)), headers=NO_STORE)
    token, ends_at = services.open_passes.sign(
        event_id,
        fan.user_id,
        issuer=origin_of(request) + below(""),
        now=int(services.clock.now()),
        until=standing.pass_until_ms // 1000,
    )
    return Response(OpenPass(token=token, expires_at=from_ms(ends_at * 1000)), headers=NO_STORE)


@public.get("/.well-known/jwks.json", media_type="application/jwk-set+json")
async def key_set(request: AnyRequest) -> Response[JsonWebKeySet]:
    """The public keys that verify open passes, passes to shops and signed tickets, also those that will sign soon. Ask
    again for a key that is missing.
    """
    services = services_of(request)
    key_sets = (services.open_passes.key_set(), services.shop_checks.passes.key_set(), services.ticket_keys.key_set())
    keys = [key for key_set in key_sets for key in key_set["keys"]]
    return Response(
        msgspec.convert({"keys": keys}, JsonWebKeySet), headers={"Cache-Control": f"public, max-age={KEY_SET_SECONDS}"}
    )


PUSH_REFUSED = ("invalid_request", "body_too_large", "unsupported_media_type", "unknown_event")


@fans.post("/api/queue/{event_id:int}/push", status_code=204, refuses=(*PUSH_REFUSED, "push_off"))
async def subscribe(request: AnyRequest, fan: Session, event_id: PathEvent, data: PushSubscriptionBody) -> None:
    """Have a browser told of one's turn by web push, five of a fan's at most: a sixth takes the place of the oldest.

    The site's VAPID key, by which the browser subscribes, is in the event's page.
    """
    await services_of(request).alerts.subscribe(event_id, fan.user_id, data)


@fans.post("/api/queue/{event_id:int}/push/end", status_code=204, refuses=PUSH_REFUSED)
async def unsubscribe(request: AnyRequest, fan: Session, event_id: PathEvent, data: PushBody) -> None:
    """Have a browser told nothing any more."""
    await services_of(request).alerts.unsubscribe(event_id, fan.user_id, data)


ROUTERS = (public, fans)
