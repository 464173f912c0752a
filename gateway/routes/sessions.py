"""Fans' sessions, and the captcha's offer."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
from litestar import Response
from litestar.params import Parameter

from gateway.captcha.altcha import Altcha
from gateway.captcha.captcha import CaptchaOffer, CaptchaUnavailable, Solver
from gateway.contract.sessions import ChallengeAnswer, SessionAnswer
from gateway.contract.values import ID_MAX
from gateway.identity.cookies import refuse_cross_site
from gateway.identity.sessions import Session
from gateway.routes.routers import fan_router, public_router
from gateway.services import address, network, services_of
from gateway.wire.problems import ProblemError
from gateway.wire.requests import AnyRequest, answer

public = public_router("sessions")
fans = fan_router("sessions")


@public.post(
    "/api/session",
    status_code=201,
    refuses=("network_denied", "rate_limited", "cross_site"),
)
async def new_session(request: AnyRequest) -> Response[SessionAnswer]:
    """An anonymous fan's session, as a token and a cookie.

    It is renewed while it is used: once a quarter of its life is over, the next answer brings the same session anew, in
    ``X-Session-Token`` to a client that sent it in ``Authorization``, else as the cookie.
    """
    services = services_of(request)
    # Another site's form would else put a new cookie in the place of the fan's own, and the fan out of the line.
    refuse_cross_site(request)
    services.networks.refuse(address(request))
    # A fan's page is counted apart from programs, so that a neighbour's program has no fan's page refused.
    what = "page" if request.headers.get("sec-fetch-site") == "same-origin" else "session"
    await services.limits.count(what, network(request), services.settings.limit.sessions_per_minute)
    token, user_id = services.identity.new_fan(visits=True)
    session = SessionAnswer(token=token, user_id=user_id)
    return answer(session, status_code=201, cookies=[services.identity.cookie(token)])


@fans.delete("/api/session", also={204: None})
async def end_session(request: AnyRequest, fan: Session) -> Response[None]:
    """Sign out: the browser forgets the session, and with it the fan's places and the way to what was bought. Each
    purchase still opens by its own link. The session of an account ends for good; the account keeps what it has.
    """
    services = services_of(request)
    if fan.is_account:
        await services.accounts.end(fan)
    return Response(None, cookies=[services.identity.no_cookie("fan")])


@public.get("/api/captcha", responses={})
async def captcha_offer(request: AnyRequest) -> CaptchaOffer:
    """What a client must solve, and where."""
    return services_of(request).captcha.describe()


@public.get(
    "/api/captcha/challenge",
    refuses=("invalid_request", "not_found", "rate_limited", "captcha_unavailable"),
    also={200: ChallengeAnswer},
)
async def captcha_challenge(
    request: AnyRequest,
    event_id: Annotated[int, Parameter(query="eventId", ge=0, le=ID_MAX)] = 0,
    action: Annotated[str, Parameter(max_length=16, description="checkout, reserve or join; empty: any of them")] = "",
) -> Response[bytes]:
    """A fresh ALTCHA challenge, for the request's session alone. Its solution shows that this fan is a person.

    Without a session it is for the request's network, and shows less: what fans of a network may hold and buy without
    a proof of their own is limited. With ``eventId`` or ``action`` it is good for these alone.
    """
    services = services_of(request)
    captcha = services.captcha
    altcha = captcha if isinstance(captcha, Altcha) else getattr(captcha, "altcha", None)
    if altcha is None:
        raise ProblemError("not_found", "This captcha provider has no challenge of ours.")
    session = services.identity.known(request)
    fan = session.user_id if session is not None else 0
    work_times = services.suspicions.work_times(fan, address(request))
    solver = Solver(address=address(request), fan=fan, event_id=event_id, action=action, work_times=work_times)
    per_minute = services.settings.limit.challenges_per_minute
    try:
        made, _ = await asyncio.gather(
            altcha.challenge(solver), services.limits.count("challenge", solver.network, per_minute)
        )
    except CaptchaUnavailable as unavailable:
        raise ProblemError("captcha_unavailable", retry_after_seconds=unavailable.retry_after_seconds) from None
    return Response(
        msgspec.json.encode(made),
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


ROUTERS = (public, fans)
