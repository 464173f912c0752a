"""Is the process alive, and is it of use?"""

from __future__ import annotations

import hmac

import msgspec
from litestar import Response
from litestar.openapi.datastructures import ResponseSpec

from gateway.contract.sessions import Health
from gateway.health.metrics import CONTENT_TYPE
from gateway.health.scrape import Scrape
from gateway.routes.routers import public_router
from gateway.services import services_of
from gateway.wire.problems import ProblemError
from gateway.wire.requests import AnyRequest

public = public_router("health")


@public.get("/health/live", responses={})
async def live() -> Health:
    """The process answers."""
    return Health(status="ok")


@public.get("/health/ready", responses={200: ResponseSpec(Health), 503: ResponseSpec(Health)})
async def ready(request: AnyRequest) -> Response[bytes]:
    """503 with the failing parts named, within two seconds of one failing. Where the line is a cluster of Redis, 200
    may name servers of it that are away, under ``degraded``: their rooms stand still, and all others go on.
    """
    readiness = services_of(request).readiness
    return _health(readiness.failing, readiness.degraded)


@public.get("/health/serving", responses={200: ResponseSpec(Health), 503: ResponseSpec(Health)})
async def serving(request: AnyRequest) -> Response[bytes]:
    """503 only for what is wrong with this process alone: it is ending. A part that all gateways share may be away."""
    return _health(services_of(request).readiness.failing_alone)


def _health(failing: tuple[str, ...], degraded: tuple[str, ...] = ()) -> Response[bytes]:
    return Response(
        msgspec.json.encode(Health(status="failing" if failing else "ok", failing=failing, degraded=degraded)),
        status_code=503 if failing else 200,
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


@public.get("/metrics", media_type=CONTENT_TYPE, include_in_schema=False, responses={})
async def metrics(request: AnyRequest) -> Response[bytes]:
    """Prometheus' text; each process is a target of its own, and tells the site's figures too."""
    settings = services_of(request).settings
    _require_token(request.headers.get("authorization", ""), settings.metrics.token, settings.site.production)
    scrape: Scrape = request.app.state["scrape"]
    body = await scrape.text()
    return Response(body, media_type=CONTENT_TYPE, headers={"Cache-Control": "no-store"})


def _require_token(authorization: str, token: str, production: bool) -> None:
    """Refuse a scrape without the token. Only in development may none be set, and then everybody reads the figures.

    Raises:
        ProblemError: ``unauthenticated``.
    """
    if not token and not production:
        return
    scheme, _, shown = authorization.partition(" ")
    if not token or scheme.lower() != "bearer" or not hmac.compare_digest(shown.strip().encode(), token.encode()):
        detail = "Show ADMITONE_METRICS_TOKEN as a Bearer token." if token else "ADMITONE_METRICS_TOKEN is not set."
        raise ProblemError("unauthenticated", detail, headers={"WWW-Authenticate": "Bearer"})


ROUTERS = (public,)
