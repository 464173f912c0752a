"""`admitone up` as a process: comes up from nothing, refuses a second, mends a child, leaves nothing behind."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from admitone import running
from tests.services import ROOT

UP_SECONDS_MAX = 40.0


@pytest.fixture
def data() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="admitone-"))
    folder.chmod(0o755)
    yield folder / "data"
    shutil.rmtree(folder)


def _environ(data: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ADMITONE_")}
    for name in ("DATABASE_URL", "REDIS_URL"):
        inherited.pop(name, None)
    return inherited | {"ADMITONE_DATA_DIR": str(data), "COLUMNS": "200", "PYTHONUNBUFFERED": "1"}


class _Up:
    """A running `admitone up`."""

    def __init__(self, data: Path, *arguments: str) -> None:
        self.data = data
        self.output = data.parent / "up.out"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "admitone", "up", "--port", "0", *arguments],
                cwd=ROOT,
                env=_environ(data),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self.await_text("is up after")
        except BaseException:
            self.process.kill()
            raise

    def await_text(self, text: str) -> None:
        until = time.monotonic() + UP_SECONDS_MAX
        while text not in self.output.read_text():
            assert self.process.poll() is None, self.output.read_text()
            assert time.monotonic() < until, self.output.read_text()
            time.sleep(0.1)

    @property
    def url(self) -> str:
        return running.read(self.data)["ADMITONE_URL"]

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def child(self, name: str) -> psutil.Process:
        (found,) = (
            process
            for process in psutil.Process(self.process.pid).children()
            if process.cmdline()[1:4] == ["-m", "admitone", name]
        )
        return found

    def stop(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(40)


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            status: int = answer.status
            return status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0


def _second_up(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "admitone", "up", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=_environ(data), capture_output=True, text=True, timeout=40, check=False
    )


def _await_ready(up: _Up) -> None:
    _await_ok(up, "/health/ready")


def _await_ok(up: _Up, path: str) -> None:
    until = time.monotonic() + UP_SECONDS_MAX
    while _status(up.url + path) != 200:
        assert time.monotonic() < until, up.output.read_text()
        time.sleep(0.1)


def test_up_comes_up_refuses_a_second_mends_what_dies_and_leaves_nothing(data: Path) -> None:
    up = _Up(data, "--crowd", "3")
    try:
        assert _status(up.url + "/health/ready") == 200
        pages = re.findall(r"http://\S+/events/\d+", up.output.read_text())
        assert [_status(page) for page in pages] == [200, 200], "the demo, and the demo whose tickets are paid"
        # Or the doctor, which README has people try at once, would say that nobody can pay.
        assert running.read(data)["ADMITONE_PAYMENT_PROVIDERS"] == "test"

        second = _second_up(data, "--port", "0")
        assert second.returncode == 2
        assert f"process {up.process.pid}, {up.url}/" in second.stdout

        up.child("gateway").kill()
        up.await_text("gateway was killed by SIGKILL; again in 0.5 s")
        _await_ready(up)
        assert _status(pages[0]) == 200

        family = up.family()
        assert {process.name() for process in family} >= {"postgres", "valkey-server"}
        secret = (data / "secret").read_text()
        assert (data / "secret").stat().st_mode & 0o077 == 0
    finally:
        code = up.stop(signal.SIGINT)
    assert code == 0, up.output.read_text()
    _, alive = psutil.wait_procs(family, timeout=2)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []
    assert running.read(data) == {}
    assert "was not properly shut down" not in (data / "postgres.log").read_text()
    again = _Up(data, "--crowd", "0")
    try:
        assert (data / "secret").read_text() == secret
        assert re.findall(r"/events/\d+", again.output.read_text()) == [
            re.sub("^.*(/events)", r"\1", page) for page in pages
        ]
    finally:
        code = again.stop(signal.SIGTERM)
    assert code == 0


@pytest.mark.long
def test_up_starts_servers_that_die_again(data: Path) -> None:
    again = _Up(data, "--crowd", "0")
    try:
        for name, program in (("Valkey", "valkey-server"), ("Postgres", "postgres")):
            (server,) = (child for child in psutil.Process(again.process.pid).children() if child.name() == program)
            server.kill()
            again.await_text(f"{name} has ended; starting it again")
            again.await_text(f"{name} is back")
            _await_ready(again)
        # A gateway may learn of its dead connections by the first request that meets one.
        _await_ok(again, "/api/initial-call/1")
    finally:
        code = again.stop(signal.SIGTERM)
    assert code == 0


def test_up_says_when_its_port_is_taken(data: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        answer = _second_up(data, "--port", str(port))
    assert answer.returncode == 1
    assert f"Port {port} of 127.0.0.1 is not to be had (Address already in use)" in answer.stdout


def test_up_says_when_a_given_server_is_out_of_reach(data: Path) -> None:
    command = [sys.executable, "-m", "admitone", "up", "--port", "0"]
    environ = _environ(data) | {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing?connect_timeout=2"}
    answer = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=40, check=False)
    assert answer.returncode == 1
    assert "Not started." in answer.stdout
    assert "Connection refused" in answer.stdout
    assert "Traceback" not in answer.stdout + answer.stderr
