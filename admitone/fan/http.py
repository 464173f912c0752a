"""An HTTP/1.1 client for thousands of fans in one process, with shared keep-alive connections and endless answers.

A general client would use more processor time than the gateway does for many answers, so that a load test would
measure the client.
"""

from __future__ import annotations

import asyncio
import gzip
import itertools
import ssl
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, Final, cast
from urllib.parse import urlsplit

import httptools
import msgspec

CONNECTIONS_MAX: Final = 256
"""One client has at most so many connections for its calls; each stream has one more of its own."""
IDLE_SECONDS_MAX: Final = 3.0
"""A connection is not used again after this time. It is below uvicorn's keep-alive of 5 s, so that no call is sent on a
connection that the server is about to close."""
ANSWER_SECONDS_MAX: Final = 45.0
SILENCE_SECONDS_MAX: Final = 60.0
"""A stream that is silent for so long is broken, because the gateway sends a beat more often."""
CONNECT_SECONDS_MAX: Final = 15.0
BODY_BYTES_MAX: Final = 32_000_000
SWEEP_SECONDS: Final = 1.0

_decode = msgspec.json.Decoder(dict[str, Any]).decode

Chunk = Callable[[bytes | None], None]
"""A function that gets each piece of an endless answer's body, and None at its end."""


class Broken(ConnectionError):  # noqa: N818 - the connection is
    """There is no answer: the connection was refused, cut, silent for too long, or did not speak HTTP."""


class Reply:
    """An answer whose body is complete, perhaps gzipped."""

    __slots__ = ("_document", "body", "content_type", "is_gzipped", "retry_after", "status")

    def __init__(self) -> None:
        self.status = 0
        self.body = b""
        self.content_type = b""
        self.retry_after = b""
        self.is_gzipped = False
        self._document: dict[str, Any] | None = None

    def document(self) -> dict[str, Any]:
        """The JSON object; empty where there is no body.

        Raises:
            Broken: the body is no JSON object.
        """
        if self._document is None:
            if not self.body:
                return {}
            try:
                body = gzip.decompress(self.body) if self.is_gzipped else self.body
                self._document = _decode(body)
            except (OSError, EOFError, zlib.error, ValueError, msgspec.MsgspecError):
                raise Broken(f"HTTP {self.status} without a JSON object") from None
        return self._document

    @property
    def code(self) -> str:
        """A problem's code; empty on success."""
        return str(self.document().get("code", "")) if self.status >= 400 else ""


Done = Callable[[Reply | Broken], None]


class Connection(asyncio.Protocol):
    """A connection with one request at a time. A call gets its whole reply; a stream gets the reply's head, and then
    its body in chunks.
    """

    __slots__ = (
        "_body",
        "_chunk",
        "_done",
        "_parser",
        "_reply",
        "_size",
        "_transport",
        "due_at",
        "idle_since",
        "is_open",
        "was_cut",
    )

    def __init__(self) -> None:
        self.is_open = False
        self.idle_since = 0.0
        self.due_at = float("inf")
        self.was_cut = False
        self._transport: asyncio.Transport | None = None
        self._parser: Any = httptools.HttpResponseParser(self)
        self._reply = Reply()
        self._done: Done | None = None
        self._chunk: Chunk | None = None
        self._body: list[bytes] = []
        self._size = 0

    # -- called by asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transport is an asyncio.Transport in all but name.
        self._transport = cast(asyncio.Transport, transport)
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        if self._chunk is not None:
            self.due_at = monotonic() + SILENCE_SECONDS_MAX
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.fail("not HTTP")

    def connection_lost(self, exc: Exception | None) -> None:
        self.fail("cut")

    # -- called by httptools

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"content-type":
            self._reply.content_type = value.partition(b";")[0]
        elif name == b"retry-after":
            self._reply.retry_after = value
        elif name == b"content-encoding":
            self._reply.is_gzipped = value.strip().lower() == b"gzip"

    def on_headers_complete(self) -> None:
        status = self._reply.status = self._parser.get_status_code()
        # Only a reply of 200 is a stream; a refusal's body is read to its end, as with any call.
        if self._chunk is not None and status == 200:
            self._answer(self._reply)

    def on_body(self, body: bytes) -> None:
        if self._done is None:
            if self._chunk is not None:
                self._chunk(body)
            return
        self._size += len(body)
        if self._size > BODY_BYTES_MAX:
            self.fail("too long")
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        if not self._parser.should_keep_alive():
            self.close()
        if self._done is None:
            self._end_stream()
            return
        body = self._body
        self._reply.body = body[0] if len(body) == 1 else b"".join(body)
        self._answer(self._reply)

    # -- called by the client

    def send(self, request: bytes, done: Done, chunk: Chunk | None = None) -> None:
        """Send a rendered request; ``done`` gets the reply, or `Broken`. With ``chunk`` a reply of 200 is a stream."""
        assert self._transport is not None
        self._reply = Reply()
        self._done = done
        self._chunk = chunk
        self._body = []
        self._size = 0
        self.due_at = monotonic() + ANSWER_SECONDS_MAX
        self._transport.write(request)

    def fail(self, why: str) -> None:
        """End the request or stream under way as broken, and close."""
        is_stream, self.was_cut = self._done is None, True
        self.close()
        if is_stream:
            self._end_stream()
        else:
            self._answer(Broken(why))

    def close(self) -> None:
        self.is_open = False
        if self._transport is not None:
            self._transport.close()

    def drop(self) -> None:
        """Close; neither ``done`` nor ``chunk`` is called any more."""
        self._done = self._chunk = None
        self.close()

    def _answer(self, answer: Reply | Broken) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(answer)

    def _end_stream(self) -> None:
        chunk, self._chunk = self._chunk, None
        if chunk is not None:
            chunk(None)


async def connect(host: str, port: int, *, tls: ssl.SSLContext | None = None, source: str = "") -> Connection:
    """Open a connection, from the local address ``source`` if one is given.

    Raises:
        Broken: it could not be opened.
    """
    try:
        async with asyncio.timeout(CONNECT_SECONDS_MAX):
            _, connection = await asyncio.get_running_loop().create_connection(
                Connection, host, port, ssl=tls, local_addr=(source, 0) if source else None
            )
    except (OSError, TimeoutError) as error:
        raise Broken(type(error).__name__) from None
    return connection


class HttpClient:
    """Calls to one server. While every connection is busy, calls wait in their order.

    Args:
        base_url: http or https; a path in it goes before every path that is called.
        sources: local addresses to connect from, in turn, so that there are ports enough; empty: the system chooses.
    """

    def __init__(self, base_url: str, *, connections_max: int = CONNECTIONS_MAX, sources: Sequence[str] = ()) -> None:
        parts = urlsplit(base_url)
        self._host = parts.hostname or ""
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        self._prefix = parts.path.rstrip("/")
        self._head = f"Host: {parts.netloc.rpartition('@')[2]}\r\n"
        self._connections_max = connections_max
        self._sources = itertools.cycle(sources or ("",))
        self._idle: list[Connection] = []
        self._opened = 0
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._all: set[Connection] = set()
        self._sweep: asyncio.TimerHandle | None = None

    def request(self, method: str, path: str, headers: str = "", body: bytes | None = None) -> bytes:
        """The bytes of a request; ``headers`` are lines, each with its end."""
        return render(method, self._prefix + path, self._head + headers, body)

    async def call(self, request: bytes) -> Reply:
        """Send a request once and give its reply.

        Raises:
            Broken: there is no reply.
        """
        connection = self._take_idle() or await self._take()
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

        def done(reply: Reply | Broken) -> None:
            if not answer.done():
                if isinstance(reply, Reply):
                    answer.set_result(reply)
                else:
                    answer.set_exception(reply)

        connection.send(request, done)
        try:
            return await answer
        except asyncio.CancelledError:
            connection.drop()
            raise
        finally:
            self._give(connection)

    async def open(self, request: bytes, chunk: Chunk) -> tuple[Reply, Stream]:
        """Begin an endless answer on a connection of its own; a reply that is not 200 has its body and no stream.

        Raises:
            Broken: there is no reply.
        """
        connection = await self._connect()
        answer: asyncio.Future[Reply | Broken] = asyncio.get_running_loop().create_future()
        connection.send(request, lambda reply: None if answer.done() else answer.set_result(reply), chunk)
        try:
            reply = await answer
        except asyncio.CancelledError:
            self._forget(connection)
            raise
        if isinstance(reply, Broken):
            self._forget(connection)
            raise reply
        if reply.status != 200:
            self._forget(connection)
        return reply, Stream(self, connection)

    def close(self) -> None:
        """Close every connection."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for connection in list(self._all):
            self._forget(connection)
        self._idle.clear()

    def _take_idle(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open and monotonic() - connection.idle_since < IDLE_SECONDS_MAX:
                return connection
            self._forget(connection)
            self._opened -= 1
        return None

    async def _take(self) -> Connection:
        while True:
            if self._opened < self._connections_max:
                self._opened += 1
                try:
                    return await self._connect()
                except BaseException:
                    self._let_another_open()
                    raise
            free: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
            self._waiting.append(free)
            given = await free
            if given is not None:
                return given

    def _give(self, connection: Connection) -> None:
        if not connection.is_open:
            self._forget(connection)
            self._let_another_open()
            return
        connection.idle_since = monotonic()
        connection.due_at = float("inf")
        while self._waiting:
            free = self._waiting.popleft()
            if not free.done():
                free.set_result(connection)
                return
        self._idle.append(connection)

    def _let_another_open(self) -> None:
        self._opened -= 1
        while self._waiting:
            free = self._waiting.popleft()
            if not free.done():
                free.set_result(None)
                return

    async def _connect(self) -> Connection:
        connection = await connect(self._host, self._port, tls=self._tls, source=next(self._sources))
        self._all.add(connection)
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._fail_overdue)
        return connection

    def _fail_overdue(self) -> None:
        """Fail the calls that are overdue. One timer serves all calls, because a timer for each would cost more than
        the rest of a call's bookkeeping.
        """
        now = monotonic()
        for connection in [one for one in self._all if one.due_at < now]:
            connection.fail("silent")
        self._sweep = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._fail_overdue)

    def _forget(self, connection: Connection) -> None:
        connection.drop()
        self._all.discard(connection)


class Stream:
    """An endless answer that was opened."""

    __slots__ = ("_client", "_connection")

    def __init__(self, client: HttpClient, connection: Connection) -> None:
        self._client = client
        self._connection = connection

    @property
    def was_cut(self) -> bool:
        """Whether it ended without the last chunk of its body."""
        return self._connection.was_cut

    def close(self) -> None:
        """Close the connection; the chunk function is not called any more."""
        self._client._forget(self._connection)


def render(method: str, path: str, headers: str, body: bytes | None = None) -> bytes:
    """The bytes of a request; ``headers`` are lines, each with its end."""
    if body is None:
        length = "\r\n" if method == "GET" else "Content-Length: 0\r\n\r\n"
        return f"{method} {path} HTTP/1.1\r\n{headers}{length}".encode()
    length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return f"{method} {path} HTTP/1.1\r\n{headers}{length}".encode() + body
