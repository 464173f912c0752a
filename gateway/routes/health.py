"""Is the process alive, and is it of use?"""

from __future__ import annotations

import msgspec
from litestar import Response
from litestar.openapi.datastructures import ResponseSpec

from gateway.contract.sessions import Health
from gateway.health.metrics import CONTENT_TYPE
from gateway.health.scrape import Scrape
from gateway.routes.routers import public_router
from gateway.services import services_of
from gateway.wire.requests import AnyRequest

public = public_router("health")


@public.get("/health/live", responses={})
async def live() -> Health:
    """The process answers."""
    return Health(status="ok")


@public.get("/health/ready", responses={200: ResponseSpec(Health), 503: ResponseSpec(Health)})
async def ready(request: AnyRequest) -> Response[bytes]:
    """503 with the failing parts named, within two seconds of one failing."""
    failing = services_of(request).readiness.failing
    return Response(
        msgspec.json.encode(Health(status="failing" if failing else "ok", failing=failing)),
        status_code=503 if failing else 200,
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


@public.get("/metrics", media_type=CONTENT_TYPE, include_in_schema=False, responses={})
async def metrics(request: AnyRequest) -> Response[bytes]:
    """Prometheus' text; each process is a target of its own, and tells the site's figures too."""
    scrape: Scrape = request.app.state["scrape"]
    body = await scrape.text()
    return Response(body, media_type=CONTENT_TYPE, headers={"Cache-Control": "no-store"})


ROUTERS = (public,)
