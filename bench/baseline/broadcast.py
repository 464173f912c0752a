"""The least ASGI broadcast: an event a second to every open stream, the frame rendered once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]

HEADERS = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
PLACE = (
    b'event: place\ndata: {"position":12345,"ahead":12344,"etaSeconds":24690,"etaRange":[19753,37037],"waiting":15000,'
    b'"ratePerMinute":300,"state":"waiting","roomState":"open","stock":null,"at":%d}\n\n'
)
"""As long as the gateway's frame."""


class Broadcast:
    """An ASGI application."""

    def __init__(self) -> None:
        self._sends: set[Send] = set()
        self._task: asyncio.Task[None] | None = None

    async def _every_second(self) -> None:
        due = time.monotonic()
        while True:
            due += 1.0
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            message = {"type": "http.response.body", "body": PLACE % time.time_ns(), "more_body": True}
            for send in list(self._sends):
                await send(message)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": b"retry: 2000\n\n", "more_body": True})
        self._sends.add(send)
        while (await receive())["type"] != "http.disconnect":
            pass
        self._sends.discard(send)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._task = asyncio.create_task(self._every_second())
                await send({"type": "lifespan.startup.complete"})
            else:
                if self._task is not None:
                    self._task.cancel()
                await send({"type": "lifespan.shutdown.complete"})
                return


def create() -> Broadcast:
    return Broadcast()
