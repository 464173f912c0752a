"""Connections that say nothing, half of something, or too much, at a real server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
import uvloop

from gateway.wire.bounded_connection import STATE, BoundedConnection
from gateway.wire.connection_counts import NEW_SECONDS, Connections
from gateway.wire.proxies import TrustedProxies
from gateway.wire.settings import ConnectionSettings
from tests.uvicorn_server import listening

HEAD_SECONDS, BODY_SECONDS, IDLE_SECONDS = 1, 2, 3
HEAD_BYTES = 16_384
LATE_SECONDS = 1.5
"""A busy machine ends a connection so much later than it should."""
GET = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
HALF_BODY = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 10\r\n\r\nabc"


class Served:
    """A server whose application reads the body and answers with its length; ``went`` counts clients that left."""

    def __init__(self, files_max: int, proxies: str, per_address_max: int) -> None:
        settings = ConnectionSettings(
            head_seconds_max=HEAD_SECONDS,
            body_seconds_max=BODY_SECONDS,
            head_bytes_max=HEAD_BYTES,
            per_address_max=per_address_max,
        )
        self.connections = Connections(settings, TrustedProxies.of(proxies), files_max=files_max)
        self.address = ("127.0.0.1", 0)
        self.went = 0
        self.connection: object = None
        """The last one that had a request."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            scope["state"][STATE] = self.connections
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        self.connection = send.__self__.transport.get_protocol()
        if scope["path"] == "/early":
            await self._answer(send, 413, b"early")
            return
        length, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.went += 1
                return
            length, more = length + len(message["body"]), message["more_body"]
        if scope["path"] == "/slow":
            await asyncio.sleep(HEAD_SECONDS + BODY_SECONDS)
        await self._answer(send, 200, b"%d" % length)

    async def _answer(self, send: Any, status: int, body: bytes) -> None:
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def open(self, said: bytes = b"", *, source: str = "127.0.0.1") -> Client:
        reader, writer = await asyncio.open_connection(*self.address, local_addr=(source, 0))
        writer.write(said)
        return Client(reader, writer, time.monotonic())

    async def asks(self, *, source: str = "127.0.0.1") -> int:
        """The status of an ordinary request."""
        client = await self.open(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), source=source)
        return (await client.heard()).status


class Answer:
    """``seconds`` passed until the server closed."""

    def __init__(self, content: bytes, seconds: float) -> None:
        self.content = content
        self.seconds = seconds

    @property
    def status(self) -> int:
        return int(self.content.split(b" ", 2)[1]) if self.content else 0

    @property
    def code(self) -> str:
        return str(json.loads(self.content.partition(b"\r\n\r\n")[2])["code"])


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, opened_at: float) -> None:
        self._reader, self.writer, self._opened_at = reader, writer, opened_at

    async def heard(self, seconds_max: float = 10) -> Answer:
        """All that the server says until it closes."""
        content = b""
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(seconds_max):
                while chunk := await self._reader.read(65_536):
                    content += chunk
        seconds = time.monotonic() - self._opened_at
        self.writer.close()
        return Answer(content, seconds)

    async def drip(self, piece: bytes, pause_seconds: float = 0.2) -> None:
        """Say the piece again and again until the server closes."""
        with contextlib.suppress(ConnectionError):
            while not self._reader.at_eof() and not self.writer.is_closing():
                self.writer.write(piece)
                await self.writer.drain()
                await asyncio.sleep(pause_seconds)


@contextlib.asynccontextmanager
async def serving(files_max: int, proxies: str, per_address_max: int) -> AsyncIterator[Served]:
    served = Served(files_max, proxies, per_address_max)
    options = {"lifespan": "on", "timeout_keep_alive": IDLE_SECONDS, "proxy_headers": False}
    async with listening(served, http=BoundedConnection, **options) as served.address:
        yield served


def at_a_server(
    scenario: Callable[[Served], Coroutine[Any, Any, None]],
    *,
    files_max: int = 1000,
    proxies: str = "",
    per_address_max: int = 0,
) -> None:
    async def run() -> None:
        async with serving(files_max, proxies, per_address_max) as served:
            await scenario(served)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


@pytest.mark.parametrize(
    ("said", "status", "seconds"),
    [
        (b"", 0, HEAD_SECONDS),
        (b"\r\n", 0, HEAD_SECONDS),
        (b"GET / HT", 408, HEAD_SECONDS),
        (b"GET / HTTP/1.1\r\nHost: here\r\nX: ", 408, HEAD_SECONDS),
        (HALF_BODY, 408, BODY_SECONDS),
        (b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", 408, BODY_SECONDS),
    ],
)
def test_what_does_not_come_to_its_end_is_closed_in_time(said: bytes, status: int, seconds: float) -> None:
    async def scenario(served: Served) -> None:
        answer = await (await served.open(said)).heard()
        assert answer.status == status
        assert seconds - 0.1 <= answer.seconds <= seconds + LATE_SECONDS
        if status:
            assert answer.code == "request_timeout"
            await asyncio.sleep(0.2)
        assert served.connections.open == 0
        assert served.went == (seconds == BODY_SECONDS)

    at_a_server(scenario)


@pytest.mark.parametrize(
    ("before", "piece", "seconds"),
    [
        (b"", b"\r\n", HEAD_SECONDS),
        (b"GET / HTTP/1.1\r\n", b"X: y\r\n", HEAD_SECONDS),
        (b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 1000\r\n\r\n", b"x", BODY_SECONDS),
        (b"POST /early HTTP/1.1\r\nHost: here\r\nContent-Length: 1000\r\n\r\n", b"x", BODY_SECONDS),
        (GET, b"\r\n", HEAD_SECONDS),
        (GET, b"G", HEAD_SECONDS),
    ],
)
def test_a_client_that_drips_gains_no_time(before: bytes, piece: bytes, seconds: float) -> None:
    async def scenario(served: Served) -> None:
        client = await served.open(before)
        await asyncio.sleep(0.1)
        dripping = asyncio.create_task(client.drip(piece))
        answer = await client.heard()
        await dripping
        assert answer.seconds <= seconds + LATE_SECONDS

    at_a_server(scenario)


@pytest.mark.parametrize(
    "begin",
    [b"GET / HTTP/1.1\r\nHost: here\r\nX: ", b"GET /", b"GET / HTTP/1.1\r\nHost: here\r\n"],
    ids=["a value", "an address", "many headers"],
)
@pytest.mark.parametrize("megabytes", [30, 0.1])
def test_a_head_that_is_too_large_is_refused(begin: bytes, megabytes: float) -> None:
    piece = b"x: y\r\n" * 1000 if begin.endswith(b"\n") else b"x" * 6000

    async def scenario(served: Served) -> None:
        client = await served.open(begin)
        sent = 0

        async def flood() -> None:
            nonlocal sent
            with contextlib.suppress(ConnectionError):
                while sent < megabytes * 1_000_000:
                    client.writer.write(piece)
                    await client.writer.drain()
                    sent += len(piece)
                client.writer.write(b"\r\n\r\n" if piece[-1:] == b"\n" else b" HTTP/1.1\r\n\r\n")

        flooding = asyncio.create_task(flood())
        answer = await client.heard()
        flooding.cancel()
        assert (answer.status, answer.code) == (431, "head_too_large")
        assert await served.asks() == 200

    at_a_server(scenario)


def test_what_is_no_http_is_answered_with_a_problem() -> None:
    async def scenario(served: Served) -> None:
        answer = await (await served.open(b"nonsense\r\n\r\n")).heard()
        assert (answer.status, answer.code) == (400, "invalid_request")

    at_a_server(scenario)


def test_honest_requests_are_left_alone() -> None:
    """Slow work, a body in pieces, a large head within its bound, pipelined requests, and a pause between requests."""

    async def scenario(served: Served) -> None:
        slow = await served.open(
            GET.replace(b"/ ", b"/slow ", 1).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        )
        client = await served.open(b"GET / HTTP/1.1\r\nHost: here\r\nX: " + b"x" * (HEAD_BYTES - 100) + b"\r\n\r\n")
        await asyncio.sleep(HEAD_SECONDS + 0.5)
        client.writer.write(HALF_BODY)
        await asyncio.sleep(HEAD_SECONDS + 0.3)
        client.writer.write(b"defghij" + GET + GET)
        client.writer.write(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        answer = await client.heard()
        assert answer.content.count(b"HTTP/1.1 200") == 5
        assert answer.content.count(b"\r\n\r\n10") == 1
        assert (await slow.heard()).status == 200

    at_a_server(scenario)


def test_all_connections_share_their_attributes_names() -> None:
    """Python shares the names of thirty attributes at most. With more, each connection has a kilobyte of names."""

    async def scenario(served: Served) -> None:
        await (await served.open(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))).heard()
        assert isinstance(served.connection, BoundedConnection)
        assert len(vars(served.connection)) <= 30

    at_a_server(scenario)


def test_silent_connections_give_way_to_new_ones() -> None:
    """A server at its bound answers, and those that it answers keep their connections."""

    async def scenario(served: Served) -> None:
        kept = await served.open(GET, source="127.0.0.2")
        await asyncio.sleep(0.1)
        silent = [await served.open(source=f"127.0.1.{number % 200 + 1}") for number in range(90)]
        await asyncio.sleep(NEW_SECONDS + 0.1)
        assert served.connections.open <= served.connections.open_max == 75
        assert await served.asks(source="127.0.0.3") == 200
        kept.writer.write(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert (await kept.heard()).content.count(b"HTTP/1.1 200") == 2
        for client in silent:
            client.writer.close()

    at_a_server(scenario, files_max=100, per_address_max=1000)


@pytest.mark.parametrize(
    ("path", "pause_seconds", "answered_seconds"),
    [
        pytest.param("/", 0, 0, id="two at once"),
        pytest.param("/", 1.5, 1.5, id="half of the time between them"),
        pytest.param("/slow", 1.5, 1.5 + HEAD_SECONDS + BODY_SECONDS, id="time that ends while the second is answered"),
    ],
)
def test_an_idle_connection_is_closed_so_long_after_its_last_answer(
    path: str, pause_seconds: float, answered_seconds: float
) -> None:
    async def scenario(served: Served) -> None:
        client = await served.open(GET)
        await asyncio.sleep(pause_seconds)
        client.writer.write(GET.replace(b"/ ", path.encode() + b" ", 1))
        answer = await client.heard()
        assert answer.content.count(b"HTTP/1.1 200") == 2
        assert answered_seconds + IDLE_SECONDS - 0.1 <= answer.seconds
        assert answer.seconds <= answered_seconds + IDLE_SECONDS + LATE_SECONDS
        await asyncio.sleep(0.2)
        assert served.connections.open == 0

    at_a_server(scenario)


def test_one_address_has_its_share_unless_it_is_a_trusted_proxy() -> None:
    async def scenario(served: Served) -> None:
        # A client that nobody refers to is closed.
        clients = [await served.open(GET, source=source) for source in ("127.0.0.2", "127.0.0.3") for _ in range(5)]
        await asyncio.sleep(0.2)
        assert served.connections.open == len(clients)
        answer = await (await served.open(source="127.0.0.2")).heard()
        assert (answer.status, answer.code) == (503, "too_many_connections")
        assert b"retry-after: 5" in answer.content
        assert served.connections.refused == {"per_address": 1}
        assert await served.asks(source="127.0.0.3") == 200
        assert await served.asks(source="127.0.0.4") == 200
        for client in clients:
            client.writer.close()

    at_a_server(scenario, per_address_max=5, proxies="127.0.0.3")


def test_no_connection_is_counted_twice_or_forgotten() -> None:
    async def scenario(served: Served) -> None:
        for _ in range(3):
            clients = [await served.open(said) for said in (b"", GET, HALF_BODY, b"x\r\n\r\n") for _ in range(5)]
            for client in clients:
                client.writer.close()
        await asyncio.sleep(HEAD_SECONDS)
        assert served.connections.open == 0
        assert not served.connections._by_address
        assert not served.connections._silent
        assert not served.connections._silent_by_address

    at_a_server(scenario)
