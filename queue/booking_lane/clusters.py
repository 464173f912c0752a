"""The form of a Redis URL that names servers of a cluster, and what a client knows of a cluster: who has which key.

``redis+cluster://[user:password@]host[:port],host[:port]…/`` names some of the cluster's servers; the others they tell.
``rediss+cluster://`` speaks TLS with all. redis-py's own options may follow the path, as in its own URLs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from redis.crc import key_slot
from redis.exceptions import MovedError

from .addresses import hosts_of, server_options

SCHEMES: Final = {"redis+cluster": "redis", "rediss+cluster": "rediss"}
SERVER_PORT: Final = 6379
SLOTS: Final = 16_384
REDIRECTS_MAX: Final = 5
"""A command follows so many redirections, as while slots move from server to server."""

KEYLESS: Final = frozenset(
    ("CLUSTER", "CONFIG GET", "CONFIG SET", "DBSIZE", "INFO", "PING", "PUBLISH", "SCAN", "SCRIPT LOAD", "TIME")
)
"""Commands of ours whose first argument is no key. They are asked of any server."""


class Server(NamedTuple):
    """A server of a cluster, under the address that the cluster itself gives it."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class ClusterAddress:
    """Where a cluster is found.

    Args:
        seeds: some of its servers.
        options: redis-py's options of a connection to any of them, without an address.
    """

    seeds: tuple[Server, ...]
    is_tls: bool
    options: dict[str, Any]


def cluster_address(url: str) -> ClusterAddress | None:
    """What a URL with a cluster's servers says; None for any other URL.

    Raises:
        ValueError: the URL has a cluster's scheme and is malformed. Its text is not in the message, because it may hold
            a password.
    """
    parts = urlsplit(url)
    scheme = SCHEMES.get(parts.scheme)
    if scheme is None:
        return None
    if parts.path.strip("/") not in ("", "0"):
        raise ValueError("a cluster has one database, number 0: redis+cluster://host:6379,host:6379/")
    login, at, hosts = parts.netloc.rpartition("@")
    seeds = hosts_of(hosts, SERVER_PORT, "server of the cluster")
    options = server_options(scheme, f"{login}{at}", "0", parse_qsl(parts.query))
    options.pop("db", None)
    return ClusterAddress(tuple(Server(*seed) for seed in seeds), scheme == "rediss", options)


def key_of(command: Sequence[Any]) -> Any | None:
    """The first key of a command, None for one without. All further keys must be of the same slot."""
    name = command[0]
    if name in ("EVAL", "EVALSHA"):
        return command[3] if int(command[2]) else None
    return command[1] if len(command) > 1 and name not in KEYLESS else None


class SlotMap:
    """Which server has which slot, as the cluster said last. Only masters are asked, so replicas are not kept."""

    def __init__(self) -> None:
        self._servers: list[Server | None] = [None] * SLOTS
        self.servers: tuple[Server, ...] = ()
        """Those with slots, in the order of their first ones."""

    @property
    def covered(self) -> int:
        """How many slots have a server."""
        return SLOTS - self._servers.count(None)

    def of(self, key: Any) -> Server | None:
        """The server of the key; None where none is known."""
        return self._servers[key_slot(key if isinstance(key, bytes) else str(key).encode())]

    def key_at(self, server: Server, name: str) -> str:
        """A key that begins with ``name`` and is of this server, which must have a slot.

        Raises:
            LookupError: the server has no slot.
        """
        if server in self.servers:
            # Slots are shared out evenly over keys, so that one of the first few is the server's.
            for number in range(SLOTS):
                key = f"{name}:{{{number}}}"
                if self.of(key) == server:
                    return key
        raise LookupError(f"{server} has no slot")

    def take(self, reply: Sequence[Sequence[Any]], asked: Server) -> None:
        """Take the reply of ``asked`` to ``CLUSTER SLOTS`` in place of what was known."""
        servers: list[Server | None] = [None] * SLOTS
        for first, last, master, *_ in reply:
            host = master[0].decode() if isinstance(master[0], bytes) else master[0]
            # A server that does not know its own address leaves it out, or names it `?`.
            server = Server(asked.host if host in (None, "", "?") else host, int(master[1]))
            servers[first : last + 1] = [server] * (last + 1 - first)
        self._servers = servers
        self._note()

    def move(self, moved: MovedError, asked: Server) -> Server:
        """Take what ``asked`` said of one slot; return the slot's server."""
        server = redirected(moved, asked)
        self._servers[moved.slot_id] = server
        self._note()
        return server

    def _note(self) -> None:
        self.servers = tuple(dict.fromkeys(server for server in self._servers if server is not None))


def redirected(error: Any, asked: Server) -> Server:
    """Where a `MovedError` or `AskError` leads. A server that does not know its address means its own host."""
    return Server(error.host or asked.host, int(error.port))
