"""Sites for fault tests: as the acceptance tests' own, on a Valkey of the module's that may be killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from admitone.embedded.valkey import EmbeddedValkey
from tests.acceptance.conftest import module_database_url, site
from tests.faults.harness import Sale, running_sale

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


@pytest.fixture(scope="module")
def sale(servers_folder: Path, module_database_url: str, request: pytest.FixtureRequest) -> Iterator[Sale]:
    """The module's running sale; a module tunes it by ``SALE``, arguments of `running_sale`."""
    with running_sale(servers_folder, module_database_url, **getattr(request.module, "SALE", {})) as sale:
        yield sale


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    sale = getattr(item, "funcargs", {}).get("sale")
    if isinstance(sale, Sale) and report.failed:
        report.sections.append(("logs of the sale's processes", sale.services.report()))
    return report
