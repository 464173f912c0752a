"""Loads: flows of requests, closed-loop (so many at a time) or open-loop (so many a second)."""

from __future__ import annotations

import gc
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence

from bench.client import Address, Connection, Loop
from bench.stats import Load, Step

Call = tuple[str, bytes]
"""(name of the step, request)."""
Flow = Generator[Call, tuple[int, bytes], None]
"""Yields calls and is sent their answers (HTTP status, body)."""

LAST_ANSWERS_SECONDS = 20.0
OUTCOME_WITHIN = 160


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

    def __init__(self, connection: Connection, load: _Window, idle: Callable[[_Runner, float], None]) -> None:
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

    def _answered(self, status: int, body: bytes) -> None:
        now = time.perf_counter()
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

    def note(self, name: str, status: int, body: bytes, asked_at: float, now: float) -> None:
        if now < self.since or now > self.until:
            return
        self.last = now
        step = self.steps.get(name)
        if step is None:
            step = self.steps[name] = Step()
        step.ended.append(now)
        step.seconds.append(now - asked_at)
        step.outcomes[outcome(status, body)] += 1


class _Again:
    """Closed loop: the next flow at once, while there are any and there is time."""

    def __init__(self, loop: Loop, flows: Iterator[Flow], until: float, count: int) -> None:
        self._loop = loop
        self._flows = flows
        self._until = until
        self._open = count
        self.exhausted = False

    def __call__(self, runner: _Runner, now: float) -> None:
        flow = next(self._flows, None) if now < self._until else None
        if flow is None:
            self.exhausted = self.exhausted or now < self._until
            self._open -= 1
            if not self._open:
                self._loop.running = False
            return
        runner.begin(flow, now)


def closed_loop(
    servers: Sequence[Address],
    flows: Iterator[Flow],
    *,
    connections: int,
    seconds: float,
    warm_seconds: float = 0.0,
) -> Load:
    """So many connections, spread over ``servers``, each with one flow after another for ``seconds``.

    Call it in a process of its own (`bench.processes.apart`). Where the flows end early, `Load.seconds` is the
    time until the last answer.
    """
    loop = Loop()
    gc.collect()
    gc.disable()
    start = time.perf_counter()
    window = _Window(start + warm_seconds, start + warm_seconds + seconds)
    again = _Again(loop, flows, window.until, connections)
    loop.at(window.until + LAST_ANSWERS_SECONDS, lambda: setattr(loop, "running", False))
    cpu = [0.0, 0.0]
    loop.at(window.since, lambda: cpu.__setitem__(0, time.process_time()))
    loop.at(window.until, lambda: cpu.__setitem__(1, time.process_time()))
    for number in range(connections):
        again(_Runner(Connection(loop, servers[number % len(servers)]), window, again), time.perf_counter())
    loop.run()
    ended = window.last if again.exhausted else window.until
    return Load(ended - window.since, (cpu[1] or time.process_time()) - cpu[0], window.steps)


class _Pool:
    """Open loop: a connection that is free, else a new one, else the flow waits (and its latency grows)."""

    def __init__(self, loop: Loop, servers: Sequence[Address], window: _Window, connections_max: int) -> None:
        self._loop = loop
        self._servers = servers
        self._window = window
        self._connections_max = connections_max
        self._free: list[_Runner] = []
        self._opened = 0
        self._waiting: deque[tuple[Flow, float]] = deque()
        self.ended = False

    def begin(self, flow: Flow, due_at: float) -> None:
        if self._free:
            self._free.pop().begin(flow, due_at)
        elif self._opened < self._connections_max:
            connection = Connection(self._loop, self._servers[self._opened % len(self._servers)])
            self._opened += 1
            _Runner(connection, self._window, self).begin(flow, due_at)
        else:
            self._waiting.append((flow, due_at))

    def __call__(self, runner: _Runner, now: float) -> None:
        if self._waiting and not self.ended:
            runner.begin(*self._waiting.popleft())
            return
        self._free.append(runner)
        if self.ended and len(self._free) == self._opened:
            self._loop.running = False


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
    loop = Loop()
    gc.collect()
    gc.disable()
    start = time.perf_counter()
    window = _Window(start + warm_seconds, start + warm_seconds + seconds)
    pool = _Pool(loop, servers, window, connections_max)
    begun = 0

    def tick() -> None:
        nonlocal begun
        now = time.perf_counter()
        if now >= window.until:
            pool.ended = True
            return
        while begun < (now - start) * per_second:
            flow = next(flows, None)
            if flow is None:
                pool.ended = True
                return
            pool.begin(flow, start + begun / per_second)
            begun += 1
        loop.at(start + begun / per_second, tick)

    loop.at(start, tick)
    loop.at(window.until + last_answers_seconds, lambda: setattr(loop, "running", False))
    cpu = [0.0, 0.0]
    loop.at(window.since, lambda: cpu.__setitem__(0, time.process_time()))
    loop.at(window.until, lambda: cpu.__setitem__(1, time.process_time()))
    loop.run()
    return Load(seconds, (cpu[1] or time.process_time()) - cpu[0], window.steps)
