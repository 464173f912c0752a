"""The edges that we ship, running before a gateway: Varnish and nginx, with only addresses and paths exchanged."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.client import Address

DEPLOY: Final = Path(__file__).parent.parent / "deploy"
EDGES: Final = {"varnish": "varnishd", "nginx": "nginx"}
"""Each edge by the program that it needs."""
READY_SECONDS_MAX: Final = 60.0


def missing(name: str) -> str:
    """Why this edge cannot run here; empty where it can."""
    program = EDGES[name]
    return "" if _found(program) else f"{program} is not installed: apt-get install --no-install-recommends {name}"


def _found(program: str) -> str:
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin") or ""


@contextlib.contextmanager
def edge(name: str, gateway: Address, port: int, folder: Path) -> Iterator[Address]:
    """A shipped edge on 127.0.0.1 before a gateway, ready; ``folder`` is its own."""
    folder.mkdir(parents=True, exist_ok=True)
    command = (_varnish if name == "varnish" else _nginx)(gateway, port, folder)
    with (folder / "edge.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        _await_ready(process, port, folder / "edge.log")
        yield "127.0.0.1", port
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"the edge did not start: {log.read_text(errors='replace')[-2000:]}")


def _varnish(gateway: Address, port: int, folder: Path) -> list[str]:
    text = (DEPLOY / "varnish" / "edge.vcl").read_text()
    text = text.replace(
        '.host = "127.0.0.1";\n    .port = "8000";', f'.host = "{gateway[0]}";\n    .port = "{gateway[1]}";'
    )
    assert f'"{gateway[1]}"' in text
    config = folder / "edge.vcl"
    config.write_text(text)
    return [
        *(_found("varnishd"), "-F", "-j", "none", "-a", f"127.0.0.1:{port}", "-T", "none", "-f", str(config)),
        *("-s", "malloc,64m", "-n", str(folder / "varnish"), "-p", "thread_pools=1", "-p", "thread_pool_min=50"),
    ]


def _nginx(gateway: Address, port: int, folder: Path) -> list[str]:
    own = folder / "nginx"
    shutil.copytree(DEPLOY / "nginx", own, dirs_exist_ok=True)
    zones = (own / "edge_http.conf").read_text().replace("/var/cache/nginx", str(folder / "cache"))
    (own / "edge_http.conf").write_text(zones)
    (folder / "cache").mkdir(exist_ok=True)
    main = (own / "debian.conf").read_text()
    servers = f"        server {gateway[0]}:{gateway[1]} max_fails=1 fail_timeout=1s;\n"
    main = re.sub(r"(?:^ +server 127\.0\.0\.1:\d+ [^\n]*\n)+", servers, main, flags=re.M)
    # One server without TLS, with the edge's locations.
    before = main[: main.index("    server {\n")].replace(
        "include http.conf;", "include http.conf;\n    include edge_http.conf;"
    )
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"    {kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    main = before.replace("http {\n", "http {\n" + paths, 1)
    main += f"    server {{\n        listen 127.0.0.1:{port};\n        include edge_server.conf;\n    }}\n}}\n"
    main = re.sub(r"^user .*$", "user root;", main, flags=re.M)
    main = re.sub(r"^pid .*$", f"pid {folder}/nginx.pid;", main, flags=re.M)
    main = main.replace("worker_rlimit_nofile 65536;", "").replace("worker_processes auto", "worker_processes 1")
    main = main.replace("worker_connections 30000", "worker_connections 2000")
    (own / "main.conf").write_text(main)
    return [
        _found("nginx"),
        "-c",
        str(own / "main.conf"),
        "-p",
        str(own),
        "-e",
        str(folder / "error.log"),
        "-g",
        "daemon off;",
    ]
