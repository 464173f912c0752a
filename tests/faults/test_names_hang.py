"""The name server has gone silent: a process that is told to end does so in time, also as process 1 of a container."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psutil
import pytest
import redis

from tests.services import ROOT, Service, await_ready, free_port
from tests.waiting import await_that

END_SECONDS_MAX = 10.0
WORKER_END_SECONDS_MAX = 12.0
"""A pool ends itself after 9.5 s, and its process has to be gone then; compose.yaml waits for 15 s."""
NAME = "valkey.test"
SILENT = "127.0.0.77"


@dataclass
class Names:
    """The name server and the hosts file of the processes that `start` starts, each as number 1 like in a container."""

    folder: Path
    asked: threading.Event
    started: list[Service] = field(default_factory=list)

    def hang(self) -> None:
        """From now on the name server is asked, which never answers. The file stays the one that is mounted."""
        (self.folder / "hosts").write_text("127.0.0.1 localhost\n")

    def start(self, environ: dict[str, str], *arguments: str, url: str = "") -> Service:
        mounts = " && ".join(f"mount --bind {self.folder / name} /etc/{name}" for name in ("resolv.conf", "hosts"))
        log = self.folder / f"{arguments[0]}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", f'{mounts} && exec "$@"', "sh",
                 sys.executable, "-m", "admitone", *arguments],
                cwd=ROOT, env=environ, stdout=file, stderr=subprocess.STDOUT,
            )  # fmt: skip
        service = Service(arguments[0], process, log, url)
        self.started.append(service)
        return service


@pytest.fixture
def names(tmp_path: Path) -> Iterator[Names]:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("a file system's view of its own needs root and unshare")
    (tmp_path / "resolv.conf").write_text(f"nameserver {SILENT}\noptions timeout:30 attempts:3\n")
    (tmp_path / "hosts").write_text(f"127.0.0.1 localhost {NAME}\n")
    asked, ended = threading.Event(), threading.Event()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        try:
            silent.bind((SILENT, 53))
        except OSError as error:
            pytest.skip(f"no name server can stand at {SILENT}: {error}")
        silent.settimeout(0.1)

        def listen() -> None:
            while not ended.is_set():
                try:
                    silent.recv(512)
                except TimeoutError:
                    continue
                asked.set()

        listener = threading.Thread(target=listen)
        listener.start()
        names = Names(tmp_path, asked)
        yield names
        for service in names.started:
            service.kill()
        ended.set()
        listener.join()


def _named(url: str) -> str:
    """The same address, with the host as a name."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.replace("127.0.0.1", NAME)))


@pytest.fixture
def environ(admitone_env: dict[str, str], redis_url: str) -> dict[str, str]:
    return admitone_env | {"REDIS_URL": _named(redis_url)}


def _end(service: Service) -> float:
    """Seconds from SIGTERM, sent to the process itself, to its end."""
    process = psutil.Process(service.pid).children()[0]
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    service.process.wait(60)
    return time.monotonic() - started


def _await_asked(names: Names, environ: dict[str, str]) -> None:
    """Cut every connection, so that names are looked up anew, and wait until that hangs."""
    names.hang()
    with redis.Redis.from_url(environ["REDIS_URL"].replace(NAME, "127.0.0.1"), socket_timeout=10) as client:
        until = time.monotonic() + 30
        while not names.asked.wait(0.2):
            client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            client.execute_command("CLIENT", "KILL", "TYPE", "pubsub", "SKIPME", "yes")
            assert time.monotonic() < until, "no name is looked up"


@pytest.mark.long
def test_a_gateway_ends_in_time(names: Names, environ: dict[str, str]) -> None:
    port = free_port()
    gateway = names.start(environ, "gateway", "--port", str(port), url=f"http://127.0.0.1:{port}")
    await_ready(gateway)
    _await_asked(names, environ)
    assert _end(gateway) < END_SECONDS_MAX, gateway.text()


@pytest.mark.long
def test_a_gateway_that_waits_for_its_servers_ends_at_once(names: Names, environ: dict[str, str]) -> None:
    names.hang()
    gateway = names.start(environ, "gateway", "--port", str(free_port()))
    assert names.asked.wait(30), gateway.text()
    assert _end(gateway) < END_SECONDS_MAX / 2, gateway.text()


@pytest.mark.parametrize("children", [0, *(pytest.param(number, marks=pytest.mark.long) for number in (1, 4))])
def test_a_worker_ends_in_time_while_it_starts(names: Names, environ: dict[str, str], children: int) -> None:
    worker = names.start(environ, "worker")

    def has_begun() -> bool:
        family = psutil.Process(worker.pid).children(recursive=True)
        # It loads a library of the project's: `unshare` and `sh` have become the program by then.
        loads = bool(family) and any("msgspec" in file.path for file in family[0].memory_maps())
        return loads and len(family) > children

    await_that(has_begun, 30, each_seconds=0.01)
    assert _end(worker) < WORKER_END_SECONDS_MAX, worker.text()


def test_a_worker_ends_in_time(names: Names, environ: dict[str, str]) -> None:
    worker = names.start(environ, "worker")
    await_that(lambda: len(psutil.Process(worker.pid).children(recursive=True)) >= 4, 90, what="four processes")
    _await_asked(names, environ)
    assert _end(worker) < WORKER_END_SECONDS_MAX, worker.text()
