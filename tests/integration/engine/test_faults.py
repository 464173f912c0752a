from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, LiteralString, NoReturn

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from rq.timeouts import JobTimeoutException

from booking_lane.commands import Command, Reserve
from db.booking.events import ADVISORY_SPACE
from db.connections.engines import sqlalchemy_url
from tests.integration.engine.books import Books, bodies, codes, connect
from tests.integration.on_citus import CITUS_URL
from tests.unit.booking_lane.asks import checkout, release, reserve, sweep
from tests.waiting import await_that
from workers.engine import engine as engine_module
from workers.engine.commands import RULES
from workers.engine.commands.rule import Rule
from workers.engine.engine import OutageError

A1, A2, A3 = (1, 1, 1), (1, 1, 2), (1, 1, 3)
PROBES = ["locked", "decided", "written", "committed"]
NO_CITUS = pytest.mark.skipif(
    bool(CITUS_URL), reason="made with triggers and row locks, which a cluster has not at one place"
)
THE_ENGINES = "application_name = 'admitone-worker' AND datname = current_database()"


class Faults:
    """Does something to the engine the first ``times`` it comes to ``point``."""

    def __init__(self, point: str, fault: Callable[[], object], times: int = 1) -> None:
        self.point = point
        self.fault = fault
        self.left = times
        self.reached: list[str] = []

    def __call__(self, point: str) -> None:
        self.reached.append(point)
        if point == self.point and self.left:
            self.left -= 1
            self.fault()


def kill_connections(books: Books) -> None:
    """Kill the one engine's session. The engine would take a failed assertion for its batch's, and halve it."""
    killed = books.rows("SELECT pg_terminate_backend(pid, 5000) AS ended FROM pg_stat_activity WHERE " + THE_ENGINES)
    if [row["ended"] for row in killed] != [True]:
        pytest.fail(f"one session is to end: {killed}")


def await_no_engine(books: Books) -> None:
    """Until Postgres lists no session of an engine; on a busy machine one that was closed stays for a moment."""
    listed = "SELECT count(*) FROM pg_stat_activity WHERE " + THE_ENGINES
    await_that(lambda: books.number(listed) == 0, what="the sessions have ended")


@contextmanager
def event_locked(books: Books) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    """Another session holds the event's lock meanwhile."""
    with connect(books.database_url) as other:
        key = ADVISORY_SPACE + books.event
        other.execute("SELECT pg_advisory_lock(%s)", (key,))
        yield other
        other.execute("SELECT pg_advisory_unlock(%s)", (key,))


def await_waiting(books: Books, seconds: float = 5) -> None:
    """Until an engine waits for a lock."""
    until = time.monotonic() + seconds
    while not books.number("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND " + THE_ENGINES):
        assert time.monotonic() < until, "the engine waits for no lock"
        time.sleep(0.005)


# -- poison


def seat_of(fan: int) -> tuple[int, int, int]:
    return (1, 1 + fan // 20, 1 + fan % 20)


POISONS: dict[str, Callable[[int], Command]] = {
    "a seat no integer column can hold": lambda event: reserve(event, 1000, (1, 1, 2**40)),
    "a seat no JSON column can hold": lambda event: checkout(event, 1000, (1, 2**62, 1)),
    "a fan no bigint can hold": lambda event: reserve(event, 2**63, (1, 20, 20)),
    "an event no bigint can hold": lambda event: reserve(2**63, 1000, (1, 20, 20)),
}


@pytest.mark.parametrize("poison", POISONS)
def test_a_poisonous_command_fails_alone(books: Books, poison: str) -> None:
    commands: list[Command] = [reserve(books.event, fan, seat_of(fan)) for fan in range(1, 256)]
    commands.insert(101, POISONS[poison](books.event))
    engine = books.engine()
    applied = engine.apply(commands)
    found = codes(applied, *commands)
    assert found.pop(101) == "internal_error"
    assert set(found) == {"ok"}
    assert len(found) == 255
    before = books.everything()
    again = engine.apply(commands)
    assert bodies(again, *commands) == bodies(applied, *commands)
    assert books.everything() == before


def fail(*_: object) -> NoReturn:
    raise ZeroDivisionError


def test_a_failure_of_ours_is_an_outcome_for_good(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a fan has been told that nothing was changed, no re-run may change anything."""
    engine = books.engine()
    command = reserve(books.event, 1, A1)
    with monkeypatch.context() as broken:
        broken.setitem(RULES, Reserve, Rule(RULES[Reserve].needs, fail))
        assert codes(engine.apply([command, sweep(books.event)]), command) == ["internal_error"]
    assert codes(engine.apply([command]), command) == ["internal_error"]
    assert books.statuses() == {}


def test_an_earlier_outcome_stands_against_a_failure(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = books.engine()
    command = reserve(books.event, 1, A1)
    first = bodies(engine.apply([command]), command)
    with monkeypatch.context() as broken:
        broken.setattr(engine_module, "lock_and_read", lambda *_, **__: 1 / 0)
        assert bodies(engine.apply([command]), command) == first


def test_a_poisonous_sweep_harms_nobody(books: Books) -> None:
    commands: list[Command] = [sweep(2**63), reserve(books.event, 1, A1), sweep(books.event)]
    assert codes(books.engine().apply(commands), *commands) == ["ok"]


# -- other transactions


@NO_CITUS
def test_a_deadlock_is_tried_again(books: Books, caplog: pytest.LogCaptureFixture) -> None:
    name = books.connection.info.dbname
    books.connection.execute(sql.SQL("ALTER DATABASE {} SET deadlock_timeout = '20ms'").format(sql.Identifier(name)))
    lock: LiteralString = """
        SELECT 1 FROM seat WHERE (event_id, ticket_type_id, row_number, seat_number) = (%s, 1, 1, %s) FOR UPDATE
    """
    engine = books.engine()
    commands: list[Command] = [reserve(books.event, 1, A1, A2)]
    found: list[str] = []
    batch = threading.Thread(target=lambda: found.extend(codes(engine.apply(commands), *commands)))
    with connect(books.database_url) as other:
        other.execute("SET deadlock_timeout = '10s'")  # so that the engine is the one to find it
        with other.transaction():
            other.execute(lock, (books.event, 2))
            batch.start()
            await_waiting(books)
            other.execute(lock, (books.event, 1))
    batch.join(10)
    assert found == ["ok"]
    assert "DeadlockDetected" in caplog.text
    assert books.version() == 1


@NO_CITUS
@pytest.mark.parametrize("sqlstate", ["40001", "40P01", "55P03"])
def test_conflicts_are_tried_again(books: Books, caplog: pytest.LogCaptureFixture, sqlstate: str) -> None:
    books.connection.execute(
        sql.SQL(
            """
            CREATE SEQUENCE tries;
            CREATE FUNCTION conflict() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF nextval('tries') <= 3 THEN RAISE EXCEPTION 'conflict' USING ERRCODE = {}; END IF;
                RETURN new;
            END $$;
            CREATE TRIGGER conflict BEFORE INSERT ON reservation FOR EACH ROW EXECUTE FUNCTION conflict();
            """
        ).format(sqlstate)
    )
    command = reserve(books.event, 1, A1)
    assert codes(books.engine().apply([command]), command) == ["ok"]
    assert caplog.text.count("trying again") == 3
    assert books.version() == 1


@NO_CITUS
def test_a_batch_that_only_conflicts_gives_up(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.engine.engine.RETRY_PAUSE_SECONDS", 0.0001)
    books.connection.execute(
        """
        CREATE FUNCTION conflict() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'conflict' USING ERRCODE = '40001'; END $$;
        CREATE TRIGGER conflict BEFORE INSERT ON reservation FOR EACH ROW EXECUTE FUNCTION conflict();
        """
    )
    with pytest.raises(psycopg.errors.SerializationFailure):
        books.engine().apply([reserve(books.event, 1, A1)])
    assert books.statuses() == {}


# -- Postgres gone


@pytest.mark.parametrize("point", PROBES)
def test_a_connection_killed_at_any_point_applies_once(books: Books, point: str) -> None:
    held = reserve(books.event, 9, A3)
    (hold,) = bodies(books.engine().apply([held]), held)
    books.engines.pop().close()
    await_no_engine(books)
    faults = Faults(point, lambda: kill_connections(books))
    engine = books.engine(probe=faults)
    commands: list[Command] = [
        reserve(books.event, 1, A1),
        checkout(books.event, 1, A1),
        release(books.event, 9, hold["reservationId"]),
        reserve(books.event, 2, A2),
        reserve(books.event, 3, A2),
    ]
    if point == "committed":
        # The transaction is done; what the connection's end costs shows at the next.
        assert codes(engine.apply(commands), *commands) == ["ok", "ok", "ok", "ok", "seats_taken"]
    assert codes(engine.apply(commands), *commands) == ["ok", "ok", "ok", "ok", "seats_taken"]
    assert faults.left == 0
    assert books.statuses() == {A1: "booked", A2: "reserved"}
    assert books.number("SELECT count(*) FROM purchase") == 1
    assert books.number("SELECT count(*) FROM reservation") == 3
    assert books.version() == 2


def test_an_answer_lost_after_the_commit_is_found_again(books: Books) -> None:
    """Postgres has committed, and the worker only hears that its connection is gone."""

    def lose_the_answer() -> None:
        kill_connections(books)
        engine.connection().execute("SELECT 1")

    faults = Faults("committed", lose_the_answer)
    engine = books.engine(probe=faults)
    commands: list[Command] = [reserve(books.event, 1, A1), checkout(books.event, 1, A1)]
    assert codes(engine.apply(commands), *commands) == ["ok", "ok"]
    assert faults.reached.count("committed") == 2
    assert books.version() == 1
    assert books.number("SELECT count(*) FROM purchase") == 1


def test_an_outage_is_waited_out(books: Books, caplog: pytest.LogCaptureFixture) -> None:
    name = sql.Identifier(books.connection.info.dbname)
    with connect(make_conninfo(books.database_url, dbname="postgres")) as other:
        other.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        back = threading.Timer(
            0.3, lambda: other.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))
        )
        back.start()
        command = reserve(books.event, 1, A1)
        applied = books.engine().apply([command])
        back.join()
    assert codes(applied, command) == ["ok"]
    assert "Postgres is away" in caplog.text


def test_an_outage_beyond_its_time_is_told(books: Books) -> None:
    engine = books.engine(outage_seconds_max=0)
    engine._database_url = sqlalchemy_url(books.database_url).set(database="gone").render_as_string(False)
    command = reserve(books.event, 1, A1)
    with pytest.raises(OutageError):
        engine.apply([command])
    engine._database_url = books.database_url
    assert codes(engine.apply([command]), command) == ["ok"]


def test_a_cancelled_statement_is_no_poison(books: Books) -> None:
    """As the statement timeout does while another session sits on the event's lock."""
    engine = books.engine()
    commands: list[Command] = [reserve(books.event, 1, A1)]
    found: list[str] = []
    batch = threading.Thread(target=lambda: found.extend(codes(engine.apply(commands), *commands)))
    with event_locked(books):
        batch.start()
        await_waiting(books)
        books.rows("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE " + THE_ENGINES)
        await_waiting(books)
    batch.join(10)
    assert found == ["ok"]


def test_rqs_time_limit_ends_the_batch_and_spoils_nothing(books: Books) -> None:
    """RQ raises in the midst of anything, from a signal: here while the engine waits for the event's lock."""

    def time_is_up(signum: int, frame: FrameType | None) -> None:
        raise JobTimeoutException

    def alarm() -> None:
        await_waiting(books)
        os.kill(os.getpid(), signal.SIGUSR1)

    engine = books.engine()
    commands: list[Command] = [reserve(books.event, fan, seat_of(fan)) for fan in range(1, 5)]
    before = signal.signal(signal.SIGUSR1, time_is_up)
    try:
        with event_locked(books):
            ringing = threading.Thread(target=alarm)
            ringing.start()
            with pytest.raises(JobTimeoutException):
                engine.apply(commands)
            ringing.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert codes(engine.apply(commands), *commands) == ["ok"] * 4


def test_a_stalled_worker_does_not_keep_the_locks(books: Books) -> None:
    setting = "SELECT current_setting(%s)"
    connection = books.engine().connection()
    limits = {}
    for name in ("idle_in_transaction_session_timeout", "statement_timeout"):
        row = connection.execute(setting, (name,)).fetchone()
        assert row is not None
        limits[name] = row[0]
    assert limits == {"idle_in_transaction_session_timeout": "10s", "statement_timeout": "30s"}
