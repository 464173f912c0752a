"""One open stream, and the response that opens it.

`StreamResponse` is sse-starlette's `EventSourceResponse` with a `__call__` of its own. The original starts four
tasks a stream (39 KB and 60 µs of CPU an event when measured); here a stream is the request's own task, asleep
until the client goes, and whoever has news writes to it directly.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any, Final

from sse_starlette import EventSourceResponse
from sse_starlette.sse import AppStatus

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]
Scope = MutableMapping[str, Any]
ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]

RETRY_MS: Final = 2000
"""How long a client waits before it reconnects; sent once, first."""
RETRY_FRAME: Final = b"retry: %d\n\n" % RETRY_MS
PING_SECONDS: Final = 15.0
PING_FRAME: Final = b": ping\n\n"
_SEND: Final = "admitone.send"
_OPENED: Final = "admitone.opened"
_STAYING: Final = frozenset({"type", "method"})
"""What of its scope the server still asks for while a response goes on."""
BYE_RETRY_MS: Final = (500, 5_500)
"""Those sent away together come back over this time, not at once."""


def bye_frame() -> bytes:
    """The farewell, and how long this client waits before it reconnects."""
    return b"retry: %d\nevent: bye\ndata: {}\n\n" % random.randint(*BYE_RETRY_MS)  # noqa: S311 - spreads them


def ending() -> bool:
    """The process was told to end."""
    return bool(AppStatus.should_exit)


class Stream:
    """An open stream. `write` never waits: a reader who does not keep up loses frames, then the stream.

    Args:
        send_seconds_max: a frame that the client has not taken by then ends the stream.
    """

    __slots__ = ("_blocked", "_send", "_send_seconds_max", "closed", "ends_at", "wrote_at")

    def __init__(self, send: Send, seconds_max: float, send_seconds_max: float) -> None:
        now = time.monotonic()
        self._send = send
        self._send_seconds_max = send_seconds_max
        self._blocked: asyncio.Task[None] | None = None
        self.closed = False
        self.ends_at = now + seconds_max
        self.wrote_at = now

    def write(self, frame: bytes) -> bool:
        """Send a whole frame; False if the stream is closed or behind, and the frame was dropped."""
        if self.closed or self._blocked is not None:
            return False
        self._step(self._send({"type": "http.response.body", "body": frame, "more_body": True}))
        self.wrote_at = time.monotonic()
        return True

    def end(self) -> None:
        """Say farewell and close."""
        if self.closed:
            return
        self.write(bye_frame())
        self.closed = True
        if self._blocked is None:
            self._step(self._send({"type": "http.response.body", "body": b"", "more_body": False}))
        else:
            self._blocked.cancel()

    def keep(self) -> None:
        """Farewell when it is time for it, else a sign of life after a silence; to be called each second or so."""
        now = time.monotonic()
        if ending() or now >= self.ends_at:
            self.end()
        elif now - self.wrote_at >= PING_SECONDS:
            self.write(PING_FRAME)

    def _step(self, sending: Awaitable[None]) -> None:
        # The server's send only suspends while the socket's buffer is full. Running it by hand to its first
        # suspension spares a task for all the others.
        assert isinstance(sending, Coroutine)
        try:
            waiting_for = sending.send(None)
        except StopIteration:
            return
        except OSError:
            self.closed = True
            return
        self._blocked = asyncio.get_running_loop().create_task(self._finish(sending, waiting_for))

    async def _finish(self, sending: Coroutine[Any, Any, None], waiting_for: Any) -> None:
        """Carry on a send that suspended, as the event loop would."""
        try:
            async with asyncio.timeout(self._send_seconds_max):
                while True:
                    if isinstance(waiting_for, asyncio.Future):
                        waiting_for._asyncio_future_blocking = False
                        with contextlib.suppress(Exception):
                            await asyncio.shield(waiting_for)
                    else:
                        await asyncio.sleep(0)
                    waiting_for = sending.send(None)
        except StopIteration:
            pass
        except (TimeoutError, OSError, asyncio.CancelledError):
            self.closed = True
            sending.close()
        finally:
            self._blocked = None


class StreamResponse(EventSourceResponse):
    """Opens a stream and hands it to ``subscribe``; `serve` stays with it.

    Args:
        subscribe: called with the open stream; writes the first frames and returns what undoes it.
    """

    def __init__(
        self,
        subscribe: Callable[[Stream], Awaitable[Callable[[], Awaitable[None]]]],
        *,
        seconds_max: float,
        send_seconds_max: float,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(iter(()), sep="\n", headers=headers)
        self._subscribe = subscribe
        self._seconds_max = seconds_max
        self._send_seconds_max = send_seconds_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "HEAD":
            await super().__call__(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        stream = Stream(scope[_SEND], self._seconds_max, self._send_seconds_max)
        stream.write(RETRY_FRAME)
        scope[_OPENED] = (stream, await self._subscribe(stream))


async def serve(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Have ``app`` answer, then stay with the stream it may have opened until the client goes or it ends.

    The stay is out here, after the framework has returned, so that a sleeping stream keeps none of its frames,
    its request nor its headers alive: they were half of a stream's memory.
    """
    scope[_SEND] = send
    await app(scope, receive, send)
    opened = scope.pop(_OPENED, None)
    if opened is None:
        return
    stream, leave = opened
    del opened, app, send
    for name in scope.keys() - _STAYING:
        del scope[name]
    try:
        while not stream.closed:
            if (await receive())["type"] == "http.disconnect":
                break
    finally:
        stream.closed = True
        await asyncio.shield(leave())


def frame(event: str, data: bytes, event_id: int | None = None) -> bytes:
    """An SSE frame of one-line JSON ``data``."""
    head = b"" if event_id is None else b"id: %d\n" % event_id
    return b"%sevent: %s\ndata: %s\n\n" % (head, event.encode(), data)
