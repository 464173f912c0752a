"""A raw epoll HTTP/1.1 client: one thread, one loop, keep-alive, no parsing but what is asked for.

It has a process to itself, so that it shares no event loop with the gateway. `bench.parts.generator` measures
its own ceiling, and every load says what share of a core it used.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import select
import socket
import time
from collections.abc import Callable

Address = tuple[str, int]
Ready = Callable[[], None]
Done = Callable[[int, bytes], None]
"""Called with the HTTP status, 0 where the connection was lost, and the body."""

RECV_BYTES = 262_144
CONNECT_SECONDS_MAX = 10.0
IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h: the port is chosen at connect, so that only the four-tuple must be free


class Loop:
    """Readiness and timers."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._ready: dict[int, Ready] = {}
        self._timers: list[tuple[float, int, Ready]] = []
        self._order = itertools.count()
        self.running = True

    def add(self, opened: socket.socket, ready: Ready) -> None:
        self._ready[opened.fileno()] = ready
        self._epoll.register(opened.fileno(), select.EPOLLIN)

    def remove(self, opened: socket.socket) -> None:
        if self._ready.pop(opened.fileno(), None) is not None:
            with contextlib.suppress(OSError):
                self._epoll.unregister(opened.fileno())

    def at(self, when: float, call: Ready) -> None:
        """Call at ``when`` of `time.perf_counter`, or soon after."""
        heapq.heappush(self._timers, (when, next(self._order), call))

    def run(self) -> None:
        """Until somebody sets `running` to False."""
        clock = time.perf_counter
        poll, ready, timers = self._epoll.poll, self._ready, self._timers
        while self.running:
            pause = 0.1
            if timers:
                now = clock()
                while timers and timers[0][0] <= now:
                    heapq.heappop(timers)[2]()
                if timers:
                    pause = min(max(timers[0][0] - now, 0.0), 0.1)
            for number, _ in poll(pause, 1024):
                handler = ready.get(number)
                if handler is not None:
                    handler()


def connect(server: Address, source: str) -> socket.socket:
    """A connected, non-blocking socket.

    Raises:
        OSError: nobody listens, or there is no port left.
    """
    opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source:
            opened.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            opened.bind((source, 0))
        opened.settimeout(CONNECT_SECONDS_MAX)
        opened.connect(server)
    except OSError:
        opened.close()
        raise
    opened.setblocking(False)
    return opened


class Connection:
    """A kept-alive connection, one request at a time; reconnects by itself when the server closed it."""

    __slots__ = ("_body", "_chunked", "_done", "_head", "_left", "_loop", "_socket", "_status", "server", "source")

    def __init__(self, loop: Loop, server: Address, source: str = "") -> None:
        self._loop = loop
        self.server = server
        self.source = source
        self._socket: socket.socket | None = None
        self._done: Done | None = None
        self._head = b""
        self._body: list[bytes] = []
        self._left = -1
        self._status = 0
        self._chunked = False

    def send(self, request: bytes, done: Done) -> None:
        """Send a whole request; ``done`` hears the answer."""
        assert self._done is None
        self._done = done
        try:
            if self._socket is None:
                self._socket = connect(self.server, self.source)
                self._loop.add(self._socket, self._on_ready)
            if self._socket.send(request) != len(request):
                raise OSError("the socket's buffer is full")
        except OSError:
            self._lose()

    def close(self) -> None:
        if self._socket is not None:
            self._loop.remove(self._socket)
            self._socket.close()
            self._socket = None

    def _on_ready(self) -> None:
        assert self._socket is not None
        try:
            data = self._socket.recv(RECV_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lose()
        elif self._left >= 0:
            self._take(data)
        else:
            self._begin(data)

    def _begin(self, data: bytes) -> None:
        if self._head:
            data = self._head + data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self._head = data
            return
        self._head = b""
        self._status = int(data[9:12])
        head = data[:end].lower()
        at = head.find(b"\r\ncontent-length:")
        if at >= 0:
            line_end = head.find(b"\r\n", at + 17)
            length = int(head[at + 17 : line_end if line_end > 0 else end])
            if len(data) == end + 4 + length:
                self._finish(data[end + 4 :])
                return
            self._left = length
        elif b"transfer-encoding: chunked" in head:
            self._chunked = True
            self._left = 1
        else:
            self._finish(b"")
            return
        self._take(data[end + 4 :])

    def _take(self, data: bytes) -> None:
        if data:
            self._body.append(data)
        if self._chunked:
            body = b"".join(self._body)
            if body.endswith(b"0\r\n\r\n"):
                self._finish(_dechunked(body))
            return
        self._left -= len(data)
        if self._left <= 0:
            self._finish(b"".join(self._body))

    def _finish(self, body: bytes) -> None:
        done, status = self._done, self._status
        self._done = None
        self._left = -1
        self._chunked = False
        if self._body:
            self._body = []
        if done is not None:
            done(status, body)

    def _lose(self) -> None:
        self.close()
        self._head = b""
        self._status = 0
        self._finish(b"")


def _dechunked(body: bytes) -> bytes:
    parts: list[bytes] = []
    at = 0
    while True:
        line_end = body.index(b"\r\n", at)
        size = int(body[at:line_end].partition(b";")[0], 16)
        if size == 0:
            return b"".join(parts)
        parts.append(body[line_end + 2 : line_end + 2 + size])
        at = line_end + size + 4


def request(method: str, path: str, *headers: str, token: str = "", body: bytes | None = None) -> bytes:
    """A whole HTTP/1.1 request, rendered beforehand."""
    lines = [f"{method} {path} HTTP/1.1", "Host: bench"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    lines += headers
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b"")
