"""Debian's nginx, as a reference."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from bench.client import Address, ask, request
from bench.servers import Use, sum_use

READY_SECONDS_MAX = 10.0


@contextmanager
def nginx(folder: Path, configuration: str, address: Address, ready: str) -> Iterator[Callable[[], Use]]:
    """nginx with this configuration, which keeps it in the foreground and its files in ``folder``; gives what it uses.

    Args:
        ready: a path that it answers with 2xx.

    Raises:
        RuntimeError: it did not start.
    """
    folder.mkdir(exist_ok=True)
    file = folder / "nginx.conf"
    file.write_text(configuration)
    program = shutil.which("nginx") or "nginx"
    command = [program, "-c", str(file), "-p", str(folder), "-e", str(folder / "e.log")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + READY_SECONDS_MAX
        while ask(address, request("GET", ready), 2)[0] // 100 != 2:
            if time.monotonic() > until:
                raise RuntimeError(f"nginx did not start: {(folder / 'e.log').read_text()}")
            time.sleep(0.1)
        parent = psutil.Process(process.pid)
        yield lambda: sum_use([parent, *parent.children(recursive=True)])
    finally:
        process.terminate()
        process.wait(20)
