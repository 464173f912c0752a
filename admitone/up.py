"""`admitone up`: the whole system from nothing, on embedded servers where no URL is given, until Ctrl-C."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NoReturn

import msgspec
import psycopg
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from sqlalchemy.exc import SQLAlchemyError

from admitone.embedded.account import own_file
from admitone.embedded.postgres import EmbeddedPostgres
from admitone.embedded.process import Account, AlreadyRunningError, EmbeddedError, FolderLock
from admitone.embedded.server import EmbeddedServer
from admitone.embedded.valkey import EmbeddedValkey
from admitone.running import forget, note, reachable_host
from admitone.settings import Settings, environ_with
from admitone.supervisor import Child, ChildError
from db.connections import look
from db.connections.schema_head import head
from db.events.seed import PAID_DEMO_NAME, find_demo, room_seed, seed_demo
from db.operators.accounts import add_operator
from db.patience import Patience
from db.payments.states import TEST
from db.sealing.keyring import Keyring, use
from db.search.writing import index_all
from gateway.wire.addresses import PublicAddress

OPERATOR = "demo"
READY_SECONDS_MAX = 60.0
SERVER_RESTART_SECONDS_MAX = 30.0
WATCH_SECONDS = 0.2
# Ten seconds in all, one after the other; what is killed loses nothing, it only comes back by itself.
CROWD_STOP_SECONDS_MAX = 1.0
GATEWAY_STOP_SECONDS_MAX = 5.0
WORKER_STOP_SECONDS_MAX = 3.5

EXIT_FAILED = 1
EXIT_ALREADY_RUNNING = 2

# With a crowd the demo's door is narrow, so that there is a line worth watching in a hall of 150 seats.
DEMO_RATE_PER_MINUTE_MAX = 30
DEMO_CAPACITY_SHARE = 2  # one in so many of the crowd may be inside
# Most of the crowd gives its seats back, so that the map moves and the hall lasts for half an hour. Few walk away from
# a hold: each keeps a slot until the pass ends, and at one in ten nobody else was inside within minutes.
DEMO_CROWD = ("--release-hold", "0.88", "--abandon-hold", "0.02", "--abandon-in-line", "0.1", "--think", "20")
# Two fans suffice to see a ticket given back and offered to the next in line.
DEMO_BOXES = 2
DEMO_CANCEL_HOURS = 24
DEMO_CANCEL_FEE_PERCENT = 10
DEMO_SELLER = {
    "ADMITONE_INVOICE_SELLER": "The Demo Venue",
    "ADMITONE_INVOICE_ADDRESS": "1 Sample Street; 10115 Berlin",
    "ADMITONE_INVOICE_TAX_ID": "DE000000000",
}


class UpError(RuntimeError):
    """The system cannot be brought up; the message says why and what to do."""


class _StopAsked(BaseException):
    """SIGINT, SIGTERM or SIGHUP has come."""


def up(settings: Settings, *, port: int, crowd: int, workers: int) -> int:
    """Bring up servers, tables, demo event, gateway and worker, and keep them up until a signal ends it.

    Call it from the main thread, with which every child ends.

    Args:
        port: where the gateway listens on ``settings.server.host``; 0 takes a free one.
        crowd: simulated fans about at a time; 0 for none.
        workers: gateway processes.

    Returns:
        The exit code: 0 after a signal, 2 where another `up` runs on the same data folder, 1 if it cannot
        start for any other reason. The reason has been printed.
    """
    console = Console(highlight=False, markup=False, soft_wrap=True)
    folder = Path(settings.embedded.data_dir).absolute()
    lock = FolderLock(folder / "up.lock")
    children: list[Child] = []
    try:
        with _stop_signals(children), ExitStack() as running:
            folder.mkdir(parents=True, exist_ok=True)
            lock.take()
            running.callback(lock.release)
            _run(settings, folder, lock, console, running, children, port=port, crowd=crowd, workers=workers)
    except AlreadyRunningError as error:
        console.print(f"Admit One already runs here: {error}. Stop it first, or set ADMITONE_DATA_DIR.")
        return EXIT_ALREADY_RUNNING
    except (UpError, EmbeddedError, ChildError, OSError, psycopg.Error, SQLAlchemyError) as error:
        console.print(f"Not started. {error}", style="red")
        return EXIT_FAILED
    except _StopAsked:
        console.print(f"Stopped. The data stays in {folder}.")
        return 0


def _run(
    settings: Settings,
    folder: Path,
    lock: FolderLock,
    console: Console,
    running: ExitStack,
    children: list[Child],
    *,
    port: int,
    crowd: int,
    workers: int,
) -> NoReturn:
    started_at = time.monotonic()
    port = _free_port(settings.server.host, port)
    root = PublicAddress.of(settings.site.public_url or "/").root
    url = f"http://{reachable_host(settings.server.host)}:{port}{root}"
    lock.note(f"process {os.getpid()}, {url}/")
    logs = folder / "logs"
    logs.mkdir(exist_ok=True)

    environ = environ_with(
        {
            "ADMITONE_SECRET": settings.site.secret or _kept_secret(folder / "secret"),
            "DATABASE_URL": settings.db.url,
            "REDIS_URL": settings.redis.url,
            "PYTHONUNBUFFERED": "1",
        }
    )
    if not settings.message.links and "://" not in settings.site.public_url:
        environ["ADMITONE_MESSAGE_LINKS"] = url
    environ.setdefault("ADMITONE_DRAIN_SECONDS", "0")  # there is no other gateway to go to
    embedded: dict[str, EmbeddedServer] = {
        "DATABASE_URL": EmbeddedPostgres(folder / "postgres"),
        "REDIS_URL": EmbeddedValkey(folder / "valkey"),
    }
    servers = {name: server for name, server in embedded.items() if not environ[name]}
    for server in servers.values():
        running.callback(server.stop)
        server.begin()
    for name, server in servers.items():
        environ[name] = server.finish()

    _bring_up_to_date(environ["DATABASE_URL"])
    if not settings.payment.names and not settings.site.production:
        environ["ADMITONE_PAYMENT_PROVIDERS"] = TEST
        if not settings.invoice.seller:
            environ |= DEMO_SELLER

    def add(name: str, stop_seconds_max: float, *arguments: str) -> None:
        log = logs / f"{name}.log"
        if log.exists():
            log.replace(log.with_suffix(".log.1"))  # the last run's
        child = Child(name, (name, *arguments), environ, log, stop_seconds_max)
        running.callback(child.stop)
        children.append(child)
        child.start()

    listen = ("--host", settings.server.host, "--port", str(port), "--workers", str(workers))
    add("gateway", GATEWAY_STOP_SECONDS_MAX, *listen)
    add("worker", WORKER_STOP_SECONDS_MAX)

    # Meanwhile the children load.
    use(Keyring.of(msgspec.structs.replace(settings.site, secret=environ["ADMITONE_SECRET"])))
    event_id = _demo_event(environ["DATABASE_URL"], settings, crowd)
    paid_event_id = None
    if TEST in environ.get("ADMITONE_PAYMENT_PROVIDERS", ""):
        paid_event_id = paid_event(environ["DATABASE_URL"], settings)
    _await_ready(url, children)
    # Its hash takes a quarter of a second of the processors, which the children need first.
    password = secrets.token_urlsafe(12)
    add_operator(environ["DATABASE_URL"], OPERATOR, password)
    running.callback(forget, folder)
    note(folder, environ, url)
    if crowd:
        fans = (
            "--url",
            url,
            "--event",
            str(event_id),
            "--fans",
            str(crowd),
            "--forever",
            "--quiet",
            *DEMO_CROWD,
        )
        add("crowd", CROWD_STOP_SECONDS_MAX, *fans)

    console.print(_banner(url, event_id, paid_event_id, password, crowd, logs, time.monotonic() - started_at))
    running.callback(console.print, "Stopping ...")
    _watch(servers, children, environ, partial(note, folder, environ, url), console.print)


def _watch(
    servers: dict[str, EmbeddedServer],
    children: list[Child],
    environ: dict[str, str],
    note_again: Callable[[], None],
    say: Callable[[str], None],
) -> NoReturn:
    while True:
        for name, server in servers.items():
            if server.alive:
                continue
            say(f"{server.name} has ended; starting it again. Its log: {server.log}")
            url = _start_again(server)
            say(f"{server.name} is back.")
            if url != environ[name]:
                environ[name] = url
                note_again()
                for child in children:
                    child.stop()
                    child.start()
        for child in children:
            child.look_after(say)
        time.sleep(WATCH_SECONDS)


def _start_again(server: EmbeddedServer) -> str:
    def start() -> str:
        server.stop()
        return server.start()

    # A killed Postgres' sessions hold on to its shared memory for a moment.
    return Patience(SERVER_RESTART_SECONDS_MAX, WATCH_SECONDS).retry(start, EmbeddedError)


@contextmanager
def _stop_signals(children: list[Child]) -> Iterator[None]:
    """Raise _StopAsked at the first signal that asks to stop. The next kills the children, so that nobody waits
    for them any more; the servers' data is left clean all the same.
    """
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def stop(_number: int, _frame: FrameType | None) -> None:
        for number in numbers:
            signal.signal(number, hurry)
        raise _StopAsked

    def hurry(_number: int, _frame: FrameType | None) -> None:
        for child in children:
            child.kill()

    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _free_port(host: str, port: int) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise UpError(f"Port {port} of {host} is not to be had ({reason}); try --port 0.") from error
        free: int = probe.getsockname()[1]
        return free


def _kept_secret(path: Path) -> str:
    if not path.exists():
        own_file(path, secrets.token_urlsafe(48), Account("", os.geteuid(), os.getegid()))
    return path.read_text(encoding="utf-8").strip()


def _bring_up_to_date(database_url: str) -> None:
    """Migrate, and write what the search finds. Alembic, which takes long to load, is left out where it has no work."""
    with look.connect(database_url, "admitone-up") as connection:
        is_new = connection.execute("SELECT to_regclass('alembic_version') IS NULL").fetchone() == (True,)
        found = None if is_new else connection.execute("SELECT version_num FROM alembic_version").fetchone()
    if found == (head(),):
        index_all(database_url)
        return
    from db.migrate import migrate

    migrate(database_url)


def _demo_event(database_url: str, settings: Settings, crowd: int) -> int:
    """The demo event with something left to sell; a new one if there is none."""
    event_id = find_demo(database_url)
    if event_id is not None:
        with look.connect(database_url, "admitone-up") as connection:
            query = "SELECT 1 FROM ticket WHERE event_id = %s AND available_count > 0 LIMIT 1"
            if connection.execute(query, (event_id,)).fetchone():
                return event_id
    room = room_seed(settings.room)
    if crowd:
        room = replace(
            room,
            rate_per_minute=min(room.rate_per_minute, DEMO_RATE_PER_MINUTE_MAX),
            capacity=min(room.capacity, max(1, crowd // DEMO_CAPACITY_SHARE)),
        )
    return seed_demo(database_url, room=room)


def paid_event(database_url: str, settings: Settings) -> int:
    """The demo event whose tickets are paid, with the test provider; a new one if there is none.

    It shows the whole way: its box is sold out after one purchase, and what is given back is offered to those who wait.
    """
    event_id = find_demo(database_url, name=PAID_DEMO_NAME)
    if event_id is not None:
        return event_id
    room = replace(
        room_seed(settings.room),
        waiting_list=True,
        cancel_hours=DEMO_CANCEL_HOURS,
        cancel_fee_percent=DEMO_CANCEL_FEE_PERCENT,
    )
    return seed_demo(database_url, room=room, name=PAID_DEMO_NAME, payments=TEST, boxes=DEMO_BOXES)


def _await_ready(url: str, children: list[Child]) -> None:
    def ask() -> None:
        for child in children:
            child.require_alive()
        try:
            with urllib.request.urlopen(url + "/health/ready", timeout=5):  # noqa: S310
                return
        except urllib.error.HTTPError as error:
            with error:
                raise OSError(error.read(2000).decode(errors="replace")) from None

    try:
        Patience(READY_SECONDS_MAX).retry(ask, OSError)
    except OSError as error:
        raise UpError(f"The gateway was not ready after {READY_SECONDS_MAX:.0f} s: {error}") from None


def _banner(
    url: str, event_id: int, paid_event_id: int | None, password: str, crowd: int, logs: Path, seconds: float
) -> Panel:
    rows = {
        "Fans": f"{url}/events/{event_id}",
        **({} if paid_event_id is None else {"Fans who pay": f"{url}/events/{paid_event_id} (no money moves)"}),
        "Console": f"{url}/ops",
        "Gate": f"{url}/scan",
        "Operator": f"{OPERATOR}, password {password} (good until the next start)",
        "API": f"{url}/schema",
        "Crowd": f"{crowd} simulated fans" if crowd else "none; --crowd 40 sends one",
        "Logs": str(logs),
        "To stop": "Ctrl-C",
    }
    grid = Table.grid(padding=(0, 2))
    for name, text in rows.items():
        grid.add_row(Text(name, style="bold"), Text(text, overflow="fold"))
    return Panel(grid, title=f"Admit One is up after {seconds:.1f} s", expand=False)
