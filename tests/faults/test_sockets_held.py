"""Sockets that take nothing: fans who never read their stream, and fans who are gone without a farewell."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import resource
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from urllib.parse import quote

import aiohttp
import psutil
import pytest

from db.events.seed import RoomSeed
from tests.client import Fan, Stream
from tests.faults.harness import Row, Sale, append_row, rss_bytes
from tests.services import Service
from tests.waiting import await_that

SEND_SECONDS_MAX = 4
ENVIRON = {"ADMITONE_STREAM_SEND_SECONDS_MAX": str(SEND_SECONDS_MAX)}
SALE = {"gateways": 1, **ENVIRON}
LISTENERS = 10
ASKING_AT_ONCE = 50
READ_BYTES = 1024
"""What a slow reader's system takes for it (the kernel has a minimum of some 2 KB)."""
RECLAIM_SECONDS_MAX = 60.0
"""A slow reader's window holds a dozen places, which are told every one to four seconds."""
PLACE_GAP_SECONDS_MAX = 3.0
"""A place near the front is told each second."""
SOCKET_BYTES_MAX = 40_000

SO_ATTACH_FILTER = 26


@pytest.mark.long
@pytest.mark.timeout(300)
def test_two_thousand_sockets_that_take_nothing(sale: Sale) -> None:
    held_by(sale, slow=1000, gone=1000)


def held_by(sale: Sale, slow: int, gone: int) -> None:
    """Open so many, and see them closed while `LISTENERS` go on hearing of their places."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536), hard))
    gateway = sale.gateways[0]
    event_id = sale.event(room=RoomSeed(rate_per_minute=60_000, capacity=0))
    listeners = [Fan.arrive(gateway.url) for _ in range(LISTENERS)]
    tokens = [listener.join(event_id).json["token"] for listener in listeners]
    others = asyncio.run(in_line(gateway.url, event_id, slow + gone))
    with contextlib.ExitStack() as stack:
        streams = [
            stack.enter_context(listener.line(event_id, token))
            for listener, token in zip(listeners, tokens, strict=True)
        ]
        before_bytes = rss_bytes(gateway)
        held = stack.enter_context(opened(gateway.url, event_id, others))
        await_that(lambda: open_sockets(gateway) == LISTENERS + slow + gone, 30)
        for sock in held[:gone]:
            vanish(sock)
        held_at = time.monotonic()
        for stream in streams:
            stream.seen.clear()
        gaps: list[float] = []
        reclaimed_at = 0.0
        while time.monotonic() - held_at < RECLAIM_SECONDS_MAX:
            gaps.append(longest_wait(streams))
            if open_sockets(gateway) == LISTENERS:
                reclaimed_at = time.monotonic()
                break
        more_bytes = rss_bytes(gateway) - before_bytes
        kilobytes = more_bytes / (slow + gone) / 1000
        append_row(
            Row.of_no_sale(
                f"SSE sockets: {slow} slow readers, {gone} half-open",
                recovery_seconds=[round(reclaimed_at - held_at, 1)] if reclaimed_at else [],
                note=f"others' places up to {max(gaps):.1f} s apart; {kilobytes:.0f} kB a socket",
            )
        )
        assert reclaimed_at, f"{open_sockets(gateway) - LISTENERS} sockets are still open"
        assert max(gaps) < PLACE_GAP_SECONDS_MAX, gaps
        assert more_bytes < (slow + gone) * SOCKET_BYTES_MAX + 20_000_000


def open_sockets(gateway: Service) -> int:
    """Those that clients have with it."""
    port = int(gateway.url.rpartition(":")[2])
    found = psutil.Process(gateway.pid).net_connections("tcp4")
    return sum(1 for each in found if each.laddr.port == port and each.status == psutil.CONN_ESTABLISHED)


def longest_wait(streams: Sequence[Stream]) -> float:
    """How long the next place took to come to the slowest of these streams, in seconds."""
    started = time.monotonic()
    for stream in streams:
        assert stream.data("place", seconds_max=30)["state"] == "waiting"
    return time.monotonic() - started


async def in_line(url: str, event_id: int, count: int) -> list[tuple[str, str]]:
    """Session and place token of so many new fans."""
    room = asyncio.Semaphore(ASKING_AT_ONCE)

    async def one(http: aiohttp.ClientSession) -> tuple[str, str]:
        async with room:
            async with http.post(f"{url}/api/session") as answer:
                session = (await answer.json())["token"]
            headers = {"Authorization": f"Bearer {session}"}
            async with http.post(f"{url}/api/queue/{event_id}", headers=headers) as answer:
                return session, (await answer.json())["token"]

    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        return await asyncio.gather(*(one(http) for _ in range(count)))


@contextlib.contextmanager
def opened(url: str, event_id: int, fans: Sequence[tuple[str, str]]) -> Iterator[list[socket.socket]]:
    """A stream for each fan that nobody ever reads."""
    port = int(url.rpartition(":")[2])
    sockets: list[socket.socket] = []
    try:
        for session, token in fans:
            sock = socket.socket()
            sockets.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, READ_BYTES)
            sock.connect(("127.0.0.1", port))
            sock.sendall(
                f"GET /api/queue/{event_id}/stream?token={quote(token)} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                f"Authorization: Bearer {session}\r\nAccept: text/event-stream\r\n\r\n".encode()
            )
        yield sockets
    finally:
        for sock in sockets:
            sock.close()


def vanish(sock: socket.socket) -> None:
    """The machine behind a socket is gone: a filter drops whatever comes, so nothing is ever acknowledged."""
    drop_all = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(drop_all)))
