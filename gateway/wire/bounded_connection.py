"""A client's connection with bounds on what uvicorn leaves unbounded: the time and size of a request's head, the time
of its body, and the number of connections (ADR 47).

uvicorn bounds only how long a connection may be idle between two requests. A socket that never says a word, half a
head, and half a body stayed open for as long as their clients liked, and a head of 30 MB was read whole.
"""

from __future__ import annotations

import asyncio
import math
import socket
from typing import Any, Final

import msgspec
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from booking_lane.problems import problem
from gateway.wire.connection_counts import Connections
from gateway.wire.problems import MEDIA_TYPE, answered
from gateway.wire.stream import LIMITS_UNTAKEN

STATE: Final = "connections"
"""The application puts its `Connections` into ASGI's lifespan state under this name."""
UNTAKEN_SECONDS_MAX: Final = 30
"""A client that acknowledges nothing of its answer for so long is gone, or does not want it."""
LINGER_SECONDS: Final = 2.0
"""After a refusal the rest of the request is read and thrown away for so long: if the socket were closed with something
unread, the system would send a reset, and the client might never see the answer."""
FULL_RETRY_SECONDS: Final = 5
TIMER_SECONDS: Final = 0.001
"""The loop's timers have whole milliseconds, and may end as much too early."""


class _HeadTooLargeError(Exception):
    """Ends the parsing of a head that came at once and is too large."""


_WRITABLE: Final = asyncio.Event()
_WRITABLE.set()


class _Flow(FlowControl):
    """uvicorn's, without an event of its own until a client is behind. An event has half a kilobyte."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.read_paused = self.write_paused = False
        self._is_writable_event = _WRITABLE

    def pause_writing(self) -> None:
        if not self.write_paused:
            self._is_writable_event = asyncio.Event()
            super().pause_writing()


class _Pipeline(list[Any]):
    """Requests that wait for the answer to the one before. Hardly any connection has one, and uvicorn's empty deque has
    half a kilobyte.
    """

    __slots__ = ()

    def appendleft(self, one: Any) -> None:
        self.insert(0, one)


class BoundedConnection(HttpToolsProtocol):
    """uvicorn's connection; each timer is one of a connection, so that an ordinary request needs none."""

    # Python keeps the names of up to thirty attributes once for all connections, and uvicorn has 28 of its own. With
    # ours among them each connection had its own names, which are more than a kilobyte.
    __slots__ = (
        "_address",
        "_bounds",
        "_chunk_is_large",
        "_connections",
        "_counted",
        "_head_bytes",
        "_head_is_too_large",
        "_head_open",
        "_idle_since",
        "_lingers",
        "_message_open",
        "_refused",
        "_timer",
    )

    def __init__(
        self, config: Any, server_state: Any, app_state: dict[str, Any], _loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._idle_since = math.inf
        """When the last answer ended, by the loop's clock; infinite while nothing is to be waited for behind it."""
        self.pipeline = _Pipeline()  # type: ignore[assignment]
        self._connections: Connections = app_state[STATE]
        self._bounds = self._connections.settings
        self._address = ""
        self._counted = False
        self._refused = False
        self._lingers = False
        self._message_open = False
        self._head_open = False
        self._head_bytes: int | None = None
        """Of the head that is being read, without the chunk in which it began; None in that chunk."""
        self._chunk_is_large = self._head_is_too_large = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = _Flow(transport)
        self._address = self.client[0] if self.client is not None else ""
        if not self._connections.take(self, self._address):
            self._write_refusal("too_many_connections")
            self._refused = True
            self._lingers = self._connections.linger()
            if self._lingers:
                _end_writing(transport)
                self._timer = self.loop.call_later(LINGER_SECONDS, transport.abort)
            else:
                transport.close()
            return
        self._counted = True
        connection = transport.get_extra_info("socket")
        if LIMITS_UNTAKEN and connection is not None and connection.family in (socket.AF_INET, socket.AF_INET6):
            # Only the kernel knows what was acknowledged (see `gateway.wire.stream`).
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNTAKEN_SECONDS_MAX * 1000)
        self._arm(self._bounds.head_seconds_max)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        # The last request and its connection know each other: they would wait for the garbage collector.
        self.cycle = None  # type: ignore[assignment]
        self._disarm()
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None
        if self._counted:
            self._counted = False
            self._connections.release(self, self._address)
        if self._lingers:
            self._connections.lingering -= 1

    def make_room(self) -> None:
        """Close a connection without a request, for another one; it counts no more."""
        if self._counted:
            self._counted = False
            self._connections.release(self, self._address)
        self._refused = True
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._chunk_is_large = len(data) > self._bounds.head_bytes_max
        super().data_received(data)
        if self._ended():
            return
        if self._message_open:
            if self._head_open:
                self._head_bytes = 0 if self._head_bytes is None else self._head_bytes + len(data)
                if self._head_bytes > self._bounds.head_bytes_max:
                    self._refuse("head_too_large")
                    return
            if self._timer is None:
                self._arm(self._bounds.head_seconds_max if self._head_open else self._bounds.body_seconds_max)
        elif self.cycle is None or (self.cycle.response_complete and self._idle_since == math.inf):
            # What came began no request (blank lines), and uvicorn waits for one without a bound.
            if self._timer is None:
                self._arm(self._bounds.head_seconds_max)
        elif self._timer is not None:
            self._disarm()

    def on_message_begin(self) -> None:
        self._message_open = self._head_open = True
        self._head_bytes = None
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head_open = False
        if self._chunk_is_large or self._head_bytes is not None:
            lines_bytes = sum(len(name) + len(value) + len(": \r\n") for name, value in self.headers)
            if len(self.url) + lines_bytes > self._bounds.head_bytes_max:
                self._head_is_too_large = True
                raise _HeadTooLargeError
        if self._timer is not None:
            self._disarm()
            self._connections.spoke(self, self._address)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._message_open = False
        super().on_message_complete()

    # uvicorn sets a timer at the end of each answer and takes it away with the next request, which is a twelfth of its
    # time for both. This one stays, and where it ends too early it is set anew for the rest.

    def _unset_keepalive_if_required(self) -> None:
        self._idle_since = math.inf

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self._idle_since = math.inf
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def timeout_keep_alive_handler(self) -> None:
        self.timeout_keep_alive_task = None
        # While a request is answered its end sets the next timer: a stream has none.
        if self._idle_since == math.inf or self.transport.is_closing():
            return
        left_seconds = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left_seconds <= TIMER_SECONDS:
            self.transport.close()
        else:
            self.timeout_keep_alive_task = self.loop.call_later(left_seconds, self.timeout_keep_alive_handler)

    def send_400_response(self, msg: str) -> None:
        """Called where the parser failed."""
        self._refuse("head_too_large" if self._head_is_too_large else "invalid_request")

    def _ended(self) -> bool:
        """Whether the parser's callbacks have refused the connection meanwhile: mypy sees that of a call alone."""
        return self._refused

    def _arm(self, seconds: float) -> None:
        self._timer = self.loop.call_later(seconds, self._on_late)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_late(self) -> None:
        self._timer = None
        if self.flow.read_paused:
            # It is we who do not read.
            self._arm(self._bounds.head_seconds_max)
        elif self._message_open:
            self._refuse("request_timeout")
        else:
            self._refused = True
            self.transport.close()

    def _refuse(self, code: str) -> None:
        """Answer with the problem, unless another answer has begun, and close once the client has had time to read."""
        self._refused = True
        self._disarm()
        self._unset_keepalive_if_required()
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            began = cycle.response_started
            # The application's task ends as it does for a client that went.
            cycle.disconnected = True
            cycle.message_event.set()
            if began:
                self.transport.abort()
                return
        self._write_refusal(code)
        _end_writing(self.transport)
        self._timer = self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def _write_refusal(self, code: str) -> None:
        full = code == "too_many_connections"
        document = problem(code, retryAfterSeconds=FULL_RETRY_SECONDS) if full else problem(code)
        answered[code] += 1
        body = msgspec.json.encode(document)
        lines = [
            *self.server_state.default_headers,
            (b"content-type", MEDIA_TYPE),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
            (b"connection", b"close"),
            *([(b"retry-after", b"%d" % FULL_RETRY_SECONDS)] if full else []),
        ]
        head = b"".join(name + b": " + value + b"\r\n" for name, value in lines)
        self.transport.write(STATUS_LINE[document["status"]] + head + b"\r\n" + body)


def _end_writing(transport: asyncio.Transport) -> None:
    """Say that no more comes. TLS has no such word: there the answer's length says it, and the end comes later."""
    if transport.can_write_eof():
        transport.write_eof()
