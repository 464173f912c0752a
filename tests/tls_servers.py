"""Servers that speak TLS: Debian's Redis and Postgres, for the wheels' own are built without it."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import psycopg
import trustme

from admitone.embedded.account import service_account
from tests.services import free_port

REDIS: Final = shutil.which("redis-server")
LACKS_REDIS: Final = "no redis-server with TLS here: Debian has it in its package redis-server"
_FOLDERS: Final = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_basebackup"))
POSTGRES: Final = _FOLDERS[-1].parent if _FOLDERS else None
"""The newest one's programs."""
LACKS_POSTGRES: Final = "no Postgres with TLS here: Debian has it in its package postgresql"
HOST: Final = "localhost"
"""What all certificates are of: no address."""
PASSWORD: Final = "of-a-test"
SECONDS_MAX: Final = 60


@dataclass(frozen=True)
class Certified:
    """An authority, the servers' certificate of `HOST`, and an authority that signed nothing of theirs."""

    authority: Path
    other_authority: Path
    certificate: Path
    key: Path

    @classmethod
    def make(cls, folder: Path) -> Self:
        """The files can be read by every user, because each server gives itself up to its own."""
        folder.mkdir(mode=0o755)
        authority = trustme.CA()
        issued = authority.issue_cert(HOST)
        made = cls(folder / "ca.pem", folder / "other.pem", folder / "server.pem", folder / "server.key")
        authority.cert_pem.write_to_path(made.authority)
        trustme.CA().cert_pem.write_to_path(made.other_authority)
        issued.cert_chain_pems[0].write_to_path(made.certificate)
        issued.private_key_pem.write_to_path(made.key)
        return made

    @property
    def redis_lines(self) -> str:
        """What `redis.conf` needs so that a server speaks TLS alone, to clients and to other servers."""
        return (
            f'tls-cert-file "{self.certificate}"\ntls-key-file "{self.key}"\ntls-ca-cert-file "{self.authority}"\n'
            "tls-auth-clients no\ntls-replication yes\n"
        )

    @property
    def client_options(self) -> dict[str, Any]:
        """redis-py's, for a client of the tests' own."""
        return {"host": HOST, "ssl": True, "ssl_ca_certs": str(self.authority)}


class TlsPostgres:
    """A Postgres that takes connections by TLS alone, or a standby of one which follows it by ``verify-full``."""

    def __init__(self, folder: Path, certified: Certified, *, primary: TlsPostgres | None = None) -> None:
        self.port = free_port()
        self._folder = folder
        self._certified = certified
        self._uid = service_account(folder).uid
        folder.mkdir(mode=0o700)
        shutil.chown(folder, self._uid)
        if primary is None:
            (folder / "password").write_text(PASSWORD)
            shutil.chown(folder / "password", self._uid)
            self._run("initdb", "-D", folder / "data", "-U", "admitone", "-E", "UTF8", "--locale=C.UTF-8", "-N",
                      "-A", "scram-sha-256", "--pwfile", folder / "password")  # fmt: skip
            (folder / "data" / "pg_hba.conf").write_text(
                "hostssl all all 127.0.0.1/32 scram-sha-256\nhostssl replication all 127.0.0.1/32 scram-sha-256\n"
            )
        else:
            self._run("pg_basebackup", "-D", folder / "data", "-R", "-X", "stream", "-c", "fast", "-d",
                      f"{primary._words} application_name=standby")  # fmt: skip
        key = folder / "server.key"
        shutil.copy(certified.key, key)
        shutil.chown(key, self._uid)
        key.chmod(0o600)
        with (folder / "data" / "postgresql.auto.conf").open("a") as conf:
            conf.write(
                f"port = {self.port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\nssl = on\n"
                f"ssl_cert_file = '{certified.certificate}'\nssl_key_file = '{key}'\nmax_connections = 200\n"
                f"fsync = off\nshared_buffers = 64MB\n"
            )

    @property
    def _words(self) -> str:
        return (
            f"host={HOST} port={self.port} user=admitone password={PASSWORD} sslmode=verify-full "
            f"sslrootcert={self._certified.authority}"
        )

    def start(self) -> None:
        self._run("pg_ctl", "-D", self._folder / "data", "-l", self._folder / "log", "-w", "-t", SECONDS_MAX, "start")

    def stop(self) -> None:
        """At once, as a machine does that fails; nothing where it is stopped already."""
        if (self._folder / "data" / "postmaster.pid").exists():
            self._run("pg_ctl", "-D", self._folder / "data", "-w", "-m", "immediate", "stop")

    def promote(self) -> None:
        self._run("pg_ctl", "-D", self._folder / "data", "-w", "promote")

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        return psycopg.connect(f"{self._words} dbname={database}", autocommit=True)

    def _run(self, program: str, *arguments: object) -> None:
        assert POSTGRES is not None
        answer = subprocess.run(
            [POSTGRES / program, *map(str, arguments)],
            user=self._uid if os.geteuid() == 0 else None,
            cwd=self._folder,
            # libpq looks for a client's certificate at home.
            env={**os.environ, "HOME": str(self._folder)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
        )
        assert answer.returncode == 0, answer.stderr.decode()
