"""Postgres fails in every way while fans buy: what was acknowledged stays, and the sale goes on when it is back."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from booking_lane.lane import queue_name, rq_queue
from db.migrate import migrate
from tests.faults.harness import Row, Rush, Sale, append_row, running_sale
from tests.faults.postgres import FaultyPostgres, Standby, fill, mounted_tmpfs, unmount, url_of_both
from tests.faults.proxy import Proxy
from tests.integration.workers.lanes import Lanes
from tests.unit.booking_lane.asks import reserve
from tests.waiting import await_that

LANES = 2
AWAY = "Postgres is away"
TABLESPACE_MEGABYTES = 96
DISK_MEGABYTES = 512
PANICS = 3


@pytest.fixture(scope="module")
def postgres(servers_folder: Path) -> Iterator[FaultyPostgres]:
    server = FaultyPostgres(servers_folder / "faulty-postgres", durable=True)
    server.start()
    migrate(server.url)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def sale(servers_folder: Path, postgres: FaultyPostgres) -> Iterator[Sale]:
    with running_sale(servers_folder, postgres.url, ADMITONE_LANES=str(LANES)) as sale:
        yield sale


def noticed(sale: Sale, what: str = AWAY) -> int:
    """How often the workers say so."""
    return sum(worker.text().count(what) for worker in sale.workers)


def await_noticed(sale: Sale, before: int, what: str = AWAY) -> None:
    await_that(lambda: noticed(sale, what) > before, 20)


def restart(sale: Sale, postgres: FaultyPostgres, rush: Rush, number: signal.Signals) -> None:
    before = noticed(sale)
    postgres.end(number)
    await_noticed(sale, before)
    postgres.start_again()
    rush.await_recovery()


def test_killed_and_recovered(sale: Sale, postgres: FaultyPostgres) -> None:
    with sale.rush("Postgres SIGKILL and recovery") as rush:
        rush.await_normal()
        restart(sale, postgres, rush, signal.SIGKILL)


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGQUIT])
def test_ended_again_and_again(sale: Sale, postgres: FaultyPostgres, number: signal.Signals) -> None:
    name = "SIGKILL and recovery" if number == signal.SIGKILL else "immediate restart"
    with sale.rush(f"Postgres {name}") as rush:
        rush.await_normal()
        for _ in range(5):
            restart(sale, postgres, rush, number)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_backend_killed_takes_all_sessions_with_it(sale: Sale, postgres: FaultyPostgres) -> None:
    with sale.rush("Postgres backend SIGKILL, crash restart") as rush:
        rush.await_normal()
        for _ in range(5):
            before = noticed(sale)
            with postgres.connect() as connection:
                rows = connection.execute(
                    "SELECT pid FROM pg_stat_activity WHERE application_name = 'admitone-worker' ORDER BY pid"
                ).fetchall()
            os.kill(int(rows[0][0]), signal.SIGKILL)
            await_noticed(sale, before)
            rush.await_recovery()


@pytest.mark.long
@pytest.mark.timeout(300)
def test_strangers_take_every_connection(sale: Sale, postgres: FaultyPostgres) -> None:
    """They take every slot that is free, and those of the sale's sessions as they are ended."""
    with sale.rush("Postgres out of connections") as rush, contextlib.ExitStack() as strangers:
        rush.await_normal()
        connection = strangers.enter_context(postgres.connect())
        before = noticed(sale, f"{AWAY} (OperationalError)")
        refused = threading.Event()
        ending = threading.Event()

        def take_all() -> None:
            with contextlib.ExitStack() as taken:
                while not ending.is_set():
                    try:
                        taken.enter_context(psycopg.connect(postgres.url))
                    except psycopg.OperationalError:
                        refused.set()
                        time.sleep(0.001)

        hoard = threading.Thread(target=take_all)
        hoard.start()
        try:
            assert refused.wait(20)
            until = time.monotonic() + 20
            # The sale's processes and the strangers race for each slot that is freed.
            while noticed(sale, f"{AWAY} (OperationalError)") == before:
                assert time.monotonic() < until
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'admitone%'"
                )
                time.sleep(0.2)
            time.sleep(5)
        finally:
            ending.set()
            hoard.join()
        rush.await_recovery()


@pytest.fixture
def small_disk(servers_folder: Path, postgres: FaultyPostgres) -> Iterator[Path]:
    """A tablespace on a tmpfs of little size that the booking tables are moved to, and back from."""
    folder = servers_folder / "small-disk"
    if not mounted_tmpfs(folder, TABLESPACE_MEGABYTES):
        pytest.skip("a tmpfs can be mounted by root only")
    owner = (postgres.data_dir / "data").stat()
    os.chown(folder, owner.st_uid, owner.st_gid)
    try:
        with postgres.connect() as connection:
            connection.execute(sql.SQL("CREATE TABLESPACE small LOCATION {}").format(sql.Literal(str(folder))))
        yield folder
    finally:
        (folder / "ballast").unlink(missing_ok=True)
        move_tables(postgres, "pg_default")
        with postgres.connect() as connection:
            connection.execute("CHECKPOINT")
            connection.execute("DROP TABLESPACE small")
        unmount(folder)


def move_tables(postgres: FaultyPostgres, tablespace: str) -> None:
    with postgres.connect() as connection:
        for kind in ("TABLE", "INDEX"):
            for source in ("pg_default", "small"):
                if source != tablespace:
                    connection.execute(
                        sql.SQL("ALTER {} ALL IN TABLESPACE {} SET TABLESPACE {}").format(
                            sql.SQL(kind),
                            sql.Identifier(source),
                            sql.Identifier(tablespace),
                        )
                    )


@pytest.mark.long
@pytest.mark.timeout(300)
def test_the_disk_is_full(sale: Sale, postgres: FaultyPostgres, small_disk: Path) -> None:
    """Tables cannot grow; Postgres itself lives on, for its log of changes lies elsewhere."""
    move_tables(postgres, "small")
    with sale.rush("Postgres disk full (tmpfs under the tables)") as rush:
        rush.await_normal()
        for _ in range(3):
            before = noticed(sale, f"{AWAY} (DiskFull)")
            ballast = fill(small_disk)
            await_noticed(sale, before, f"{AWAY} (DiskFull)")
            time.sleep(3)
            ballast.unlink()
            rush.await_recovery()


@pytest.mark.long
@pytest.mark.timeout(300)
def test_the_disk_is_full_and_postgres_panics(servers_folder: Path) -> None:
    """All of Postgres is on the small disk: it cannot write its log of changes, and crashes over it."""
    folder = servers_folder / "small-server"
    if not mounted_tmpfs(folder, DISK_MEGABYTES):
        pytest.skip("a tmpfs can be mounted by root only")
    with contextlib.ExitStack() as stack:
        stack.callback(unmount, folder)
        postgres = FaultyPostgres(folder / "postgres", durable=True)
        postgres.log = servers_folder / "small-server.log"  # not on the disk that is full
        postgres.start()
        stack.callback(postgres.stop)
        migrate(postgres.url)
        sale = stack.enter_context(running_sale(servers_folder, postgres.url, ADMITONE_LANES=str(LANES)))
        with sale.rush("Postgres disk full (tmpfs under all of it): it panics") as rush:
            rush.await_normal()
            ended = 0
            for number in range(1, PANICS + 1):
                ballast = fill(folder)
                until = time.monotonic() + 30
                while postgres.log.read_text().count("PANIC") < number:
                    assert time.monotonic() < until, "it did not panic"
                    with contextlib.suppress(psycopg.Error), postgres.connect() as connection:
                        connection.execute("SELECT pg_logical_emit_message(false, 'fault', repeat('x', 1000000))")
                        connection.execute("SELECT pg_switch_wal()")
                    time.sleep(0.1)
                time.sleep(3)
                ballast.unlink()
                ended += postgres.start_if_ended()
                rush.await_recovery(60)
            rush.note = f"it came back by itself {PANICS - ended} times of {PANICS}"


CONFLICT = """
CREATE SEQUENCE tries;
CREATE FUNCTION conflict() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE n bigint := nextval('tries');
BEGIN
    IF n % 3 = 1 THEN RAISE EXCEPTION 'conflict' USING ERRCODE = '40001'; END IF;
    IF n % 3 = 2 THEN RAISE EXCEPTION 'conflict' USING ERRCODE = '40P01'; END IF;
    RETURN new;
END $$;
CREATE TRIGGER conflict BEFORE INSERT ON reservation FOR EACH STATEMENT EXECUTE FUNCTION conflict()
"""
NO_CONFLICT = "DROP TRIGGER conflict ON reservation; DROP FUNCTION conflict; DROP SEQUENCE tries"


@pytest.mark.long
@pytest.mark.timeout(300)
def test_serialization_errors_and_deadlocks_are_injected(sale: Sale, postgres: FaultyPostgres) -> None:
    """Two of three batches that make a hold meet one: first 40001, then 40P01, then it works."""
    before = noticed(sale, "meets another transaction")
    with sale.rush("serialization and deadlock errors in two batches of three") as rush:
        rush.await_normal()
        with postgres.connect() as connection:
            connection.execute(CONFLICT)
        try:
            await_that(lambda: noticed(sale, "meets another transaction") > before + 50, 60)
        finally:
            with postgres.connect() as connection:
                connection.execute(NO_CONFLICT)
        rush.await_recovery()


RIVAL_LOCKS = """
SELECT FROM seat WHERE event_id = %s AND seat_number %% 2 = %s FOR UPDATE
"""


@pytest.mark.long
@pytest.mark.timeout(300)
def test_another_session_deadlocks_with_the_engine(sale: Sale, postgres: FaultyPostgres) -> None:
    """It locks the hall's seats in another order, as no session of ours would."""
    name = "meets another transaction (DeadlockDetected)"
    before = noticed(sale, name)
    database = sql.Identifier("admitone")
    with postgres.connect() as connection:
        # A session looks once, so long after it began to wait: the rival must be waiting by then, and look later.
        connection.execute(sql.SQL("ALTER DATABASE {} SET deadlock_timeout = '500ms'").format(database))
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'admitone-worker'"
        )
    try:
        with sale.rush("deadlocks with another session", best_available=0.0) as rush:
            rush.await_normal()
            until = time.monotonic() + 60
            with postgres.connect() as rival:
                rival.execute("SET deadlock_timeout = '60s'")
                while noticed(sale, name) < before + 5:
                    assert time.monotonic() < until, "no deadlock in a minute"
                    with rival.transaction():
                        # Of two neighbours, the engine has the odd one already and wants the even one.
                        for odd in (0, 1):
                            rival.execute(RIVAL_LOCKS, (rush.event_id, odd))
                            time.sleep(0.2)
            rush.await_recovery()
    finally:
        with postgres.connect() as connection:
            connection.execute(sql.SQL("ALTER DATABASE {} RESET deadlock_timeout").format(database))


@pytest.mark.long
@pytest.mark.timeout(300)
def test_failover_to_a_synchronous_standby(servers_folder: Path) -> None:
    """The address moves to a standby, which takes no writes until it is promoted."""
    with contextlib.ExitStack() as stack:
        primary = FaultyPostgres(servers_folder / "primary", durable=True)
        primary.start()
        stack.callback(primary.stop)
        migrate(primary.url)
        standby = Standby(servers_folder / "standby", primary)
        standby.start()
        stack.callback(standby.stop)
        # The audit, too, has to ask whoever is the primary: all go through the proxy.
        sale_proxy, url = Proxy.before(primary.url)
        stack.callback(sale_proxy.stop)
        sale = stack.enter_context(running_sale(servers_folder, url, ADMITONE_LANES=str(LANES)))
        with sale.rush("failover to a synchronous standby") as rush:
            rush.await_normal()
            primary.end(signal.SIGKILL)
            sale_proxy.upstreams[:] = [f"{standby.data_dir}/.s.PGSQL.5432"]
            sale_proxy.cut()
            await_noticed(sale, 0, f"{AWAY} (ReadOnlySqlTransaction)")
            time.sleep(2)
            standby.promote()
            rush.await_recovery()


@pytest.mark.long
@pytest.mark.timeout(300)
def test_failover_by_a_url_of_both_servers(servers_folder: Path) -> None:
    """libpq finds the server that takes writes. No address moves, and nothing stands in between."""
    with contextlib.ExitStack() as stack:
        primary = FaultyPostgres(servers_folder / "named-primary", durable=True)
        primary.start()
        stack.callback(primary.stop)
        migrate(primary.url)
        standby = Standby(servers_folder / "named-standby", primary)
        standby.start()
        stack.callback(standby.stop)
        url = url_of_both(primary, standby)
        sale = stack.enter_context(running_sale(servers_folder, url, ADMITONE_LANES=str(LANES)))
        with sale.rush("failover by a URL of both servers") as rush:
            rush.await_normal()
            primary.end(signal.SIGKILL)
            await_noticed(sale, 0)
            standby.promote()
            rush.await_recovery()


@pytest.mark.long
@pytest.mark.timeout(300)
def test_every_command_ends_after_an_outage_beyond_all_retries(servers_folder: Path, postgres: FaultyPostgres) -> None:
    """Batches that RQ has given up by then: told ``timed_out`` once Postgres is back, and nothing has changed."""
    deadline_seconds = 2
    with (
        running_sale(
            servers_folder,
            postgres.url,
            ADMITONE_LANES=str(LANES),
            ADMITONE_COMMAND_DEADLINE_SECONDS=str(deadline_seconds),
        ) as sale,
        sale.redis() as client,
    ):
        lanes = Lanes(postgres.url, client, sale.services.environ, sale.folder)
        event_id = sale.event()
        await_that(lambda: all(lanes.alive(lane) for lane in range(LANES)))
        postgres.end(signal.SIGQUIT)
        deadline_ms = lanes.now_ms() + deadline_seconds * 1000
        commands = [reserve(event_id, fan, (1, 1, fan), deadline_ms=deadline_ms) for fan in range(1, 21)]
        lane = event_id % LANES
        for start in range(0, len(commands), 5):
            lanes.enqueue(lane, *commands[start : start + 5])
        failed = rq_queue(client, queue_name(lane)).failed_job_registry
        await_that(lambda: failed.get_job_count(cleanup=False) >= 4, 60)
        assert [lanes.answer(command) for command in commands] == [None] * len(commands)
        postgres.start_again()
        seconds, codes = lanes.await_answers(*commands, seconds_max=15)
        assert codes == ["timed_out"] * len(commands)
        with postgres.connect() as connection:
            kept = connection.execute(
                "SELECT count(*), count(*) FILTER (WHERE outcome #>> '{problem,code}' = 'timed_out')"
                " FROM booking_command WHERE event_id = %s",
                (event_id,),
            ).fetchone()
            held = connection.execute("SELECT count(*) FROM reservation WHERE event_id = %s", (event_id,)).fetchone()
        assert kept == (len(commands), len(commands))
        assert held == (0,)
        append_row(
            Row(
                at=dt.datetime.now(dt.UTC),
                fault="Postgres outage beyond all retries",
                fans=len(commands),
                acknowledged=len(commands),
                lost=0,
                doubled=0,
                overtaken=0,
                gave_up=0,
                recovery_seconds=[round(seconds, 3)],
                note="every command told timed_out, nothing changed",
            )
        )
