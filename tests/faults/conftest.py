"""Sites for fault tests: as the acceptance tests' own, on a Valkey of the module's that may be killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from admitone.embedded.valkey import EmbeddedValkey
from tests.acceptance.conftest import module_database_url, site

__all__ = ["module_database_url", "site"]


@dataclass
class Valkey:
    """A Valkey that keeps nothing on disk."""

    server: EmbeddedValkey

    def flush(self) -> None:
        with redis.Redis.from_url(self.server.url, socket_timeout=10) as client:
            client.flushall()

    def kill(self) -> None:
        """SIGKILL, then an empty server at the same address."""
        assert self.server.pid is not None
        os.kill(self.server.pid, signal.SIGKILL)
        self.server.stop()
        self.server.start()


@pytest.fixture(scope="module")
def valkey(servers_folder: Path, request: pytest.FixtureRequest) -> Iterator[Valkey]:
    name = request.module.__name__.rpartition(".")[2]
    with EmbeddedValkey(servers_folder / name, appendonly=False) as server:
        yield Valkey(server)


@pytest.fixture(scope="module")
def valkey_url(valkey: Valkey) -> str:
    return valkey.server.url
