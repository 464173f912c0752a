"""One generator process: its share of the fans, told by its input, which tells of them on its output.

Input: the `Crowd` as one line of JSON, later perhaps ``quick``; it ends with ``stop`` or with the input, so that no
generator outlives who started it. Output: a `Tick` a second, each one line of JSON. The secret is in the environment,
where every process of the site has it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import resource
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final

import msgspec
import uvloop

from admitone.crowd.ledger import Ledger
from admitone.crowd.sse import EventParser, StreamTooLong
from admitone.rehearsal.counted import Counted
from admitone.rehearsal.fans import Fan, Shared
from admitone.rehearsal.http import Broken
from admitone.rehearsal.plan import Crowd

TICK_SECONDS: Final = 1.0
LATE_LOOK_SECONDS: Final = 0.05
QUICK, STOP = b"quick", b"stop"


async def run(plan: Crowd, secret: str, commands: AsyncGenerator[bytes]) -> None:
    """Send the fans, and tell of them until all are home or the commands end."""
    counted = Counted()
    with Ledger(Path(plan.ledger)) as ledger:
        shared = Shared(plan, secret, counted, ledger)
        lateness = Lateness()
        beside = [asyncio.create_task(one) for one in (_watch_hall(shared), lateness.look(), _tell(counted, lateness))]
        fans = asyncio.create_task(_send(shared))
        obeying = asyncio.create_task(_obey(shared, commands))
        try:
            await asyncio.wait({fans, obeying}, return_when=asyncio.FIRST_COMPLETED)
            if fans.done():
                fans.result()
        finally:
            for task in (fans, obeying, *beside):
                task.cancel()
            await asyncio.gather(fans, obeying, *beside, return_exceptions=True)
    _write(counted, lateness, done=True)


async def _send(shared: Shared) -> None:
    plan = shared.plan
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.TaskGroup() as fans:
        for number in range(plan.fans):
            # Fans of all generators come in turn.
            due = began + plan.arrive_seconds * number / plan.fans
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            elif number % 16 == 0:
                await asyncio.sleep(0)
            fans.create_task(_visit(shared, plan.first + number))


async def _visit(shared: Shared, number: int) -> None:
    how = "unfinished"
    try:
        how = await Fan(number, shared).visit()
    finally:
        shared.counted.outcome("fan", how)


async def _obey(shared: Shared, commands: AsyncGenerator[bytes]) -> None:
    async for command in commands:
        if command == QUICK:
            shared.is_quick = True
        elif command == STOP:
            return


async def _watch_hall(shared: Shared) -> None:
    """Read the map, then its changes, for all fans of this process; anew whenever the stream ends."""
    event_id = shared.plan.event_id
    token = shared.session()[0]
    while True:
        with contextlib.suppress(Broken, KeyError, TypeError):
            request = shared.http.request("GET", f"/api/events/{event_id}/seats", token)
            shared.hall.read((await shared.http.ask(request)).document())
            parser, ended = EventParser(), asyncio.Event()

            def hear(chunk: bytes | None, parser: EventParser = parser, ended: asyncio.Event = ended) -> None:
                try:
                    for event in parser.feed(chunk) if chunk is not None else ():
                        shared.hall.hear(event.event, event.data)
                except (StreamTooLong, KeyError, ValueError, msgspec.MsgspecError):
                    chunk = None
                if chunk is None:
                    ended.set()

            request = shared.http.request(
                "GET", f"/api/events/{event_id}/live", token, headers="Accept: text/event-stream\r\n"
            )
            reply, stream = await shared.http.open(request, hear)
            if reply.status == 200:
                try:
                    await ended.wait()
                finally:
                    stream.close()
        await asyncio.sleep(1)


class Lateness:
    """By how much the event loop comes late at worst: a generator that is late measures itself."""

    def __init__(self) -> None:
        self._worst_ms = 0.0

    async def look(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LATE_LOOK_SECONDS
            await asyncio.sleep(LATE_LOOK_SECONDS)
            self._worst_ms = max(self._worst_ms, (loop.time() - due) * 1000)

    def take_ms(self) -> float:
        worst, self._worst_ms = self._worst_ms, 0.0
        return round(worst, 1)


async def _tell(counted: Counted, lateness: Lateness) -> None:
    while True:
        await asyncio.sleep(TICK_SECONDS)
        _write(counted, lateness, done=False)


def _write(counted: Counted, lateness: Lateness, *, done: bool) -> None:
    tick = counted.tick(time.monotonic(), time.process_time(), lateness.take_ms(), done=done)
    sys.stdout.buffer.write(msgspec.json.encode(tick) + b"\n")
    sys.stdout.buffer.flush()


async def _lines() -> AsyncGenerator[bytes]:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield line.strip()


async def _main() -> None:
    lines = _lines()
    plan = msgspec.json.decode(await anext(lines), type=Crowd)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    random.seed(plan.seed)
    gc.set_threshold(100_000, 20, 50)
    await run(plan, os.environ["ADMITONE_SECRET"], lines)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main())
