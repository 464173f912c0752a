"""Every finding of `admitone doctor` is brought about on real servers, and gone once it is mended."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import signal
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest
import redis
import trustme
from msgspec.structs import replace
from rich.console import Console
from typer.testing import CliRunner

from admitone.cli import app
from admitone.doctor.examination import examine, exit_code
from admitone.doctor.finding import Finding, Level
from admitone.doctor.report import show
from admitone.doctor.site import open_site
from admitone.embedded.postgres import EmbeddedPostgres
from admitone.embedded.process import package_folder
from admitone.embedded.valkey import EmbeddedValkey
from admitone.settings import ROWS, Settings
from booking_lane.lane import lane_of, rq_queue
from db.connections.schema_head import head
from db.events.seed import RoomSeed
from db.migrate import migrate
from tests.client import Fan
from tests.factories import environ_of, make_event, plan_event, write_hold
from tests.services import Service, Services
from tests.waiting import await_that
from waiting_room.keys import room_key, room_keys

SECRET = "Kq3vT8wZ1nB6yR4mX9cL2jH7dF5gS0pA"
METRICS_TOKEN = "4c1b7e90d2a8f3655c1b7e90"
LANES = 2
SEEN_SECONDS_MAX = 20.0
SCREEN = (110, 50)
"""Columns and lines of a terminal on a laptop."""
FAKETIME = package_folder("libfaketime") / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"


@dataclass
class Ground:
    """A site whose servers are its own, with one event on sale, and a doctor who knows the way there."""

    postgres: EmbeddedPostgres
    valkey: EmbeddedValkey
    services: Services
    event_id: int = 0
    gateway: Service = field(init=False)
    worker: Service = field(init=False)

    def settings(self, **changes: Any) -> Settings:
        """``changes`` are named by their variables; unlike the environment's they may be unsafe."""
        given: dict[str, Any] = {
            "DATABASE_URL": self.postgres.url,
            "REDIS_URL": self.valkey.url,
            "ADMITONE_SECRET": SECRET,
            "ADMITONE_LANES": LANES,
            "ADMITONE_ENV": "production",
            "ADMITONE_TRUSTED_PROXIES": "127.0.0.1",
            "ADMITONE_METRICS_TOKEN": METRICS_TOKEN,
        }
        settings = Settings()
        rows = {row.variable: row for row in ROWS}
        for variable, value in (given | changes).items():
            row = rows[variable]
            section = replace(getattr(settings, row.section), **{row.field: value})
            settings = replace(settings, **{row.section: section})
        return settings

    def examine(self, *, embedded: tuple[str, ...] = (), url: str = "", **changes: Any) -> dict[str, Finding]:
        """By code; of several with the same, the worst."""
        with open_site(self.settings(**changes), embedded, url) as site:
            found = examine(site)
        return {one.code: one for one in sorted(found, key=lambda one: one.level)}

    def bad(self, **changes: Any) -> set[str]:
        """The codes of what is not well."""
        return {code for code, one in self.examine(**changes).items() if one.level > Level.OK}

    def await_bad(self, code: str, **changes: Any) -> Finding:
        found = self._await(code, lambda one: one is not None and one.level > Level.OK, changes)
        assert found is not None
        return found

    def await_well(self, code: str, **changes: Any) -> None:
        self._await(code, lambda one: one is None or one.level == Level.OK, changes)

    def _await(self, code: str, wished: Callable[[Finding | None], bool], changes: dict[str, Any]) -> Finding | None:
        until = time.monotonic() + SEEN_SECONDS_MAX
        while True:
            found = self.examine(**changes)
            if wished(found.get(code)):
                return found.get(code)
            assert time.monotonic() < until, (code, found)
            time.sleep(0.2)

    def redis(self) -> redis.Redis:
        return redis.Redis.from_url(self.valkey.url, socket_timeout=10)

    def sql(self, statement: str, *parameters: object) -> None:
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            connection.execute(statement.encode(), parameters or None)

    @contextlib.contextmanager
    def postgres_set(self, name: str, value: str) -> Iterator[None]:
        self.sql(f"ALTER SYSTEM SET {name} = {value}")
        self.sql("SELECT pg_reload_conf()")
        try:
            yield
        finally:
            self.sql(f"ALTER SYSTEM RESET {name}")
            self.sql("SELECT pg_reload_conf()")

    @contextlib.contextmanager
    def valkey_set(self, name: str, value: str) -> Iterator[None]:
        with self.redis() as client:
            before = client.config_get(name)[name]
            client.config_set(name, value)
            try:
                yield
            finally:
                client.config_set(name, before)

    @contextlib.contextmanager
    def asleep(self, *roles: str) -> Iterator[None]:
        """Workers that RQ's registry names, stopped; `gateway` for the gateway."""
        processes = [self.process_of(role) for role in roles]
        for process in processes:
            process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for process in processes:
                process.send_signal(signal.SIGCONT)

    def process_of(self, role: str) -> psutil.Process:
        if role == "gateway":
            return psutil.Process(self.gateway.pid)
        # A worker ends where Redis takes no writes as a job of its ends, and is started anew.
        await_that(lambda: len(self._signs(role)) == 1)
        (sign,) = self._signs(role)
        return psutil.Process(int(sign.decode().rpartition(":")[2]))

    def _signs(self, role: str) -> list[bytes]:
        with self.redis() as client:
            keys = client.keys(f"booking:alive:{role}:*")
            return [sign for sign in client.mget(keys) if sign is not None] if keys else []

    def fan(self) -> Fan:
        fan = Fan.arrive(self.gateway.url)
        assert fan.join(self.event_id).json["state"] == "admitted"
        return fan

    @property
    def lane(self) -> str:
        return f"lane-{lane_of(self.event_id, LANES)}"


@pytest.fixture(scope="module")
def ground(servers_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Nobody runs yet but the servers, and these are durable, as production's."""
    with (
        EmbeddedPostgres(servers_folder / "doctor-pg") as postgres,
        EmbeddedValkey(servers_folder / "doctor-valkey") as valkey,
    ):
        further = {
            "ADMITONE_SECRET": SECRET,
            "ADMITONE_LANES": str(LANES),
            "ADMITONE_ENV": "production",
            "ADMITONE_METRICS_TOKEN": METRICS_TOKEN,
            "ADMITONE_STREAMS_MAX": "100",
            "ADMITONE_REBUILD_SECONDS": "3",
        }
        services = Services(environ_of(postgres.url, valkey.url, further), tmp_path_factory.mktemp("doctor"))
        try:
            yield Ground(postgres, valkey, services)
        finally:
            services.stop()


def test_a_bare_server_lacks_everything_and_a_started_site_lacks_nothing(ground: Ground, tmp_path: Path) -> None:
    """Runs first: the others build on what it starts."""
    found = ground.examine()
    assert found["migrations"].level == Level.ERROR
    assert "missing" in found["migrations"].says
    assert {"gateways", "lane-0", "lane-1", "housekeeping", "cron"} <= ground.bad()

    migrate(ground.postgres.url)
    ground.event_id = make_event(ground.postgres.url, plan_event(room=RoomSeed(rate_per_minute=600_000, capacity=1000)))
    ground.worker = ground.services.worker()
    ground.gateway = ground.services.gateway()
    for part in ("gateways", "lane-0", "lane-1", "housekeeping", "cron", "rooms"):
        ground.await_well(part)
    with _tls_front(ground, tmp_path) as (url, authority):
        answer = _run(ground, "--url", url, SSL_CERT_FILE=authority, ADMITONE_TRUSTED_PROXIES="127.0.0.1")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "findings are well" in answer.stdout
    width, height = SCREEN
    screen = io.StringIO()
    show(list(ground.examine().values()), 0, Console(file=screen, force_terminal=True, width=width))
    assert len(screen.getvalue().splitlines()) <= height, screen.getvalue()
    assert f":{ground.gateway.pid})" in answer.stdout


def test_postgres(ground: Ground) -> None:
    for name in ("fsync", "synchronous_commit", "full_page_writes"):
        with ground.postgres_set(name, "off"):
            found = ground.await_bad(f"postgres_{name}")
            assert found.level == Level.ERROR
            assert f"{name} = on" in found.fix
            assert ground.examine(ADMITONE_ENV="development")[f"postgres_{name}"].level == Level.WARNING
        ground.await_well(f"postgres_{name}")
    with ground.postgres_set("default_transaction_read_only", "on"):
        ground.await_bad("postgres")
    ground.await_well("postgres")
    for revision in ("0001", "9999"):
        ground.sql("UPDATE alembic_version SET version_num = %s", revision)
        assert "migrations" in ground.bad()
        ground.sql("UPDATE alembic_version SET version_num = %s", head())
    assert "migrations" not in ground.bad()
    away = ground.examine(DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing")
    assert away["postgres"].level == Level.ERROR
    assert exit_code(list(away.values())) == 2


def test_valkey(ground: Ground) -> None:
    for name, value, code in (
        ("appendonly", "no", "line_redis_appendonly"),
        ("appendfsync", "no", "line_redis_appendfsync"),
        ("maxmemory-policy", "allkeys-lru", "line_redis_eviction"),
    ):
        assert code not in ground.bad()
        with ground.valkey_set(name, value):
            assert ground.examine()[code].level == Level.ERROR
        assert code not in ground.bad()
    with ground.redis() as client:
        used = int(client.info("memory")["used_memory"])
    with ground.valkey_set("maxmemory", str(used // 2)):
        assert ground.examine()["line_redis"].says.endswith("takes no writes")
    with ground.valkey_set("maxmemory", str(used * 10 // 9)):
        assert "line_redis_memory" in ground.bad()
    assert not {"line_redis", "line_redis_memory"} & ground.bad()
    away = ground.examine(REDIS_URL="redis://127.0.0.1:1/0")
    assert away["line_redis"].level == Level.ERROR
    # Another Redis for the jobs alone is looked at by itself.
    assert "jobs_redis" in ground.bad(ADMITONE_JOBS_REDIS_URL="redis://127.0.0.1:1/0")


@pytest.mark.long
def test_gateways(ground: Ground) -> None:
    codes = {"secrets_differ", "lanes_differ", "postgres_connections"}
    assert not codes & ground.bad()
    other = ground.services.gateway(
        ADMITONE_SECRET=SECRET[::-1], ADMITONE_LANES="3", ADMITONE_DB_POOL_MAX="100", ADMITONE_ENV="development"
    )
    found = ground.examine()
    assert {code for code, one in found.items() if one.level > Level.OK} >= codes
    assert "2 gateway processes" in found["gateways"].says
    assert "cookies" in ground.bad(url=other.url)
    # It counts a lane that nobody works.
    ground.await_bad("gateway_not_ready")
    other.kill()
    assert "public_url" in ground.bad(url=other.url)
    ground.await_well("lanes_differ")
    assert not codes & ground.bad()
    assert "1 gateway process" in ground.examine()["gateways"].says

    process = psutil.Process(ground.gateway.pid)
    soft, hard = process.rlimit(psutil.RLIMIT_NOFILE)
    process.rlimit(psutil.RLIMIT_NOFILE, (200, hard))
    assert "may open 200 files" in ground.await_bad("open_files").says
    process.rlimit(psutil.RLIMIT_NOFILE, (soft, hard))
    ground.await_well("open_files")


@pytest.mark.long
def test_two_workers_on_a_lane(ground: Ground) -> None:
    second = ground.services.start("worker", "--lane", "0")
    assert "2 workers" in ground.await_bad("lane-0").says
    second.stop()
    ground.await_well("lane-0")


def test_workers_and_lanes(ground: Ground) -> None:
    fan = ground.fan()
    with ground.asleep(ground.lane):
        assert fan.reserve(ground.event_id, [(1, 1, 1)], wait=0).status == 202
        ground.await_bad(f"{ground.lane}_backlog")
        ground.await_bad(ground.lane)
    ground.await_well(f"{ground.lane}_backlog")
    ground.await_well(ground.lane)

    with ground.redis() as client:
        queue = rq_queue(client, "housekeeping")
        for failed in queue.failed_job_registry.get_job_ids():  # while another test had Postgres read only
            queue.failed_job_registry.remove(failed, delete_job=True)
        assert "housekeeping_failed" not in ground.bad()
        job = queue.enqueue("workers.jobs.there_is_no_such_job", failure_ttl=3600)
        ground.await_bad("housekeeping_failed")
        queue.failed_job_registry.remove(job, delete_job=True)
    assert "housekeeping_failed" not in ground.bad()


def test_bookings_and_slots(ground: Ground) -> None:
    fan = ground.fan()
    held = fan.reserve(ground.event_id, [(1, 2, 1)]).result
    with ground.asleep(ground.lane):
        ground.sql(
            "UPDATE reservation SET expires_at = now() - interval '1 hour' WHERE reservation_id = %s",
            held["reservationId"],
        )
        assert "lapsed_holds" in ground.bad()
    ground.await_well("lapsed_holds")

    with psycopg.connect(ground.postgres.url) as connection:
        cancelled = make_event(connection)
        write_hold(connection, cancelled, [(1, 1, 1)])
    # Its cancellation is not at its end as long as a hold is open, which only its lane's worker closes.
    with ground.asleep(f"lane-{lane_of(cancelled, LANES)}"):
        ground.sql("UPDATE event SET state = 'cancelled' WHERE event_id = %s", cancelled)
        late = "INSERT INTO event_cancellation (event_id, cancelled_at) VALUES (%s, now() - make_interval(mins => 40))"
        ground.sql(late, cancelled)
        found = ground.examine()["cancellations"]
        assert found.level == Level.WARNING
        assert f"event {cancelled} is not at its end after 40 minutes" in found.says
    ground.await_well("cancellations")

    buyer = ground.fan()
    with ground.redis() as client:
        until = client.zscore(room_key(ground.event_id, "admitted"), str(buyer.user_id))
        place = client.hget(room_key(ground.event_id, "places"), str(buyer.user_id))
    assert until is not None
    assert place is not None
    bought = buyer.checkout(ground.event_id, buyer.reserve(ground.event_id, [(1, 3, 1)]).result["reservationId"]).result
    # The line hears of a purchase a moment after its fan; later than this it would free the slot that is written below.
    await_that(lambda: buyer.poll(ground.event_id).json["state"] == "done")

    # The slot of a fan who has bought, as a worker leaves it that dies between commit and message.
    with ground.asleep("housekeeping"), ground.redis() as client:
        ground.sql(
            "UPDATE purchase SET purchase_at = now() - interval '1 minute' WHERE purchase_id = %s", bought["purchaseId"]
        )
        admitted_at_ms = int(time.time() * 1000) - 120_000
        score, joined_at_ms, _ = cast(bytes, place).decode().split(":")
        client.zadd(room_key(ground.event_id, "admitted"), {str(buyer.user_id): until})
        client.hset(room_key(ground.event_id, "places"), str(buyer.user_id), f"{score}:{joined_at_ms}:{admitted_at_ms}")
        assert "1 slots" in ground.await_bad("slots_differ").says
    ground.await_well("slots_differ")


def test_webhooks(ground: Ground) -> None:
    url = "https://shop.example.invalid/hook"
    with psycopg.connect(ground.postgres.url) as connection:
        # Reading goes on, the dispatcher's writing waits.
        connection.execute("LOCK TABLE delivery IN SHARE ROW EXCLUSIVE MODE")
        ground.sql(
            "INSERT INTO outbox (event_id, outbox_id, kind, payload, created_at)"
            " VALUES (%s, gen_random_uuid(), 'room.paused', '{}', now() - interval '1 hour')",
            ground.event_id,
        )
        assert "outbox" in ground.bad()
    ground.await_well("outbox")
    assert not {"webhook_disabled", "webhook_late", "webhook_dead"} & ground.bad()

    ground.sql(
        "INSERT INTO webhook_endpoint (url, kinds, secret, disabled_at, disabled_why)"
        " VALUES (%s, '{room.paused}', 'secret', now(), 'gone')",
        url,
    )
    found = ground.examine()["webhook_disabled"]
    assert url in found.says
    assert "410" in found.says
    ground.sql(
        "INSERT INTO delivery (event_id, outbox_id, channel, recipient_id, state, due_at, created_at, ended_at)"
        " SELECT o.event_id, o.outbox_id, 'webhook', e.endpoint_id, 'dead', now() - interval '1 hour', now(), now()"
        " FROM outbox o, webhook_endpoint e LIMIT 1"
    )
    assert "1 messages" in ground.examine()["webhook_dead"].says
    ground.sql("UPDATE delivery SET state = 'pending', ended_at = NULL")
    assert not {"webhook_dead", "webhook_late"} & ground.bad(), "it is disabled, not late"
    with psycopg.connect(ground.postgres.url) as connection:
        connection.execute("LOCK TABLE delivery IN SHARE ROW EXCLUSIVE MODE")
        ground.sql("UPDATE webhook_endpoint SET disabled_at = NULL, disabled_why = ''")
        bad = ground.bad()
        assert "webhook_late" in bad
        assert "webhook_disabled" not in bad
    ground.await_well("webhook_late")
    ground.sql("DELETE FROM webhook_endpoint")
    assert not {"webhook_disabled", "webhook_late", "webhook_dead"} & ground.bad()


@pytest.mark.long
def test_rooms(ground: Ground) -> None:
    with ground.redis() as client, ground.asleep("gateway"):
        ground.sql("UPDATE room SET revision = revision + 1")
        assert "room_outdated" in ground.bad()
        ground.await_bad("room_not_ticked")
        ground.await_bad("gateways")
        client.delete(*room_keys(ground.event_id))
        assert "room_unknown" in ground.bad()
    ground.await_bad("room_rebuilding")
    for code in ("room_unknown", "room_outdated", "room_not_ticked", "gateways", "room_rebuilding"):
        ground.await_well(code)


def test_settings(ground: Ground) -> None:
    well = ground.bad()
    for code, changes in (
        ("env", {"ADMITONE_ENV": "development"}),
        ("open_auth", {"ADMITONE_AUTH": "open"}),
        ("secret", {"ADMITONE_SECRET": ""}),
        ("secret", {"ADMITONE_SECRET": "secret"}),
        ("secret", {"ADMITONE_SECRET": "a" * 48}),
        ("captcha", {"ADMITONE_CAPTCHA": "off"}),
        (
            "captcha",
            {"ADMITONE_CAPTCHA": "recaptcha", "ADMITONE_CAPTCHA_SECRET": "6LeIxAcTAAAAAGG-vFI1TnRWxMZNFuojJ4WifJWe"},
        ),
        ("captcha", {"ADMITONE_CAPTCHA": "recaptcha", "ADMITONE_CAPTCHA_VERIFY_URL": "http://127.0.0.1/verify"}),
        ("embedded_servers", {"embedded": ("DATABASE_URL",)}),
        ("proxy", {"ADMITONE_TRUSTED_PROXIES": ""}),
        ("metrics_token", {"ADMITONE_METRICS_TOKEN": ""}),
    ):
        assert code not in well
        assert code in ground.bad(**changes), (code, changes)


def test_front(ground: Ground) -> None:
    assert "tls" in ground.bad()  # nobody said where fans come in
    found = ground.examine(url=ground.gateway.url)
    assert found["tls"].level == Level.ERROR
    assert found["public_url"].level == Level.OK
    assert "cookies" not in found


def test_clocks(ground: Ground) -> None:
    assert "clocks" not in ground.bad()
    skewed = _run(ground, "--json", LD_PRELOAD=str(FAKETIME), FAKETIME="+5s")
    told = {one["code"]: one for one in json.loads(skewed.stdout)["findings"]}
    assert told["clocks"]["level"] == "error"
    assert "5.0 s ahead" in told["clocks"]["says"]


def test_the_command_has_a_screen_plain_lines_json_and_an_exit_code(ground: Ground) -> None:
    unsafe = _run(ground)
    assert unsafe.returncode == 2  # no proxy is trusted, nobody said where fans come in
    assert "error   proxy: " in unsafe.stdout
    assert "ok      postgres: Postgres 18" in unsafe.stdout
    assert "\x1b" not in unsafe.stdout

    environ = {**ground.services.environ, "ADMITONE_ENV": "development"}
    reminded = CliRunner().invoke(app, ["doctor", "--json", "--url", ground.gateway.url], env=environ)
    document = json.loads(reminded.stdout)
    assert (reminded.exit_code, document["status"]) == (1, "warning")
    assert {one["kind"] for one in document["findings"]} == {"up", "behind", "setup"}
    assert all(one["fix"] for one in document["findings"] if one["level"] != "ok")

    environ = {**ground.services.environ, "ADMITONE_AUTH": "open"}
    refused = CliRunner().invoke(app, ["doctor", "--json"], env=environ)
    assert refused.exit_code == 2
    assert "ADMITONE_AUTH=open" in json.loads(refused.stdout)["findings"][0]["says"]


def _run(ground: Ground, *arguments: str, **environ: str) -> Any:
    return ground.services.run("doctor", *arguments, seconds_max=60, **environ)


@contextlib.contextmanager
def _tls_front(ground: Ground, folder: Path) -> Iterator[tuple[str, str]]:
    """A proxy that ends TLS, as a site has; its address, and the file of who vouches for it."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    behind = urlsplit(ground.gateway.url)

    async def pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await source.read(65_536):
                sink.write(chunk)
        sink.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(behind.hostname, behind.port)
        await asyncio.gather(pipe(reader, back), pipe(there, writer))

    async def run(port: asyncio.Future[int], ended: asyncio.Event) -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
            port.set_result(server.sockets[0].getsockname()[1])
            await ended.wait()

    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        port, ended = loop.create_future(), asyncio.Event()
        thread = threading.Thread(target=lambda: runner.run(run(port, ended)))
        thread.start()
        try:
            until = time.monotonic() + 10
            while not port.done() and time.monotonic() < until:
                time.sleep(0.01)
            yield f"https://localhost:{port.result()}", str(folder / "authority.pem")
        finally:
            loop.call_soon_threadsafe(ended.set)
            thread.join()
