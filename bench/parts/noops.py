"""What each call of a fan costs, counted in bare no-ops, so that figures of different machines can be compared.

A bare no-op is a POST of 300 bytes that `bench.baseline.bare` answers with 11 under the gateway's own server. Costs are
processor time as the kernel counts it, never the clock's: so another load on the machine changes little. Each load has
a fixed number of calls, and what the processes use while nobody asks is taken off.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Final

from bench import fans
from bench.client import Address, request
from bench.load import Flow, closed_loop, repeat
from bench.parts.reserve import CONNECTIONS
from bench.processes import apart
from bench.report import Part
from bench.servers import SECRET, Program, System, await_answer, free_port
from bench.stadium import Steward
from bench.stats import Load
from db.booking.conduct import NETWORK_LIMITS_OFF
from db.connections.engines import transaction
from db.events.seed import RoomSeed
from db.rooms.states import RoomState
from db.shops.model import shop_of
from db.shops.writing import ShopPlan, make_shop
from waiting_room.shop_passes import ShopPass, ShopPasses, agent_hash, audience

BARE_NOOP: Final = request("POST", "/", body=b"x" * 300)
NOOPS: Final = 20_000
FEW_CONNECTIONS: Final = 64
"""Of the calls that no lane gathers."""
WARM_CALLS: Final = 400
IDLE_SECONDS: Final = 2.0
LOOK_SECONDS: Final = 1.0
BUSY_CORES: Final = 0.05
"""So much more than at rest is work that is left over."""
REST_SECONDS_MAX: Final = 15.0
CALLED_WITHIN_SECONDS: Final = 5.0
"""So long the door takes at most to call everybody who joined."""
CONNECTED_SECONDS: Final = 120
"""These fans wait without a stream, and must not be passed over as absent."""
SECONDS_MAX: Final = 120.0
GATEWAY: Final = "gateway"
LONG_PATHS: Final = frozenset({"reserve", "checkout"})
"""Calls that go through a lane, so that worker and Postgres have a part in their cost."""
AIMS: Final = {
    "reserve": "≤ 6",
    "checkout": "≤ 8",
    "claim": "≤ 4",
    "join": "≤ 6",
    "ticket": "≤ 4",
    "ticketAgain": "≤ 4",
    "session": "≤ 4",
    "gate": "≤ 2",
    "gateFirst": "≤ 8",
}
"""A ticket's first read signs its two codes; ``ticketAgain`` is the next one, which finds them kept."""
CALLS: Final = tuple(AIMS)
GATE_CALLS_LEAST: Final = 10_000
"""A check is so cheap that fewer would be lost among the kernel's hundredths of a second."""
AGAIN_CALLS_MAX: Final = 4_000
"""Of two tickets each: fewer than a gateway keeps by default (`ADMITONE_TICKET_TEXTS_MAX`)."""
RESERVE_SYSTEM_AIM: Final = "≤ 12"
PROXY: Final = "127.0.99.1"
"""The shop's proxy asks from here, and is believed about its fans' addresses."""
SHOP: Final = "https://shop.example"
AGENT: Final = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
"""A pass is bound to it."""
PASS_AHEAD_SECONDS: Final = 600
"""Passes are signed for so much later, so that none is due for its renewal while checks are measured."""


@dataclasses.dataclass(frozen=True, slots=True)
class Cost:
    """Microseconds of processor time a call, of the gateway and of all programs and servers together."""

    gateway_us: float
    system_us: float
    by_program_us: dict[str, float]


def bare_server(system: System) -> Program:
    """What answers `BARE_NOOP`."""
    port = free_port()
    server = system.start("bare", "bench.baseline.serve", "bare:create", str(port), port=port)
    await_answer(server, "/")
    return server


def bare_noop(system: System, count: int = NOOPS) -> float:
    """Microseconds of processor time that a bare no-op takes."""
    server = bare_server(system)
    before = server.use()
    load = _load(server.address, repeat("noop", iter([BARE_NOOP] * count)), CONNECTIONS)
    after = server.use()
    system.stop(server)
    return (after.cpu_seconds - before.cpu_seconds) / load.count("noop", "200") * 1e6


def _load(address: Address, flows: Iterator[Flow], connections: int, sources: Sequence[str] = fans.SOURCES) -> Load:
    """All flows to their end, from a process of its own."""
    return apart(lambda: closed_loop([address], flows, connections=connections, seconds=SECONDS_MAX, sources=sources))


class Meter:
    """Measures loads on a running system, whose rest is measured first."""

    def __init__(self, system: System) -> None:
        self._system = system
        before, began = system.uses(), time.perf_counter()
        time.sleep(IDLE_SECONDS)
        after, seconds = system.uses(), time.perf_counter() - began
        self.idle_cores = {name: (use.cpu_seconds - before[name].cpu_seconds) / seconds for name, use in after.items()}

    def cost(self, step: str, work: Callable[[], Load], *, to_the_end: bool = False, gateway: str = GATEWAY) -> Cost:
        """What a successful call of this step cost; ``to_the_end``: with what it leaves to be done.

        Raises:
            RuntimeError: see `Load.require`.
        """
        before, began = self._system.uses(), time.perf_counter()
        load = work()
        if to_the_end:
            self._await_rest()
        after, seconds = self._system.uses(), time.perf_counter() - began
        load.require(step, "200", "201")
        good = load.count(step, "200", "201")
        spent = {
            name: max(0.0, use.cpu_seconds - before[name].cpu_seconds - self.idle_cores[name] * seconds) / good * 1e6
            for name, use in after.items()
        }
        return Cost(spent[gateway], sum(spent.values()), spent)

    def _await_rest(self) -> None:
        """Wait until nothing is done any more: what the outbox makes of a purchase belongs to its checkout."""
        busy_cores = sum(self.idle_cores.values()) + BUSY_CORES
        until = time.monotonic() + REST_SECONDS_MAX
        spent = self._spent()
        while time.monotonic() < until:
            time.sleep(LOOK_SECONDS)
            before, spent = spent, self._spent()
            if spent - before < busy_cores * LOOK_SECONDS:
                return

    def _spent(self) -> float:
        return sum(use.cpu_seconds for use in self._system.uses().values())


def _shop(system: System) -> int:
    """A room before a shop; gives its number."""

    async def made() -> int:
        async with transaction(system.database_url, "admitone-bench") as connection:
            plan = ShopPlan(name="The Corner Shop", shop=shop_of(origin=SHOP), dials={})
            return (await make_shop(connection, plan, "bench")).event_id

    return asyncio.run(made())


def _checks(event_id: int, count: int) -> list[bytes]:
    """What a shop's proxy asks for so many fans, each with a pass of its own."""
    now = int(time.time()) + PASS_AHEAD_SECONDS
    passes = ShopPasses(SECRET, time.time)
    headers = (
        f"X-Original-URL: {SHOP}/checkout/step?a=1",
        "X-Original-Method: GET",
        "X-Forwarded-For: 203.0.113.9",
        f"User-Agent: {AGENT}",
        "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "Accept-Language: en-US,en;q=0.5",
        "Accept-Encoding: gzip, deflate, br",
    )
    made = []
    for number in range(count):
        claims = ShopPass(
            iss="https://wait.example",
            aud=audience("pass", event_id),
            sub=str(10**15 + number),
            jti=f"bench-{number}",
            iat=now,
            exp=now + 300,
            end=now + 3600,
            ua=agent_hash(AGENT.encode()),
        )
        cookie = f"Cookie: basket=42; session=0123456789abcdef; __Host-admitone_shop_{event_id}={passes.sign(claims)}"
        made.append(request("GET", f"/gate/{event_id}", *headers, cookie))
    return made


def costs(system: System, count: int, only: Collection[str] = CALLS) -> tuple[dict[str, Cost], dict[str, float]]:
    """The cost of each call for ``count`` fans, and the cores that each program uses while nobody asks."""
    with system.connect() as connection:
        event_id = fans.new_event(connection, -(-2 * count // 10_000) * 10_000)
        warm_id = fans.new_event(connection, 10_000)
        room = RoomSeed(
            state=RoomState.PAUSED,
            rate_per_minute=600_000,
            capacity=1_000_000,
            line_cap=max(count, 5_000),
            network_limits_max=NETWORK_LIMITS_OFF,
        )
        line_id = fans.new_event(connection, 20_000, room)
    shop_id = _shop(system)
    (gateway,) = system.gateways(ADMITONE_CONNECTED_SECONDS=str(CONNECTED_SECONDS), ADMITONE_TRUSTED_PROXIES=PROXY)
    worker = system.worker()
    everybody = [token for token, _ in fans.sessions(WARM_CALLS + count)]
    first, tokens = everybody[:WARM_CALLS], everybody[WARM_CALLS:]
    to = gateway.address
    # What is built at a first call belongs to no call.
    made = [fans.reserve(token, warm_id, pair) for token, pair in zip(first, fans.pairs(10_000), strict=False)]
    _load(to, repeat("warm", iter(made)), CONNECTIONS)
    captchas = fans.solutions(to, tokens) if {"checkout", "ticket", "ticketAgain"} & {*only} else []
    meter = Meter(system)
    found: dict[str, Cost] = {}

    def measured(step: str, member: bytes, made: Sequence[bytes]) -> list[bytes]:
        named: list[bytes] = []

        def work() -> Load:
            load, noted = apart(lambda: fans.noting(to, step, member, made, CONNECTIONS))
            named.extend(noted)
            return load

        found[step] = meter.cost(step, work, to_the_end=True)
        return named

    def alone(step: str, made: Sequence[bytes], sources: Sequence[str] = fans.SOURCES) -> None:
        if step in only:
            found[step] = meter.cost(step, lambda: _load(to, repeat(step, iter(made)), FEW_CONNECTIONS, sources))

    made = [fans.reserve(token, event_id, pair) for token, pair in zip(tokens, fans.pairs(2 * count), strict=False)]
    held = measured("reserve", b"reservationId", made)
    if captchas:
        made = [
            fans.checkout(token, event_id, hold, captcha)
            for token, hold, captcha in zip(tokens, held, captchas, strict=True)
        ]
        bought = measured("checkout", b"purchaseId", made)
        made = [
            request("GET", f"/api/purchases/{purchase.decode()}", token=token)
            for token, purchase in zip(tokens, bought, strict=True)
        ]
        alone("ticket", made)
        alone("ticketAgain", made[-AGAIN_CALLS_MAX:])
    alone("session", [request("POST", "/api/session")] * count)
    alone("join", [request("POST", f"/api/queue/{line_id}", token=token, body=b"{}") for token in tokens])
    if {"gate", "gateFirst"} & {*only}:
        checks = _checks(shop_id, WARM_CALLS + count)
        _load(to, repeat("warm", iter(checks[:WARM_CALLS])), FEW_CONNECTIONS, (PROXY,))
        alone("gateFirst", checks[WARM_CALLS:], (PROXY,))
        # As many passes as connections: each is asked about again and again, as a fan's pages do.
        alone("gate", [checks[number % FEW_CONNECTIONS] for number in range(max(count, GATE_CALLS_LEAST))], (PROXY,))
    if "claim" in only:
        Steward(system, line_id).open_doors()
        time.sleep(CALLED_WITHIN_SECONDS)
    alone("claim", [request("POST", f"/api/queue/{line_id}/claim", token=token, body=b"") for token in tokens])
    system.stop(worker, gateway)
    return found, meter.idle_cores


def measure(system: System, *, count: int = 6_000) -> Part:
    """Each call's cost in no-ops."""
    part = Part("no-ops")
    before = bare_noop(system)
    found, idle_cores = costs(system, count)
    noop = (before + bare_noop(system)) / 2
    part.add("bare no-op: uvicorn, uvloop, httptools", noop, "µs")
    for step, cost in found.items():
        part.add(f"{step}: gateway", cost.gateway_us, "µs", "bare no-op", noop, AIMS[step])
        if step in LONG_PATHS:
            aim = RESERVE_SYSTEM_AIM if step == "reserve" else ""
            part.add(f"{step}: whole system", cost.system_us, "µs", "bare no-op", noop, aim)
    part.details = {
        "bareNoopMicroseconds": round(noop, 2),
        "againstBareNoop": against(found, noop),
        "microseconds": {step: _rounded(cost.by_program_us) for step, cost in found.items()},
        "idleCores": _rounded(idle_cores, 4),
    }
    return part


def against(found: dict[str, Cost], noop: float) -> dict[str, Any]:
    """Each call in no-ops: of the gateway, and where a lane has a part in it of the whole system."""
    told = {step: round(cost.gateway_us / noop, 2) for step, cost in found.items()}
    return told | {
        f"{step}WholeSystem": round(cost.system_us / noop, 2) for step, cost in found.items() if step in LONG_PATHS
    }


def _rounded(figures: dict[str, float], digits: int = 1) -> dict[str, float]:
    return {name: round(value, digits) for name, value in figures.items()}
