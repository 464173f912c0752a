"""A process that a test forks is like one that it starts, so what holds for the one holds for the other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from admitone.embedded.process import spawn, stop
from tests.forking import Forked, can_fork, fork
from tests.services import ROOT

MODULE = "tests.unit.process_facts"
ENVIRON = {**os.environ, "PYTHONUNBUFFERED": "1", "ADMITONE_LANES": "3"}
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is forked")


def facts(folder: Path, *, forked: bool, name: str = "one") -> dict[str, Any]:
    told, log = folder / f"{name}.json", folder / "log"
    process: Forked | subprocess.Popen[bytes]
    if forked:
        process = fork(MODULE, str(told), "--an", "argument", log=log, folder=folder, environ=ENVIRON)
    else:
        environ = {**ENVIRON, "PYTHONPATH": str(ROOT)}
        process = spawn(
            [sys.executable, "-m", MODULE, str(told), "--an", "argument"], log=log, folder=ROOT, environ=environ
        )
    assert process.wait(30) == 7, log.read_text()
    assert process.poll() == process.returncode == 7
    found: dict[str, Any] = json.loads(told.read_text())
    return found


def test_a_forked_process_is_like_a_fresh_one(tmp_path: Path) -> None:
    forked, fresh = facts(tmp_path, forked=True), facts(tmp_path, forked=False)
    assert forked["said"].pop("folder") == str(tmp_path)
    assert fresh["said"].pop("folder") == str(ROOT)
    del fresh["said"]["environment"]["PYTHONPATH"]
    for one in (forked, fresh):
        # Python puts the folder it is started in first, or what PYTHONPATH names.
        one["said"]["path"] = [path for path in one["said"]["path"] if path not in (str(ROOT), "")]
    assert forked["said"] == fresh["said"]
    assert forked["files open"] == fresh["files open"], "a forked process holds nothing of others"
    assert (tmp_path / "log").read_text() == "said\nsaid\n"


def test_forked_processes_draw_numbers_of_their_own(tmp_path: Path) -> None:
    first, second = (facts(tmp_path, forked=True, name=name)["random"] for name in ("first", "second"))
    assert first != second


def test_a_forked_process_is_stopped_and_killed_as_another(tmp_path: Path) -> None:
    def sleeper() -> Forked:
        return fork(
            "timeit", "-n1", "-r1", "import time; time.sleep(60)", log=tmp_path / "log", folder=ROOT, environ=ENVIRON
        )

    stopped, killed = sleeper(), sleeper()
    assert stopped.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        stopped.wait(0.05)
    stop(stopped, seconds_max=10)
    assert stopped.returncode == -signal.SIGTERM
    killed.kill()
    assert killed.wait(10) == -signal.SIGKILL
    assert not psutil.pid_exists(killed.pid)
    killed.terminate()


@pytest.mark.parametrize("variable", ["LD_PRELOAD", "PYTHONHASHSEED", "TZ"])
def test_what_is_read_at_the_start_of_a_process_needs_a_fresh_one(variable: str) -> None:
    assert can_fork(ENVIRON)
    assert not can_fork({**ENVIRON, variable: "1"})
