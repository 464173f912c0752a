"""The generator's own ceiling against the least HTTP server, and wrk's figure for the same server."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess

from bench.client import Address, request
from bench.load import closed_loop, repeat
from bench.processes import apart
from bench.report import Part
from bench.servers import System, await_answer, free_port
from bench.stats import Load

CONNECTIONS = 64


def measure(system: System, seconds: float = 3.0) -> Part:
    part = Part("generator")
    port = free_port()
    tiny = system.start("tiny", "bench.baseline.tiny", str(port), port=port)
    await_answer(tiny, "/")
    ceiling = get_load(tiny.address, "/", seconds)
    said = wrk(tiny.address, "/", seconds, CONNECTIONS)
    part.add("its own ceiling, 64 connections", ceiling.rate("get"), "requests/s", "wrk", said)
    part.details = {"ceiling": ceiling.document(), "wrkPerSecond": said}
    system.stop(tiny)
    return part


def get_load(address: Address, path: str, seconds: float, *headers: str, connections: int = CONNECTIONS) -> Load:
    """The same GET again and again, closed-loop, from a process of its own."""
    one = request("GET", path, *headers)
    return apart(
        lambda: closed_loop(
            [address],
            repeat("get", itertools.repeat(one)),
            connections=connections,
            seconds=seconds,
            warm_seconds=min(1.0, seconds / 4),
        )
    )


def wrk(address: Address, path: str, seconds: float, connections: int, *headers: str) -> float | None:
    """Requests a second as wrk measures them; None where it is not installed, or not all were answered 2xx."""
    program = shutil.which("wrk")
    if program is None:
        return None
    url = f"http://{address[0]}:{address[1]}{path}"
    command = [program, "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", url]
    command += [word for header in headers for word in ("-H", header)]
    text = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=True).stdout
    found = re.search(r"Requests/sec:\s+([0-9.]+)", text)
    return float(found.group(1)) if found and "Non-2xx" not in text else None
