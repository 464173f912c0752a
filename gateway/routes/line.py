"""The line: join, poll, stream, claim, leave."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Annotated

from litestar import Response
from litestar.datastructures import Cookie
from litestar.params import Parameter

from gateway.captcha.captcha import CaptchaFailed, CaptchaUnavailable
from gateway.contract.line import Claimed, JoinBody, Place
from gateway.contract.values import ID_MAX
from gateway.identity.rehearsals import refuse_stranger
from gateway.identity.sessions import Session
from gateway.line.moments import from_ms
from gateway.line.places import room_state
from gateway.routes.routers import fan_router
from gateway.services import AnyRequest, Services, address, services_of
from gateway.wire.problems import ProblemError
from gateway.wire.stream import Stream, StreamResponse
from waiting_room.errors import (
    NotCalled,
    RetryLater,
    RoomClosed,
    RoomError,
    RoomOff,
    RoomSoldOut,
    RoomUnknown,
    TokenInvalid,
)
from waiting_room.limits import address_prefix
from waiting_room.model import RoomCounts, Standing
from waiting_room.tokens import AdmissionPass, PlaceToken

fans = fan_router("queue")

PathEvent = Annotated[int, Parameter(ge=1, le=ID_MAX, description="event id")]
Token = Annotated[str | None, Parameter(query="token", max_length=1024, description="place token")]
NO_STORE = {"Cache-Control": "no-store"}
LINE_REFUSED = ("invalid_request", "unknown_event", "rebuilding")


def pass_cookie_name(event_id: int) -> str:
    return f"admitone_pass_{event_id}"


def pass_cookies(services: Services, event_id: int, admission_pass: str | None) -> list[Cookie]:
    if admission_pass is None:
        return []
    return [
        Cookie(
            key=pass_cookie_name(event_id),
            value=admission_pass,
            max_age=24 * 3600,
            path="/",
            httponly=True,
            samesite="lax",
            secure=services.settings.site.production,
        )
    ]


def _place_token(
    services: Services, request: AnyRequest, event_id: int, session: Session, said: str | None
) -> PlaceToken | None:
    """The place that the request's token proves; None without one.

    Raises:
        ProblemError: ``session_invalid`` where it is forged, foreign or of another session.
    """
    token = request.headers.get("x-place-token") or said
    if token is None:
        return None
    try:
        place = services.places.tokens.verify_place(token, event=event_id, fan=session.user_id)
    except TokenInvalid as error:
        raise ProblemError("session_invalid", f"The place token is not valid: {error.reason}.") from None
    if place.session != session.jti:
        raise ProblemError("session_invalid", "The place token is of another session.")
    return place


async def known_room(services: Services, event_id: int, fan: Session) -> RoomCounts:
    """The room in numbers.

    Raises:
        ProblemError: ``unknown_event`` for an event that is none, has no room, or is a rehearsal's copy and the fan
            none of its fans; ``session_invalid`` for those elsewhere.
    """
    counts = await services.counts.of(event_id)
    row = services.rooms.rows.get(event_id)
    refuse_stranger(row is not None and row.rehearsal_of is not None, event_id, fan)
    if counts is None:
        await services.hall(event_id)
        raise ProblemError("unknown_event", "This event has no waiting room.")
    return counts


def admission_pass(services: Services, request: AnyRequest, event_id: int, user_id: int) -> AdmissionPass | None:
    """The pass that came with the request.

    Raises:
        TokenInvalid: it is not ours, or not for this event and fan.
    """
    token = request.headers.get("x-admission-pass") or request.cookies.get(pass_cookie_name(event_id))
    return None if token is None else services.places.tokens.verify_pass(token, event=event_id, fan=user_id)


def _pass_if_valid(services: Services, request: AnyRequest, event_id: int, fan: Session) -> AdmissionPass | None:
    with contextlib.suppress(TokenInvalid):
        return admission_pass(services, request, event_id, fan.user_id)
    return None


async def take_place(
    services: Services,
    event_id: int,
    fan: Session,
    token: PlaceToken | None,
    admission: AdmissionPass | None = None,
    *,
    redeemed: bool = False,
) -> tuple[Standing, RoomCounts]:
    """Join the line, or find where one stands; with an access code ``redeemed``, in the priority class.

    Raises:
        ProblemError: ``line_full`` or ``rebuilding``.
    """
    counts = await known_room(services, event_id, fan)
    try:
        if token is not None or admission is not None:
            standing = await services.line.standing(event_id, fan.user_id, touch=False)
            if standing.state == "none":
                token = await services.restoring.restore(event_id, fan.user_id, token, admission)
        standing = await services.line.join(event_id, fan.user_id, token, redeemed=redeemed)
    except RetryLater as later:
        if room_state(counts) == "sold_out":
            # There is nothing to come back for in a while.
            return await services.line.standing(event_id, fan.user_id), counts
        raise ProblemError(later.code, retry_after_seconds=later.retry_after_seconds) from None
    except (RoomOff, RoomClosed, RoomSoldOut):
        standing = await services.line.standing(event_id, fan.user_id)
    except RoomUnknown:
        await services.rooms.configure(services.rooms.rows[event_id])
        raise ProblemError("rebuilding", retry_after_seconds=2) from None
    if standing.joined != "known":
        services.rooms.mark_stale(event_id)
    return standing, counts


async def find_place(
    services: Services,
    event_id: int,
    fan: Session,
    token: PlaceToken | None,
    admission: AdmissionPass | None = None,
) -> tuple[Standing, RoomCounts]:
    """Where the fan stands; this is a heartbeat. A token restores what Redis has lost.

    Raises:
        ProblemError: ``not_in_line``, ``rebuilding``.
    """
    counts = await known_room(services, event_id, fan)
    try:
        standing = await services.line.standing(event_id, fan.user_id)
    except RoomUnknown:
        await services.rooms.configure(services.rooms.rows[event_id])
        raise ProblemError("rebuilding", retry_after_seconds=2) from None
    if standing.state == "none":
        if token is not None or admission is not None:
            token = await services.restoring.restore(event_id, fan.user_id, token, admission)
            standing = await services.line.standing(event_id, fan.user_id)
            if standing.state != "none":
                return standing, counts
        if token is not None:
            return await take_place(services, event_id, fan, token)
        if standing.room_state == "rebuilding":
            raise ProblemError("rebuilding", retry_after_seconds=2)
        if {standing.room_state, room_state(counts)}.isdisjoint(("off", "closed", "sold_out")):
            raise ProblemError("not_in_line")
    return standing, counts


@fans.post(
    "/api/queue/{event_id:int}",
    status_code=201,
    refuses=(
        *LINE_REFUSED,
        "body_too_large",
        "unsupported_media_type",
        "rate_limited",
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
)
async def join(
    request: AnyRequest, fan: Session, event_id: PathEvent, data: JoinBody | None = None, token: Token = None
) -> Response[Place]:
    """Join the line, or find one's place in it; with an access code, in the priority class."""
    services = services_of(request)
    restored = _place_token(services, request, event_id, fan, token)
    await require_captcha(services, request, event_id, fan, data.captcha_token if data else None)
    code = data.access_code if data else None
    redeemed = code is not None and await redeem_code(services, request, event_id, fan, code)
    admission = _pass_if_valid(services, request, event_id, fan)
    standing, counts = await take_place(services, event_id, fan, restored, admission, redeemed=redeemed)
    place = services.places.place(event_id, standing, counts, fan.user_id, fan.jti)
    return Response(
        place,
        status_code=200 if standing.joined == "known" else 201,
        headers=NO_STORE,
        cookies=pass_cookies(services, event_id, place.admission_pass),
    )


async def redeem_code(services: Services, request: AnyRequest, event_id: int, fan: Session, code: str) -> bool:
    """Redeem the code, where it is of any use: the line takes fans, and this one is not called yet nor has priority.

    Raises:
        ProblemError: see `AccessCodes.redeem`.
    """
    counts = await known_room(services, event_id, fan)
    if counts.state in ("off", "closed", "sold_out"):
        return False
    with contextlib.suppress(RoomUnknown):
        standing = await services.line.standing(event_id, fan.user_id, touch=False)
        if standing.priority or standing.state in ("called", "admitted"):
            return False
    await services.codes.redeem(event_id, fan.user_id, address_prefix(address(request)), code)
    return True


async def require_captcha(
    services: Services, request: AnyRequest, event_id: int, fan: Session, token: str | None
) -> None:
    """Count a join of the address prefix; over the free rate a captcha is asked for, unless the fan has a place.

    Raises:
        ProblemError: ``rate_limited``, ``captcha_required``, ``captcha_failed`` or ``captcha_unavailable``; as
            `known_room` for a rehearsal's fan.
    """
    network = ""
    if fan.rehearses:
        # They all come from one machine, where real ones come from everywhere: each counts as a network of its own.
        await known_room(services, event_id, fan)
        network = f"rehearsal:{fan.user_id}"
    used = await services.limit(request, "join", services.settings.limit.joins_per_minute, network=network)
    if used <= services.settings.limit.joins_free_per_minute or services.captcha.provider == "off":
        return
    with contextlib.suppress(RoomUnknown):
        standing = await services.line.standing(event_id, fan.user_id)
        if standing.state in ("lobby", "waiting", "called", "admitted"):
            return
    if token is None:
        raise ProblemError("captcha_required", href="/api/captcha")
    await verify_captcha(services, request, token, "join", f"join:{event_id}:{fan.user_id}")


async def verify_captcha(services: Services, request: AnyRequest, token: str, action: str, serves: str) -> None:
    """Raises:
    ProblemError: ``captcha_failed`` or ``captcha_unavailable``.
    """
    try:
        await services.captcha.verify(token, action=action, remote_ip=address(request), command_id=serves)
    except CaptchaFailed as failed:
        raise ProblemError("captcha_failed", f"{str(failed).capitalize()}.") from None
    except CaptchaUnavailable as away:
        raise ProblemError("captcha_unavailable", retry_after_seconds=away.retry_after_seconds) from None


@fans.get(
    "/api/queue/{event_id:int}",
    refuses=(*LINE_REFUSED, "not_in_line"),
)
async def poll(request: AnyRequest, fan: Session, event_id: PathEvent, token: Token = None) -> Response[Place]:
    """Where one stands; polling is a heartbeat."""
    services = services_of(request)
    restored = _place_token(services, request, event_id, fan, token)
    standing, counts = await find_place(
        services, event_id, fan, restored, _pass_if_valid(services, request, event_id, fan)
    )
    place = services.places.place(event_id, standing, counts, fan.user_id, fan.jti)
    return Response(place, headers=NO_STORE, cookies=pass_cookies(services, event_id, place.admission_pass))


@fans.get(
    "/api/queue/{event_id:int}/stream",
    media_type="text/event-stream",
    refuses=(*LINE_REFUSED, "not_in_line", "too_many_streams"),
)
async def stream(request: AnyRequest, fan: Session, event_id: PathEvent, token: Token = None) -> StreamResponse:
    """One's place as it changes, and the call when it comes."""
    services = services_of(request)
    restored = _place_token(services, request, event_id, fan, token)
    services.take_stream()
    standing, counts = await find_place(
        services, event_id, fan, restored, _pass_if_valid(services, request, event_id, fan)
    )
    place = services.places.place(event_id, standing, counts, fan.user_id, fan.jti)

    async def subscribe(opened: Stream) -> Callable[[], Awaitable[None]]:
        services.streams_open += 1
        unsubscribe = await services.line_streams.subscribe(opened, event_id, fan.user_id, fan.jti, place, counts)

        async def leave() -> None:
            services.streams_open -= 1
            await unsubscribe()

        return leave

    return StreamResponse(
        subscribe,
        seconds_max=services.settings.stream.seconds_max,
        send_seconds_max=services.settings.stream.send_seconds_max,
    )


@fans.post(
    "/api/queue/{event_id:int}/claim",
    status_code=200,
    refuses=("invalid_request", "unknown_event", "not_called"),
)
async def claim(request: AnyRequest, fan: Session, event_id: PathEvent) -> Response[Claimed]:
    """Turn the call into an admission."""
    services = services_of(request)
    await known_room(services, event_id, fan)
    try:
        standing = await services.line.claim(event_id, fan.user_id)
    except NotCalled as refused:
        raise ProblemError("not_called", state=refused.state) from None
    except RoomError as refused:
        raise ProblemError("not_called", str(refused)) from None
    assert standing.pass_until_ms is not None
    token = services.places.sign_pass(event_id, fan.user_id, standing.pass_until_ms)
    return Response(
        Claimed(admission_pass=token, expires_at=from_ms(standing.pass_until_ms)),
        headers=NO_STORE,
        cookies=pass_cookies(services, event_id, token),
    )


@fans.delete(
    "/api/queue/{event_id:int}",
    status_code=204,
    refuses=("invalid_request", "unknown_event"),
)
async def leave(request: AnyRequest, fan: Session, event_id: PathEvent) -> None:
    """Leave the line and give up the pass."""
    services = services_of(request)
    await known_room(services, event_id, fan)
    await services.line.leave(event_id, fan.user_id)


ROUTERS = (fans,)
