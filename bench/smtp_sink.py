"""``python -m bench.smtp_sink PORT``: an SMTP server that takes every mail and keeps none.

It speaks just enough SMTP for the worker, and says PIPELINING as the servers of providers do. A provider has a machine
of its own, so this one steps back for every other process: the bench is to measure the worker, and not the server.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import cast

import uvloop

NICENESS = 19


class _Sink(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._buffer = b""
        self._is_content = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        answers = []
        while answer := self._answer():
            answers.append(answer)
        self._transport.write(b"".join(answers))

    def _answer(self) -> bytes:
        """The answer to what came in next; nothing while there is too little of it."""
        end = b"\r\n.\r\n" if self._is_content else b"\r\n"
        content, found, rest = self._buffer.partition(end)
        if not found:
            return b""
        self._buffer = rest
        if self._is_content:
            self._is_content = False
            return b"250 taken\r\n"
        verb = content[:4].upper()
        self._is_content = verb == b"DATA"
        if verb == b"EHLO":
            return b"250-sink\r\n250-PIPELINING\r\n250 SIZE 50000000\r\n"
        return b"354 go on\r\n" if self._is_content else b"250 OK\r\n"


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Sink, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    os.nice(NICENESS)
    uvloop.run(_serve(int(sys.argv[1])))
