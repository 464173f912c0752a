"""The container engine of `make test-compose`: the machine's own, or a Docker of the tests' own without a network.

An engine of our own stands in a network namespace that this process makes and enters: it changes no firewall rule, port
or image of the machine, and vanishes with it. Nothing can be fetched from in there, so its images are stand-ins.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from admitone.embedded.process import last_lines, spawn, stop
from tests.waiting import await_that

NEW_NETWORK: Final = 0x4000_0000  # CLONE_NEWNET
CLIENT_NETWORKS: Final = "10.77.0.0/16"
"""All of its addresses are this machine's own in the namespace: each /24 is another network to the site's limits."""
HOST: Final = "10.77.0.1"
"""By this address clients of those networks reach what is published. Docker passes loopback on as its bridge's."""
NEEDED: Final = ("dockerd", "containerd", "runc", "iptables", "ip", "debootstrap")
START_SECONDS_MAX: Final = 60
STOP_SECONDS_MAX: Final = 30


class NoEngineError(Exception):
    """No container engine is usable here; the message is a sentence that says why."""


@dataclass(frozen=True)
class Engine:
    """A Docker Engine that answers, and Compose to steer it with.

    Attributes:
        environ: the environment in which `docker` and `docker compose` reach it.
        private: it is our own, and so are the network namespace and all images in it.
    """

    environ: Mapping[str, str] = field(repr=False)
    private: bool

    def docker(self, *arguments: str, seconds_max: float = 300) -> str:
        """Run `docker` with these arguments; gives its output.

        Raises:
            AssertionError: it failed; with what it wrote.
        """
        answer = self.attempt(*arguments, seconds_max=seconds_max)
        assert answer.returncode == 0, f"docker {' '.join(arguments)}\n{answer.stdout}{answer.stderr}"
        return answer.stdout.strip()

    def attempt(self, *arguments: str, seconds_max: float = 300) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["docker", *arguments],
            env=dict(self.environ),
            capture_output=True,
            text=True,
            timeout=seconds_max,
            check=False,
        )


def environ_with_compose(compose: Path | None, folder: Path) -> dict[str, str]:
    """An environment in which `docker compose` is this program, or the machine's own Compose for None."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COMPOSE_")}
    if compose is not None:
        plugins = folder / "docker" / "cli-plugins"
        plugins.mkdir(parents=True)
        (plugins / "docker-compose").symlink_to(compose)
        environ["DOCKER_CONFIG"] = str(plugins.parent)
    return environ


def running_engine(environ: Mapping[str, str]) -> Engine | None:
    """The engine that `docker` reaches on this machine, if any."""
    engine = Engine(environ, private=False)
    if shutil.which("docker") is None or engine.attempt("info", seconds_max=30).returncode != 0:
        return None
    return engine


def require_private_engine() -> None:
    """Check that an engine of our own could be started.

    Raises:
        NoEngineError: it could not.
    """
    if os.geteuid() != 0:
        raise NoEngineError("No container engine is usable here: none answers, and only root may start one.")
    if missing := [name for name in ("docker", *NEEDED) if shutil.which(name) is None]:
        raise NoEngineError(
            f"No container engine is usable here: none answers, and to start one {', '.join(missing)} is missing "
            "(Debian: apt-get install docker.io debootstrap iproute2)."
        )


@contextlib.contextmanager
def private_engine(environ: Mapping[str, str], folder: Path) -> Iterator[Engine]:
    """A Docker Engine of our own, in a network namespace in which this thread and its children are meanwhile."""
    with _own_network():
        socket = folder / "docker.sock"
        environ = {**environ, "DOCKER_HOST": f"unix://{socket}"}
        log = folder / "dockerd.log"
        paths = ("--data-root", folder / "data", "--exec-root", folder / "run", "--pidfile", folder / "dockerd.pid")
        process = spawn(
            [shutil.which("dockerd") or "dockerd", "--host", environ["DOCKER_HOST"], *paths],
            log=log,
            environ={**environ, "PATH": f"{environ['PATH']}:/usr/sbin:/sbin"},
        )
        engine = Engine(environ, private=True)
        try:
            await_that(
                lambda: process.poll() is not None or engine.attempt("info").returncode == 0,
                START_SECONDS_MAX,
                each_seconds=0.2,
                what="the engine's start",
            )
            if process.poll() is not None:
                raise NoEngineError(f"No container engine is usable here: dockerd ends, and says: {last_lines(log, 1)}")
            yield engine
        finally:
            stop(process, seconds_max=STOP_SECONDS_MAX)
            # A container with the host's network leaves its namespace mounted there.
            subprocess.run(["umount", folder / "run" / "netns" / "default"], check=False, capture_output=True)


@contextlib.contextmanager
def _own_network() -> Iterator[None]:
    """Enter a new network namespace, which has this machine's loopback addresses and `CLIENT_NETWORKS`."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if libc.unshare(NEW_NETWORK) != 0:
            error = os.strerror(ctypes.get_errno())
            raise NoEngineError(f"No container engine is usable here: no network namespace can be made ({error}).")
        try:
            for command in ("link set lo up", f"route add local {CLIENT_NETWORKS} dev lo"):
                subprocess.run(["ip", *command.split()], check=True)
            yield
        finally:
            libc.setns(before, NEW_NETWORK)
    finally:
        os.close(before)
