"""The fans of `bench.stadium`, as one generator process plays them.

Before doors each fan starts a session, joins the line, fetches a captcha challenge and solves it, and streams the
place. At doors an operator lets the room go. A fan who is called claims, chooses two seats on the live map (a share
of the fans goes for the best ones), reserves, checks out and reads the ticket; who finds the seats taken (an honest
409) chooses again.
"""

from __future__ import annotations

import dataclasses
import gc
import random
import socket
import time
from array import array
from collections import deque
from collections.abc import Callable, Generator
from multiprocessing.synchronize import Event

import msgspec

from bench import fans
from bench.client import Address, Connection, Loop, connect, request
from bench.hall_view import HallView, LiveStream
from bench.load import outcome
from bench.stats import Load, Step

Answer = tuple[int, bytes]
Flow = Generator["tuple[str, bytes] | float", Answer, None]
"""Yields (step, request), or seconds to sleep."""

ARRIVING_MAX = 48
CONNECTIONS_MAX = 400
"""Kept-alive connections of a generator process to one gateway, shared by its fans as behind a reverse proxy."""
TRIES_MAX = 200
PAUSE_SECONDS = 0.5
RECV_BYTES = 65_536
SOURCES = ("127.0.1.1", "127.0.1.2", "127.0.1.3", "127.0.1.4")
HONEST = frozenset({"failed seats_taken"})
"""A refusal that is no fault: somebody else was quicker."""


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """A generator process' share of the sale."""

    event_id: int
    seats: int
    first: int
    fans: int
    gateways: tuple[Address, ...]
    front_share: float


@dataclasses.dataclass(slots=True)
class Sale:
    """What one generator process measured. Times are `time.perf_counter`'s, which all processes share."""

    load: Load
    called_at: array[float]
    bought_at: array[float]
    journey_seconds: array[float]
    retries: int
    lost_streams: int
    place_events: int
    unfinished: int
    ledger: list[tuple[float, int, str, bytes]]
    """(wall clock, user id, kind, the answer's body) of each finished job."""


class _Fan:
    __slots__ = (
        "called_at",
        "captcha",
        "gateway",
        "has_bought",
        "is_open",
        "number",
        "place",
        "socket",
        "token",
        "user",
    )

    def __init__(self, number: int, gateway: int) -> None:
        self.number = number
        self.gateway = gateway
        self.token = ""
        self.user = 0
        self.place = ""
        self.captcha = ""
        self.socket: socket.socket | None = None
        self.is_open = False
        self.called_at = 0.0
        self.has_bought = False


class _Pool:
    """Connections to one gateway; who finds all busy waits in order."""

    def __init__(self, loop: Loop, server: Address) -> None:
        self._loop = loop
        self._server = server
        self._free: list[Connection] = []
        self._opened = 0
        self._waiting: deque[tuple[bytes, Callable[[int, bytes], None]]] = deque()

    def ask(self, raw: bytes, done: Callable[[int, bytes], None]) -> None:
        if self._free:
            connection = self._free.pop()
        elif self._opened < CONNECTIONS_MAX:
            self._opened += 1
            connection = Connection(self._loop, self._server)
        else:
            self._waiting.append((raw, done))
            return
        self._send(connection, raw, done)

    def _send(self, connection: Connection, raw: bytes, done: Callable[[int, bytes], None]) -> None:
        def answered(status: int, body: bytes) -> None:
            if self._waiting:
                self._send(connection, *self._waiting.popleft())
            else:
                self._free.append(connection)
            done(status, body)

        connection.send(raw, answered)


class Crowd:
    """One process' fans."""

    def __init__(self, plan: Plan, ready: Event, go: Event, end: Event) -> None:
        self._plan = plan
        self._ready, self._go, self._end = ready, go, end
        self._chance = random.Random(plan.first)
        self._loop = Loop()
        self._pools = [_Pool(self._loop, server) for server in plan.gateways]
        self._view = HallView(plan.seats, self._chance)
        self._fans = [_Fan(plan.first + number, number % len(plan.gateways)) for number in range(plan.fans)]
        self._to_arrive = iter(self._fans)
        self._streaming = 0
        self._left = plan.fans
        self._sale = Sale(Load(), array("d"), array("d"), array("d"), 0, 0, 0, 0, [])
        self._cpu = 0.0

    def run(self) -> Sale:
        gc.collect()
        gc.freeze()
        gc.disable()
        LiveStream(self._loop, self._plan.gateways[0], self._plan.event_id, self._view)
        for _ in range(ARRIVING_MAX):
            self._next_arrives()
        self._look()
        self._loop.run()
        self._sale.load.cpu_seconds = time.process_time() - self._cpu
        self._sale.unfinished = self._left
        return self._sale

    def _look(self) -> None:
        if self._end.is_set():
            self._loop.running = False
            return
        if not self._cpu and self._go.is_set():
            self._cpu = time.process_time()
        self._loop.at(time.perf_counter() + 0.1, self._look)

    # -- flows

    def _follow(self, fan: _Fan, flow: Flow, then: Callable[[_Fan], None]) -> None:
        """Run a fan's flow, writing down each answer; latencies count from when the fan wanted to ask."""
        step, asked_at = "", 0.0

        def answered(status: int, body: bytes) -> None:
            self._note(step, status, body, asked_at)
            go_on((status, body))

        def go_on(answer: tuple[int, bytes] | None) -> None:
            nonlocal step, asked_at
            try:
                wanted = next(flow) if answer is None else flow.send(answer)
            except StopIteration:
                then(fan)
                return
            asked_at = time.perf_counter()
            if isinstance(wanted, float):
                self._loop.at(asked_at + wanted, lambda: go_on((0, b"")))
            else:
                step, raw = wanted
                self._pools[fan.gateway].ask(raw, answered)

        go_on(None)

    def _note(self, name: str, status: int, body: bytes, asked_at: float) -> None:
        steps = self._sale.load.steps
        step = steps.get(name)
        if step is None:
            step = steps[name] = Step()
        now = time.perf_counter()
        step.ended.append(now)
        step.seconds.append(now - asked_at)
        step.outcomes[outcome(status, body)] += 1

    def _next_arrives(self) -> None:
        fan = next(self._to_arrive, None)
        if fan is not None:
            self._follow(fan, self._arrive(fan), self._open_stream)

    def _arrive(self, fan: _Fan) -> Flow:
        status = 0
        while status != 201:
            status, body = yield "session", request("POST", "/api/session")
            if status != 201:
                yield PAUSE_SECONDS
        fan.token = fans.member(body, b"token").decode()
        fan.user = int(body[body.find(b'"userId":') + 9 :].rstrip(b"}"))
        status = 0
        while status not in (200, 201):
            status, body = yield "join", request("POST", f"/api/queue/{self._plan.event_id}", token=fan.token)
            if status not in (200, 201):
                yield PAUSE_SECONDS
        fan.place = fans.member(body, b"token").decode()
        status = 0
        while status != 200:
            status, body = yield "challenge", request("GET", "/api/captcha/challenge")
        fan.captcha = fans.solve(msgspec.json.decode(body))

    # -- the stream

    def _open_stream(self, fan: _Fan) -> None:
        path = f"/api/queue/{self._plan.event_id}/stream?token={fan.place}"
        opened = connect(self._plan.gateways[fan.gateway], SOURCES[fan.number % len(SOURCES)])
        fan.socket = opened
        self._loop.add(opened, lambda: self._on_stream(fan))
        opened.send(request("GET", path, "Accept: text/event-stream", token=fan.token))

    def _on_stream(self, fan: _Fan) -> None:
        assert fan.socket is not None
        try:
            data = fan.socket.recv(RECV_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close_stream(fan)
            if not fan.called_at:
                self._sale.lost_streams += 1
                self._loop.at(time.perf_counter() + PAUSE_SECONDS, lambda: self._open_stream(fan))
            return
        if not fan.is_open:
            fan.is_open = True
            self._streaming += 1
            self._next_arrives()
            if self._streaming == self._plan.fans:
                self._ready.set()
        self._sale.place_events += data.count(b"event: place")
        if not fan.called_at and b"event: called" in data:
            fan.called_at = time.perf_counter()
            self._sale.called_at.append(fan.called_at)
            self._follow(fan, self._buy(fan), self._leave)

    def _close_stream(self, fan: _Fan) -> None:
        if fan.socket is not None:
            self._loop.remove(fan.socket)
            fan.socket.close()
            fan.socket = None

    # -- the purchase

    def _buy(self, fan: _Fan) -> Flow:
        event_id = self._plan.event_id
        admission = b""
        for _ in range(TRIES_MAX):
            status, body = yield "claim", request("POST", f"/api/queue/{event_id}/claim", token=fan.token)
            if status == 200:
                admission = fans.member(body, b"pass")
                break
            yield PAUSE_SECONDS
        # The page lets go of its stream once it has the pass.
        self._close_stream(fan)
        is_front = self._chance.random() < self._plan.front_share
        passes = f"X-Admission-Pass: {admission.decode()}"
        reservation = b""
        for attempt in range(TRIES_MAX):
            pair = self._view.choose(front=is_front)
            if pair is None:
                yield PAUSE_SECONDS
                continue
            key = f"Idempotency-Key: r{fan.number}-{attempt}"
            status, body = yield "reserve", fans.reserve(fan.token, event_id, pair, passes, key)
            if status == 202:
                status, body = yield from self._await_job(fan, body)
            if status == 200:
                self._sale.ledger.append((time.time(), fan.user, "reserve", body))
                self._view.take(pair)
                reservation = fans.member(body, b"reservationId")
                if reservation:
                    break
                self._sale.retries += 1
                is_front = False
            else:
                yield PAUSE_SECONDS
        purchase = b""
        for _ in range(TRIES_MAX if reservation else 0):
            key = f"Idempotency-Key: c{fan.number}"
            status, body = yield "checkout", fans.checkout(fan.token, event_id, reservation, fan.captcha, key)
            if status == 202:
                status, body = yield from self._await_job(fan, body)
            if status == 200:
                self._sale.ledger.append((time.time(), fan.user, "checkout", body))
                purchase = fans.member(body, b"purchaseId")
                break
            yield PAUSE_SECONDS
        if not purchase:
            return
        now = time.perf_counter()
        fan.has_bought = True
        self._sale.bought_at.append(now)
        self._sale.journey_seconds.append(now - fan.called_at)
        yield "ticket", request("GET", f"/api/purchases/{purchase.decode()}", token=fan.token)

    def _await_job(
        self, fan: _Fan, accepted: bytes
    ) -> Generator[tuple[str, bytes], tuple[int, bytes], tuple[int, bytes]]:
        job = fans.member(accepted, b"jobId").decode()
        for _ in range(TRIES_MAX):
            status, body = yield "job", request("GET", f"/api/jobs/{job}?wait=10", token=fan.token)
            if status != 200 or b'"status":"queued"' not in body:
                return status, body
        return 0, b""

    def _leave(self, fan: _Fan) -> None:
        self._left -= fan.has_bought
        if self._left == 0:
            self._loop.running = False
