"""A Citus cluster of real Postgres servers on this machine: a coordinator and two shard nodes.

Citus is in no package that this project can name, so an operator builds it (docs/running.md) and gives this script the
folder of that Postgres' programs. It starts the servers, prints the CITUS_URL that the tests take, and stops them when
it is interrupted:

    python -m tests.citus /path/to/postgres/bin

Tests make a database of their own on every node of CITUS_URL, and take it away again.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from admitone.embedded.account import service_account
from db.citus.distributing import distribute
from db.migrate import migrate
from tests.services import free_port
from tests.waiting import await_that

NODES: Final = 3
SERVICE_SECONDS_MAX: Final = 30
_SETTINGS: Final = {
    "shared_preload_libraries": "citus",
    "listen_addresses": "127.0.0.1",
    "shared_buffers": "64MB",
    "max_connections": "200",
    "max_prepared_transactions": "100",
    "wal_level": "logical",
    "fsync": "off",
    "citus.shard_count": "8",
    "citus.node_conninfo": "sslmode=disable",
    "citus.enable_statistics_collection": "off",
}


@dataclass
class Node:
    """One Postgres server."""

    programs: Path
    folder: Path
    port: int
    uid: int | None

    def make(self) -> None:
        self._run("initdb", "-D", str(self.folder / "data"), "-U", "postgres", "-E", "UTF8", "--auth=trust", "-N")
        with (self.folder / "data" / "postgresql.conf").open("a") as conf:
            conf.writelines(f"{name} = '{value}'\n" for name, value in _SETTINGS.items())
            conf.write(f"port = {self.port}\nunix_socket_directories = '{self.folder}'\n")

    def start(self) -> None:
        log = str(self.folder / "log")
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-l", log, "-w", "-t", str(SERVICE_SECONDS_MAX), "start")

    def stop(self, mode: str = "immediate") -> None:
        """End the server at once, as a machine does that fails."""
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", mode, "-w", "stop")

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self.programs / program), *arguments],
            check=True,
            user=self.uid,
            stdout=subprocess.DEVNULL,
            cwd=self.folder,
            env={"PATH": "/usr/bin:/bin", "LD_LIBRARY_PATH": str(self.programs.parent / "lib")},
        )


@dataclass
class Cluster:
    """The coordinator and the shard nodes, running; a context manager."""

    programs: Path
    folder: Path
    nodes: list[Node] = field(default_factory=list)

    def __enter__(self) -> Self:
        uid = service_account(self.folder / "none").uid if os.getuid() == 0 else None
        for number in range(NODES):
            folder = self.folder / f"node{number}"
            folder.mkdir(parents=True)
            if uid is not None:
                os.chown(folder, uid, -1)
            node = Node(self.programs, folder, free_port(), uid)
            node.make()
            node.start()
            self.nodes.append(node)
        make_database([node.url() for node in self.nodes])
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for node in self.nodes:
            with contextlib.suppress(subprocess.CalledProcessError):
                node.stop()

    @property
    def coordinator(self) -> Node:
        return self.nodes[0]


def make_database(urls: list[str]) -> None:
    """Have Citus know the nodes in the database that these URLs lead to, the coordinator's first."""
    for url in urls:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS citus")
    coordinator, *shards = [urlsplit(url) for url in urls]
    with psycopg.connect(urls[0], autocommit=True) as connection:
        host = "SELECT citus_set_coordinator_host(%s, %s)"
        connection.execute(host, (coordinator.hostname, coordinator.port))
        for shard in shards:
            connection.execute("SELECT citus_add_node(%s, %s)", (shard.hostname, shard.port))


def citus_url() -> str:
    """CITUS_URL. A test that needs it skips where it is not given."""
    if url := os.environ.get("CITUS_URL"):
        return url
    pytest.skip("CITUS_URL is not set: it names the coordinator of a Citus cluster (see tests/citus.py)")


@contextlib.contextmanager
def distributed_on(citus_url: str) -> Iterator[str]:
    """The URL of a migrated database whose tables are distributed over the cluster."""
    with database_on(citus_url) as database_url:
        migrate(database_url)
        distribute(database_url)
        yield database_url


@contextlib.contextmanager
def database_on(citus_url: str) -> Iterator[str]:
    """The URL of an empty database on every node of the cluster. It is dropped at the end.

    Args:
        citus_url: the coordinator, as a superuser who reaches every node by the same name and password.
    """
    name = f"admitone_{secrets.token_hex(4)}"
    servers = nodes_of(citus_url)
    create = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    try:
        for server in servers:
            _execute(server, create)
        urls = [urlunsplit(urlsplit(server)._replace(path=f"/{name}")) for server in servers]
        make_database(urls)
        yield urls[0]
    finally:
        for server in servers:
            await_that(partial(_is_dropped, server, drop), what=f"{name} is dropped")


def _is_dropped(server: str, drop: sql.Composed) -> bool:
    """Drop the database, unless a daemon of Citus has just connected to it again."""
    try:
        _execute(server, drop)
    except psycopg.errors.ObjectInUse:
        return False
    return True


def nodes_of(citus_url: str) -> list[str]:
    """The URLs of the cluster's servers, the coordinator first."""
    with psycopg.connect(citus_url, autocommit=True) as connection:
        nodes = connection.execute("SELECT nodename, nodeport FROM pg_dist_node ORDER BY groupid").fetchall()
    return [_at(citus_url, host, port) for host, port in nodes]


def _at(url: str, host: str, port: int) -> str:
    parts = urlsplit(url)
    who = parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{who}@{host}:{port}"))


def _execute(url: str, statement: sql.Composed) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET citus.enable_ddl_propagation = off")
        connection.execute(statement)


def main() -> None:
    ends = (signal.SIGINT, signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with Cluster(Path(sys.argv[1]), Path(folder)) as cluster:
            print(f"CITUS_URL={cluster.coordinator.url()}", flush=True)
            print(f"nodes in {folder}", flush=True)
            signal.sigwait(ends)


if __name__ == "__main__":
    main()
