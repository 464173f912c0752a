"""How many connections a gateway process has open, and how many one address may have of them.

A process needs descriptors for more than its clients: Postgres, Redis, the log. Its bound on connections leaves it some
in reserve, so that clients cannot take them all.
"""

from __future__ import annotations

import logging
import resource
import time
from collections import Counter
from collections.abc import Container
from typing import Final, Protocol

from gateway.wire.settings import ConnectionSettings

logger = logging.getLogger(__name__)

FILES_BESIDE_CONNECTIONS: Final = 500
"""A gateway opens at most so many files that are no connections of clients."""
FILES_BESIDE_SHARE: Final = 4
"""Where the limit of open files is low, one in so many stays in reserve."""
LINGERING_MAX: Final = 50
FILES_UNLIMITED: Final = 1_000_000
NEW_SECONDS: Final = 0.5
"""A connection without a request is not closed for another one before it is so old."""
LOG_SECONDS_MIN: Final = 10.0
REASONS: Final = ("per_address", "per_process", "silent")
"""Why connections were refused. A silent one was closed to make room for another."""


class Closable(Protocol):
    """A client's connection."""

    def make_room(self) -> None:
        """Close at once. The connection has had no request yet."""


class Connections:
    """Counts the connections of a process and refuses those beyond its bounds.

    A connection that has not sent a request yet gives way to a new one where a bound is reached.

    Args:
        trusted: the addresses of proxies, whose connections carry many clients: they are not bounded by address.
        files_max: how many files the process may open; None asks the system.
    """

    def __init__(self, settings: ConnectionSettings, trusted: Container[str], *, files_max: int | None = None) -> None:
        if files_max is None:
            files_max = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if files_max == resource.RLIM_INFINITY:
            files_max = FILES_UNLIMITED
        self.settings = settings
        self.open_max = max(1, files_max - min(FILES_BESIDE_CONNECTIONS, files_max // FILES_BESIDE_SHARE))
        self.per_address_max = settings.per_address_max or max(1, self.open_max // 2)
        self.open = 0
        self.refused: Counter[str] = Counter()
        self.lingering = 0
        """Refused connections that are still open, so that their clients can read the refusal."""
        self._trusted = trusted
        self._by_address: dict[str, int] = {}
        self._silent: dict[Closable, float] = {}
        self._silent_by_address: dict[str, dict[Closable, float]] = {}
        self._logged_at = -LOG_SECONDS_MIN

    def take(self, connection: Closable, address: str) -> bool:
        """Count a new connection, to be released when it has ended; False where a bound forbids it."""
        if self._by_address.get(address, 0) >= self.per_address_max and address not in self._trusted:
            self._make_room(self._silent_by_address.get(address, {}))
            if self._by_address.get(address, 0) >= self.per_address_max:
                return self._refuse("per_address", f"{address} has {self.per_address_max} connections")
        if self.open >= self.open_max:
            self._make_room(self._silent)
            if self.open >= self.open_max:
                return self._refuse("per_process", f"there are {self.open_max} connections, as many as there may be")
        self.open += 1
        self._by_address[address] = self._by_address.get(address, 0) + 1
        now = time.monotonic()
        self._silent[connection] = now
        self._silent_by_address.setdefault(address, {})[connection] = now
        return True

    def linger(self) -> bool:
        """Whether a refused connection may stay open until its client has read why; it is counted then. The files that
        such connections take are of the reserve, so only a part of it is theirs.
        """
        if self.lingering >= LINGERING_MAX:
            return False
        self.lingering += 1
        return True

    def spoke(self, connection: Closable, address: str) -> None:
        """The connection's first request has come."""
        self._silent.pop(connection, None)
        silent = self._silent_by_address.get(address)
        if silent is not None:
            silent.pop(connection, None)
            if not silent:
                del self._silent_by_address[address]

    def release(self, connection: Closable, address: str) -> None:
        """A connection that was taken has ended."""
        self.spoke(connection, address)
        self.open -= 1
        left = self._by_address[address] - 1
        if left:
            self._by_address[address] = left
        else:
            del self._by_address[address]

    def _make_room(self, silent: dict[Closable, float]) -> None:
        """Close the oldest of these connections, unless it is new as well."""
        for connection, since in silent.items():
            if time.monotonic() - since >= NEW_SECONDS:
                self.refused["silent"] += 1
                self._log("a connection without a request was closed for a new one")
                connection.make_room()
            return

    def _refuse(self, reason: str, words: str) -> bool:
        self.refused[reason] += 1
        self._log(f"new connections are refused: {words}")
        return False

    def _log(self, words: str) -> None:
        """Log the words, unless the last were logged a moment ago: a flood of connections is no flood of lines."""
        now = time.monotonic()
        if now - self._logged_at >= LOG_SECONDS_MIN:
            self._logged_at = now
            logger.warning("%s (%s so far)", words, dict(self.refused))
