"""A stream on uvicorn's own connection, as a gateway runs it: uvloop, httptools, a socket whose reader is slow."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import pytest
import uvloop

from gateway.wire.problems import ProblemError
from gateway.wire.settings import StreamSettings
from gateway.wire.stream import Stream, StreamResponse, frame, serve
from gateway.wire.stream_slots import StreamSlot, StreamSlots
from tests.uvicorn_server import listening

SEND_SECONDS_MAX = 1
BIG = frame("place", b'"%s"' % (b"x" * 50_000))


class Served:
    """A server of one stream at a time."""

    def __init__(self) -> None:
        self.stream: asyncio.Queue[Stream] = asyncio.Queue()
        self.left = asyncio.Event()
        self.first: list[bytes] = []
        self.last: bytes | None = None
        self.ends_soon = False
        self.slots = StreamSlots(StreamSettings(per_process_max=2, seconds_max=60, send_seconds_max=SEND_SECONDS_MAX))
        self.address = ("127.0.0.1", 0)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await serve(self._answer, scope, receive, send)

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        response = StreamResponse(self._subscribe, self.slots.slot())
        await response(scope, receive, send)

    async def _subscribe(self, stream: Stream) -> Callable[[], Awaitable[None]]:
        self.stream.put_nowait(stream)
        for one in self.first:
            stream.write(one)
        if self.last is not None:
            stream.end(self.last)
        if self.ends_soon:
            asyncio.get_running_loop().call_soon(stream.end)

        async def leave() -> None:
            self.left.set()

        return leave

    async def open(self) -> tuple[Stream, socket.socket]:
        """A stream, and its client's socket with a small buffer."""
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, self.address)
        await loop.sock_sendall(client, b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        return await asyncio.wait_for(self.stream.get(), 5), client


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[Served]:
    served = Served()
    async with listening(served, http="httptools", lifespan="off") as served.address:
        yield served


def on_uvloop(scenario: Callable[[Served], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        async with serving() as served:
            await asyncio.wait_for(scenario(served), 20)

    uvloop.run(run())


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def fill(stream: Stream) -> int:
    """Write until a frame is refused; how many were taken."""
    for taken in range(10_000):
        if not stream.write(BIG):
            return taken
        await asyncio.sleep(0)
    raise AssertionError("a reader who reads nothing was never behind")


def test_who_reads_nothing_is_cut_off_and_left() -> None:
    async def scenario(served: Served) -> None:
        stream, client = await served.open()
        with client:
            await fill(stream)
            assert not stream.closed, "being behind is not the end yet"
            wrote_at, behind_since = stream.wrote_at, time.monotonic()
            assert not stream.write(b": ping\n\n")
            assert stream.wrote_at == wrote_at, "what was not written is no heartbeat"
            await asyncio.wait_for(served.left.wait(), 5)
            assert time.monotonic() - behind_since > SEND_SECONDS_MAX / 2
        assert not stream.write(BIG)

    on_uvloop(scenario)


def test_who_catches_up_has_whole_frames_and_stays() -> None:
    async def scenario(served: Served) -> None:
        stream, client = await served.open()
        loop = asyncio.get_running_loop()
        with client:
            taken = await fill(stream)
            received = bytearray()
            while received.count(b"event: place") < taken or not received.endswith(b"\n\n\r\n"):
                received += await loop.sock_recv(client, 65_536)
            assert received.count(b"%x\r\n%b\r\n" % (len(BIG), BIG)) == taken
            assert stream.write(BIG), "nobody is behind any more"
            while received.count(b"%x\r\n%b\r\n" % (len(BIG), BIG)) <= taken:
                received += await loop.sock_recv(client, 65_536)
            await asyncio.sleep(SEND_SECONDS_MAX * 1.5)
            assert not stream.closed
            assert not served.left.is_set()

    on_uvloop(scenario)


def test_who_is_behind_at_the_end_is_cut_off_at_once() -> None:
    async def scenario(served: Served) -> None:
        stream, client = await served.open()
        with client:
            await fill(stream)
            ended_at = time.monotonic()
            stream.end()
            await asyncio.wait_for(served.left.wait(), 5)
            assert time.monotonic() - ended_at < SEND_SECONDS_MAX

    on_uvloop(scenario)


def test_the_end_is_a_farewell_and_a_whole_response() -> None:
    async def scenario(served: Served) -> None:
        stream, client = await served.open()
        loop = asyncio.get_running_loop()
        with client:
            stream.end()
            received = bytearray()
            while not received.endswith(b"0\r\n\r\n"):
                received += await loop.sock_recv(client, 65_536)
            assert b"event: bye\ndata: {}\n\n" in received
            await asyncio.wait_for(served.left.wait(), 5)
            await loop.sock_sendall(client, b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
            again = await asyncio.wait_for(served.stream.get(), 5)
            assert again is not stream, "the connection serves the next request"

    on_uvloop(scenario)


def test_an_end_between_the_opening_and_its_tasks_end_is_a_whole_response_too() -> None:
    async def scenario(served: Served) -> None:
        served.ends_soon = True
        _, client = await served.open()
        loop = asyncio.get_running_loop()
        with client:
            received = bytearray()
            while not received.endswith(b"0\r\n\r\n"):
                received += await loop.sock_recv(client, 65_536)
            await asyncio.wait_for(served.left.wait(), 5)
            assert served.slots.open == 0

    on_uvloop(scenario)


def test_open_streams_have_no_tasks() -> None:
    async def scenario(served: Served) -> None:
        before = len(asyncio.all_tasks())
        opened = [await served.open() for _ in range(2)]
        await until(lambda: len(asyncio.all_tasks()) == before)
        for stream, client in opened:
            assert stream.write(BIG), "they are open all the same"
            client.close()

    on_uvloop(scenario)


def test_a_request_behind_an_open_stream_is_answered_after_it() -> None:
    async def scenario(served: Served) -> None:
        stream, client = await served.open()
        loop = asyncio.get_running_loop()
        with client:
            await loop.sock_sendall(client, b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(served.stream.get(), 0.3)
            assert not served.left.is_set()
            assert stream.write(BIG)
            received = bytearray()
            while not received.endswith(b"\n\n\r\n"):
                received += await loop.sock_recv(client, 65_536)
            stream.end()
            again = await asyncio.wait_for(served.stream.get(), 5)
            assert again is not stream

    on_uvloop(scenario)


@pytest.mark.parametrize("reset", [False, True])
def test_who_is_gone_is_left(reset: bool) -> None:
    async def scenario(served: Served) -> None:
        stream, client = await served.open()
        if reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
        until = time.monotonic() + 5
        while stream.write(b": ping\n\n"):
            assert time.monotonic() < until
            await asyncio.sleep(0)
        await asyncio.wait_for(served.left.wait(), 5)

    on_uvloop(scenario)


def test_another_servers_send_is_refused() -> None:
    async def send(message: Any) -> None: ...

    with pytest.raises(TypeError, match="uvicorn"):
        Stream(send, 60, SEND_SECONDS_MAX)


def test_streams_beyond_the_bound_are_refused_and_ended_ones_make_room() -> None:
    async def scenario(served: Served) -> None:
        opened = [await served.open() for _ in range(2)]
        assert served.slots.open == 2
        answered: asyncio.Queue[Any] = asyncio.Queue()
        response = StreamResponse(served._subscribe, served.slots.slot())
        with pytest.raises(ProblemError) as problem:
            await response({"method": "GET"}, answered.get, answered.put)
        assert problem.value.document["code"] == "too_many_streams"
        assert answered.empty(), "no answer was begun, so that the problem can be"
        opened[0][1].close()
        await asyncio.wait_for(served.left.wait(), 5)
        assert served.slots.open == 1
        _, client = await served.open()
        client.close()
        opened[1][1].close()

    on_uvloop(scenario)


def test_a_session_and_a_network_have_a_part_and_halls_yield_to_the_line() -> None:
    slots = StreamSlots(StreamSettings(per_process_max=4, per_session_max=2, per_network_max=3))

    def refusal(slot: StreamSlot) -> str:
        with pytest.raises(ProblemError) as refused:
            slot.take()
        return str(refused.value.document["code"])

    for _ in range(2):
        slots.of_fan(7).take()
    assert refusal(slots.of_fan(7)) == "too_many_streams", "one session more than its part"
    ended: list[int] = []
    halls = []
    for number in range(2):
        hall = slots.of_network("198.51.100.0/24")
        hall.take()
        hall.opened(Ended(number, ended))
        halls.append(hall)
    assert refusal(slots.of_network("203.0.113.0/24")) == "too_many_streams", "no slot is left for a hall"
    slots.of_fan(8).take()
    assert ended == [0], "the oldest stream of a hall was ended for one of the line"
    halls[0].release()
    slots.of_fan(9).require_free()
    halls[1].release()
    assert (slots.open, dict(slots.of_owners), len(slots.yielding)) == (3, {"fan 7": 2, "fan 8": 1}, 0)


class Ended:
    """A stream that notes that it was ended."""

    closed = False

    def __init__(self, number: int, ended: list[int]) -> None:
        self._number = number
        self._ended = ended

    def end(self) -> None:
        self.closed = True
        self._ended.append(self._number)


async def test_a_request_that_opens_no_stream_does_not_keep_its_connection() -> None:
    """uvicorn's send knows the scope. If the scope knew it too, both would wait for the garbage collector."""
    scope: dict[str, Any] = {"type": "http", "method": "GET"}
    answered = []

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        answered.append(send in scope.values())

    async def nothing(*_: Any) -> Any:
        raise AssertionError("neither side of the connection is used")

    await serve(answer, scope, nothing, nothing)
    assert answered == [True]
    assert nothing not in scope.values()


async def read_chunks(client: socket.socket, count: int) -> list[bytes]:
    """The first chunks of the response's body."""
    loop, got = asyncio.get_running_loop(), b""
    while True:
        rest = got.partition(b"\r\n\r\n")[2]
        chunks: list[bytes] = []
        while rest and len(chunks) < count:
            length, found, rest = rest.partition(b"\r\n")
            size = int(length, 16) if found else 0
            if not found or len(rest) < size + 2:
                break
            chunks.append(rest[:size])
            rest = rest[size + 2 :]
        if len(chunks) == count:
            return chunks
        got += await asyncio.wait_for(loop.sock_recv(client, 65_536), 5)


def test_the_frames_that_a_stream_begins_with_are_one_write() -> None:
    async def scenario(served: Served) -> None:
        served.first = [frame("place", b"{}"), frame("message", b"{}")]
        stream, client = await served.open()
        with client:
            await asyncio.sleep(0)
            stream.write(frame("place", b"1"))
            first, second = await read_chunks(client, 2)
            assert first.startswith(b"retry: ")
            assert first.endswith(b"".join(served.first))
            assert second == frame("place", b"1")

    on_uvloop(scenario)


def test_a_stream_that_ends_as_it_begins_says_so() -> None:
    async def scenario(served: Served) -> None:
        served.first, served.last = [frame("place", b"{}")], frame("sold_out", b"{}")
        stream, client = await served.open()
        with client:
            first, end = await read_chunks(client, 2)
            assert first.endswith(served.first[0] + served.last)
            assert end == b""
            assert stream.closed

    on_uvloop(scenario)
