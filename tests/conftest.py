"""Fixtures of all tests: real Postgres, real Valkey, real `admitone` processes."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import redis
from hypothesis import settings

from admitone.embedded.postgres import EmbeddedPostgres
from admitone.embedded.valkey import EmbeddedValkey
from db.sealing.keyring import Keyring, use
from tests import passwords
from tests.databases import Databases
from tests.factories import SECRET, environ_of
from tests.services import Services

# `make test-deep` takes the second. A test that needs more or fewer examples multiplies the profile's number:
# settings(max_examples=3 * settings.default.max_examples).
settings.register_profile("everyday", max_examples=40, deadline=None)
settings.register_profile("deep", max_examples=int(os.environ.get("DEEP_EXAMPLES", "5000")), deadline=None)
settings.load_profile("everyday")

XDIST_WORKERS_MAX = 8
LONGEST = (
    "security/test_schema.py",
    "browser/test_every_page.py",
    "acceptance/test_clients_page.py",
    "browser/test_console_way.py",
    "browser/test_tabs_way.py",
    "acceptance/test_rehearse.py",
    "acceptance/test_waiting_room.py",
    "faults/test_sale_disturbed.py",
    "unit/test_embedded_up.py",
    "security/test_wire.py",
)
"""Files whose tests take a minute or more begin first, in this order: one that began last would be waited for by an
idle machine.
"""

# Tests start many processes. Where bytecode is not kept, each compiles all that it imports: a second's work or two.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: tests wait as much as they work. Each has servers of its own."""
    return min((os.cpu_count() or 1) + 1, XDIST_WORKERS_MAX)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is read now is kept to the end: meanwhile nothing would be found by looking for garbage."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.relative_to(Path(__file__).parent).as_posix(), len(order)))


def pytest_collection_finish() -> None:
    """Thousands of tests are there to the end: no collection of garbage need walk over them."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """The tests' own process reads and writes what the processes of a test's site seal. A test before this one may have
    built a gateway with a secret of its own.
    """
    use(Keyring([SECRET], SECRET))
    passwords.hash_lightly()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, None, None]:
    """After a test with a browser the browser stays for the next one, but no event loop of a test can run beside it."""
    yield
    if uses_browser(item) and not (nextitem and uses_browser(nextitem)):
        from tests.browser import chromium

        chromium.close()


def uses_browser(item: pytest.Item) -> bool:
    return "playwright" in getattr(item, "fixturenames", ())


@pytest.fixture(scope="session", autouse=True)
def _children_heed_signals() -> Iterator[None]:
    """A process that is started by one that ignores a signal ignores it too, as ours is meant to do under `nohup`. So
    where the tests run under `nohup` or behind a shell's `&`, they take these signals and do nothing.
    """
    ignored = [number for number in (signal.SIGHUP, signal.SIGINT) if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, lambda *_: None)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture(scope="session")
def servers_folder() -> Iterator[Path]:
    """A folder for the session's servers: short, for their sockets, and open to the user Postgres runs as."""
    folder = Path(tempfile.mkdtemp(prefix="admitone-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres_url(servers_folder: Path) -> Iterator[str]:
    """The session's Postgres server; its database `admitone` is empty. Prefer `database_url`."""
    with EmbeddedPostgres(servers_folder / "postgres", durable=False) as server:
        yield server.url


@pytest.fixture(scope="session")
def databases(postgres_url: str) -> Iterator[Databases]:
    """The session's databases, made from one migrated template."""
    with Databases(postgres_url) as databases:
        yield databases


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """A migrated, empty database of the test's own."""
    with databases.one() as url:
        yield url


@pytest.fixture(scope="session")
def valkey_url(servers_folder: Path) -> Iterator[str]:
    """The session's Valkey server, not emptied between tests. Prefer `redis_url`."""
    with EmbeddedValkey(servers_folder / "valkey", appendonly=False) as server:
        yield server.url


@pytest.fixture
def redis_url(valkey_url: str) -> str:
    """The session's Valkey, emptied."""
    with redis.Redis.from_url(valkey_url, socket_timeout=10) as client:
        client.flushall()
    return valkey_url


@pytest.fixture
def admitone_env(database_url: str, redis_url: str) -> dict[str, str]:
    """The environment of an `admitone` process of this test: limits out of the way, little work."""
    return environ_of(database_url, redis_url)


@pytest.fixture
def services(admitone_env: dict[str, str], tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Services]:
    """Starts real gateways and workers; stops them after the test, before its database is dropped."""
    services = Services(admitone_env, tmp_path)
    request.node.stash[_SERVICES] = services
    yield services
    services.stop()


_SERVICES = pytest.StashKey[Services]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    services = item.stash.get(_SERVICES, None)
    if services is not None and report.failed:
        report.sections.append(("logs of the test's processes", services.report()))
    return report
