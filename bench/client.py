"""Requests rendered beforehand, sent through the simulated fan's transport in a process of the generator's own.

`bench.parts.generator` measures the transport's ceiling, and every load says what share of a core it used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvloop

from admitone.fan.http import Broken, Connection, Done, connect, render

Address = tuple[str, int]
T = TypeVar("T")


def request(method: str, path: str, *headers: str, token: str = "", body: bytes | None = None) -> bytes:
    """A whole HTTP/1.1 request."""
    lines = ["Host: bench", *headers]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    return render(method, path, "\r\n".join(lines) + "\r\n", body)


class KeptConnection:
    """A connection to one server, one request at a time; opened at the first, and again once the server closed it."""

    __slots__ = ("_connection", "_opening", "_server", "_source")

    def __init__(self, server: Address, source: str = "") -> None:
        self._server = server
        self._source = source
        self._connection: Connection | None = None
        self._opening: asyncio.Task[None] | None = None

    def send(self, raw: bytes, done: Done) -> None:
        """Send a whole request; ``done`` gets the reply, or `Broken`."""
        if self._connection is not None and self._connection.is_open:
            self._connection.send(raw, done)
        else:
            self._opening = asyncio.get_running_loop().create_task(self._open_and_send(raw, done))

    async def _open_and_send(self, raw: bytes, done: Done) -> None:
        try:
            self._connection = await connect(*self._server, source=self._source)
        except Broken as broken:
            done(broken)
            return
        self._connection.send(raw, done)

    def drop(self) -> None:
        """Close it, whatever is under way."""
        if self._opening is not None:
            self._opening.cancel()
        if self._connection is not None:
            self._connection.drop()


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a generator on a loop of its own."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def ask(address: Address, raw: bytes, seconds_max: float = 30.0) -> tuple[int, bytes]:
    """One request; status (0: no answer) and body."""
    return run(answer_of(address, raw, seconds_max))


async def answer_of(address: Address, raw: bytes, seconds_max: float = 30.0) -> tuple[int, bytes]:
    """One request of a program that has a loop, on a connection of its own; status (0: no answer) and body."""
    answer: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
    connection = None
    try:
        async with asyncio.timeout(seconds_max):
            connection = await connect(*address)
            connection.send(
                raw,
                lambda reply: answer.set_result((0, b"") if isinstance(reply, Broken) else (reply.status, reply.body)),
            )
            return await answer
    except (Broken, TimeoutError):
        return 0, b""
    finally:
        if connection is not None:
            connection.drop()
