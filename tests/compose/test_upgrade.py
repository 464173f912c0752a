"""From the last release to this one during a sale, as docs/running.md has it: nothing is lost, and no request fails but
for what the last release does itself.

A gateway of 0.1.0 that ends hangs up on connections that it has not taken yet, and its proxy then answers a POST by a
502 that no client reads; this release's answers by a problem, after which clients ask again. On a quiet machine
no connection waits so long.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Final

import pytest

from tests.client import Client
from tests.compose.engine import Engine
from tests.compose.images import LAST_RELEASE
from tests.compose.site import IMAGE, PLAIN, Site
from tests.compose.test_compose import crowd, new_event, purchases, require_clean
from tests.services import ROOT

pytestmark = [pytest.mark.compose, pytest.mark.timeout(1200)]

IMAGE_BEFORE: Final = "admitone:before"
BEFORE: Final = "before.yaml"
FANS_AT_ONCE: Final = 40
FANS_AFTER: Final = 20
OF_THE_LAST_RELEASE: Final = {"ServerDisconnectedError", "HTTP 502 without a JSON object"}
"""Errors of fans that its gateways or its proxy may make as they end."""
GAVE_UP_MAX: Final = 2
"""So many fans may go home for such an error: one for each gateway that ends."""


def lines_of_the_guide() -> list[str]:
    """The commands that docs/running.md has for an upgrade with Compose, but for those that get the release and choose
    the Compose file.
    """
    text = (ROOT / "docs" / "running.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", text.partition("## Ending and upgrading")[2], re.DOTALL)
    get, choose, *lines = (line.split("  #")[0].strip() for line in blocks[0].splitlines())
    assert get == f"cp compose.yaml {BEFORE} && git pull && docker compose build"
    assert choose == f"export COMPOSE_FILE={BEFORE}"
    return lines


@pytest.fixture(scope="module")
def old_site(engine: Engine, tmp_path_factory: pytest.TempPathFactory, running: Callable[[Site], Site]) -> Site:
    """The last release, running."""
    archive = subprocess.run(["git", "-C", ROOT, "archive", LAST_RELEASE], capture_output=True, check=False)
    if archive.returncode:
        pytest.skip(f"This clone does not go back to the last release, commit {LAST_RELEASE}: git fetch --unshallow")
    release = tmp_path_factory.mktemp("release")
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as packed:
        packed.extractall(release, filter="data")
    site = running(Site.prepare(engine, tmp_path_factory.mktemp("old-site"), source=release, image=IMAGE_BEFORE))
    with site.phase("the last release's image"):
        site.compose("build", seconds_max=600)
    with site.phase("the last release is up"):
        site.compose("up -d --wait")
        site.await_ready()
    return site


@contextmanager
def selling(site: Site, event_id: int, told: Path) -> Iterator[list[str]]:
    """Send fans of the last release, one wave after the other; gives what each wave printed."""
    told.chmod(0o777)
    stopped = threading.Event()
    waves: list[str] = []
    run = ("run", "--rm", "--network=host", "--volume", f"{told}:/told", IMAGE_BEFORE, "crowd", "--quiet")

    def send() -> None:
        while not stopped.is_set():
            number = len(waves) + 1
            answer = site.engine.attempt(
                *(*run, "--url", site.url, "--event", str(event_id), "--fans", str(FANS_AT_ONCE), "--rate", "4"),
                *("--duration", "240", "--seed", str(number), "--ledger", f"/told/{number}.jsonl"),
            )
            waves.append(answer.stdout + answer.stderr)

    with ThreadPoolExecutor(1) as thread:
        sending = thread.submit(send)
        try:
            yield waves
        finally:
            stopped.set()
            sending.result()


@contextmanager
def asking(site: Site) -> Iterator[list[str]]:
    """Ask for the list of events all the time; gives what failed."""
    failed: list[str] = []
    stopped = threading.Event()
    client = Client(site.url)

    def ask() -> None:
        while not stopped.wait(0.05):
            try:
                answer = client.get("/api/events")
            except (OSError, AssertionError) as error:
                failed.append(repr(error))
                continue
            if answer.status != 200:
                failed.append(f"{answer.status} {answer.content!r}")

    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(ask)
        try:
            yield failed
        finally:
            stopped.set()
            running.result()


def test_an_upgrade_during_a_sale_fails_no_request_and_loses_nothing(old_site: Site, tmp_path: Path) -> None:
    site, told = old_site, tmp_path / "told"
    told.mkdir()
    event_id = int(site.admitone("seed --stadium").split()[-1])
    before = site.ids("gateway") + site.ids("worker")
    shutil.copy(site.folder / "compose.yaml", site.folder / BEFORE)
    site.take_files(ROOT, IMAGE)
    with site.phase("this release's image"):
        site.compose("build", seconds_max=600)
    site.files = (BEFORE,)
    with selling(site, event_id, told) as waves, asking(site) as failed:
        time.sleep(5)
        with site.phase("migrated, and rolled gateways and workers"):
            site.typed("set -e\n" + "\n".join(lines_of_the_guide()), seconds_max=600)
        time.sleep(5)
    assert failed == []
    assert waves
    sold = 0
    for wave in waves:
        print(wave)
        errors = set(re.findall(r"^error: \w+: (.+) x \d+$", wave, re.MULTILINE))
        assert errors <= OF_THE_LAST_RELEASE, wave
        sold += int(re.findall(r"(\d+) purchases", wave)[-1])
    assert sold >= FANS_AT_ONCE * len(waves) - GAVE_UP_MAX
    after = site.inspected("gateway", "worker")
    assert {one["Config"]["Image"] for one in after.values()} == {IMAGE}
    assert not set(before) & {one["Id"] for one in after.values()}
    assert len(after) == len(before)

    with site.phase("the rest of compose.yaml"):
        site.compose("down")
        site.files = PLAIN
        site.compose("up --detach --wait")
        site.await_healthy()
        site.await_ready()
    ledger = tmp_path / "told.jsonl"
    ledger.write_text("".join(file.read_text() for file in sorted(told.iterdir())))
    bought = purchases(site)
    assert bought == sold
    require_clean(site, ledger)
    crowd(site, new_event(site), FANS_AFTER, ledger)
    require_clean(site, ledger)
    assert purchases(site) == bought + FANS_AFTER
