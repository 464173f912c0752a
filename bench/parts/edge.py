"""A selling event read through Varnish and nginx: how often the gateway is asked, how old what is read is, and whether
anybody reads another fan's page. And the page before a sale: what many loads cost beside a few.
"""

from __future__ import annotations

import bisect
import datetime as dt
import functools
import itertools
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bench import fans
from bench.client import Address, ask, request
from bench.edges import EDGES, edge, missing
from bench.load import Flow, closed_loop, open_loop, repeat
from bench.processes import Apart, apart, gather
from bench.report import Part
from bench.servers import Program, System, free_port
from bench.stats import Load
from db.booking.conduct import NETWORK_LIMITS_OFF
from db.events.seed import RoomSeed

SEATS = 10_000
RESERVES_PER_SECOND = 20.0
OWN_EVERY = 100
"""Every hundredth read of the page is by a fan with a session, who has a place in a line."""
FANS = 40
STALE_SECONDS_MAX = 1.0
WARM_SECONDS = 1.0
_POSITION = re.compile(rb'id="position">(\d+|\xe2\x80\x93)<')


@dataclass(slots=True)
class Seen:
    """What the readers saw: when they asked (by `time.perf_counter`), and the versions that they were told."""

    load: Load = field(default_factory=Load)
    versions: list[tuple[float, int]] = field(default_factory=list)
    wrong_pages: int = 0
    own_pages: int = 0


def version_of(body: bytes) -> int:
    found = re.search(rb'"version":(\d+)', body[-80:] if body.endswith(b"}") else body) or re.search(
        rb'"version":(\d+)', body
    )
    assert found is not None, body[:200]
    return int(found[1])


def readers(
    address: Address, event_id: int, line_id: int, tokens: list[str], per_second: float, seconds: float
) -> Seen:
    """Strangers who read the event's page, counts and seats in turn, and among them fans who look at their place."""
    seen = Seen()
    page, own_page = f"/events/{event_id}", f"/events/{line_id}"
    reads = [("page", page), ("call", f"/api/initial-call/{event_id}"), ("seats", f"/api/events/{event_id}/seats")]
    raw = {name: request("GET", path, "Accept: text/html") for name, path in reads}
    stranger = request("GET", own_page, "Accept: text/html")

    def read(name: str) -> Flow:
        asked_at = time.perf_counter()
        status, body = yield name, raw[name]
        if status != 200:
            return
        if name == "page":
            seen.wrong_pages += b'"own": false' not in body
        else:
            seen.versions.append((asked_at, version_of(body)))

    def look(number: int) -> Flow:
        cookie = f"Cookie: a=b; admitone_session={tokens[number]}"
        status, body = yield "own", request("GET", own_page, "Accept: text/html", cookie)
        if status == 200:
            seen.own_pages += 1
            found = _POSITION.search(body)
            seen.wrong_pages += found is None or found[1] != b"%d" % (number + 1)
        status, body = yield "page before the line", stranger
        if status == 200:
            found = _POSITION.search(body)
            seen.wrong_pages += found is None or found[1].isdigit()

    def flows() -> Iterator[Flow]:
        for number in itertools.count():
            yield look(number // OWN_EVERY % len(tokens)) if number % OWN_EVERY == 0 else read(reads[number % 3][0])

    seen.load = open_loop(
        [address], flows(), per_second=per_second, seconds=seconds, connections_max=400, warm_seconds=WARM_SECONDS
    )
    return seen


def writers(address: Address, event_id: int, seconds: float) -> list[tuple[float, int]]:
    """Reserves at the gateway itself: when each was answered, and the version that it made."""
    made: list[tuple[float, int]] = []
    count = int(seconds * RESERVES_PER_SECOND) + 10

    def write(token: str, pair: fans.Pair) -> Flow:
        status, body = yield "reserve", fans.reserve(token, event_id, pair)
        if status == 200:
            made.append((time.perf_counter(), version_of(body)))

    flows = (write(token, pair) for (token, _), pair in zip(fans.sessions(count), fans.pairs(SEATS), strict=False))
    open_loop([address], flows, per_second=RESERVES_PER_SECOND, seconds=seconds, connections_max=100)
    return sorted(made)


def oldest_seconds(seen: list[tuple[float, int]], made: list[tuple[float, int]]) -> float:
    """The oldest that a read was: how long before it was asked the first version was made that it did not show."""
    moments = [at for at, _ in made]
    newest = list(itertools.accumulate((version for _, version in made), max))
    oldest = 0.0
    for asked_at, version in seen:
        first_missing = bisect.bisect_right(newest, version)
        if first_missing < len(moments) and moments[first_missing] < asked_at:
            oldest = max(oldest, asked_at - moments[first_missing])
    return oldest


def reached(gateway: Program) -> Counter[str]:
    """How many reads of each route have reached the gateway."""
    _, body = apart(lambda: ask(gateway.address, request("GET", "/metrics")))
    found: Counter[str] = Counter()
    pattern = r'^admitone_http_requests_total\{method="GET",route="([^"]+)",status="\d+"\} (\d+)'
    for route, number in re.findall(pattern, body.decode(), re.MULTILINE):
        found[route] += int(number)
    return found


def _line(system: System, gateway: Program) -> tuple[int, list[str]]:
    """An event whose line does not move, and the tokens of fans at the positions 1, 2, 3, … of it."""
    room = RoomSeed(rate_per_minute=0, capacity=10, network_limits_max=NETWORK_LIMITS_OFF)
    with system.connect() as connection:
        line_id = fans.new_event(connection, 100, room)
    tokens = [token for token, _ in fans.sessions(FANS)]
    joins = (request("POST", f"/api/queue/{line_id}", token=token) for token in tokens)
    apart(lambda: closed_loop([gateway.address], repeat("join", joins), connections=1, seconds=60))
    return line_id, tokens


def _parts(address: Address, event_id: int) -> list[bytes]:
    """The requests of one load of the page before a sale: the page, its files, and the one call of its script."""
    page = request("GET", f"/events/{event_id}", "Accept: text/html", "Accept-Encoding: gzip")
    _, body = ask(address, request("GET", f"/events/{event_id}", "Accept: text/html"))
    files = sorted(set(re.findall(r'"(/static/[^"]+\.(?:css|js|svg))"', body.decode())))
    parts = [page, *(request("GET", path, "Accept-Encoding: gzip") for path in files)]
    parts.append(request("GET", f"/api/initial-call/{event_id}"))
    return parts


def _loads(address: Address, event_id: int, count: int, seconds: float) -> Load:
    """So many loads within ``seconds``."""
    parts = _parts(address, event_id)

    def load() -> Flow:
        for part in parts:
            yield "load", part

    flows = (load() for _ in range(count))
    return open_loop([address], flows, per_second=count / seconds, seconds=seconds + 5, connections_max=400)


def measure(
    system: System,
    *,
    per_minute: int,
    seconds: float,
    few: int,
    many: int,
    loads_seconds: float | None = None,
    generators: int = 1,
) -> Part:
    """The figures of every edge that is installed, each before a gateway of its own. The ``many`` loads are made by
    ``generators`` processes; they and the ``few`` take ``loads_seconds``, or else ``seconds``.
    """
    part = Part("edge")
    absent = [why for name in EDGES if (why := missing(name))]
    if len(absent) == len(EDGES):
        part.skipped = "; ".join(absent)
        return part
    worker = system.worker()
    for name in (name for name in EDGES if not missing(name)):
        (gateway,) = system.gateways(ADMITONE_EDGE_PROVIDER=name)
        with edge(name, gateway.address, free_port(), system.folder / name) as address:
            _selling(system, part, name, gateway, address, per_minute / 60, seconds)
            kinds = ((few, 1), (many, generators))
            _before_doors(system, part, name, gateway, address, loads_seconds or seconds, kinds)
        system.stop(gateway)
    system.stop(worker)
    part.details["skipped"] = absent
    return part


def _selling(
    system: System, part: Part, name: str, gateway: Program, address: Address, per_second: float, seconds: float
) -> None:
    with system.connect() as connection:
        event_id = fans.new_event(connection, SEATS)
    line_id, tokens = _line(system, gateway)
    before = reached(gateway)
    reading = Apart(lambda: readers(address, event_id, line_id, tokens, per_second, seconds))
    writing = Apart(lambda: writers(gateway.address, event_id, seconds + WARM_SECONDS))
    seen, made = reading.result(), writing.result()
    asked, lasted = reached(gateway) - before, seconds + WARM_SECONDS
    load = seen.load
    read = sum(load.rate(step, "200") for step in load.steps)
    part.add(f"{name}: reads", read * 60, "/min", aim=f"≥ {0.99 * per_second * 60:.0f}")
    own = seen.own_pages
    for route, of_own in (
        ("/events/{event_id}", own),
        ("/api/initial-call/{event_id}", 0),
        ("/api/events/{event_id}/seats", 0),
    ):
        # Both events' pages have the one route, so that there are two addresses.
        addresses = 2 if of_own else 1
        found = max(0, asked[route] - of_own) / lasted / addresses
        part.add(
            f"{name}: {route} at the gateway", found, "/s an address", aim="≤ 2.1", note=f"{own} own" if of_own else ""
        )
    oldest = oldest_seconds(seen.versions, made)
    part.add(f"{name}: the oldest read", oldest, "s", aim=f"≤ {STALE_SECONDS_MAX}", note=f"of {len(seen.versions):,}")
    part.add(f"{name}: pages of another fan's, or not one's own", seen.wrong_pages, "", aim="≤ 0")
    part.details[name] = {"reads": load.document(), "reserves": len(made), "asked": dict(asked)}


def _before_doors(
    system: System,
    part: Part,
    name: str,
    gateway: Program,
    address: Address,
    seconds: float,
    kinds: Sequence[tuple[int, int]],
) -> None:
    """Few and many loads before doors: how many of each, and by how many processes. Both take as long, for an edge asks
    again as time goes by.
    """
    costs = []
    for count, generators in kinds:
        with system.connect() as connection:
            event_id = fans.new_event(connection, 100, on_sale_in=dt.timedelta(hours=8))
        before, used, began = reached(gateway), gateway.use().cpu_seconds, time.monotonic()
        work = functools.partial(_loads, address, event_id, count // generators, seconds)
        made = Load()
        for one in gather([Apart(work) for _ in range(generators)]):
            made.add(one)
        lasted = time.monotonic() - began
        by_route = reached(gateway) - before
        asked = by_route.total() - 1
        requests = count // generators * generators * len(apart(functools.partial(_parts, address, event_id)))
        costs.append(asked)
        part.details[f"{name}: {count} loads"] = {
            "loads": made.document(),
            "seconds": round(lasted, 1),
            "asked": asked,
            "askedByRoute": dict(by_route),
            "gatewayCpuSeconds": round(gateway.use().cpu_seconds - used, 2),
        }
        part.add(
            f"{name}: requests of {count:,} loads before doors that were answered",
            made.count("load", "200"),
            "",
            "all of them",
            requests,
            "≥ 0.99",
            note=f"within {lasted:.0f} s, by {generators} process{'es' if generators > 1 else ''}",
        )
    (few, _), (many, _) = kinds
    part.add(
        f"{name}: requests at the gateway for {many:,} loads before doors",
        costs[1],
        "",
        f"for {few:,} loads",
        costs[0],
        "≤ 1.2",
    )
