"""A running sale to be disturbed: gateways, workers, a crowd that buys, and what must be true of it in the end.

    with running_sale(folder, database_url) as sale, sale.rush("gateway killed") as rush:
        rush.await_normal()
        sale.gateways[0].kill()
        rush.await_recovery()

When the rush ends its crowd goes home, the audit with the ledger of every acknowledged answer must be clean, nobody
may have been overtaken or have bought twice. `make test-faults` keeps a row of each run in ``rows.jsonl``, from which
`tests.faults.table` makes the table of docs/guarantees.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime as dt
import fcntl
import http.client
import os
import signal
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec
import psutil
import psycopg
import redis
from redis.client import PubSub

from admitone.crowd import CrowdPlan, CrowdReport, run_crowd
from admitone.embedded.valkey import EmbeddedValkey
from admitone.fan.ledger import Ledger
from bench.servers import free_port
from booking_lane.clients import plain_client
from booking_lane.cluster_client import ClusterRedis
from db.audit.invariants import Violation, audit
from db.events.seed import RoomSeed, TicketTypePlan
from tests.client import Fan
from tests.factories import environ_of, make_event, plan_event
from tests.faults.proxy import Proxy
from tests.services import ROOT, Service, Services, await_ready
from tests.waiting import await_that
from waiting_room.keys import room_channel, room_key
from waiting_room.model import read_news

ROWS_PATH: Final = ROOT / "tests" / "faults" / "rows.jsonl"
KEEP_ROWS: Final = "FAULT_ROWS"
"""The environment variable that says so: the short selection of `make test` is no measurement."""
SESSION: Final = uuid.uuid4().hex
HALL: Final = (
    TicketTypePlan(ticket_type="General", price=4900, rows=100, seats_per_row=50),
    TicketTypePlan(ticket_type="VIP", price=12900, rows=20, seats_per_row=20),
)
DOOR: Final = RoomSeed(rate_per_minute=60_000, capacity=25)
"""Fewer than a rush's fans, so that there is a line."""
LANES: Final = 3
WAVE_FANS: Final = 20
VISIT_SECONDS_MAX: Final = 120
PROBE_SECONDS: Final = 0.1
NORMAL_FACTOR: Final = 2.0
NORMAL_SECONDS_MIN: Final = 0.5
"""A reserve that takes less is normal on any machine."""
NORMAL_IN_A_ROW: Final = 3
BROKEN: Final = (OSError, http.client.HTTPException, ValueError, AssertionError)
"""A broken connection, half an answer, or a 5xx, which the crowd counts as an error too."""
LOSSES: Final = frozenset({"told_as_recorded", "told_hold_kept", "told_purchase_kept", "told_seats_kept"})
DOUBLES: Final = frozenset(
    {"seat_sold_once", "told_seat_sold_once", "told_holds_apart", "purchased_hold_has_purchase", "fan_within_limit"}
)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a fault. ``lost``, ``doubled`` and ``overtaken`` should be 0.

    Attributes:
        acknowledged: final answers that fans were given.
        lost: answers that Postgres does not keep, and jobs that were acknowledged and never answered.
        doubled: seats sold or held twice at a time, fans who bought or hold twice though they asked once.
        overtaken: fans called after one who joined later.
        gave_up: fans of the crowd who went home with an error, of ``fans``.
        errors: what the crowd met that should not happen without a fault, by kind.
        recovery_seconds: from each fault's end until a reserve succeeds again with normal latency.
        note: a few words for the table.
        session: of pytest, in which it ran.
    """

    at: dt.datetime
    fault: str
    fans: int
    acknowledged: int
    lost: int
    doubled: int
    overtaken: int
    gave_up: int
    recovery_seconds: list[float]
    errors: dict[str, int] = {}
    note: str = ""
    session: str = SESSION

    @classmethod
    def of_no_sale(cls, fault: str, *, recovery_seconds: list[float], note: str, fans: int = 0) -> Self:
        """A run in which nobody bought anything."""
        return cls(
            at=dt.datetime.now(dt.UTC),
            fault=fault,
            fans=fans,
            acknowledged=0,
            lost=0,
            doubled=0,
            overtaken=0,
            gave_up=0,
            recovery_seconds=recovery_seconds,
            note=note,
        )


def read_rows(path: Path = ROWS_PATH) -> list[Row]:
    return [msgspec.json.decode(line, type=Row) for line in path.read_bytes().splitlines()]


def append_row(row: Row, path: Path = ROWS_PATH) -> None:
    """Keep it, where rows are kept, in place of what earlier sessions measured of the same fault."""
    if not os.environ.get(KEEP_ROWS):
        return
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        kept = [old for old in read_rows(path) if old.fault != row.fault or old.session == row.session]
        file.truncate(0)
        file.writelines(msgspec.json.encode(one) + b"\n" for one in (*kept, row))


@dataclass
class Sale:
    """Gateways behind a balancer, workers, a Valkey of the sale's own with its append-only file.

    Attributes:
        balancer: what fans talk to; a connection goes to the next gateway that takes it.
        valkey_proxy, postgres_proxy: between the services and the servers, where asked for.
    """

    folder: Path
    database_url: str
    valkey: EmbeddedValkey
    valkey_url: str
    services: Services
    balancer: Proxy
    gateways: list[Service] = field(default_factory=list)
    workers: list[Service] = field(default_factory=list)
    valkey_proxy: Proxy | None = None
    postgres_proxy: Proxy | None = None

    def redis(self) -> redis.Redis:
        """Straight to the server, past any proxy."""
        return plain_client(self.valkey_url, socket_timeout=10)

    def kill_gateway(self, number: int) -> None:
        """SIGKILL."""
        self.gateways[number].kill()

    def restart_gateway(self, number: int, **environ: str) -> Service:
        """Start a gateway anew at the address of one that ended."""
        gateway = _start_gateway(self.services, _port(self.gateways[number]), **environ)
        self.gateways[number] = gateway
        await_ready(gateway)
        return gateway

    def kill_valkey(self) -> None:
        """SIGKILL; it stays away until `start_valkey`."""
        assert self.valkey.pid is not None
        os.kill(self.valkey.pid, signal.SIGKILL)
        self.valkey.stop()

    def start_valkey(self) -> None:
        """At the old address, with what its append-only file kept."""
        self.valkey.start()

    def signal_valkey(self, number: signal.Signals) -> None:
        assert self.valkey.pid is not None
        os.kill(self.valkey.pid, number)

    def event(self, *, room: RoomSeed = DOOR, hall: tuple[TicketTypePlan, ...] = HALL) -> int:
        """A new event on sale; gives its id."""
        return make_event(self.database_url, plan_event(room=room, hall=hall))

    def rush(self, fault: str, *, room: RoomSeed = DOOR, **plan: Any) -> Rush:
        """A crowd at a new event, for as long as the ``with`` lasts; ``plan`` are fields of `CrowdPlan`."""
        return Rush(self, fault, self.event(room=room), plan)


def kill_at(sale: Sale, point: str) -> None:
    """Kill the next lane worker that comes to the point."""
    reached = sale.folder / "reached"
    reached.unlink(missing_ok=True)
    (sale.folder / point).touch()
    await_that(lambda: reached.exists() and reached.read_text())
    os.kill(int(reached.read_text()), signal.SIGKILL)
    (sale.folder / point).unlink()


def rss_bytes(service: Service) -> int:
    """Resident memory of a service and its descendants."""
    parent = psutil.Process(service.pid)
    return sum(process.memory_info().rss for process in (parent, *parent.children(recursive=True)))


@contextlib.contextmanager
def running_sale(
    folder: Path,
    database_url: str,
    *,
    gateways: int = 2,
    workers: int = 1,
    valkey_proxied: bool = False,
    postgres_proxied: bool = False,
    redis_url: str = "",
    **environ: str,
) -> Iterator[Sale]:
    """Everything started and ready; everything stopped in the end.

    Args:
        folder: short, open to other users (the fixture ``servers_folder``); the sale makes one in it.
        database_url: a migrated database.
        redis_url: of servers that the test itself has started, in place of the sale's own Valkey.
        environ: further environment variables of gateways and workers.
    """
    folder = folder / f"sale-{free_port()}"
    folder.mkdir(mode=0o755)
    with contextlib.ExitStack() as stack:
        valkey = EmbeddedValkey(folder / "valkey", appendonly=True, port=free_port())
        if not redis_url:
            redis_url = valkey.start()
        valkey_url, gateways_database_url = redis_url, database_url
        # Not a context of the stack: a test may have stopped or restarted it, and either is fine.
        stack.callback(valkey.stop)
        valkey_proxy = postgres_proxy = None
        if valkey_proxied:
            valkey_proxy, redis_url = Proxy.before(redis_url)
            stack.callback(valkey_proxy.stop)
        if postgres_proxied:
            postgres_proxy, gateways_database_url = Proxy.before(database_url)
            stack.callback(postgres_proxy.stop)
        further = {"ADMITONE_CAPTCHA": "off", **environ}
        services = Services(environ_of(gateways_database_url, redis_url, further), folder)
        stack.callback(services.stop)
        balancer = stack.enter_context(Proxy([]))
        sale = Sale(folder, database_url, valkey, valkey_url, services, balancer)
        sale.valkey_proxy, sale.postgres_proxy = valkey_proxy, postgres_proxy
        sale.workers += [services.worker() for _ in range(workers)]
        for _ in range(gateways):
            sale.gateways.append(gateway := _start_gateway(services, free_port()))
            balancer.upstreams.append(("127.0.0.1", _port(gateway)))
        for gateway in sale.gateways:
            await_ready(gateway)
        yield sale


@dataclass(frozen=True, slots=True)
class Probed:
    """One reserve of the probe, or a release that failed: when it was sent, how long its answer took, and how long
    its success, if it was one.
    """

    at: float
    took: float
    seconds: float | None
    answer: str


class Probe:
    """One admitted fan who reserves a seat and gives it back, over and over: what a fan would feel right now."""

    def __init__(self, sale: Sale, event_id: int, ledger: Ledger) -> None:
        self.results: list[Probed] = []
        self.normal_seconds = 0.0
        self._event_id = event_id
        self._fan = Fan.arrive(sale.balancer.url, ledger)
        joined = self._fan.join(event_id)
        assert joined.json["state"] == "admitted", joined.content
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="probe")
        self._thread.start()

    @property
    def user_id(self) -> int:
        return self._fan.user_id

    def set_normal(self) -> None:
        """What took up to now is normal, and up to twice as much."""
        slowest = max(result.seconds for result in self.results if result.seconds is not None)
        self.normal_seconds = max(NORMAL_SECONDS_MIN, NORMAL_FACTOR * slowest)

    def recovered_at(self, since: float) -> float | None:
        """When the first of `NORMAL_IN_A_ROW` normal reserves sent after ``since`` had its answer; None: not yet."""
        row: list[Probed] = []
        for result in list(self.results):
            if result.at < since:
                continue
            if result.seconds is None or result.seconds > self.normal_seconds:
                row.clear()
                continue
            row.append(result)
            if len(row) == NORMAL_IN_A_ROW:
                return row[0].at + (row[0].seconds or 0.0)
        return None

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(60)

    def _run(self) -> None:
        number = 0
        while not self._stopped.is_set():
            number += 1
            # A seat kept by mistake would soon exhaust the fan's limit: the same key until the answer is known.
            while (reservation_id := self._reserve(f"probe-{number}")) is None and not self._stopped.is_set():
                self._stopped.wait(PROBE_SECONDS)
            while reservation_id and not self._released(reservation_id) and not self._stopped.is_set():
                self._stopped.wait(PROBE_SECONDS)
            self._stopped.wait(PROBE_SECONDS)

    def _reserve(self, key: str) -> str | None:
        """The hold's id, or "" if it was refused for good, or None if that is not known."""
        started = time.monotonic()
        try:
            answer = self._fan.reserve(self._event_id, best=(1, 1), wait=5, key=key)
        except BROKEN as error:
            self._note(started, None, type(error).__name__)
            return None
        found = "" if answer.code or answer.status != 200 else str(answer.result["reservationId"])
        seconds = time.monotonic() - started if found else None
        self._note(started, seconds, answer.code or str(answer.status))
        return found if answer.status == 200 else None

    def _note(self, started: float, seconds: float | None, answer: str) -> None:
        self.results.append(Probed(started, time.monotonic() - started, seconds, answer))

    def _released(self, reservation_id: str) -> bool:
        started = time.monotonic()
        try:
            answer = self._fan.release(self._event_id, reservation_id, wait=5)
        except BROKEN as error:
            self._note(started, None, type(error).__name__)
            return False
        if answer.status == 200 and answer.code != "timed_out":
            return True
        self._note(started, None, answer.code or str(answer.status))
        return False


class Calls:
    """Listens to Redis' news and writes down in which order fans were called, by the numbers they drew."""

    def __init__(self, sale: Sale, event_id: int) -> None:
        self._sale = sale
        self._event_id = event_id
        self._scores: list[int] = []
        self._overtaken: list[str] = []
        self._known: set[int] = set()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="calls")
        self._thread.start()

    def overtaken(self) -> list[str]:
        """Fans called for the first time after one who joined later: who, when, and after which number."""
        return self._overtaken

    def __len__(self) -> int:
        return len(self._scores)

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._stopped.is_set():
            with (
                contextlib.suppress(redis.RedisError, OSError),
                self._sale.redis() as client,
                self._subscribed(client) as heard,
            ):
                while not self._stopped.is_set():
                    message = heard.get_message(ignore_subscribe_messages=True, timeout=0.2)
                    if message is not None:
                        self._hear(client, message["data"])
            self._stopped.wait(0.05)

    def _subscribed(self, client: redis.Redis) -> PubSub:
        channel = room_channel(self._event_id, 0)
        if isinstance(client, ClusterRedis):
            servers = client.servers()
            server = client.slot_map.of(channel)
            assert server is not None
            heard: PubSub = servers[server].pubsub()  # type: ignore[no-untyped-call]
            heard.ssubscribe(channel)
            return heard
        heard = client.pubsub()  # type: ignore[no-untyped-call]
        heard.subscribe(channel)
        return heard

    def _hear(self, client: redis.Redis, payload: bytes) -> None:
        news = read_news(payload)
        if news.event != self._event_id:
            return
        first = [fan for fan, _ in news.called if fan not in self._known]
        self._known.update(first)
        for fan in first:
            place = client.hget(room_key(self._event_id, "places"), str(fan))
            if isinstance(place, bytes):
                score = int(place.split(b":")[0])
                if self._scores and score < max(self._scores):
                    now = dt.datetime.now(dt.UTC).time()
                    self._overtaken.append(f"{now}: fan {fan}, {score} after {max(self._scores)}, place {place!r}")
                self._scores.append(score)


class Crowd:
    """Fans in waves, several waves at a time, in a thread; every fan comes home before it ends."""

    def __init__(self, plan: CrowdPlan) -> None:
        self.reports: list[CrowdReport] = []
        self._plan = plan
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="crowd")
        self._thread.start()

    def stop(self) -> None:
        """Nobody new comes; wait for those under way.

        Raises:
            BaseException: what the crowd itself failed of.
        """
        self._stopping.set()
        self._thread.join(VISIT_SECONDS_MAX + 60)
        if self._failure is not None:
            raise self._failure

    def summed(self, name: str) -> Counter[str]:
        """``errors`` or ``waits`` of all waves."""
        return sum((Counter(getattr(report, name)) for report in self.reports), Counter[str]())

    def outcomes(self, stage: str) -> Counter[str]:
        return sum((Counter(report.outcomes.get(stage, {})) for report in self.reports), Counter[str]())

    def violations(self) -> list[str]:
        return [violation for report in self.reports for violation in report.violations]

    def _run(self) -> None:
        try:
            asyncio.run(self._waves())
        except BaseException as failure:
            self._failure = failure

    async def _waves(self) -> None:
        await asyncio.gather(*(self._lane(number) for number in range(LANES)))

    async def _lane(self, number: int) -> None:
        seed = number + 1
        while not self._stopping.is_set():
            plan = dataclasses.replace(self._plan, seed=seed)
            self.reports.append(await run_crowd(plan, stop=asyncio.Event(), quiet=True))
            seed += LANES


class Rush:
    """A crowd at one event of a sale, watched; see the module's docstring."""

    def __init__(self, sale: Sale, fault: str, event_id: int, plan: dict[str, Any]) -> None:
        self.sale = sale
        self.fault = fault
        self.event_id = event_id
        self.ledger_path = sale.folder / f"ledger-{event_id}.jsonl"
        self.recovery_seconds: list[float] = []
        self.note = ""
        self._ledger = Ledger(self.ledger_path)
        self._plan = CrowdPlan(
            base_url=sale.balancer.url,
            event_id=event_id,
            ledger=self.ledger_path,
            **{
                "fans": WAVE_FANS,
                "rate_per_second": 20.0,
                "think_seconds_max": 0.5,
                "release_hold": 0.1,
                "best_available": 0.7,
                "duration_seconds_max": VISIT_SECONDS_MAX,
                **plan,
            },
        )

    def __enter__(self) -> Self:
        self.calls = Calls(self.sale, self.event_id)
        self.probe = Probe(self.sale, self.event_id, self._ledger)
        self.crowd = Crowd(self._plan)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.crowd.stop()
        finally:
            self.probe.stop()
            self.calls.stop()
            self._ledger.close()
        if kind is None:
            self._settle()

    @property
    def acknowledged(self) -> int:
        """Final answers in the ledger so far."""
        with self.ledger_path.open("rb") as lines:
            return sum(1 for _ in lines)

    def await_normal(self, seconds_max: float = 40) -> None:
        """The crowd buys, and the probe has measured what is normal."""
        await_that(lambda: self.acknowledged >= 60 and len(self.probe.results) >= 8, seconds_max)
        self.probe.set_normal()

    def await_recovery(self, seconds_max: float = 60, *, ended: float | None = None) -> float:
        """The fault ended now (or then): gives the seconds until a reserve succeeds again with normal latency.

        Raises:
            AssertionError: none did in time.
        """
        ended = time.monotonic() if ended is None else ended
        try:
            await_that(lambda: self.probe.recovered_at(ended) is not None, seconds_max)
        except AssertionError as late:
            late.add_note(f"normal is up to {self.probe.normal_seconds:.3f} s; the last: {self.probe.results[-30:]}")
            raise
        recovered = self.probe.recovered_at(ended)
        assert recovered is not None
        self.recovery_seconds.append(round(recovered - ended, 3))
        return self.recovery_seconds[-1]

    def _settle(self) -> None:
        broken = self._audit()
        lost = sum(len(violation.rows) for violation in broken if violation.invariant in LOSSES)
        errors = self.crowd.summed("errors")
        lost += sum(n for kind, n in errors.items() if "no final answer" in kind or kind.endswith("unknown_job"))
        doubled = sum(len(violation.rows) for violation in broken if violation.invariant in DOUBLES) + self._twice()
        fans = self.crowd.outcomes("fan")
        row = Row(
            at=dt.datetime.now(dt.UTC),
            fault=self.fault,
            fans=fans.total(),
            acknowledged=self.acknowledged,
            lost=lost,
            doubled=doubled,
            overtaken=len(self.calls.overtaken()),
            gave_up=fans["error"] + fans["unfinished"],
            recovery_seconds=self.recovery_seconds,
            errors=dict(errors),
            note=self.note,
        )
        append_row(row)
        story = f"{row}\nfans {dict(fans)}\nwaits {dict(self.crowd.summed('waits'))}"
        story += "".join(f"\novertaken {line}" for line in self.calls.overtaken()[:20])
        self.story = story
        assert broken == [], f"{broken}\n{story}"
        assert self.crowd.violations() == [], f"{self.crowd.violations()}\n{story}"
        assert (row.lost, row.doubled, row.overtaken) == (0, 0, 0), story
        assert not any("HTTP 5" in kind for kind in errors), story
        assert row.fans > 0, story
        assert fans["bought"] > 0, story

    def _audit(self) -> list[Violation]:
        """Again for a while: what a fault left half-counted is swept within seconds."""
        until = time.monotonic() + 20
        while True:
            broken = audit(self.sale.database_url, ledger=self.ledger_path)
            if not broken or time.monotonic() > until:
                return broken
            time.sleep(0.5)

    def _twice(self) -> int:
        """Fans of the crowd with two purchases or two holds: each asks for one, with a key, however often."""
        with psycopg.connect(self.sale.database_url) as connection:
            row = connection.execute(_TWICE, {"event": self.event_id, "probe": self.probe.user_id}).fetchone()
        assert row is not None
        return int(row[0])


_TWICE = """
SELECT count(*)
  FROM (SELECT user_id FROM purchase WHERE event_id = %(event)s GROUP BY user_id HAVING count(*) > 1
         UNION ALL
        SELECT user_id FROM reservation WHERE event_id = %(event)s AND user_id <> %(probe)s
         GROUP BY user_id HAVING count(*) > 1) AS twice
"""


def _start_gateway(services: Services, port: int, **environ: str) -> Service:
    """Not yet ready: so that several start at a time."""
    return services.start("gateway", "--port", str(port), url=f"http://127.0.0.1:{port}", **environ)


def _port(service: Service) -> int:
    return int(service.url.rpartition(":")[2])
