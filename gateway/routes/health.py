"""Is the process alive, and is it of use?"""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec
from litestar import Response, get
from litestar.openapi.datastructures import ResponseSpec
from sqlalchemy import text

from gateway.contract import Health
from gateway.services import AnyRequest, services

CHECK_SECONDS: Final = 1.5


@get("/health/live")
async def live() -> Health:
    """The process answers."""
    return Health(status="ok")


@get("/health/ready", responses={200: ResponseSpec(Health), 503: ResponseSpec(Health)})
async def ready(request: AnyRequest) -> Response[bytes]:
    """503 with the failing parts named, within two seconds of one failing."""
    known = services(request)

    async def postgres() -> None:
        async with known.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def line() -> None:
        await known.line_redis.ping()

    async def jobs() -> None:
        await known.jobs.ping()

    checks = {"postgres": postgres, "line_redis": line, "jobs_redis": jobs}

    async def passes(check: str) -> bool:
        try:
            await asyncio.wait_for(checks[check](), CHECK_SECONDS)
        except Exception:
            return False
        return True

    results = await asyncio.gather(*map(passes, checks))
    failing = tuple(name for name, passed in zip(checks, results, strict=True) if not passed)
    if known.lines.ending:
        failing += ("stopping",)
    health = Health(status="failing" if failing else "ok", failing=failing)
    return Response(
        msgspec.json.encode(health),
        status_code=503 if failing else 200,
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


ROUTES = [live, ready]
