"""Is the process alive, and is it of use?"""

from __future__ import annotations

import msgspec
from litestar import Response, get
from litestar.openapi.datastructures import ResponseSpec

from gateway.contract import Health
from gateway.services import AnyRequest, services


@get("/health/live")
async def live() -> Health:
    """The process answers."""
    return Health(status="ok")


@get("/health/ready", responses={200: ResponseSpec(Health), 503: ResponseSpec(Health)})
async def ready(request: AnyRequest) -> Response[bytes]:
    """503 with the failing parts named, within two seconds of one failing."""
    failing = services(request).readiness.failing
    return Response(
        msgspec.json.encode(Health(status="failing" if failing else "ok", failing=failing)),
        status_code=503 if failing else 200,
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


ROUTES = [live, ready]
