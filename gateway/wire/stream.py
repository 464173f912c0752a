"""One open stream, and the response that opens it.

`StreamResponse` is sse-starlette's `EventSourceResponse` with a `__call__` of its own. The original starts four
tasks a stream (39 KB and 60 µs of CPU an event when measured). Here a stream has none: the request's own task ends once
the stream is open, and publishers write straight to the connection's transport. A frame through ASGI's ``send`` took a
coroutine, a dictionary and an exception, and cost 6 µs where it now costs 1.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import socket
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from sse_starlette import EventSourceResponse
from sse_starlette.sse import AppStatus
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from gateway.wire.head import is_head
from gateway.wire.stream_slots import StreamSlot

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]
Scope = MutableMapping[str, Any]
Leave = Callable[[], Awaitable[None]]
ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]

RETRY_MS: Final = (500, 4_500)
"""How long a client waits before it reconnects; sent once, first. Each is told another time: the streams of a gateway
that is killed say no farewell, and all would come back together.
"""
BEAT_FRAME: Final = b"event: beat\ndata: {}\n\n"
BEAT_SECONDS: Final = 5.5
"""The age of a stream's last beat at which one is sent alone: `Stream.keep` is called each second, the line's heartbeat
every four, so that none is ten seconds late.
"""
BEAT_CARRIED_SECONDS: Final = 4.0
"""The age from which another frame carries a beat with it, which is cheaper than one alone."""
_SEND: Final = "admitone.send"
_OPENED: Final = "admitone.opened"
_STAYING: Final = ("type", "method")
"""What of its scope the server still asks for while a response goes on."""
LIMITS_UNTAKEN: Final = hasattr(socket, "TCP_USER_TIMEOUT")
"""Linux."""
BYE_RETRY_MS: Final = (500, 5_500)
"""Those sent away together come back over this time, not at once."""


def retry_frame() -> bytes:
    """How long this client waits before it reconnects."""
    return b"retry: %d\n\n" % random.randint(*RETRY_MS)  # noqa: S311 - spreads them


def bye_frame() -> bytes:
    """The farewell, and how long this client waits before it reconnects."""
    return b"retry: %d\nevent: bye\ndata: {}\n\n" % random.randint(*BYE_RETRY_MS)  # noqa: S311 - spreads them


def ending() -> bool:
    """Whether the process has been asked to end."""
    return bool(AppStatus.should_exit)


class _Wake(asyncio.Event):
    """uvicorn sets it when the client has gone, when the response is over, and when something of the request has come.

    It is never waited for, so it has none of what an Event needs for that.
    """

    __slots__ = ("_stream",)

    def __init__(self, stream: Stream | None = None) -> None:
        self._stream = stream

    def set(self) -> None:
        if self._stream is not None:
            self._stream.woken()


_OVER: Final = _Wake()


class Stream:
    """An open stream. `write` never waits: a reader who does not keep up loses frames, then the connection.

    Args:
        send: uvicorn's, of a response that was started, and is chunked unless its client speaks HTTP/1.0.
        send_seconds_max: a connection that has not taken what was written by then is cut.

    Raises:
        TypeError: ``send`` is not uvicorn's.
    """

    __slots__ = (
        "_beat_at",
        "_chunked",
        "_cycle",
        "_flow",
        "_held",
        "_leave",
        "_send_seconds_max",
        "_slot",
        "_tasks",
        "_transport",
        "_waiting",
        "closed",
        "ends_at",
        "wrote_at",
    )

    def __init__(self, send: Send, seconds_max: float, send_seconds_max: float) -> None:
        cycle = getattr(send, "__self__", None)
        if not isinstance(cycle, RequestResponseCycle) or cycle.chunked_encoding is None:
            raise TypeError("streams are written to uvicorn's connections (http=httptools)")
        now = time.monotonic()
        self._cycle = cycle
        self._chunked = cycle.chunked_encoding
        self._transport = cycle.transport
        self._flow = cycle.flow
        if LIMITS_UNTAKEN:
            # The kernel takes some megabytes for a reader who takes none, and asks a machine that is gone for a quarter
            # of an hour: only it knows what was acknowledged.
            connection = self._transport.get_extra_info("socket")
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(send_seconds_max * 1000))
        self._send_seconds_max = send_seconds_max
        self._slot: StreamSlot | None = None
        self._leave: Leave | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: asyncio.Task[None] | None = None
        self._held: bytes | None = None
        self._beat_at = now
        self.closed = False
        self.ends_at = now + seconds_max
        self.wrote_at = now

    def write(self, frame: bytes) -> bool:
        """Send a whole frame; False if the stream is closed or behind, and the frame was dropped.

        The first frame for a reader who is behind is sent once the reader has caught up.
        """
        if self.closed or self._waiting is not None or self._transport.is_closing():
            return False
        if self._held is not None:
            self._held += frame
            return True
        if self._flow.write_paused:
            self._waiting = asyncio.get_running_loop().create_task(self._wait(frame))
            return True
        now = time.monotonic()
        if now - self._beat_at >= BEAT_CARRIED_SECONDS:
            self._beat_at = now
            frame += BEAT_FRAME
        self._transport.write(b"%x\r\n%b\r\n" % (len(frame), frame) if self._chunked else frame)
        self.wrote_at = now
        return True

    def hold(self) -> None:
        """Keep what is written until `release`: a stream begins with several frames, and each alone costs a write."""
        self._held = b""

    def release(self) -> None:
        """Send what was kept, all at once."""
        held, self._held = self._held, None
        if held:
            self.write(held)

    def beat(self) -> None:
        """Send a beat if it is time for one."""
        if time.monotonic() - self._beat_at >= BEAT_SECONDS:
            # An empty frame carries it.
            self.write(b"")

    def end(self, last: bytes | None = None) -> None:
        """Say farewell, or the ``last`` word, and close."""
        if self.closed:
            return
        self._beat_at = math.inf
        self.write(bye_frame() if last is None else last)
        self.release()
        self.closed = True
        self._complete()

    def _complete(self) -> None:
        if self._flow.write_paused:
            self._transport.abort()
            return
        # With room to write, uvicorn's send does not suspend: it is over at the first step.
        with contextlib.suppress(StopIteration):
            self._cycle.send({"type": "http.response.body", "body": b"", "more_body": False}).send(None)

    def stay(self, slot: StreamSlot, leave: Leave) -> bool:
        """Have the stream outlive its request's task, which returns to uvicorn next; then free the slot, and ``leave``.
        False if the stream is over already.

        A task with its frames was a quarter of a stream's memory.
        """
        connection = self._transport.get_protocol()
        if self.closed or self._transport.is_closing() or not isinstance(connection, HttpToolsProtocol):
            return False
        self._slot, self._leave, self._tasks = slot, leave, connection.tasks
        # uvicorn would cut a response that its application leaves open, but not that of a client who has gone.
        self._cycle.disconnected = True
        asyncio.get_running_loop().call_soon(self._stay, connection)
        return True

    def _stay(self, connection: HttpToolsProtocol) -> None:
        """Have uvicorn know again, after the task's end, that the client is there."""
        if self._transport.is_closing():
            self._end_stay()
            return
        cycle = self._cycle
        cycle.disconnected = False
        cycle.on_response = connection.on_response_complete
        cycle.message_event = _Wake(self)
        if self.closed:
            self._complete()

    def woken(self) -> None:
        """The client may have gone, or the response may be over."""
        if self._cycle.disconnected or self._cycle.response_complete:
            self._cycle.message_event = _OVER
            self._end_stay()

    def _end_stay(self) -> None:
        self.closed = True
        slot, leave = self._slot, self._leave
        self._slot = self._leave = None
        if slot is not None and leave is not None:
            slot.release()
            # Among its own uvicorn waits for the task before it ends.
            task = asyncio.get_running_loop().create_task(_run(leave))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def keep(self) -> None:
        """Farewell when it is time for it, else a beat; to be called each second or so."""
        if ending() or time.monotonic() >= self.ends_at:
            self.end()
        else:
            self.beat()

    async def _wait(self, frame: bytes) -> None:
        try:
            async with asyncio.timeout(self._send_seconds_max):
                await self._flow.drain()
        except TimeoutError:
            self.closed = True
            self._transport.abort()
        finally:
            self._waiting = None
        self.write(frame)


async def _run(leave: Leave) -> None:
    await leave()


class StreamResponse(EventSourceResponse):
    """Opens a stream and hands it to ``subscribe``; `serve` stays with it.

    Args:
        subscribe: called with the open stream; writes the first frames and returns what undoes it.
        slot: taken for as long as the stream is open.

    Raises:
        ProblemError: ``too_many_streams``, when it is called.
    """

    def __init__(self, subscribe: Callable[[Stream], Awaitable[Leave]], slot: StreamSlot) -> None:
        super().__init__(iter(()), sep="\n")
        self._subscribe = subscribe
        self._slot = slot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if is_head(scope):
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": b""})
            return
        slot = self._slot
        slot.take()
        try:
            if scope["http_version"] == "1.0":
                # HTTP/1.0 knows no chunks: the end of the connection is the end of the stream.
                scope[_SEND].__self__.chunked_encoding = False
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            stream = Stream(scope[_SEND], slot.seconds_max, slot.send_seconds_max)
            slot.opened(stream)
            stream.hold()
            stream.write(retry_frame())
            scope[_OPENED] = (stream, slot, await self._subscribe(stream))
            stream.release()
        except BaseException:
            slot.release()
            raise


async def serve(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Have ``app`` answer, and let the stream that it may have opened stay until the client goes or it ends.

    A stream that stays keeps no frame of the framework alive, nor its request nor its headers: they were half of a
    stream's memory.
    """
    scope[_SEND] = send
    try:
        await app(scope, receive, send)
    finally:
        # It reaches the scope again, so that each request would wait for the garbage collector.
        del scope[_SEND]
    opened = scope.pop(_OPENED, None)
    if opened is None:
        return
    stream, slot, leave = opened
    scope["headers"].clear()  # the connection has the same list
    staying = {name: scope[name] for name in _STAYING}
    # Items that are deleted one by one leave a dictionary as large as it was.
    scope.clear()
    scope.update(staying)
    if not stream.stay(slot, leave):
        stream.closed = True
        slot.release()
        await asyncio.shield(leave())


def frame(event: str, data: bytes, event_id: int | None = None) -> bytes:
    """An SSE frame of one-line JSON ``data``."""
    head = b"" if event_id is None else b"id: %d\n" % event_id
    return b"%sevent: %s\ndata: %s\n\n" % (head, event.encode(), data)
