"""The headline: a stadium sold out on one machine, and its timeline, audit, JSON and picture.

`bench.stadium_fans` says what each fan does. No check is switched off: sessions, place tokens, passes and captchas
are verified as in production, Postgres syncs each commit, Valkey keeps its append-only file.
"""

from __future__ import annotations

import multiprocessing
import secrets
import time
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import psutil
from rich.console import Console
from rich.table import Table

from bench import fans, picture, report
from bench.bank import BANK, Bank
from bench.client import ask, request
from bench.processes import Apart
from bench.profiling import Profile, busiest_child
from bench.servers import System, Use, machine, sum_use
from bench.stadium_fans import Crowd, Plan, Sale
from bench.stats import Latencies, Load, percentile
from db.audit.invariants import audit
from db.booking.conduct import NETWORK_LIMITS_OFF
from db.events.seed import RoomSeed
from db.operators.accounts import add_operator

Say = Callable[[str], None]

FANS_OF_A_PROCESS = 14_000
ARRIVE_SECONDS_MAX = 900.0
SALE_SECONDS_MAX = 900.0
SAMPLE_SECONDS = 1.0
PROVIDER = "admitone-test-provider"
"""How Postgres lists the test provider's connection."""
PROFILE_AFTER_SECONDS, PROFILE_SECONDS = 3.0, 8.0
STEPS = ("claim", "reserve", "checkout", "purchase")
HONEST = frozenset(
    {"reserve succeeded", "checkout succeeded", "claim admitted", "reserve seats_taken", "reserve none_free"}
)
"""These outcomes are no fault: another fan took the seats first."""
AIM_SECONDS, STRETCH_SECONDS = 150, 60
SAID = (
    "Said beforehand: all fans come from this machine, so the limits per address are raised; the captchas' proofs "
    "of work are found before doors, of a smaller search (1,000 instead of 50,000 numbers), and verified in full; "
    "fans share kept-alive connections as behind a reverse proxy, and each streams on a connection of its own."
)


class Steward:
    """The operator's side: lets the room go and reads it each second, over HTTP like everything else."""

    def __init__(self, system: System, event_id: int) -> None:
        self._gateway = system.programs[0].address
        self._path = f"/api/ops/rooms/{event_id}"
        password = secrets.token_urlsafe(12)
        add_operator(system.database_url, "bench", password)
        body = msgspec.json.encode({"name": "bench", "password": password})
        status, answer = ask(self._gateway, request("POST", "/api/ops/session", body=body))
        if status != 201:
            raise RuntimeError(f"the operator did not sign in: {status} {answer!r}")
        self._token = msgspec.json.decode(answer)["token"]

    def open_doors(self) -> None:
        status, body = ask(self._gateway, request("PATCH", self._path, token=self._token, body=b'{"paused":false}'))
        if status != 200:
            raise RuntimeError(f"the doors did not open: {status} {body!r}")

    def room(self) -> dict[str, Any]:
        status, body = ask(self._gateway, request("GET", self._path, token=self._token), 5)
        if status != 200:
            return {"refused": f"{status} {body[:200]!r}"}
        found: dict[str, Any] = msgspec.json.decode(body)
        return found


class Timeline:
    """One sample a second: the room in numbers, and each process' CPU and memory."""

    def __init__(
        self, system: System, steward: Steward, crowds: Sequence[Apart[Sale]], say: Callable[[str], None]
    ) -> None:
        self._system = system
        self._steward = steward
        self._crowds = crowds
        self._say = say
        self._before = self._uses()
        self.began = time.perf_counter()
        self._at = self.began
        self.samples: list[dict[str, Any]] = []

    def _uses(self) -> dict[str, Use]:
        found = self._system.uses(splits=True)
        for number, crowd in enumerate(self._crowds):
            try:
                found[f"fans-{number}"] = sum_use([psutil.Process(crowd.process.pid)])
            except psutil.NoSuchProcess:
                continue
        return found

    def sample(self) -> None:
        room = self._steward.room()
        uses, now = self._uses(), time.perf_counter()
        cores = {
            name: round((use.cpu_seconds - self._before[name].cpu_seconds) / (now - self._at), 3)
            for name, use in uses.items()
            if name in self._before
        }
        self._before, self._at = uses, now
        keep = ("waiting", "called", "admitted", "sold", "held", "free", "backlog", "p95BookingMs")
        one = {"second": round(now - self.began, 2), **{name: room.get(name) for name in keep}, "cores": cores}
        one["rssMb"] = {name: round(use.rss_bytes / 2**20, 1) for name, use in uses.items()}
        self.samples.append(one)
        if "refused" in room:
            self._say(f"{one['second']:7.1f} s  the room is not told: {room['refused']}")
            return
        self._say(
            f"{one['second']:7.1f} s  sold {room.get('sold', 0):>6,}  held {room.get('held', 0):>5,}  "
            f"in line {room.get('waiting', 0):>6,}  admitted {room.get('admitted', 0):>5,}  "
            f"p95 {room.get('p95BookingMs') or 0:>6.0f} ms  cores "
            + " ".join(f"{name} {share:.2f}" for name, share in cores.items() if share >= 0.005)
        )


def _await(crowds: Sequence[Apart[Sale]], ready: Sequence[Any], say: Say) -> None:
    until = time.monotonic() + ARRIVE_SECONDS_MAX
    for crowd, is_ready in zip(crowds, ready, strict=True):
        while not is_ready.wait(1.0):
            if not crowd.process.is_alive():
                crowd.result()
            if time.monotonic() > until:
                raise RuntimeError(f"not all fans were streaming after {ARRIVE_SECONDS_MAX:.0f} s")
    say("all fans are in line and streaming")


def _per_second(times: Sequence[float], began: float, seconds: int) -> list[int]:
    counted = Counter(int(at - began) for at in times if at >= began)
    return [counted[second] for second in range(seconds)]


def _step_seconds(load: Load, step: str, began: float, seconds: int) -> dict[str, list[float]]:
    """p50 and p99 by second, ms."""
    found: dict[int, list[float]] = defaultdict(list)
    if step in load.steps:
        for at, took in zip(load.steps[step].ended, load.steps[step].seconds, strict=True):
            found[int(at - began)].append(took)
    by_second = [sorted(found[second]) for second in range(seconds)]
    return {
        name: [round(percentile(one, share) * 1000, 1) for one in by_second]
        for name, share in (("p50", 0.5), ("p99", 0.99))
    }


def _batches(system: System, event_id: int, doors: float, seconds: int) -> tuple[list[float], float]:
    """Mean commands a transaction by second, and in all: a batch's outcomes have one time between them."""
    with system.connect() as connection:
        rows = connection.execute(
            """
            SELECT floor(extract(epoch FROM recorded_at) - %s)::int, count(*), count(DISTINCT recorded_at)
              FROM booking_command WHERE event_id = %s GROUP BY 1
            """,
            (doors, event_id),
        ).fetchall()
    sizes = {second: commands / batches for second, commands, batches in rows}
    batches = sum(row[2] for row in rows)
    mean = sum(row[1] for row in rows) / batches if batches else 0.0
    return [round(sizes.get(second, 0.0), 1) for second in range(seconds)], round(mean, 1)


def run(
    system: System,
    *,
    fans_count: int = 40_000,
    seats: int = 80_000,
    gateways: int = 3,
    rate_per_minute: int = 60_000,
    capacity: int = 800,
    front_share: float = 0.2,
    name: str = "stadium",
    profile: bool = False,
    payment_ms: int | None = None,
    console: Console | None = None,
) -> dict[str, Any]:
    """Sell it out; gives the result's document, which is written to ``bench/results`` with its picture.

    ``profile`` says where gateway and worker spend their time, and slows them (py-spy).
    ``rate_per_minute`` and ``capacity`` are the door's; ``front_share`` of the fans goes for the best seats.
    ``payment_ms``: the event takes payments, by a test provider that takes so long to answer; None: it takes none.
    """
    console = console or Console(width=200)

    def say(text: str) -> None:
        console.print(text, highlight=False)

    on = machine()
    say(SAID)
    room = RoomSeed(
        state="paused",
        rate_per_minute=rate_per_minute,
        capacity=capacity,
        line_cap=max(fans_count, 5_000),
        network_limits_max=NETWORK_LIMITS_OFF,
    )
    with system.connect() as connection:
        event_id = fans.new_event(connection, seats, room)
        if payment_ms is not None:
            connection.execute("UPDATE event SET payments = 'test' WHERE event_id = %s", (event_id,))
    environ = {} if payment_ms is None else {"ADMITONE_PAYMENT_PROVIDERS": "test"}
    programs = system.gateways(gateways, place_seconds=None, unguarded=False, **environ)
    # A payment takes two calls of the provider; by default a pool has 32 under way, and so opens 53 payments a second.
    slow = {"ADMITONE_PAYMENT_TEST_DELAY_MS": str(payment_ms), "ADMITONE_PAYMENT_AT_ONCE_MAX": "200"}
    worker = system.worker(**environ, **(slow if environ else {}))
    steward = Steward(system, event_id)
    processes = -(-fans_count // FANS_OF_A_PROCESS) if fans_count > 2_000 else 1
    fork = multiprocessing.get_context("fork")
    go, end = fork.Event(), fork.Event()
    ready = [fork.Event() for _ in range(processes)]
    shares = [fans_count // processes + (number < fans_count % processes) for number in range(processes)]
    addresses = tuple(program.address for program in programs)
    ledger = system.folder / "ledger.jsonl"
    arriving = time.perf_counter()
    crowds = []
    for number, share in enumerate(shares):
        plan = Plan(event_id, sum(shares[:number]), share, addresses, front_share, ledger)
        crowds.append(Apart(Crowd(plan, ready[number], go, end).run))
    _await(crowds, ready, say)
    arrived_seconds = time.perf_counter() - arriving
    say(f"{fans_count:,} fans arrived in {arrived_seconds:.0f} s; the doors open")

    timeline = Timeline(system, steward, crowds, say)
    bank = None if payment_ms is None else Bank(system, addresses)
    go.set()
    doors_wall = time.time()
    doors = timeline.began = time.perf_counter()
    steward.open_doors()
    profiles: list[Profile] = []
    until = doors + SALE_SECONDS_MAX
    while any(crowd.process.is_alive() and not crowd.receiver.poll() for crowd in crowds):
        if time.perf_counter() > until:
            end.set()
        time.sleep(max(0.0, SAMPLE_SECONDS - (time.perf_counter() - doors) % SAMPLE_SECONDS))
        timeline.sample()
        if profile and not profiles and time.perf_counter() - doors > PROFILE_AFTER_SECONDS:
            for what, pid in (("gateway", programs[0].process.pid), ("worker", busiest_child(worker.process.pid))):
                profiles.append(Profile(pid, system.folder, PROFILE_SECONDS, name=what))
    provider_seconds = 0.0
    if bank is not None:
        provider_seconds = _cpu_seconds_of_connections(system, BANK, PROVIDER)
        bank.close()
        say(f"notices that the bank sent again: {dict(bank.sent_again) or 'none'}")
    for one in profiles:
        console.print(one.text(), highlight=False, markup=False)
    sales = [crowd.result() for crowd in crowds]
    return _conclude(
        system,
        console,
        event_id,
        sales,
        ledger,
        timeline,
        doors,
        doors_wall,
        {
            "fans": fans_count,
            "seats": seats,
            "gateways": gateways,
            "generatorProcesses": processes,
            "ratePerMinute": rate_per_minute,
            "capacity": capacity,
            "frontShare": front_share,
            "paymentMs": payment_ms,
            "arrivedSeconds": round(arrived_seconds, 1),
        },
        provider_seconds,
        name,
        dict(on),
    )


def _conclude(
    system: System,
    console: Console,
    event_id: int,
    sales: Sequence[Sale],
    ledger: Path,
    timeline: Timeline,
    doors: float,
    doors_wall: float,
    options: dict[str, Any],
    provider_seconds: float,
    name: str,
    on: dict[str, object],
) -> dict[str, Any]:
    load = Load()
    bought, called, journeys = array("d"), array("d"), array("d")
    for sale in sales:
        load.add(sale.load)
        bought.extend(sale.bought_at)
        called.extend(sale.called_at)
        journeys.extend(sale.journey_seconds)
    sold_out = max(bought, default=doors) - doors
    seconds = int(sold_out) + 2
    with ledger.open("rb") as lines:
        told = sum(1 for _ in lines)
    began = time.perf_counter()
    violations = audit(system.database_url, grace_seconds=15, command_keep_hours=24, ledger=ledger)
    audited = time.perf_counter() - began
    with system.connect() as connection:
        row = connection.execute(
            "SELECT count(*) FROM seat WHERE event_id = %s AND status = 'booked'", (event_id,)
        ).fetchone()
    booked = row[0] if row else 0
    batch_sizes, mean_batch = _batches(system, event_id, doors_wall, seconds)
    outcomes: Counter[str] = sum((sale.outcomes for sale in sales), Counter())
    failed = dict(sum((sale.errors for sale in sales), Counter()))
    failed |= {
        what: count
        for what, count in outcomes.items()
        if what.startswith(("refused ", "claim ", "reserve ", "checkout ")) and what not in HONEST
    }
    bought_by_second = _per_second(bought, doors, seconds)
    called_by_second = _per_second(called, doors, seconds)
    steps = {step: _step_seconds(load, step, doors, seconds) for step in STEPS}
    waited = [at - doors for at in called]
    result = {
        "machine": on,
        "options": options,
        "said": SAID,
        "soldOutSeconds": round(sold_out, 2),
        "aimSeconds": AIM_SECONDS,
        "stretchSeconds": STRETCH_SECONDS,
        "seatsBooked": booked,
        "purchases": len(bought),
        "ticketsPerSecond": round(booked / sold_out, 1) if sold_out else 0.0,
        "retriesAfterSeatsTaken": outcomes["reserve seats_taken"],
        "failedRequests": failed,
        "lostStreams": outcomes["stream closed_without_bye"],
        "unfinishedFans": sum(sale.unfinished for sale in sales),
        "placeEvents": outcomes["stream place"],
        "ledgerLines": told,
        "audit": {
            "clean": not violations,
            "violations": [one.sentence for one in violations],
            "seconds": round(audited, 1),
        },
        "meanBatch": mean_batch,
        "generatorCpuSeconds": round(load.cpu_seconds, 2),
        "steps": {step: _totals(load, step) for step in load.steps},
        "calledAfterSeconds": _spread(waited),
        "calledToTicketSeconds": _spread(journeys),
        "cpuSeconds": _cpu_seconds(timeline),
        "cpuMillisecondsAFan": _cpu_a_fan(timeline, len(bought)),
        "ofPostgresTheProvidersMilliseconds": round(provider_seconds * 1000 / max(len(bought), 1), 2),
        "timeline": {
            "ticketsSold": [2 * count for count in bought_by_second],
            "fansCalled": called_by_second,
            "batchSize": batch_sizes,
            "latenciesMs": steps,
            "samples": timeline.samples,
        },
    }
    path = report.write(name, result)
    drawing = path.with_suffix(".svg")
    drawing.write_text(_draw(result, timeline, options["fans"], seconds))
    _print(console, result)
    console.print(
        f"Written to {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path} and {drawing.name}"
    )
    return result


def _totals(load: Load, step: str) -> dict[str, Any]:
    found = Latencies.of(load.steps[step].seconds)
    return {
        "count": found.count,
        "p50Ms": found.p50_ms,
        "p99Ms": found.p99_ms,
        "maxMs": found.max_ms,
        "outcomes": dict(load.steps[step].outcomes),
    }


def _spread(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {name: round(percentile(ordered, share), 2) for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))}


def _cpu_seconds_of_connections(system: System, *names: str) -> float:
    """What Postgres' processes for these connections have used since they were made."""
    with system.connect() as connection:
        listed = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = ANY (%s)", (list(names),)
        ).fetchall()
    return sum_use([psutil.Process(pid) for (pid,) in listed]).cpu_seconds


def _cpu_seconds(timeline: Timeline) -> dict[str, float]:
    totals: dict[str, float] = defaultdict(float)
    before = 0.0
    for one in timeline.samples:
        for name, cores in one["cores"].items():
            totals[name] += cores * (one["second"] - before)
        before = one["second"]
    return {name: round(spent, 1) for name, spent in totals.items()}


def _cpu_a_fan(timeline: Timeline, fans: int) -> dict[str, float]:
    """CPU milliseconds after doors for each of the ``fans`` that bought; docs/performance.md sizes a sale by them."""
    totals: dict[str, float] = defaultdict(float)
    for name, spent in _cpu_seconds(timeline).items():
        totals[name.partition("-")[0]] += spent * 1000 / max(fans, 1)
    return {name: round(spent, 2) for name, spent in totals.items()}


def _draw(result: dict[str, Any], timeline: Timeline, fans_count: int, seconds: int) -> str:
    sold, total = [], 0
    for count in result["timeline"]["ticketsSold"]:
        total += count
        sold.append(float(total))
    left, waiting = fans_count, []
    for count in result["timeline"]["fansCalled"]:
        left -= count
        waiting.append(float(left))
    latencies = {
        f"{step} {name}": values
        for step, both in result["timeline"]["latenciesMs"].items()
        for name, values in both.items()
        if step != "purchase" or name == "p50"
    }
    names = sorted({name for one in timeline.samples for name in one["cores"]})
    cores = {name: [one["cores"].get(name, 0.0) for one in timeline.samples[:seconds]] for name in names}
    title = (
        f"{result['seatsBooked']:,} seats to {result['purchases']:,} fans "
        f"in {result['soldOutSeconds']:.0f} s after doors, on {result['machine']['cores']} cores"
    )
    return picture.draw(
        title,
        [
            picture.Panel("seats sold, and fans still in line", {"seats sold": sold, "fans in line": waiting}),
            picture.Panel("milliseconds from asking to the answer", latencies),
            picture.Panel("cores used", cores, stacked=True),
            picture.Panel("commands in a batch", {"mean batch": result["timeline"]["batchSize"]}),
        ],
    )


def _print(console: Console, result: dict[str, Any]) -> None:
    table = Table("step", "requests", "p50 ms", "p99 ms", "max ms", "outcomes")
    for step, found in result["steps"].items():
        outcomes = ", ".join(f"{what} {count:,}" for what, count in sorted(found["outcomes"].items()))
        table.add_row(
            step, f"{found['count']:,}", *(f"{found[name]:,.1f}" for name in ("p50Ms", "p99Ms", "maxMs")), outcomes
        )
    console.print(table)
    cpu = ", ".join(f"{name} {spent}" for name, spent in result["cpuSeconds"].items())
    console.print(f"CPU seconds after doors: {cpu}", highlight=False)
    cpu = ", ".join(f"{name} {spent}" for name, spent in result["cpuMillisecondsAFan"].items())
    console.print(f"CPU milliseconds for each fan: {cpu}", highlight=False)
    of_provider = result["ofPostgresTheProvidersMilliseconds"]
    if of_provider:
        console.print(
            f"Of Postgres' {of_provider} ms are the books of the test provider and the bank, which are elsewhere in "
            "truth",
            highlight=False,
        )
    console.print(
        f"{result['seatsBooked']:,} seats sold {result['soldOutSeconds']} s after doors "
        f"({result['ticketsPerSecond']:.0f} tickets/s; aim {AIM_SECONDS} s, stretch {STRETCH_SECONDS} s); "
        f"mean batch {result['meanBatch']}; {result['retriesAfterSeatsTaken']:,} honest 409s; "
        f"failed requests: {result['failedRequests'] or 'none'}; lost streams: {result['lostStreams']}; "
        f"audit with {result['ledgerLines']:,} ledger lines: {'clean' if result['audit']['clean'] else 'BROKEN'}",
        highlight=False,
    )
