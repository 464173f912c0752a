"""Real `admitone` processes for tests: started on free ports, awaited, stopped, their logs at hand."""

from __future__ import annotations

import atexit
import contextlib
import json
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from admitone.embedded.process import last_lines, spawn, stop
from tests.forking import Forked, can_fork, fork, fork_to

ROOT = Path(__file__).parent.parent
READY_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 15.0
PORTS = (18_000, 31_999)
GIVEN_KEPT = 100
"""Ports that were given before so many others have their servers long since."""
_given: list[socket.socket] = []


@dataclass
class Service:
    """A running process; `url` is empty for one that serves no HTTP."""

    name: str
    process: subprocess.Popen[bytes] | Forked
    log: Path
    url: str = ""

    @property
    def pid(self) -> int:
        return self.process.pid

    def kill(self) -> None:
        """End it as a crash would: SIGKILL, no farewell."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        stop(self.process, seconds_max=STOP_SECONDS_MAX)

    def text(self) -> str:
        return self.log.read_text(errors="replace")


@dataclass
class Services:
    """Starts gateways and workers with one environment; a test may start any number of either."""

    environ: Mapping[str, str] = field(repr=False)
    folder: Path
    started: list[Service] = field(default_factory=list)

    def gateway(self, *, workers: int = 1, port: int | None = None, **environ: str) -> Service:
        """Start `admitone gateway` and wait until it is ready; keywords are further environment variables."""
        port = port or free_port()
        url = f"http://127.0.0.1:{port}"
        arguments = ["gateway", "--host", "127.0.0.1", "--port", str(port), "--workers", str(workers)]
        service = self.start(*arguments, url=url, **environ)
        await_ready(service)
        return service

    def worker(self, **environ: str) -> Service:
        """Start `admitone worker`, which runs one RQ worker a lane."""
        return self.start("worker", **environ)

    def start(self, *arguments: str, url: str = "", **environ: str) -> Service:
        """Start `admitone` with these arguments; returns at once."""
        name = f"{arguments[0]}-{len(self.started) + 1}"
        log = self.folder / f"{name}.log"
        process = start_module("admitone", *arguments, log=log, environ={**self.environ, **environ})
        service = Service(name, process, log, url)
        self.started.append(service)
        return service

    def run(self, *arguments: str, seconds_max: float = 60, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run `admitone` with these arguments to its end; gives exit code and output, raises on neither."""
        variables = {**self.environ, **environ}
        command = [sys.executable, "-m", "admitone", *arguments]
        if not can_fork(variables):
            return subprocess.run(
                command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=seconds_max, check=False
            )
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            process = fork_to(
                "admitone",
                *arguments,
                stdout=output.fileno(),
                stderr=errors.fileno(),
                folder=ROOT,
                environ=variables,
            )
            try:
                code = process.wait(seconds_max)
            finally:
                process.kill()
            texts = []
            for file in (output, errors):
                file.seek(0)
                texts.append(file.read().decode())
        return subprocess.CompletedProcess(command, code, *texts)

    def stop(self) -> None:
        """Stop all, the last started first."""
        for service in reversed(self.started):
            service.stop()

    def report(self) -> str:
        """The end of every log, for a failing test's report."""
        parts = []
        for service in self.started:
            code = service.process.poll()
            state = "running" if code is None else f"ended with {code}"
            parts.append(f"--- {service.name} ({state})\n{last_lines(service.log, 60)}")
        return "\n".join(parts)


def start_module(
    module: str, *arguments: str, log: Path, environ: Mapping[str, str]
) -> subprocess.Popen[bytes] | Forked:
    """Start ``python -m module``, forked where that makes no difference; its output is appended to ``log``."""
    if can_fork(environ):
        return fork(module, *arguments, log=log, folder=ROOT, environ=environ)
    return spawn([sys.executable, "-m", module, *arguments], log=log, folder=ROOT, environ=environ)


def await_ready(service: Service, *, with_lanes: bool = False) -> None:
    """Wait for `GET /health/ready` to find nothing failing but lanes: a test may start gateways without workers.

    Args:
        with_lanes: a lane that no worker works is waited for too.

    Raises:
        AssertionError: the process ended, or was not ready in READY_SECONDS_MAX; with the end of its log.
    """
    answer = "none"
    deadline = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < deadline:
        code = service.process.poll()
        assert code is None, f"{service.name} ended with {code} as it started:\n{last_lines(service.log, 60)}"
        try:
            with urllib.request.urlopen(service.url + "/health/ready", timeout=5):
                return
        except urllib.error.HTTPError as error:
            answer = f"{error.code} {error.read(2000).decode(errors='replace')}"
            error.close()
            failing = json.loads(answer[4:])["failing"] if error.code == 503 else [answer]
            if not with_lanes and all(part.startswith("lane-") for part in failing):
                return
        except OSError as error:
            answer = str(error)
        time.sleep(0.05)
    raise AssertionError(f"{service.name} was not ready: {answer}\n{last_lines(service.log, 60)}")


def free_port() -> int:
    """A TCP port of 127.0.0.1 that was free a moment ago, that the kernel gives to nobody who asks for any, and that
    this function gives to no other test, in whatever process, before its server can listen there.
    """
    while True:
        port = random.randint(*PORTS)
        with contextlib.ExitStack() as probing, contextlib.suppress(OSError):
            # Servers listen by TCP; a socket of UDP at the same number says that the port was given away.
            given = probing.enter_context(socket.socket(type=socket.SOCK_DGRAM))
            given.bind(("127.0.0.1", port))
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
            probing.pop_all()
            _given.append(given)
            if len(_given) > GIVEN_KEPT:
                _given.pop(0).close()
            return port


@atexit.register
def _give_back() -> None:
    for given in _given:
        given.close()
