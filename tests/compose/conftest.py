"""One engine for all tests of this folder; its sites have one network, so that one is there at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.compose.engine import (
    Engine,
    NoEngineError,
    environ_with_compose,
    private_engine,
    require_private_engine,
    running_engine,
)
from tests.compose.images import build_standins, compose_program, download_for_standins, fetch_images
from tests.compose.site import Site

PHASES: dict[str, float] = {}
_SITE = pytest.StashKey[Site | None]()


@pytest.fixture(scope="session")
def engine(servers_folder: Path) -> Iterator[Engine]:
    """The machine's engine, if it has or can fetch the images; otherwise our own, with stand-ins."""
    with ExitStack() as stack:
        try:
            environ = environ_with_compose(compose_program(), servers_folder)
            found = running_engine(environ)
            if found is not None and not fetch_images(found):
                yield found
                return
            require_private_engine()
            started = time.monotonic()
            download_for_standins()
            PHASES["Debian and wheels downloaded, if they were not kept"] = time.monotonic() - started
            found = stack.enter_context(private_engine(environ, servers_folder))
        except NoEngineError as error:
            pytest.skip(str(error))
        started = time.monotonic()
        build_standins(found, servers_folder)
        PHASES["stand-in images"] = time.monotonic() - started
        yield found


@pytest.fixture(scope="module")
def running(request: pytest.FixtureRequest) -> Iterator[Callable[[Site], Site]]:
    """Has a site's containers reported where a test fails, and taken away after the module's last test."""
    with ExitStack() as stack:

        def run(site: Site) -> Site:
            request.session.stash[_SITE] = site
            stack.callback(end, site)
            return site

        def end(site: Site) -> None:
            request.session.stash[_SITE] = None
            with site.phase("down"):
                site.down()
            PHASES.update(site.phases)

        yield run


@pytest.fixture(scope="module")
def site(engine: Engine, tmp_path_factory: pytest.TempPathFactory, running: Callable[[Site], Site]) -> Site:
    """The project's folder with its image built; the first test starts it."""
    site = running(Site.prepare(engine, tmp_path_factory.mktemp("project")))
    with site.phase("the site's image"):
        site.compose("build", seconds_max=600)
    return site


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    site = item.session.stash.get(_SITE, None)
    if site is not None and report.failed:
        report.sections.append(("the site's containers", site.logs()))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How long each phase took."""
    for name, seconds in PHASES.items():
        terminalreporter.write_line(f"{seconds:6.1f} s  {name}")
