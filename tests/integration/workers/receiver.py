"""A real HTTP server that takes webhooks, verifies each with Standard Webhooks' own library, and misbehaves."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook


@dataclass
class Receiver:
    """What arrived at each path. The path's first word says how it is answered: ``ok``, ``fail`` (500), ``gone`` (410),
    ``redirect`` (to ``ok``), ``hang`` (never), ``busy`` (503, Retry-After 7), ``flaky`` (500, then 200).
    """

    url: str = ""
    secrets: dict[str, str] = field(default_factory=dict)
    arrived: defaultdict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    ids: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    timestamps: list[int] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)
    under_way: Counter[str] = field(default_factory=Counter)
    under_way_max: Counter[str] = field(default_factory=Counter)
    mended: bool = False

    async def take(self, request: web.Request) -> web.Response:
        path, body = request.path, await request.read()
        headers = dict(request.headers)
        self.arrived[path].append(Webhook(self.secrets[path]).verify(body, headers))
        self.ids[path].append(headers["webhook-id"])
        self.timestamps.append(int(headers["webhook-timestamp"]))
        self.signatures.append(headers["webhook-signature"])
        self.under_way[path] += 1
        self.under_way_max[path] = max(self.under_way_max[path], self.under_way[path])
        try:
            how = path.split("/")[1]
            if how == "hang" and not self.mended:
                await asyncio.sleep(60)
            if how == "flaky":
                how = "fail" if self.ids[path].count(headers["webhook-id"]) == 1 else "ok"
            if how == "redirect":
                return web.Response(status=302, headers={"Location": "/ok/redirected"})
            if how == "busy":
                return web.Response(status=503, headers={"Retry-After": "7"})
            return web.Response(status=200 if self.mended else {"fail": 500, "gone": 410}.get(how, 200))
        finally:
            self.under_way[path] -= 1


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/{tail:.*}", receiver.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield receiver
    finally:
        await runner.cleanup()
