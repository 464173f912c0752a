"""HTTP/1.1 for thousands of fans in one process: kept-alive connections that they share, and endless answers.

`admitone.crowd` uses aiohttp, which costs a client more than the gateway spends on many of its answers: it would
measure itself.
"""

from __future__ import annotations

import asyncio
import gzip
import ssl
import time
import zlib
from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast
from urllib.parse import urlsplit

import httptools
import msgspec

CONNECTIONS_MAX: Final = 256
"""Of one generator, kept alive and shared; streams have one each."""
IDLE_SECONDS_MAX: Final = 3.0
"""A connection that the other side is about to close is never used again."""
ANSWER_SECONDS_MAX: Final = 45.0
CONNECT_SECONDS_MAX: Final = 15.0
BROKEN_TRIES_MAX: Final = 3
BODY_BYTES_MAX: Final = 32_000_000

Chunk = Callable[[bytes | None], None]


class Broken(ConnectionError):  # noqa: N818 - the connection is
    """No answer: refused, cut, silent for too long, or not HTTP."""


class Reply:
    """An answer whose body is all there, perhaps gzipped."""

    __slots__ = ("_body", "_is_gzipped", "retry_after_seconds", "status")

    def __init__(self, status: int, body: bytes, retry_after_seconds: float, is_gzipped: bool) -> None:
        self.status = status
        self._body = body
        self._is_gzipped = is_gzipped
        self.retry_after_seconds = retry_after_seconds

    def document(self) -> dict[str, Any]:
        """The JSON object; empty where there is none, which no answer of ours is.

        Raises:
            Broken: the body cannot be read.
        """
        if not self._body:
            return {}
        try:
            body = gzip.decompress(self._body) if self._is_gzipped else self._body
            return msgspec.json.decode(body, type=dict[str, Any])
        except (OSError, EOFError, zlib.error, ValueError, msgspec.MsgspecError):
            raise Broken(f"HTTP {self.status} without a JSON object") from None


class _Connection(asyncio.Protocol):
    """One request at a time. With ``chunk`` the answer's body goes there piece by piece, None at its end."""

    def __init__(self) -> None:
        self.idle_since = 0.0
        self.is_open = False
        self.chunk: Chunk | None = None
        self._transport: asyncio.Transport | None = None
        self._parser: Any = None
        self._answer: asyncio.Future[Reply] | None = None
        self._body: list[bytes] = []
        self._size = 0
        self._retry_after = 0.0
        self._is_gzipped = False

    # -- asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is one in all but name.
        self._transport = cast(asyncio.Transport, transport)
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"not HTTP: {error}")
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        self._fail("cut")

    # -- httptools

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"retry-after" and value.isdigit():
            self._retry_after = float(value)
        elif name.lower() == b"content-encoding":
            self._is_gzipped = value.strip().lower() == b"gzip"

    def on_headers_complete(self) -> None:
        # A refusal is no stream: its body is read to the end, and told as an answer.
        if self.chunk is not None and self._parser.get_status_code() == 200 and self._answer is not None:
            self._tell(Reply(200, b"", 0.0, False))

    def on_body(self, body: bytes) -> None:
        if self.chunk is not None and self._answer is None:
            self.chunk(body)
            return
        self._size += len(body)
        if self._size > BODY_BYTES_MAX:
            self._fail("too much of a body")
            self.close()
            return
        self._body.append(body)

    def on_message_complete(self) -> None:
        if not self._parser.should_keep_alive():
            self.close()
        if self._answer is None:
            self._end_stream()
        else:
            self._tell(Reply(self._parser.get_status_code(), b"".join(self._body), self._retry_after, self._is_gzipped))

    # -- ours

    def send(self, request: bytes, chunk: Chunk | None = None) -> asyncio.Future[Reply]:
        assert self._transport is not None
        self._parser = httptools.HttpResponseParser(self)
        self._answer = asyncio.get_running_loop().create_future()
        self.chunk = chunk
        self._body = []
        self._size = 0
        self._retry_after = 0.0
        self._is_gzipped = False
        self._transport.write(request)
        return self._answer

    def close(self) -> None:
        self.is_open = False
        if self._transport is not None:
            self._transport.close()

    def _tell(self, reply: Reply) -> None:
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_result(reply)

    def _fail(self, why: str) -> None:
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(Broken(why))
        elif answer is None:
            self._end_stream()

    def _end_stream(self) -> None:
        chunk, self.chunk = self.chunk, None
        if chunk is not None:
            chunk(None)


class Stream:
    """An endless answer that was opened."""

    __slots__ = ("_connection",)

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    def close(self) -> None:
        """No chunk is told any more."""
        self._connection.chunk = None
        self._connection.close()


class HttpClient:
    """Calls to one site. Who finds every connection busy waits in order.

    Args:
        base_url: http or https; a path in it goes before every path asked.
    """

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        self._host = parts.hostname or ""
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        self._prefix = parts.path.rstrip("/")
        self._head = f"Host: {parts.netloc.rpartition('@')[2]}\r\nAccept-Encoding: gzip\r\n"
        self._idle: list[_Connection] = []
        self._opened = 0
        self._waiting: deque[asyncio.Future[_Connection | None]] = deque()

    def request(self, method: str, path: str, token: str, body: bytes = b"", headers: str = "") -> bytes:
        """The bytes of a request; ``headers`` are lines, each with its end."""
        content = "" if method == "GET" else f"Content-Length: {len(body)}\r\n"
        if body:
            content += "Content-Type: application/json\r\n"
        head = f"{method} {self._prefix}{path} HTTP/1.1\r\n{self._head}Authorization: Bearer {token}\r\n"
        return f"{head}{headers}{content}\r\n".encode() + body

    async def ask(self, request: bytes) -> Reply:
        """One call, tried again on another connection where one broke: the request must bear being repeated.

        Raises:
            Broken: `BROKEN_TRIES_MAX` times.
        """
        for tried in range(1, BROKEN_TRIES_MAX + 1):
            connection = None
            try:
                connection = await self._take()
                async with asyncio.timeout(ANSWER_SECONDS_MAX):
                    return await connection.send(request)
            except (OSError, TimeoutError) as error:
                if connection is not None:
                    connection.close()
                if tried == BROKEN_TRIES_MAX:
                    raise Broken(str(error) or type(error).__name__) from None
                await asyncio.sleep(0.25 * 2**tried)
            except asyncio.CancelledError:
                if connection is not None:
                    connection.close()
                raise
            finally:
                if connection is not None:
                    self._give(connection)
        raise AssertionError

    async def open(self, request: bytes, chunk: Chunk) -> tuple[Reply, Stream]:
        """Begin an endless answer on a connection of its own; a reply that is not 200 has its body, and is all.

        Raises:
            Broken
        """
        try:
            connection = await self._connect()
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                reply = await connection.send(request, chunk)
        except (OSError, TimeoutError) as error:
            raise Broken(str(error) or type(error).__name__) from None
        if reply.status != 200:
            connection.chunk = None
            connection.close()
        return reply, Stream(connection)

    async def _take(self) -> _Connection:
        while True:
            while self._idle:
                connection = self._idle.pop()
                if connection.is_open and time.monotonic() - connection.idle_since < IDLE_SECONDS_MAX:
                    return connection
                connection.close()
                self._opened -= 1
            if self._opened < CONNECTIONS_MAX:
                self._opened += 1
                try:
                    return await self._connect()
                except BaseException:
                    self._left()
                    raise
            free: asyncio.Future[_Connection | None] = asyncio.get_running_loop().create_future()
            self._waiting.append(free)
            given = await free
            if given is not None:
                return given

    def _give(self, connection: _Connection) -> None:
        if not connection.is_open:
            self._left()
            return
        connection.idle_since = time.monotonic()
        while self._waiting:
            free = self._waiting.popleft()
            if not free.done():
                free.set_result(connection)
                return
        self._idle.append(connection)

    def _left(self) -> None:
        """One connection less: whoever waits may open another."""
        self._opened -= 1
        while self._waiting:
            free = self._waiting.popleft()
            if not free.done():
                free.set_result(None)
                return

    async def _connect(self) -> _Connection:
        async with asyncio.timeout(CONNECT_SECONDS_MAX):
            _, connection = await asyncio.get_running_loop().create_connection(
                _Connection, self._host, self._port, ssl=self._tls
            )
        return connection
