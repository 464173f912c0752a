"""What every visitor reads of the 80,000-seat event, against the gateway's no-op GET; idle and while it sells."""

from __future__ import annotations

import itertools
import time

from bench import fans
from bench.client import request
from bench.load import Flow, closed_loop, open_loop, repeat
from bench.parts.generator import get_load, wrk
from bench.processes import Apart, gather
from bench.report import Part
from bench.servers import Program, System
from bench.stats import Latencies, Load

SEATS = 80_000
CONNECTIONS = 64
SOLD_SHARE = 0.5
RESERVES_PER_SECOND = 100.0


def sell_half(system: System, event_id: int) -> None:
    """Book half of the seats without purchases, so that the map has 40,000 taken seats."""
    with system.connect() as connection:
        connection.execute(
            "UPDATE seat SET status = 'booked' WHERE event_id = %s AND row_number > %s",
            (event_id, int(fans.ROWS_OF_BLOCK * (1 - SOLD_SHARE))),
        )
        connection.execute(
            "UPDATE ticket SET available_count = available_count - quantity / 2 WHERE event_id = %s", (event_id,)
        )


def while_selling(gateway: Program, event_id: int, path: str, seconds: float, offset: int) -> tuple[Load, Load]:
    """The GET while RESERVES_PER_SECOND change the event, and those reserves."""
    sessions = fans.sessions(int(seconds * RESERVES_PER_SECOND) + 500)
    chosen = itertools.islice(fans.pairs(SEATS), offset, None)
    raw = [fans.reserve(token, event_id, pair) for (token, _), pair in zip(sessions, chosen, strict=False)]
    one = request("GET", path)
    reads = Apart(
        lambda: closed_loop(
            [gateway.address],
            repeat("get", itertools.repeat(one)),
            connections=CONNECTIONS,
            seconds=seconds,
            warm_seconds=1.0,
        )
    )
    writes = Apart(
        lambda: open_loop(
            [gateway.address],
            repeat("reserve", iter(raw)),
            per_second=RESERVES_PER_SECOND,
            seconds=seconds + 1,
            connections_max=500,
        )
    )
    found = gather([reads, writes])
    return found[0], found[1]


def staleness(gateway: Program, event_id: int, offset: int, count: int = 100) -> Latencies:
    """From a reserve's answer to the first plain read that shows its version or a later one."""
    found = []
    address = gateway.address
    sessions = fans.sessions(count)

    def watch(token: str, pair: fans.Pair) -> Flow:
        status, body = yield "reserve", fans.reserve(token, event_id, pair)
        assert status == 200, body
        began = time.perf_counter()
        version = int(body[body.rindex(b'"version":') + 10 :].rstrip(b"}"))
        while True:
            _, body = yield "get", request("GET", f"/api/initial-call/{event_id}")
            if int(body[body.rindex(b'"version":') + 10 :].rstrip(b"}")) >= version:
                found.append(time.perf_counter() - began)
                return

    def run() -> Latencies:
        flows = (watch(token, pair) for (token, _), pair in zip(sessions, chosen, strict=False))
        closed_loop([address], flows, connections=1, seconds=60)
        return Latencies.of(found)

    chosen = itertools.islice(fans.pairs(SEATS), offset, None)
    return Apart(run).result()


def measure(system: System, *, seconds: float = 6.0) -> Part:
    part = Part("reads")
    with system.connect() as connection:
        event_id = fans.new_event(connection, SEATS)
    sell_half(system, event_id)
    (gateway,) = system.gateways()
    worker = system.worker()
    call, map_ = f"/api/initial-call/{event_id}", f"/api/events/{event_id}/seats"
    noop = get_load(gateway.address, "/health/live", seconds)
    reference = noop.rate("get", "200")
    part.details = {"noop": noop.document(), "wrkNoop": wrk(gateway.address, "/health/live", 2, CONNECTIONS)}
    for number, (name, path, aim) in enumerate((("initial call", call, "≥ 0.7"), ("seats map", map_, "≥ 0.3"))):
        idle = get_load(gateway.address, path, seconds)
        busy, reserves = while_selling(gateway, event_id, path, seconds, number * 5_000)
        part.add(f"{name}, 80,000 seats", idle.rate("get", "200"), "/s", "GET /health/live", reference, aim)
        if path == map_:
            asked = get_load(gateway.address, path, seconds, "Accept-Encoding: gzip")
            part.add(
                f"{name}, gzipped as browsers ask for it",
                asked.rate("get", "200"),
                "/s",
                "GET /health/live",
                reference,
                aim,
            )
        part.add(
            f"{name}, while it sells",
            busy.rate("get", "200"),
            "/s",
            "GET /health/live",
            reference,
            note=f"{reserves.rate('reserve', '200'):.0f} reserves/s meanwhile",
        )
        part.details[name] = {
            "idle": idle.document(),
            "whileSelling": busy.document(),
            "reserves": reserves.document(),
            "wrk": wrk(gateway.address, path, 2, CONNECTIONS),
        }
    stale = staleness(gateway, event_id, 12_000)
    part.add("staleness after one's own booking, worst of 100", stale.max_ms / 1000, "s", aim="≤ 1")
    part.details["stalenessMs"] = {"p50": stale.p50_ms, "max": stale.max_ms}
    system.stop(worker, gateway)
    return part
