"""`/health/ready` names a failing part within two seconds, recovers within two, and never keeps anybody waiting."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import psutil
import psycopg
import pytest
import redis

from admitone.embedded.postgres import EmbeddedPostgres
from admitone.embedded.valkey import EmbeddedValkey
from db.connections.schema_head import head
from db.migrate import migrate
from tests.factories import environ_of
from tests.services import Service, Services, await_ready

TOLD_SECONDS_MAX = 2.0
ANSWER_SECONDS_MAX = 1.0
"""What a probe waits; an answer here takes milliseconds, unless two cores have much else to do."""
ASK_EVERY_SECONDS = 0.05
SCRAPE_SECONDS_MAX = 9.0
LANES = 2


@dataclass(frozen=True)
class Answer:
    at: float
    seconds: float
    live: int
    ready: int
    failing: tuple[str, ...]


@dataclass
class Probe:
    """Asks both addresses all the time, as a load balancer and an operator's alarm do."""

    url: str
    answers: list[Answer] = field(default_factory=list)

    def __enter__(self) -> Probe:
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(ASK_EVERY_SECONDS):
            started = time.monotonic()
            live, _ = _ask(self.url + "/health/live")
            ready, body = _ask(self.url + "/health/ready")
            failing = tuple(msgspec.json.decode(body)["failing"]) if body else ()
            now = time.monotonic()
            self.answers.append(Answer(now, now - started, live, ready, failing))

    def seconds_until(self, told: Callable[[Answer], bool], since: float, seconds_max: float) -> float:
        """How long after ``since`` an answer first told so.

        Raises:
            AssertionError: none did in ``seconds_max``.
        """
        while True:
            for answer in list(self.answers):
                if answer.at > since and told(answer):
                    return answer.at - since
            assert time.monotonic() - since < seconds_max, (seconds_max, self.answers[-20:])
            time.sleep(0.01)


def _ask(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_SECONDS_MAX) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
    except OSError:
        return 0, b""


def _scrape(url: str) -> set[str]:
    """The lines of `/metrics`, which is told while a part is away, in time for Prometheus."""
    with urllib.request.urlopen(url + "/metrics", timeout=SCRAPE_SECONDS_MAX) as answer:
        return set(answer.read().decode().splitlines())


@dataclass
class Ground:
    """A site whose servers are its own."""

    postgres: EmbeddedPostgres
    valkey: EmbeddedValkey
    services: Services
    gateway: Service
    worker: Service

    def of_postgres(self) -> list[psutil.Process]:
        assert self.postgres.pid is not None
        server = psutil.Process(self.postgres.pid)
        return [server, *server.children(recursive=True)]

    def of_lane(self, lane: int) -> psutil.Process:
        """The lane's worker, as RQ's registry names it."""
        with self.redis() as client:
            for key in client.smembers(f"rq:workers:lane-{lane}"):
                pid = client.hget(key, "pid")
                if pid is not None and psutil.pid_exists(int(pid)):
                    return psutil.Process(int(pid))
        raise AssertionError("no worker")

    def redis(self) -> redis.Redis:
        return redis.Redis.from_url(self.valkey.url, socket_timeout=10)

    def sql(self, statement: str) -> None:
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            connection.execute(statement)


@pytest.fixture(scope="module")
def ground(servers_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with (
        EmbeddedPostgres(servers_folder / "ready-pg", durable=False) as postgres,
        EmbeddedValkey(servers_folder / "ready-valkey", appendonly=False) as valkey,
    ):
        migrate(postgres.url)
        environ = environ_of(postgres.url, valkey.url, {"ADMITONE_LANES": str(LANES)})
        services = Services(environ, tmp_path_factory.mktemp("ready"))
        worker = services.worker()
        gateway = services.gateway()
        try:
            yield Ground(postgres, valkey, services, gateway, worker)
        finally:
            services.stop()


Mend = Callable[[], None]


def _stopped(processes: list[psutil.Process]) -> Mend:
    """SIGSTOP: connections stay open, and nothing answers."""
    for process in processes:
        process.send_signal(signal.SIGSTOP)

    def mend() -> None:
        for process in reversed(processes):
            process.send_signal(signal.SIGCONT)

    return mend


def postgres_stops(ground: Ground) -> Mend:
    return _stopped(ground.of_postgres())


def postgres_takes_no_connections(ground: Ground) -> Mend:
    """The sessions there are go on."""
    return _stopped(ground.of_postgres()[:1])


def postgres_is_killed(ground: Ground) -> Mend:
    for process in ground.of_postgres():
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()

    def mend() -> None:
        ground.postgres.stop()
        ground.postgres.start()

    return mend


def postgres_is_read_only(ground: Ground) -> Mend:
    def set_to(value: str) -> None:
        ground.sql(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
        ground.sql("SELECT pg_reload_conf()")

    set_to("on")
    return lambda: set_to("off")


def migrations_are_behind(ground: Ground) -> Mend:
    ground.sql("UPDATE alembic_version SET version_num = '0001'")
    return lambda: ground.sql(f"UPDATE alembic_version SET version_num = '{head()}'")


def valkey_stops(ground: Ground) -> Mend:
    assert ground.valkey.pid is not None
    return _stopped([psutil.Process(ground.valkey.pid)])


def valkey_is_killed(ground: Ground) -> Mend:
    assert ground.valkey.pid is not None
    os.kill(ground.valkey.pid, signal.SIGKILL)

    def mend() -> None:
        ground.valkey.stop()
        ground.valkey.start()

    return mend


def valkey_is_full(ground: Ground) -> Mend:
    def set_to(value: str) -> None:
        with ground.redis() as client:
            client.config_set("maxmemory", value)

    set_to("1kb")
    return lambda: set_to("0")


def a_worker_stops(ground: Ground) -> Mend:
    return _stopped([ground.of_lane(1)])


def the_workers_are_killed(ground: Ground) -> Mend:
    ground.worker.kill()

    def mend() -> None:
        ground.worker = ground.services.worker()
        _await_worker(ground)

    return mend


def _await_worker(ground: Ground) -> None:
    """Until RQ's registry has it: a process takes a second to start, which is not the gateway's."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with contextlib.suppress(AssertionError), ground.redis() as client:
            for lane in range(LANES):
                process = ground.of_lane(lane)
                assert process.parent() == psutil.Process(ground.worker.pid)
                assert client.keys(f"booking:alive:lane-{lane}:*")
            return
        time.sleep(0.02)
    raise AssertionError("no worker")


FAULTS: list[tuple[Callable[[Ground], Mend], set[str], bool]] = [
    (migrations_are_behind, {"migrations"}, True),
    (postgres_is_read_only, {"postgres"}, True),
    (postgres_stops, {"postgres"}, False),
    (postgres_takes_no_connections, {"postgres"}, True),
    (postgres_is_killed, {"postgres"}, True),
    (a_worker_stops, {"lane-1"}, False),
    (the_workers_are_killed, {"lane-0", "lane-1"}, True),
    (valkey_is_full, {"line_redis", "jobs_redis"}, True),
    (valkey_stops, {"line_redis", "jobs_redis"}, True),
    (valkey_is_killed, {"line_redis", "jobs_redis"}, False),
]
"""(what happens, what is named, left to `make test-faults`)"""


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        pytest.param(fault, named, id=fault.__name__, marks=[pytest.mark.long] if long else [])
        for fault, named, long in FAULTS
    ],
)
def test_a_failing_part_is_named_within_two_seconds_and_forgotten_within_two(
    ground: Ground, fault: Callable[[Ground], Mend], named: set[str], record_property: Callable[[str, object], None]
) -> None:
    await_ready(ground.gateway)
    with Probe(ground.gateway.url) as probe:
        probe.seconds_until(lambda answer: answer.ready == 200, time.monotonic(), 20)
        broken_at = time.monotonic()
        mend = fault(ground)
        try:
            told = probe.seconds_until(
                lambda answer: answer.ready == 503 and set(answer.failing) == named, broken_at, 2 * TOLD_SECONDS_MAX
            )
            time.sleep(0.5)  # it has to stay named, and both addresses to answer meanwhile
            # An orchestrator that looks here does not empty the service for what all gateways share.
            assert _ask(ground.gateway.url + "/health/serving")[0] == 200
            metrics = _scrape(ground.gateway.url)
        finally:
            mend()
        mended_at = time.monotonic()
        recovered = probe.seconds_until(lambda answer: not named & set(answer.failing), mended_at, 2 * TOLD_SECONDS_MAX)
        # Workers that ended with their Redis are first started anew.
        probe.seconds_until(lambda answer: answer.ready == 200, mended_at, 5 * TOLD_SECONDS_MAX)
        during = [answer for answer in probe.answers if answer.at > broken_at]
    print(f"{fault.__name__}: told after {told:.2f} s, recovered after {recovered:.2f} s")
    record_property("told_seconds", round(told, 2))
    record_property("recovered_seconds", round(recovered, 2))
    assert {f'admitone_part_up{{part="{part}"}} 0.0' for part in named} | {"admitone_ready 0.0"} <= metrics
    assert told <= TOLD_SECONDS_MAX
    assert recovered <= TOLD_SECONDS_MAX
    assert {answer.live for answer in during} == {200}
    assert max(answer.seconds for answer in during) < ANSWER_SECONDS_MAX
