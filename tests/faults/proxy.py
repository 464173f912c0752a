"""A TCP proxy that can be slow, cut, half-closed or silent: stands before Valkey, Postgres or the gateways.

All proxies share one thread and its event loop, so that a test stays synchronous.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import threading
from collections import Counter
from collections.abc import Coroutine, Iterable, Mapping
from enum import Enum, auto
from itertools import count
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit, urlunsplit

from bench.servers import free_port

CHUNK_BYTES = 65_536
DELAYED_CHUNKS_MAX = 64

Upstream = tuple[str, int] | str
"""(host, port), or the path of a Unix socket."""


class Fate(Enum):
    """What may befall one answer on its way back."""

    CUT_BEFORE = auto()
    """The connection is reset when the answer comes: the client cannot know that it was served."""
    CUT_INSIDE = auto()
    """Half of the answer passes, then the connection is closed."""
    HALF_CLOSE = auto()
    """The client is told that no more will come (FIN) without the answer; its side stays open."""
    CUT_REQUEST = auto()
    """Half of the request passes, then the connection is closed on both sides."""


class _Background:
    """An event loop in a daemon thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, name="proxies", daemon=True).start()

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self.loop).result(15)


_background: _Background | None = None


def _loop() -> _Background:
    global _background
    if _background is None:
        _background = _Background()
    return _background


class Proxy:
    """Listens on 127.0.0.1 and passes each connection to one of ``upstreams`` in turn, the next where one refuses.

    Attributes:
        latency_seconds: added to each chunk, in both directions.
        silent: nothing is passed on, and nothing is closed: a black hole.
        refusing: new connections are reset at once.
        fates: share (0..1) of passing answers that each fate befalls.
        met: how often each did.
        passed_bytes: to the clients.
    """

    def __init__(self, upstreams: Iterable[Upstream], *, seed: int = 1) -> None:
        self.upstreams = list(upstreams)
        self.port = free_port()
        self.latency_seconds = 0.0
        self.refusing = False
        self.fates: Mapping[Fate, float] = {}
        self.met: Counter[Fate] = Counter()
        self.passed_bytes = 0
        self._rng = random.Random(seed)
        self._turn = count()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._silent = False
        self._speaking: asyncio.Event | None = None

    @classmethod
    def before(cls, url: str) -> tuple[Self, str]:
        """A started proxy before the server of a URL, and the URL by which to reach it through the proxy.

        A Postgres URL that names a Unix socket's folder becomes one of a TCP port.
        """
        address = urlsplit(url)
        folder = parse_qs(address.query).get("host")
        upstream: Upstream
        if folder:
            upstream = f"{folder[0]}/.s.PGSQL.5432"
        else:
            assert address.hostname is not None
            assert address.port is not None
            upstream = (address.hostname, address.port)
        proxy = cls([upstream]).start()
        user = address.netloc.rpartition("@")[0]
        netloc = f"{user}@127.0.0.1:{proxy.port}" if user else f"127.0.0.1:{proxy.port}"
        return proxy, urlunsplit(address._replace(netloc=netloc, query=""))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        """Open now."""
        return len(self._connections)

    @property
    def silent(self) -> bool:
        return self._silent

    @silent.setter
    def silent(self, silent: bool) -> None:
        self._silent = silent

        async def tell() -> None:
            assert self._speaking is not None
            if silent:
                self._speaking.clear()
            else:
                self._speaking.set()

        _loop().run(tell())

    def start(self) -> Self:
        async def listen() -> None:
            self._speaking = asyncio.Event()
            self._speaking.set()
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=4096)

        _loop().run(listen())
        return self

    def cut(self) -> None:
        """Reset every open connection."""

        async def reset() -> None:
            for writer in list(self._writers):
                _reset(writer)

        _loop().run(reset())

    def stop(self) -> None:
        async def end() -> None:
            assert self._server is not None
            self._server.close()
            for task in list(self._connections):
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

        _loop().run(end())

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # -- one connection

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        upstream_writer: asyncio.StreamWriter | None = None
        try:
            self._writers.add(writer)
            if self.refusing:
                _reset(writer)
                return
            try:
                upstream_reader, upstream_writer = await self._connect()
            except OSError:
                _reset(writer)
                return
            self._writers.add(upstream_writer)
            async with asyncio.TaskGroup() as directions:
                directions.create_task(self._pass(reader, upstream_writer, writer, to_client=False))
                directions.create_task(self._pass(upstream_reader, writer, upstream_writer, to_client=True))
        except* (OSError, asyncio.CancelledError):
            pass
        finally:
            self._connections.discard(task)
            for each in (writer, upstream_writer):
                if each is not None:
                    self._writers.discard(each)
                    each.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Raises:
        OSError: every upstream refuses.
        """
        first = next(self._turn)
        refused = OSError("no upstream")
        for step in range(len(self.upstreams)):
            upstream = self.upstreams[(first + step) % len(self.upstreams)]
            try:
                if isinstance(upstream, str):
                    return await asyncio.open_unix_connection(upstream)
                return await asyncio.open_connection(*upstream)
            except OSError as error:
                refused = error
        raise refused

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, back: asyncio.StreamWriter, *, to_client: bool
    ) -> None:
        """One direction, its chunks in order, each as late as `latency_seconds` says."""
        chunks: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(DELAYED_CHUNKS_MAX)
        loop = asyncio.get_running_loop()

        async def read() -> None:
            while chunk := await reader.read(CHUNK_BYTES):
                await chunks.put((loop.time() + self.latency_seconds, chunk))
            await chunks.put((loop.time() + self.latency_seconds, b""))

        async def write() -> None:
            assert self._speaking is not None
            half_closed = False
            while True:
                due, chunk = await chunks.get()
                await asyncio.sleep(max(0.0, due - loop.time()))
                await self._speaking.wait()
                fate = self._fate(to_client) if chunk else None
                if fate is Fate.HALF_CLOSE or not chunk:
                    if writer.can_write_eof() and not half_closed:
                        writer.write_eof()
                    half_closed = True
                elif fate is not None:
                    if fate is Fate.CUT_BEFORE:
                        _reset(writer)
                    else:
                        writer.write(chunk[: len(chunk) // 2])
                        await writer.drain()
                        writer.close()
                    _reset(back)
                    raise ConnectionResetError(fate.name)
                elif not half_closed:
                    writer.write(chunk)
                    await writer.drain()
                    self.passed_bytes += len(chunk) * to_client
                if not chunk:
                    return

        async with asyncio.TaskGroup() as both:
            both.create_task(read())
            both.create_task(write())

    def _fate(self, to_client: bool) -> Fate | None:
        draw = self._rng.random()
        for fate, share in self.fates.items():
            if (fate is Fate.CUT_REQUEST) == to_client:
                continue
            if draw < share:
                self.met[fate] += 1
                return fate
            draw -= share
        return None


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST."""
    found: socket.socket | None = writer.get_extra_info("socket")
    if found is not None:
        with contextlib.suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    writer.transport.abort()
