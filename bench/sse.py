"""Streams of server-sent events: thousands in a process, their events counted by a stamp, not parsed."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import time
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event

from admitone.fan.http import Broken, Connection, Reply, connect
from bench.client import Address, run
from bench.processes import Apart

OPENING_MAX = 128
LOOK_SECONDS = 0.05
STAMP = b'"at":'
"""In the data of an event, before the nanoseconds (`time.time_ns`) at which it was rendered."""
STAMP_DIGITS = 19


@dataclass(slots=True)
class Seen:
    """What one process' streams received while it measured."""

    streams: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    events: int = 0
    bytes: int = 0
    lost: int = 0
    ages: array[float] = field(default_factory=lambda: array("d"))
    cpu_seconds: float = 0.0
    seconds: float = 0.0

    def add(self, other: Seen) -> None:
        self.streams += other.streams
        self.refused.update(other.refused)
        self.events += other.events
        self.bytes += other.bytes
        self.lost += other.lost
        self.ages.extend(other.ages)
        self.cpu_seconds += other.cpu_seconds
        self.seconds = max(self.seconds, other.seconds)


class _Streams:
    """One process' streams."""

    def __init__(
        self, targets: Sequence[tuple[Address, bytes, str]], all_open: Event, begin: Event, end: Event
    ) -> None:
        self.seen = Seen()
        self._targets = iter(targets)
        self._all_open, self._begin, self._end = all_open, begin, end
        self._is_measuring = False
        self._streams: list[Connection] = []

    def run(self) -> Seen:
        gc.disable()
        return run(self._run())

    async def _run(self) -> Seen:
        began = (0.0, 0.0)
        opening = asyncio.create_task(self._open_all())
        while not self._end.is_set():
            if opening.done():
                opening.result()
                self._all_open.set()
            if not self._is_measuring and self._begin.is_set():
                self._is_measuring = True
                began = (time.perf_counter(), time.process_time())
            await asyncio.sleep(LOOK_SECONDS)
        self.seen.seconds = time.perf_counter() - began[0]
        self.seen.cpu_seconds = time.process_time() - began[1]
        opening.cancel()
        for stream in self._streams:
            stream.drop()
        return self.seen

    async def _open_all(self) -> None:
        async with asyncio.TaskGroup() as openers:
            for _ in range(OPENING_MAX):
                openers.create_task(self._open_one_after_another())

    async def _open_one_after_another(self) -> None:
        loop = asyncio.get_running_loop()
        for (host, port), asked, source in self._targets:
            connection = await connect(host, port, source=source)
            self._streams.append(connection)
            answer: asyncio.Future[Reply | Broken] = loop.create_future()
            connection.send(asked, answer.set_result, self._on_chunk)
            reply = await answer
            if isinstance(reply, Broken):
                raise reply
            if reply.status == 200:
                self.seen.streams += 1
            else:
                self.seen.refused[str(reply.status)] += 1

    def _on_chunk(self, chunk: bytes | None) -> None:
        seen = self.seen
        if chunk is None:
            seen.lost += 1
        elif self._is_measuring:
            now = time.time_ns()
            seen.bytes += len(chunk)
            at = chunk.find(STAMP)
            while at >= 0:
                seen.events += 1
                seen.ages.append((now - int(chunk[at + 5 : at + 5 + STAMP_DIGITS])) / 1e9)
                at = chunk.find(STAMP, at + 5)


class Crowd:
    """Streams held open by several processes, measured between `begin` and `end`."""

    def __init__(self, targets: Sequence[tuple[Address, bytes, str]], processes: int = 2) -> None:
        fork = multiprocessing.get_context("fork")
        self._begin, self._end = fork.Event(), fork.Event()
        self._open = [fork.Event() for _ in range(processes)]
        self._parts = []
        for number in range(processes):
            streams = _Streams(targets[number::processes], self._open[number], self._begin, self._end)
            self._parts.append(Apart(streams.run))

    def await_open(self, seconds_max: float) -> None:
        """Wait until every stream has its first bytes.

        Raises:
            RuntimeError: it took longer, or a process failed.
        """
        until = time.monotonic() + seconds_max
        for part, is_open in zip(self._parts, self._open, strict=True):
            while not is_open.wait(0.2):
                if not part.process.is_alive():
                    part.result()
                if time.monotonic() > until:
                    raise RuntimeError(f"streams were not open after {seconds_max:.0f} s")

    def begin(self) -> None:
        self._begin.set()

    def end(self) -> Seen:
        """Stop, and give what was seen in all."""
        self._end.set()
        total = Seen()
        for part in self._parts:
            total.add(part.result())
        return total
