"""Fans' sessions, and the captcha's offer."""

from __future__ import annotations

import msgspec
from litestar import Response

from gateway.captcha.altcha import Altcha
from gateway.captcha.captcha import CaptchaOffer
from gateway.contract.sessions import ChallengeAnswer, SessionAnswer
from gateway.identity.cookies import refuse_cross_site
from gateway.routes.routers import fan_router, public_router
from gateway.services import network, services_of
from gateway.wire.problems import ProblemError
from gateway.wire.requests import AnyRequest

public = public_router("sessions")
fans = fan_router("sessions")


@public.post(
    "/api/session",
    status_code=201,
    refuses=("rate_limited", "cross_site"),
)
async def new_session(request: AnyRequest) -> Response[SessionAnswer]:
    """An anonymous fan's session, as a token and a cookie.

    It is renewed while it is used: once a quarter of its life is over, the next answer brings the same session anew, in
    ``X-Session-Token`` to a client that sent it in ``Authorization``, else as the cookie.
    """
    services = services_of(request)
    # Another site's form would else put a new cookie in the place of the fan's own, and the fan out of the line.
    refuse_cross_site(request)
    await services.limits.count("session", network(request), services.settings.limit.sessions_per_minute)
    token, user_id = services.identity.new_fan()
    return Response(
        SessionAnswer(token=token, user_id=user_id),
        cookies=[services.identity.cookie(token)],
        headers={"Cache-Control": "no-store"},
    )


@fans.delete("/api/session")
async def end_session(request: AnyRequest) -> Response[None]:
    """Sign out: the browser forgets the session, and with it the fan's places and the way to what was bought. Each
    purchase still opens by its own link.
    """
    return Response(None, cookies=[services_of(request).identity.no_cookie("fan")])


@public.get("/api/captcha", responses={})
async def captcha_offer(request: AnyRequest) -> CaptchaOffer:
    """What a client must solve, and where."""
    return services_of(request).captcha.describe()


@public.get("/api/captcha/challenge", refuses=("not_found",), also={200: ChallengeAnswer})
async def captcha_challenge(request: AnyRequest) -> Response[bytes]:
    """A fresh ALTCHA challenge."""
    captcha = services_of(request).captcha
    if not isinstance(captcha, Altcha):
        raise ProblemError("not_found", "This captcha provider has no challenge of ours.")
    return Response(
        msgspec.json.encode(captcha.challenge()),
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


ROUTERS = (public, fans)
