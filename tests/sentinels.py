"""Two real Valkeys, one the other's replica, and three real sentinels that watch them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import redis

from admitone.embedded.process import spawn
from admitone.embedded.valkey import valkey_binary
from booking_lane.clients import plain_client
from tests.services import free_port
from tests.tls_servers import HOST, REDIS, Certified
from tests.waiting import await_that

SERVICE: Final = "tickets"
PASSWORD: Final = "a password of the servers"
SENTINELS: Final = 3
DOWN_AFTER_MS: Final = 1000
START_SECONDS_MAX: Final = 30

_SERVER: Final = """\
bind 127.0.0.1
{listening}
dir "{folder}"
requirepass "{password}"
masterauth "{password}"
save ""
appendonly yes
repl-diskless-sync-delay 0
min-replicas-to-write {replicas_min}
min-replicas-max-lag 10
{replica_of}
"""
_SENTINEL: Final = """\
bind 127.0.0.1
{listening}
dir "{folder}"
sentinel monitor {service} {host} {master} 2
sentinel auth-pass {service} "{password}"
sentinel down-after-milliseconds {service} {down_after_ms}
sentinel failover-timeout {service} 5000
"""


@dataclass
class Watched:
    """The servers and their sentinels; a context manager.

    Args:
        replicas_min: ``min-replicas-to-write`` of both servers.
        certified: with it all of them speak TLS alone, and name each other by the certificate's host.
    """

    folder: Path
    replicas_min: int = 0
    certified: Certified | None = None
    servers: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    """The servers by port."""
    sentinels: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __enter__(self) -> Self:
        first, second = free_port(), free_port()
        self._serve(first, "")
        self._serve(second, f"replicaof {self.host} {first}")
        await_that(lambda: self._replicas_of(first) == 1, START_SECONDS_MAX, what="the replica's link")
        for port in (free_port() for _ in range(SENTINELS)):
            text = _SENTINEL.format(
                listening=self._listening(port, "sentinel resolve-hostnames yes\nsentinel announce-hostnames yes"),
                folder=self.folder,
                service=SERVICE,
                host=self.host,
                master=first,
                password=PASSWORD,
                down_after_ms=DOWN_AFTER_MS,
            )
            self.sentinels[port] = self._start(f"sentinel-{port}", text, "--sentinel")
        await_that(self._are_of_one_mind, START_SECONDS_MAX, what="the sentinels' knowledge of each other")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in (*self.sentinels.values(), *self.servers.values()):
            process.kill()
            process.wait()

    @property
    def url(self) -> str:
        """As an operator would write it: the password has a blank, which is escaped."""
        hosts = ",".join(f"{self.host}:{port}" for port in self.sentinels)
        address = f":{PASSWORD.replace(' ', '%20')}@{hosts}/{SERVICE}/0"
        if self.certified is None:
            return f"redis+sentinel://{address}"
        return f"rediss+sentinel://{address}?ssl_ca_certs={self.certified.authority}"

    @property
    def host(self) -> str:
        return "127.0.0.1" if self.certified is None else HOST

    def client(self) -> redis.Redis:
        """Of whichever is the master."""
        return plain_client(self.url, socket_timeout=10)

    def server(self, port: int) -> redis.Redis:
        return redis.Redis(port=port, password=PASSWORD, socket_timeout=10, **self._options)

    def master(self) -> int:
        """The port of the master that the sentinels name."""
        alive = next(port for port, process in self.sentinels.items() if process.poll() is None)
        with redis.Redis(port=alive, socket_timeout=10, **self._options) as sentinel:
            return int(sentinel.sentinel_get_master_addr_by_name(SERVICE)[1])

    def kill_a_sentinel(self) -> None:
        """SIGKILL of the one that the URL names first: the other two are enough."""
        port = next(iter(self.sentinels))
        self.sentinels[port].kill()
        self.sentinels[port].wait()

    def kill_master(self) -> int:
        """SIGKILL; gives its port."""
        port = self.master()
        os.kill(self._pid(port), signal.SIGKILL)
        self.servers[port].wait()
        return port

    def restart(self, port: int) -> None:
        """Start a server that was killed; it believes to be the master still, until the sentinels tell it."""
        self.servers[port] = self._start(f"server-{port}", None)

    def _serve(self, port: int, replica_of: str) -> None:
        text = _SERVER.format(
            listening=self._listening(port, f"replica-announce-ip {HOST}"),
            folder=self._folder(port),
            password=PASSWORD,
            replicas_min=self.replicas_min,
            replica_of=replica_of,
        )
        self.servers[port] = self._start(f"server-{port}", text)

    def _folder(self, port: int) -> Path:
        folder = self.folder / str(port)
        folder.mkdir(exist_ok=True)
        return folder

    def _start(self, name: str, text: str | None, *arguments: str) -> subprocess.Popen[bytes]:
        configuration = self.folder / f"{name}.conf"
        if text is not None:
            configuration.write_text(text)
        program = valkey_binary() if self.certified is None else Path(str(REDIS))
        return spawn([program, configuration, *arguments], log=self.folder / f"{name}.log")

    @property
    def _options(self) -> dict[str, Any]:
        return {} if self.certified is None else self.certified.client_options

    def _listening(self, port: int, with_tls: str) -> str:
        if self.certified is None:
            return f"port {port}"
        return f"port 0\ntls-port {port}\n{self.certified.redis_lines}{with_tls}"

    def _pid(self, port: int) -> int:
        return self.servers[port].pid

    def _replicas_of(self, port: int) -> int:
        with contextlib.suppress(redis.RedisError), self.server(port) as client:
            return int(client.info("replication")["connected_slaves"])
        return 0

    def _are_of_one_mind(self) -> bool:
        for port in self.sentinels:
            with (
                contextlib.suppress(redis.RedisError),
                redis.Redis(port=port, socket_timeout=10, **self._options) as sentinel,
            ):
                state = sentinel.sentinel_master(SERVICE)
                if state["num-other-sentinels"] == SENTINELS - 1 and state["num-slaves"] == 1:
                    continue
            return False
        return True
