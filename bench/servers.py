"""The system under test: durable Postgres, Valkey with its append-only file, real gateways and workers."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg
import redis

from admitone.embedded.postgres import EmbeddedPostgres
from admitone.embedded.process import last_lines, spawn, stop
from admitone.embedded.valkey import EmbeddedValkey
from bench.client import Address, ask, request
from db.booking.conduct import NETWORK_LIMITS_OFF
from db.migrate import migrate
from db.sealing.keyring import Keyring, use

ROOT = Path(__file__).parent.parent
READY_SECONDS_MAX = 120.0
STOP_SECONDS_MAX = 20.0
WORKER = "worker"
PORTS = (18_000, 31_999)
_CPUCLOCK_SCHED = 2
"""With a process' id, the kernel's name of the clock of its processor time (`clock_getcpuclockid`)."""
SECRET = "a secret of the benchmarks, of no use anywhere else"
use(Keyring([SECRET], SECRET))

ENVIRON = {
    "ADMITONE_SECRET": SECRET,
    # 40,000 fans come from one machine here; each would have an address prefix of its own.
    "ADMITONE_SESSIONS_PER_MINUTE": "10000000",
    "ADMITONE_JOINS_PER_MINUTE": "10000000",
    "ADMITONE_JOINS_FREE_PER_MINUTE": "10000000",
    "ADMITONE_NETWORK_LIMITS_MAX": str(NETWORK_LIMITS_OFF),
    "ADMITONE_LIMIT_NETWORK_COMMANDS_PER_MINUTE": "0",
    "ADMITONE_LIMIT_CHALLENGES_PER_MINUTE": "10000000",
    "ADMITONE_CONNECTION_PER_ADDRESS_MAX": "1000000",
    # A fan's own browser does this work; here one machine does it for all, beforehand.
    "ADMITONE_CAPTCHA_WORK_MAX": "1000",
    "ADMITONE_CAPTCHA_TTL_SECONDS": "3600",
    "ADMITONE_LINE_CAP": "5000000",
    "ADMITONE_DRAIN_SECONDS": "0",
}
"""These settings differ from the defaults. Every check stays on."""


@dataclass
class Program:
    """A started program and, if it serves HTTP, where."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    address: Address = ("127.0.0.1", 0)

    @property
    def family(self) -> list[psutil.Process]:
        """It and its descendants."""
        try:
            parent = psutil.Process(self.process.pid)
            return [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def use(self) -> Use:
        """CPU and memory, its descendants' included."""
        return sum_use(self.family)

    def stop(self) -> None:
        stop(self.process, seconds_max=STOP_SECONDS_MAX)


@dataclass(frozen=True, slots=True)
class Use:
    """CPU seconds since the start, and resident bytes now."""

    cpu_seconds: float = 0.0
    rss_bytes: int = 0


def sum_use(processes: list[psutil.Process]) -> Use:
    """What these use, and what their children used that have ended."""
    cpu, rss = 0.0, 0
    for process in processes:
        try:
            with process.oneshot():
                times = process.cpu_times()
                cpu += _cpu_seconds(process.pid) + times.children_user + times.children_system
                rss += process.memory_info().rss
        except (psutil.NoSuchProcess, psutil.ZombieProcess, OSError):
            continue
    return Use(cpu, rss)


def _cpu_seconds(pid: int) -> float:
    """The processor time of a process to the nanosecond. `/proc` counts hundredths of a second, of which a load of some
    hundred cheap calls has few.
    """
    return time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED)


@dataclass
class System:
    """Postgres and Valkey, and the programs started on them."""

    folder: Path
    postgres: EmbeddedPostgres
    valkey: EmbeddedValkey
    programs: list[Program] = field(default_factory=list)

    @property
    def database_url(self) -> str:
        return self.postgres.url

    @property
    def redis_url(self) -> str:
        return self.valkey.url

    def redis(self) -> redis.Redis:
        return redis.Redis.from_url(self.redis_url, socket_timeout=30)

    def environ(self, **more: str) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ADMITONE_")}
        urls = {"DATABASE_URL": self.database_url, "REDIS_URL": self.redis_url}
        return inherited | ENVIRON | urls | more

    def start(self, name: str, *command: str, port: int = 0, environ: Mapping[str, str] | None = None) -> Program:
        """Start ``python -m command…``; returns at once."""
        return self.start_other(name, sys.executable, "-m", *command, port=port, environ=environ)

    def start_other(self, name: str, *command: str, port: int = 0, environ: Mapping[str, str] | None = None) -> Program:
        """Start a program that may be no Python; returns at once."""
        log = self.folder / f"{name}-{len(self.programs)}.log"
        process = spawn([*command], log=log, folder=ROOT, environ=self.environ(**(environ or {})))
        program = Program(name, process, log, ("127.0.0.1", port))
        self.programs.append(program)
        return program

    def gateways(
        self,
        count: int = 1,
        *,
        place_seconds: float | None = None,
        unguarded: bool = False,
        name: str = "gateway",
        **environ: str,
    ) -> list[Program]:
        """``admitone gateway`` processes, ready, each on a port of its own, with the bench's no-op route added.

        Args:
            place_seconds: send every fan its place this often, however far back it is.
            unguarded: without the guard against bots, to measure what it costs.
        """
        options = ["--unguarded"] if unguarded else []
        options += [] if place_seconds is None else ["--place-seconds", str(place_seconds)]
        started = []
        for number in range(count):
            port = free_port()
            started.append(
                self.start(
                    f"{name}-{number}" if count > 1 else name,
                    *("bench.serve", *options, "gateway", "--host", "127.0.0.1", "--port", str(port)),
                    port=port,
                    environ=environ,
                )
            )
        for program in started:
            # Alive is enough: a gateway answers only with Postgres and Redis at hand, and the workers may come later.
            await_answer(program, "/health/live")
        return started

    def worker(self, **environ: str) -> Program:
        """``admitone worker``: a process a lane, one for housekeeping, one for cron."""
        program = self.start(WORKER, "admitone", "worker", environ=environ)
        with self.redis() as client:
            until = time.monotonic() + READY_SECONDS_MAX
            while not next(client.scan_iter(match="booking:alive:lane-*", count=1000), None):
                if time.monotonic() > until or program.process.poll() is not None:
                    raise RuntimeError(f"the worker did not start:\n{last_lines(program.log)}")
                time.sleep(0.05)
        return program

    def uses(self, *, splits: bool = False) -> dict[str, Use]:
        """CPU and memory by program, Postgres and Valkey included; ``splits``: the worker's by its processes."""
        found = {program.name: program.use() for program in self.programs if program.process.poll() is None}
        for program in self.programs:
            if splits and program.name == WORKER and program.name in found:
                del found[program.name]
                for process in program.family:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        name = WORKER if process.pid == program.process.pid else f"{WORKER}-{process.name()}"
                        found[name] = sum_use([process])
        for server in (self.postgres, self.valkey):
            if server.pid is not None:
                parent = psutil.Process(server.pid)
                found[server.name.lower()] = sum_use([parent, *parent.children(recursive=True)])
        return found

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(self.database_url, autocommit=True)

    def stop(self, *programs: Program) -> None:
        """Stop these, or all."""
        for program in reversed(programs or tuple(self.programs)):
            program.stop()
            self.programs.remove(program)


@contextmanager
def system() -> Iterator[System]:
    """A migrated system in a temporary folder; removed in the end."""
    folder = Path(tempfile.mkdtemp(prefix="admitone-bench-"))
    folder.chmod(0o755)
    try:
        with (
            EmbeddedPostgres(folder / "postgres", durable=True) as postgres,
            EmbeddedValkey(folder / "valkey", appendonly=True) as valkey,
        ):
            migrate(postgres.url)
            found = System(folder, postgres, valkey)
            try:
                yield found
            finally:
                found.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """A port below those that the kernel gives to clients, of which a load takes tens of thousands."""
    while True:
        port = random.randint(*PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def await_answer(program: Program, path: str) -> None:
    """Wait for 2xx.

    Raises:
        RuntimeError: the program ended or took longer than READY_SECONDS_MAX.
    """
    until = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < until and program.process.poll() is None:
        if ask(program.address, request("GET", path), 5)[0] // 100 == 2:
            return
        time.sleep(0.05)
    raise RuntimeError(f"{program.name} was not ready:\n{last_lines(program.log)}")


def machine() -> Mapping[str, object]:
    """The machine that the figures are measured on."""
    with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
        models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cores": os.cpu_count(),
        "cpu": models[0] if models else "unknown",
        "memoryGb": round(psutil.virtual_memory().total / 2**30, 1),
        "kernel": os.uname().release,
        "python": sys.version.split()[0],
        "loadAverageBefore": round(os.getloadavg()[0], 2),
    }
