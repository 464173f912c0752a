"""A cluster of real Valkeys, each a master with a part of the slots, and no replica unless a test gives it one."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import redis
from redis.crc import key_slot

from admitone.embedded.process import spawn
from admitone.embedded.valkey import valkey_binary
from booking_lane.clusters import SLOTS
from tests.services import free_port
from tests.tls_servers import HOST, REDIS, Certified
from tests.waiting import await_that
from waiting_room.keys import room_key

PASSWORD: Final = "a password of the cluster"
SERVERS: Final = 3
START_SECONDS_MAX: Final = 30

_SERVER: Final = """\
bind 127.0.0.1
{listening}
cluster-port {bus}
dir "{folder}"
requirepass "{password}"
masterauth "{password}"
save ""
appendonly yes
cluster-enabled yes
cluster-node-timeout 1000
cluster-require-full-coverage no
"""


@dataclass
class Cluster:
    """The servers by port, each with an equal part of the slots; a context manager.

    Args:
        certified: with it all of them speak TLS alone, and give clients the certificate's host.
    """

    folder: Path
    certified: Certified | None = None
    servers: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __enter__(self) -> Self:
        for _ in range(SERVERS):
            self._make()
        first, *others = self.servers
        for port in self.servers:
            await_that(lambda port=port: self._answers(port), START_SECONDS_MAX)  # type: ignore[misc]
        for number, port in enumerate(self.servers):
            begin, end = SLOTS * number // SERVERS, SLOTS * (number + 1) // SERVERS - 1
            self.ask(port, "CLUSTER", "ADDSLOTSRANGE", begin, end)
            # Servers with one epoch settle it among themselves only after a while.
            self.ask(port, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for port in others:
            bus = self._bus(port)
            self.ask(first, "CLUSTER", "MEET", "127.0.0.1", port, bus)
        await_that(self._is_whole, START_SECONDS_MAX, what="the cluster's view of itself")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.servers.values():
            process.kill()
            process.wait()

    def give_replica(self, master: int) -> int:
        """Start a replica of a server; gives its port once it follows."""
        port = self._make()
        await_that(lambda: self._answers(port), START_SECONDS_MAX)
        name = self._id(master)
        self.ask(port, "CLUSTER", "MEET", "127.0.0.1", master, self._bus(master))
        await_that(lambda: self._replicates(port, name), START_SECONDS_MAX, what="the replica's master")
        await_that(lambda: self._linked(port), START_SECONDS_MAX, what="the replica's link")
        return port

    @property
    def url(self) -> str:
        """As an operator would write it: some of the servers, and a password with escaped blanks."""
        host = "127.0.0.1" if self.certified is None else HOST
        hosts = ",".join(f"{host}:{port}" for port in [*self.servers][:2])
        address = f":{PASSWORD.replace(' ', '%20')}@{hosts}/"
        if self.certified is None:
            return f"redis+cluster://{address}"
        return f"rediss+cluster://{address}?ssl_ca_certs={self.certified.authority}"

    def client(self, port: int) -> redis.Redis:
        """Of one server alone."""
        options = {} if self.certified is None else self.certified.client_options
        return redis.Redis(port=port, password=PASSWORD, socket_timeout=10, **options)

    def ask(self, port: int, *command: Any) -> Any:
        with self.client(port) as client:
            return client.execute_command(*command)

    def port_of(self, slot: int) -> int:
        """The server that has the slot, as the living ones say."""
        alive = next(port for port, process in self.servers.items() if process.poll() is None)
        ranges = self.ask(alive, "CLUSTER", "SLOTS")
        if isinstance(ranges, dict):
            return next(int(one["primary"][1]) for (begin, end), one in ranges.items() if begin <= slot <= end)
        return next(int(one[2][1]) for one in ranges if one[0] <= slot <= one[1])

    def move_whole(self, slot: int, target: int) -> None:
        """Move a slot while its old server goes on answering, as Valkey 9 can."""
        source = self.port_of(slot)
        self.ask(source, "CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", self._id(target))
        await_that(lambda: self.port_of(slot) == target, what="the slot's move")

    def begin_move(self, slot: int, target: int) -> None:
        """Have a slot be on its way to another server: no key has moved yet."""
        source = self.port_of(slot)
        self.ask(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", self._id(source))
        self.ask(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", self._id(target))

    def move_keys(self, slot: int, target: int) -> int:
        """Move the slot's keys; returns how many there were."""
        source, moved = self.port_of(slot), 0
        while keys := self.ask(source, "CLUSTER", "GETKEYSINSLOT", slot, 100):
            self.ask(source, "MIGRATE", "127.0.0.1", target, "", 0, 5000, "AUTH", PASSWORD, "KEYS", *keys)
            moved += len(keys)
        return moved

    def end_move(self, slot: int, target: int) -> None:
        """Give the slot to the other server."""
        name = self._id(target)
        for port in (target, *(port for port in self.servers if port != target)):
            self.ask(port, "CLUSTER", "SETSLOT", slot, "NODE", name)

    def kill(self, port: int, number: int = signal.SIGKILL) -> None:
        self.servers[port].send_signal(number)
        if number == signal.SIGKILL:
            self.servers[port].wait()

    def restart(self, port: int) -> None:
        self._start(port)
        await_that(lambda: self._answers(port), START_SECONDS_MAX)

    def _make(self) -> int:
        port = free_port()
        folder = self.folder / str(port)
        folder.mkdir(parents=True)
        listening = f"port {port}"
        if self.certified is not None:
            listening = (
                f"port 0\ntls-port {port}\n{self.certified.redis_lines}tls-cluster yes\n"
                f"cluster-announce-hostname {HOST}\ncluster-preferred-endpoint-type hostname"
            )
        text = _SERVER.format(listening=listening, bus=free_port(), folder=folder, password=PASSWORD)
        (folder / "valkey.conf").write_text(text)
        self._start(port)
        return port

    def _replicates(self, port: int, master: str) -> bool:
        with contextlib.suppress(redis.ResponseError):  # It may not know the master yet.
            return bool(self.ask(port, "CLUSTER", "REPLICATE", master))
        return False

    def _linked(self, port: int) -> bool:
        with self.client(port) as client:
            return bool(client.info("replication").get("master_link_status") == "up")

    def _start(self, port: int) -> None:
        folder = self.folder / str(port)
        program = valkey_binary() if self.certified is None else Path(str(REDIS))
        self.servers[port] = spawn([program, folder / "valkey.conf"], log=folder / "valkey.log")

    def _bus(self, port: int) -> int:
        text = (self.folder / str(port) / "valkey.conf").read_text()
        return int(text.split("cluster-port ")[1].split()[0])

    def _id(self, port: int) -> str:
        return str(self.ask(port, "CLUSTER", "MYID").decode())

    def _answers(self, port: int) -> bool:
        with contextlib.suppress(redis.RedisError):
            return bool(self.ask(port, "PING"))
        return False

    def _is_whole(self) -> bool:
        for port in self.servers:
            told = self.ask(port, "CLUSTER", "INFO")
            facts = (
                told
                if isinstance(told, dict)
                else dict(line.split(":", 1) for line in told.decode().splitlines() if ":" in line)
            )
            if facts["cluster_state"] != "ok" or int(facts["cluster_slots_assigned"]) != SLOTS:
                return False
            if int(facts["cluster_known_nodes"]) != SERVERS:
                return False
        return True


def slot_of(event_id: int) -> int:
    """The slot of an event's room."""
    return key_slot(room_key(event_id, "config").encode())
