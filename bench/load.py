"""Loads: flows of requests, closed-loop (so many at a time) or open-loop (so many a second)."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence

from admitone.fan.http import Broken, Reply
from bench.client import Address, KeptConnection, run
from bench.stats import Load, Step

Call = tuple[str, bytes]
"""(name of the step, request)."""
Flow = Generator[Call, tuple[int, bytes], None]
"""Yields calls and is sent their answers (HTTP status, body)."""

LAST_ANSWERS_SECONDS = 20.0
OUTCOME_WITHIN = 160
TICK_SECONDS = 0.002
"""An open loop begins what is due so often. uvloop takes a shorter timer for none: the generator would spin, and take
the processor from the system that it measures.
"""


def repeat(step: str, requests: Iterator[bytes]) -> Iterator[Flow]:
    """A flow of one request for each of ``requests``."""
    for one in requests:
        yield _single(step, one)


def _single(step: str, one: bytes) -> Flow:
    yield step, one


def outcome(status: int, body: bytes) -> str:
    """The HTTP status; a finished job's that failed as ``failed <code>``, any problem as ``<status> <code>``."""
    if status == 200 and body.find(b'"status":"failed"', 0, OUTCOME_WITHIN) < 0:
        return "200"
    if status == 204:
        return "204"
    if status == 0:
        return "lost"
    at = body.find(b'"code":"')
    if at < 0:
        return str(status)
    code = body[at + 8 : body.find(b'"', at + 8)].decode()
    return f"failed {code}" if status == 200 else f"{status} {code}"


class _Runner:
    """Runs one flow after another on a connection, and writes down every answer between ``since`` and ``until``."""

    __slots__ = ("_asked_at", "_connection", "_flow", "_idle", "_load", "_step", "busy")

    def __init__(self, connection: KeptConnection, load: _Window, idle: Callable[[_Runner, float], None]) -> None:
        self._connection = connection
        self._load = load
        self._idle = idle
        self._flow: Flow | None = None
        self._step = ""
        self._asked_at = 0.0
        self.busy = False

    def begin(self, flow: Flow, due_at: float) -> None:
        """``due_at``: latencies count from here, so that waiting for a connection is part of them."""
        self.busy = True
        self._flow = flow
        self._step, request = next(flow)
        self._asked_at = due_at
        self._connection.send(request, self._answered)

    def _answered(self, reply: Reply | Broken) -> None:
        now = time.perf_counter()
        status, body = (0, b"") if isinstance(reply, Broken) else (reply.status, reply.body)
        self._load.note(self._step, status, body, self._asked_at, now)
        assert self._flow is not None
        try:
            self._step, request = self._flow.send((status, body))
        except StopIteration:
            self.busy = False
            self._idle(self, now)
            return
        self._asked_at = now
        self._connection.send(request, self._answered)


class _Window:
    """Answers that came in the measured time."""

    def __init__(self, since: float, until: float) -> None:
        self.since = since
        self.until = until
        self.last = since
        self.steps: dict[str, Step] = {}
        self._cpu: list[float] = []

    def read_cpu(self) -> None:
        """Called at the window's beginning and at its end."""
        self._cpu.append(time.process_time())

    @property
    def cpu_seconds(self) -> float:
        """Processor time of this process in the window, or until now if the window is not over."""
        begin, end = [*self._cpu, time.process_time(), time.process_time()][:2]
        return end - begin

    def note(self, name: str, status: int, body: bytes, asked_at: float, now: float) -> None:
        if now < self.since or now > self.until:
            return
        self.last = now
        step = self.steps.get(name)
        if step is None:
            step = self.steps[name] = Step()
        step.ended.append(now)
        step.seconds.append(now - asked_at)
        if status == 503:
            step.seconds_refused.append(now - asked_at)
        step.outcomes[outcome(status, body)] += 1


class _Again:
    """Closed loop: the next flow at once, while there are any and there is time."""

    def __init__(self, flows: Iterator[Flow], until: float, count: int) -> None:
        self._flows = flows
        self._until = until
        self._open = count
        self.exhausted = False
        self.ended = asyncio.Event()

    def __call__(self, runner: _Runner, now: float) -> None:
        flow = next(self._flows, None) if now < self._until else None
        if flow is None:
            self.exhausted = self.exhausted or now < self._until
            self._open -= 1
            if not self._open:
                self.ended.set()
            return
        runner.begin(flow, now)


def closed_loop(
    servers: Sequence[Address],
    flows: Iterator[Flow],
    *,
    connections: int,
    seconds: float,
    warm_seconds: float = 0.0,
    sources: Sequence[str] = ("",),
) -> Load:
    """So many connections, spread over ``servers`` and from ``sources``, each with one flow after another for
    ``seconds``.

    Call it in a process of its own (`bench.processes.apart`). Where the flows end early, `Load.seconds` is the
    time until the last answer.
    """
    return run(_closed_loop(servers, flows, connections, seconds, warm_seconds, sources))


async def _closed_loop(
    servers: Sequence[Address],
    flows: Iterator[Flow],
    connections: int,
    seconds: float,
    warm_seconds: float,
    sources: Sequence[str],
) -> Load:
    window = _begin(seconds, warm_seconds)
    again = _Again(flows, window.until, connections)
    kept = [
        KeptConnection(servers[number % len(servers)], sources[number % len(sources)]) for number in range(connections)
    ]
    for connection in kept:
        again(_Runner(connection, window, again), time.perf_counter())
    await _await_end(again.ended, window, LAST_ANSWERS_SECONDS)
    await _drop(kept)
    ended = window.last if again.exhausted else window.until
    return Load(ended - window.since, window.cpu_seconds, window.steps)


def _begin(seconds: float, warm_seconds: float) -> _Window:
    """Measure from ``warm_seconds`` on, without the collector: its pauses would be the generator's own."""
    gc.collect()
    gc.disable()
    since = time.perf_counter() + warm_seconds
    window = _Window(since, since + seconds)
    loop = asyncio.get_running_loop()
    loop.call_later(warm_seconds, window.read_cpu)
    loop.call_later(warm_seconds + seconds, window.read_cpu)
    return window


async def _await_end(ended: asyncio.Event, window: _Window, last_answers_seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(window.until + last_answers_seconds - time.perf_counter()):
            await ended.wait()


async def _drop(connections: Sequence[KeptConnection]) -> None:
    """Close them all, and let the loop do it: at its end it warns of each that is open, and cannot be closed where
    warnings are errors.
    """
    for connection in connections:
        connection.drop()
    await asyncio.sleep(0)


class _Pool:
    """Open loop: a connection that is free, else a new one, else the flow waits (and its latency grows)."""

    def __init__(self, servers: Sequence[Address], window: _Window, connections_max: int) -> None:
        self._servers = servers
        self._window = window
        self._connections_max = connections_max
        self._free: list[_Runner] = []
        self.connections: list[KeptConnection] = []
        self._waiting: deque[tuple[Flow, float]] = deque()
        self.is_over = False
        self.ended = asyncio.Event()

    def begin(self, flow: Flow, due_at: float) -> None:
        if self._free:
            self._free.pop().begin(flow, due_at)
        elif (opened := len(self.connections)) < self._connections_max:
            connection = KeptConnection(self._servers[opened % len(self._servers)])
            self.connections.append(connection)
            _Runner(connection, self._window, self).begin(flow, due_at)
        else:
            self._waiting.append((flow, due_at))

    def end(self) -> None:
        """Begin no more flows. The pool has ended once those under way have."""
        self.is_over = True
        if len(self._free) == len(self.connections):
            self.ended.set()

    def __call__(self, runner: _Runner, now: float) -> None:
        if self._waiting and not self.is_over:
            runner.begin(*self._waiting.popleft())
            return
        self._free.append(runner)
        if self.is_over and len(self._free) == len(self.connections):
            self.ended.set()


def open_loop(
    servers: Sequence[Address],
    flows: Iterator[Flow],
    *,
    per_second: float,
    seconds: float,
    connections_max: int,
    warm_seconds: float = 0.0,
    last_answers_seconds: float = LAST_ANSWERS_SECONDS,
) -> Load:
    """Begin ``per_second`` flows a second whatever the answers do; latencies count from when a flow was due.

    Answers that come after ``seconds`` are not counted.
    """
    return run(_open_loop(servers, flows, per_second, seconds, connections_max, warm_seconds, last_answers_seconds))


async def _open_loop(
    servers: Sequence[Address],
    flows: Iterator[Flow],
    per_second: float,
    seconds: float,
    connections_max: int,
    warm_seconds: float,
    last_answers_seconds: float,
) -> Load:
    window = _begin(seconds, warm_seconds)
    start = window.since - warm_seconds
    pool = _Pool(servers, window, connections_max)
    loop = asyncio.get_running_loop()
    begun = 0

    def begin_due() -> None:
        nonlocal begun
        now = time.perf_counter()
        while now < window.until and begun < (now - start) * per_second:
            flow = next(flows, None)
            if flow is None:
                pool.end()
                return
            pool.begin(flow, start + begun / per_second)
            begun += 1
        if now >= window.until:
            pool.end()
        else:
            loop.call_later(max(TICK_SECONDS, start + begun / per_second - now), begin_due)

    begin_due()
    await _await_end(pool.ended, window, last_answers_seconds)
    await _drop(pool.connections)
    return Load(seconds, window.cpu_seconds, window.steps)
