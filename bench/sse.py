"""An epoll client of server-sent events: thousands of streams in a process, events counted, not parsed."""

from __future__ import annotations

import gc
import multiprocessing
import socket
import time
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event

from bench.client import Address, Loop, connect
from bench.processes import Apart

OPENING_MAX = 128
RECV_BYTES = 65_536
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


class _Stream:
    __slots__ = ("_all", "_is_open", "_loop", "_socket")

    def __init__(self, opened: socket.socket, loop: Loop, all_: _Streams) -> None:
        self._socket = opened
        self._loop = loop
        self._all = all_
        self._is_open = False
        loop.add(opened, self._on_ready)

    def _on_ready(self) -> None:
        try:
            data = self._socket.recv(RECV_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        seen = self._all.seen
        if not data:
            self._loop.remove(self._socket)
            self._socket.close()
            seen.lost += 1
            return
        if not self._is_open:
            self._is_open = True
            status = data[9:12].decode("ascii", "replace")
            self._all.opened(status)
        if self._all.measuring:
            now = time.time_ns()
            seen.bytes += len(data)
            at = data.find(STAMP)
            while at >= 0:
                seen.events += 1
                seen.ages.append((now - int(data[at + 5 : at + 5 + STAMP_DIGITS])) / 1e9)
                at = data.find(STAMP, at + 5)


class _Streams:
    def __init__(
        self, targets: Sequence[tuple[Address, bytes, str]], all_open: Event, begin: Event, end: Event
    ) -> None:
        self.seen = Seen()
        self.measuring = False
        self._loop = Loop()
        self._targets = iter(targets)
        self._opening = 0
        self._left = len(targets)
        self._all_open, self._begin, self._end = all_open, begin, end
        self._began = (0.0, 0.0)
        self._streams: list[_Stream] = []

    def run(self) -> Seen:
        gc.disable()
        self._open_more()
        self._look()
        self._loop.run()
        return self.seen

    def opened(self, status: str) -> None:
        if status == "200":
            self.seen.streams += 1
        else:
            self.seen.refused[status] += 1
        self._opening -= 1
        self._left -= 1
        if self._left == 0:
            self._all_open.set()
        self._open_more()

    def _open_more(self) -> None:
        while self._opening < OPENING_MAX and (target := next(self._targets, None)) is not None:
            address, asked, source = target
            self._opening += 1
            opened = connect(address, source)
            self._streams.append(_Stream(opened, self._loop, self))
            opened.send(asked)

    def _look(self) -> None:
        if not self.measuring and self._begin.is_set():
            self.measuring = True
            self._began = (time.perf_counter(), time.process_time())
        if self._end.is_set():
            self.seen.seconds = time.perf_counter() - self._began[0]
            self.seen.cpu_seconds = time.process_time() - self._began[1]
            self._loop.running = False
            return
        self._loop.at(time.perf_counter() + 0.05, self._look)


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
