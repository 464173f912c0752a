"""What every visitor reads of the 80,000-seat event, against the gateway's no-op GET, and the seats map against nginx
that serves the same bytes from files; idle and while it sells.
"""

from __future__ import annotations

import getpass
import gzip
import itertools
import shutil
import time
from typing import Any

from bench import fans
from bench.client import Address, ask, request
from bench.load import Flow, closed_loop, open_loop, repeat
from bench.nginx import nginx
from bench.parts.generator import get_load, wrk
from bench.processes import Apart, gather
from bench.report import Part
from bench.servers import Program, System, free_port
from bench.stats import Latencies, Load

SEATS = 80_000
CONNECTIONS = 64
SOLD_SHARE = 0.5
RESERVES_PER_SECOND = 100.0
GZIP = "Accept-Encoding: gzip"
NGINX = """\
daemon off;
user {user};
worker_processes 1;
error_log {folder}/nginx.log warn;
pid {folder}/nginx.pid;
events {{ worker_connections 1000; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  types {{ application/json json; }}
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    root {folder};
    location = /live {{ return 204; }}
    location = /map.json {{ gzip_static on; }}
  }}
}}
"""
"""With the directives for files that Debian's own configuration has."""


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


def _selling(gateway: Program, event_id: int, seconds: float, offset: int) -> Apart[Load]:
    """RESERVES_PER_SECOND change the event, from a process of their own."""
    sessions = fans.sessions(int(seconds * RESERVES_PER_SECOND) + 500)
    chosen = itertools.islice(fans.pairs(SEATS), offset, None)
    raw = [fans.reserve(token, event_id, pair) for (token, _), pair in zip(sessions, chosen, strict=False)]
    return Apart(
        lambda: open_loop(
            [gateway.address],
            repeat("reserve", iter(raw)),
            per_second=RESERVES_PER_SECOND,
            seconds=seconds + 1,
            connections_max=500,
        )
    )


def while_selling(gateway: Program, event_id: int, path: str, seconds: float, offset: int) -> tuple[Load, Load]:
    """The GET while RESERVES_PER_SECOND change the event, and those reserves."""
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
    writes = _selling(gateway, event_id, seconds, offset)
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


def against_nginx(system: System, gateway: Program, event_id: int, path: str, seconds: float, part: Part) -> None:
    """The map by wrk, which reads a megabyte for less than a client in Python does: it would be measured instead."""
    missing = [name for name in ("nginx", "wrk") if shutil.which(name) is None]
    if missing:
        part.details["nginx"] = {"skipped": f"no {' and no '.join(missing)}; Debian: apt-get install nginx wrk"}
        return
    _, body = ask(gateway.address, request("GET", path))
    _, gzipped = ask(gateway.address, request("GET", path, GZIP))
    assert gzip.decompress(gzipped) == body
    folder = system.folder / "nginx"
    folder.mkdir()
    (folder / "map.json").write_bytes(body)
    (folder / "map.json.gz").write_bytes(gzipped)
    port = free_port()
    files = ("127.0.0.1", port)

    def rate(address: Address, of: str, *headers: str) -> float:
        found = wrk(address, of, seconds, CONNECTIONS, *headers)
        assert found is not None, "not all were answered"
        return found

    found: dict[str, Any] = {"bytes": len(body), "gzippedBytes": len(gzipped)}
    with nginx(folder, NGINX.format(user=getpass.getuser(), folder=folder, port=port), files, "/live"):
        offset = 14_000
        for name, headers in (("plain", ()), ("gzipped", (GZIP,))):
            ours, reference = rate(gateway.address, path, *headers), rate(files, "/map.json", *headers)
            part.add(f"seats map, {name}", ours, "/s", "nginx, the same bytes", reference, "≥ 0.5")
            reserves = _selling(gateway, event_id, seconds, offset)
            busy = rate(gateway.address, path, *headers)
            meanwhile = reserves.result().rate("reserve", "200")
            part.add(
                f"seats map, {name}, while it sells",
                busy,
                "/s",
                "nginx, the same bytes",
                reference,
                "≥ 0.4",
                f"{meanwhile:.0f} reserves/s meanwhile",
            )
            found[name] = {"ours": ours, "nginx": reference, "whileSelling": busy, "reservesPerSecond": meanwhile}
            offset += 5_000
    part.details["nginx"] = found


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
            asked = get_load(gateway.address, path, seconds, GZIP)
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
    against_nginx(system, gateway, event_id, map_, seconds, part)
    stale = staleness(gateway, event_id, 12_000)
    part.add("staleness after one's own booking, worst of 100", stale.max_ms / 1000, "s", aim="≤ 1")
    part.details["stalenessMs"] = {"p50": stale.p50_ms, "max": stale.max_ms}
    system.stop(worker, gateway)
    return part
