"""A uvicorn server within a test's own loop, of which the test sees both sides."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import uvicorn


@contextlib.asynccontextmanager
async def listening(application: Any, **options: Any) -> AsyncIterator[tuple[str, int]]:
    """Serve the ASGI application on a free port; gives the address.

    Args:
        options: of `uvicorn.Config`, for example its ``http`` protocol.
    """
    config = uvicorn.Config(application, port=0, loop="uvloop", ws="none", log_level="error", **options)
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()
    finally:
        server.should_exit = server.force_exit = True
        await running
