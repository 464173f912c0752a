"""Hosts of their own on one machine: network namespaces on a bridge. A host can be cut off, and killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

from admitone.embedded.account import service_account
from admitone.embedded.process import LAUNCH

IP: Final = shutil.which("ip", path="/usr/sbin:/sbin:/usr/bin")
PREFIX: Final = "10.77.0"
OURS: Final = f"{PREFIX}.1"
"""The tests' own address on the bridge."""


def may_make_hosts() -> bool:
    """Whether this process may make network namespaces: root may, where a container does not forbid it."""
    if IP is None or os.geteuid() != 0:
        return False
    name = f"admit-probe-{os.getpid()}"
    made = subprocess.run([IP, "netns", "add", name], check=False, capture_output=True).returncode == 0
    if made:
        _ip("netns", "del", name)
    return made


@dataclass
class Host:
    """A network namespace with one address. ``link`` is its cable's end on the bridge."""

    name: str
    address: str
    link: str
    folder: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def run(
        self, *command: str | Path, environ: Mapping[str, str] | None = None, as_service: bool = False
    ) -> subprocess.Popen[bytes]:
        """Start a program on the host; it ends with the test's process.

        Args:
            as_service: as the user that servers run as, for those that refuse to be root.
        """
        assert IP is not None
        account = service_account(self.folder)
        user = (account.uid, account.gid) if as_service else (os.geteuid(), os.getegid())
        launch = [sys.executable, "-I", "-S", str(LAUNCH), *(str(int(n)) for n in (signal.SIGTERM, *user, os.getpid()))]
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [IP, "netns", "exec", self.name, *launch, *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=environ,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def cut(self) -> None:
        """Pull its cable: packets are lost in silence, and connections stay as they are."""
        _ip("link", "set", self.link, "down")

    def mend(self) -> None:
        """Put its cable back."""
        _ip("link", "set", self.link, "up")

    def kill(self) -> None:
        """SIGKILL of all that runs there, with the cable pulled, as where the power fails: nobody is told."""
        self.cut()
        for pid in _ip("netns", "pids", self.name).split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        for process in self.processes:
            process.wait()
        self.processes.clear()

    def text(self) -> str:
        """The end of what its programs said."""
        log = self.folder / "log"
        return log.read_text(errors="replace")[-6000:] if log.exists() else ""


@contextlib.contextmanager
def hosts(folder: Path, names: Sequence[str]) -> Iterator[dict[str, Host]]:
    """So many hosts on one bridge, which the tests' process reaches too; all that they run is killed in the end."""
    bridge = f"adm{os.getpid() % 100_000}"
    numbers = count(10)
    account = service_account(folder)
    made: dict[str, Host] = {}
    with contextlib.ExitStack() as stack:
        _ip("link", "add", bridge, "type", "bridge")
        stack.callback(_ip, "link", "del", bridge)
        _ip("addr", "add", f"{OURS}/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        for name in names:
            number = next(numbers)
            own = folder / name
            own.mkdir(mode=0o755)
            os.chown(own, account.uid, account.gid)
            host = Host(f"{bridge}-{name}", f"{PREFIX}.{number}", f"{bridge}v{number}", own)
            _ip("netns", "add", host.name)
            stack.callback(_ip, "netns", "del", host.name)
            stack.callback(host.kill)
            _ip("link", "add", host.link, "type", "veth", "peer", "name", "eth0", "netns", host.name)
            _ip("link", "set", host.link, "master", bridge, "up")
            _ip("-n", host.name, "addr", "add", f"{host.address}/24", "dev", "eth0")
            for link in ("eth0", "lo"):
                _ip("-n", host.name, "link", "set", link, "up")
            made[name] = host
        yield made


def _ip(*arguments: str) -> str:
    assert IP is not None
    return subprocess.run([IP, *arguments], check=True, capture_output=True, text=True).stdout
