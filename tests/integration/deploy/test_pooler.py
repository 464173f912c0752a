"""A site behind a real PgBouncer in transaction mode: the one that is installed, or the one that PGBOUNCER names."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import LiteralString
from urllib.parse import parse_qs, urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

from admitone.crowd import CrowdPlan, run_crowd
from admitone.doctor import pooler as doctor
from admitone.doctor.site import open_site
from admitone.embedded.account import service_account
from admitone.embedded.process import spawn, stop
from admitone.settings import Settings
from db.connections import primary, replica
from db.connections.alone import locked
from db.connections.urls import PREPARING, with_pooler
from db.events.seed import RoomSeed, seed_demo
from tests.services import Services, free_port
from tests.waiting import await_that

SERVER_CONNECTIONS = 4
_OTHERS: LiteralString = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND backend_type = 'client backend'"
)
FANS = 40
PROGRAM = os.environ.get("PGBOUNCER") or shutil.which("pgbouncer", path="/usr/local/bin:/usr/sbin:/usr/bin")
KEEPS_STATEMENTS_SINCE = (1, 22)

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="PgBouncer is not installed (apt-get install pgbouncer)")

CONFIGURATION = """
[databases]
* = host={socket}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = transaction
default_pool_size = {connections}
max_client_conn = 200
logfile = {log}
"""


@dataclass
class Pooler:
    """PgBouncer before the session's Postgres."""

    port: int
    keeps_statements: bool

    def before(self, database_url: str, pooler: str = "transaction") -> str:
        """The URL of the same database through the pooler."""
        parts = urlsplit(database_url)
        user = parts.netloc.rpartition("@")[0]
        url = urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{self.port}", query=""))
        return with_pooler(url, pooler)


@pytest.fixture(scope="module")
def pooler(postgres_url: str, servers_folder: Path) -> Iterator[Pooler]:
    assert PROGRAM is not None
    socket = parse_qs(urlsplit(postgres_url).query)["host"][0]
    account = service_account(Path(socket))
    folder = servers_folder / "pgbouncer"
    folder.mkdir(mode=0o755)
    shutil.chown(folder, account.uid, account.gid)
    known = conninfo_to_dict(postgres_url)
    (folder / "users.txt").write_text(f'"{known["user"]}" "{known["password"]}"\n')
    port = free_port()
    configuration = CONFIGURATION.format(
        socket=socket,
        port=port,
        users=folder / "users.txt",
        log=folder / "pgbouncer.log",
        connections=SERVER_CONNECTIONS,
    )
    said = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True).stdout
    keeps_statements = tuple(map(int, said.split()[1].split(".")[:2])) >= KEEPS_STATEMENTS_SINCE
    if keeps_statements:
        configuration += "max_prepared_statements = 200\n"
    (folder / "pgbouncer.ini").write_text(configuration)
    process = spawn([PROGRAM, folder / "pgbouncer.ini"], log=folder / "pgbouncer.out", account=account, folder=folder)
    started = Pooler(port, keeps_statements)

    def answers() -> bool:
        try:
            psycopg.connect(started.before(postgres_url, "none")).close()
        except psycopg.OperationalError:
            assert process.poll() is None, (folder / "pgbouncer.out").read_text()
            return False
        return True

    await_that(answers)
    yield started
    stop(process)


def setting(connection: psycopg.Connection[tuple[object, ...]], name: str) -> object:
    (row,) = connection.execute("SELECT current_setting(%s)", (name,)).fetchall()
    return row[0]


def test_settings_are_in_force_in_each_transaction_and_in_no_others(pooler: Pooler, database_url: str) -> None:
    url = pooler.before(database_url)
    session = {"enable_seqscan": "off", "statement_timeout": 50, "timezone": "Asia/Tokyo"}
    with primary.connect(url, "admitone-test", session=session) as connection:
        assert setting(connection, "enable_seqscan") == "off"
        with connection.transaction():
            assert setting(connection, "timezone") == "Asia/Tokyo"
            with connection.transaction():
                assert setting(connection, "enable_seqscan") == "off"
        with pytest.raises(errors.QueryCanceled):
            connection.execute("SELECT pg_sleep(5)")
        assert setting(connection, "enable_seqscan") == "off", "the error ended one transaction alone"
        with primary.connect(url, "admitone-test") as other:
            assert (setting(other, "enable_seqscan"), setting(other, "statement_timeout")) == ("on", "0")
    with replica.connect(url, "admitone-test") as connection:
        assert setting(connection, "transaction_read_only") == "on"
        with pytest.raises(errors.ReadOnlySqlTransaction):
            connection.execute("INSERT INTO operator (name, password_hash) VALUES ('x', 'x')")


async def test_a_pool_says_its_settings_too(pooler: Pooler, database_url: str) -> None:
    pool = primary.pool(pooler.before(database_url), "admitone-test", 2, session={"enable_seqscan": "off"})
    await pool.open()
    async with pool.connection() as connection:
        rows = await connection.execute("SELECT current_setting('enable_seqscan')", prepare=True)
        assert await rows.fetchall() == [("off",)]
        async with connection.transaction():
            rows = await connection.execute("SELECT current_setting('enable_seqscan')", prepare=True)
            assert await rows.fetchall() == [("off",)]
    await pool.close()


def test_one_process_at_a_time(pooler: Pooler, database_url: str) -> None:
    url = pooler.before(database_url)
    with locked(url, "admitone-test", 7) as ours:
        assert ours
        with locked(url, "admitone-test", 7) as theirs:
            assert not theirs
    with locked(url, "admitone-test", 7) as ours:
        assert ours


def test_the_doctor_sees_the_pooler(pooler: Pooler, database_url: str, redis_url: str) -> None:
    def says(url: str, kind: str) -> list[tuple[str, str]]:
        given = {"DATABASE_URL": url, "REDIS_URL": redis_url, "ADMITONE_DB_POOLER": kind}
        with open_site(Settings.load(given), (), "") as site:
            return [(found.level.name, found.says) for found in doctor.examine(site)]

    through = pooler.before(database_url, "none")
    ((level, sentence),) = says(through, "none")
    assert (level, sentence[:34]) == ("ERROR", "DATABASE_URL leads to a pooler, wh")
    assert says(through, "transaction") == [("OK", "A pooler stands before Postgres; prepared statements are not used")]
    ((level, sentence),) = says(through, PREPARING)
    if pooler.keeps_statements:
        assert (level, sentence) == ("OK", "A pooler stands before Postgres; prepared statements are kept")
    else:
        assert (level, sentence[:50]) == ("ERROR", "The pooler does not keep prepared statements: book")
    assert says(database_url, "none") == []
    assert says(database_url, "transaction")[0][0] == "WARNING"


@pytest.mark.parametrize("kind", ["transaction", PREPARING])
async def test_a_sale_through_the_pooler(
    pooler: Pooler, services: Services, database_url: str, tmp_path: Path, kind: str
) -> None:
    """With four connections of the gateway, and four of the pooler's for the whole site."""
    if kind == PREPARING and not pooler.keeps_statements:
        pytest.skip("PgBouncer keeps prepared statements since 1.22; PGBOUNCER=/path/to/one names another")
    event_id = seed_demo(pooler.before(database_url), room=RoomSeed(rate_per_minute=60_000, capacity=30))
    services.environ = {
        **services.environ,
        "DATABASE_URL": pooler.before(database_url, "none"),
        "ADMITONE_DB_POOLER": kind,
    }
    # Traced connections to a pooler are a class of their own. Nobody takes these traces.
    worker = services.worker(ADMITONE_OTLP_ENDPOINT="http://127.0.0.1:9", ADMITONE_TRACE_RATIO="1")
    gateway = services.gateway()
    ledger = tmp_path / "ledger.jsonl"
    plan = CrowdPlan(
        base_url=gateway.url,
        event_id=event_id,
        fans=FANS,
        rate_per_second=40,
        seats_per_fan=2,
        release_hold=0.1,
        best_available=0.5,
        duration_seconds_max=60,
        ledger=ledger,
    )
    report = await run_crowd(plan, quiet=True)
    assert report.clean, (report, services.report())
    # A session that PgBouncer has left ends a moment later on a busy machine. One that went past it would stay.
    with psycopg.connect(database_url, autocommit=True) as connection:
        await_that(
            lambda: 0 < connection.execute(_OTHERS).fetchall()[0][0] <= SERVER_CONNECTIONS, what="the pooler's sessions"
        )
    for text in (gateway.text(), worker.text()):
        assert "prepared statement" not in text
        assert "Traceback" not in text
    # Twice, because what the first one left behind in the pooler's connection would be in the second one's way.
    for _ in range(2):
        audited = services.run("audit", "--ledger", str(ledger))
        assert audited.returncode == 0, audited.stdout + audited.stderr
