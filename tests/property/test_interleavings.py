"""Any interleaving of two workers' batches on one event equals some serial order; and what each lock is for."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from booking_lane.commands import Command, command_id_for
from db.booking import events, outcomes
from db.booking import seats as seat_sql
from tests.integration.engine.books import body
from tests.property.engine_machine import SEATS
from tests.property.interleaving import Meeting, Pauses, Run, Stage
from tests.unit.booking_lane.asks import best, checkout, release, reserve, sweep
from workers.engine.engine import Engine

MEET_SECONDS_MAX = 0.5
A1 = (1, 1, 1)

fans = st.integers(1, 3)
seats = st.lists(st.sampled_from(SEATS), min_size=1, max_size=2, unique=True).map(lambda chosen: tuple(sorted(chosen)))
asks = st.one_of(
    st.tuples(st.just("reserve"), fans, seats),
    st.tuples(st.just("best"), fans, st.integers(1, 3)),
    st.tuples(st.sampled_from(["buy", "release", "buy own", "release own"]), fans, st.integers(0, 5)),
    st.tuples(st.just("buy seats"), fans, seats),
    st.tuples(st.sampled_from(["sweep", "same"]), fans, st.integers(0, 2)),
)
batches = st.lists(st.lists(asks, min_size=1, max_size=4), min_size=1, max_size=3)
pauses = st.lists(st.sampled_from([0, 0, 1, 4]), min_size=1, max_size=4)


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


def command(ask: tuple[str, int, Any], stage: Stage) -> Command:
    what, fan, which = ask
    event = stage.event
    holds = list(stage.model.holds.items())
    key, hold = holds[which % len(holds)] if isinstance(which, int) and holds else (uuid.UUID(int=9), None)
    owner = hold.fan if hold else fan
    match what:
        case "reserve":
            return reserve(event, fan, *which)
        case "best":
            return best(event, fan, 1, which)
        case "buy":
            return checkout(event, fan, hold=key)
        case "buy own":
            return checkout(event, owner, hold=key)
        case "release":
            return release(event, fan, key)
        case "release own":
            return release(event, owner, key)
        case "buy seats":
            return checkout(event, fan, *which)
        case "same":
            # One Idempotency-Key at both workers.
            return reserve(event, 1, SEATS[which], command_id=command_id_for(1, f"{event}/{which}"))
        case _:
            return sweep(event)


def check(run: Run) -> None:
    """Raises:
    AssertionError: no serial order explains what came of it.
    """
    assert run.failures == []
    changing = [applied for done in run.done for _, applied in done if applied.changes]
    versions = sorted(applied.changes[0].version for applied in changing)
    assert versions == list(range(run.version - len(versions) + 1, run.version + 1)), "one version a batch"
    assert run.serial_order() is not None, "no serial order comes to this"


@pytest.mark.deep
def test_any_interleaving_equals_some_serial_order(
    database_url: str, connection: psycopg.Connection[tuple[Any, ...]]
) -> None:
    assert settings.default is not None
    tried = []

    # A failure found once may not come again, for threads race: what was done is told with it.
    @settings(max_examples=settings.default.max_examples // 2, suppress_health_check=list(HealthCheck))
    @given(
        old=st.lists(st.tuples(st.just("reserve"), fans, seats), max_size=3),
        live=st.lists(st.tuples(st.just("reserve"), fans, seats), max_size=3),
        work=st.tuples(batches, batches),
        waits=st.tuples(pauses, pauses),
    )
    def interleave(old: Any, live: Any, work: Any, waits: Any) -> None:
        stage = Stage(database_url, connection)
        for asked, lapsed in ((old, True), (live, False)):
            if asked:
                stage.prepare([command(ask, stage) for ask in asked], lapsed=lapsed)
        engines = [stage.engine(Pauses(wait)) for wait in waits]
        commands = [[[command(ask, stage) for ask in batch] for batch in own] for own in work]
        run = stage.run(engines, commands)
        for engine in engines:
            engine.close()
        note(f"{[[(one, [body(o) for o in applied.outcomes]) for one, applied in done] for done in run.done]}")
        tried.append(sum(len(done) for done in run.done))
        check(run)

    interleave()
    print(len(tried), "interleavings of", sum(tried), "batches")


# -- what each lock is for


def two_choose_at_once(
    database_url: str, connection: psycopg.Connection[tuple[Any, ...]], seconds_max: float = MEET_SECONDS_MAX
) -> Run:
    """Two workers let the best seats be chosen; where nothing keeps them apart, both decide before either writes."""
    stage = Stage(database_url, connection)
    meeting = Meeting("decided", 2, seconds_max)
    engines = [stage.engine(meeting) for _ in range(2)]
    run = stage.run(engines, [[[best(stage.event, fan, 1, 2)]] for fan in (1, 2)])
    for engine in engines:
        engine.close()
    return run


def a_stranger_takes_a_seat(database_url: str, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    """Somebody else, who knows nothing of the event's lock, is selling a seat just as a fan asks for it.

    Raises:
        AssertionError: the seat was held for the fan all the same.
    """
    stage = Stage(database_url, connection)
    engine = stage.engine()
    engine.connection()
    asked = reserve(stage.event, 1, A1)
    answers: list[dict[str, Any]] = []
    with psycopg.connect(database_url) as stranger:
        stranger.execute(
            "UPDATE seat SET status = 'booked'"
            " WHERE (event_id, ticket_type_id, row_number, seat_number) = (%s, %s, %s, %s)",
            (stage.event, *A1),
        )
        fan = threading.Thread(target=lambda: answers.extend(body(o) for o in engine.apply([asked]).outcomes))
        fan.start()
        until = time.monotonic() + 10
        while time.monotonic() < until and not _engine_waits(connection):
            time.sleep(0.005)
    fan.join(10)
    engine.close()
    row = connection.execute(
        "SELECT status FROM seat WHERE (event_id, ticket_type_id, row_number, seat_number) = (%s, %s, %s, %s)",
        (stage.event, *A1),
    ).fetchone()
    assert row == ("booked",)
    assert [answer["problem"]["code"] for answer in answers] == ["seats_taken"]


def _engine_waits(connection: psycopg.Connection[tuple[Any, ...]]) -> bool:
    row = connection.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name = 'admitone-worker' AND wait_event_type = 'Lock'"
    ).fetchone()
    assert row is not None
    return bool(row[0])


def a_batch_comes_twice(database_url: str, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    """A stalled worker and the one that took its batch over: both answer alike, and it happens once.

    Raises:
        AssertionError
    """
    stage = Stage(database_url, connection)
    commands: list[Command] = [best(stage.event, 1, 1, 1), reserve(stage.event, 2, (1, 2, 1))]
    engines: list[Engine] = [stage.engine() for _ in range(2)]
    first, again = ({o.command_id: body(o) for o in engine.apply(commands).outcomes} for engine in engines)
    for engine in engines:
        engine.close()
    holds = connection.execute("SELECT count(*) FROM reservation WHERE event_id = %s", (stage.event,)).fetchone()
    assert holds == (2,), "it happened twice"
    assert again == first, "another answer to the same command"


NO_ADVISORY_LOCK = "SELECT %(space)s::bigint + e FROM unnest(%(event_ids)s::bigint[]) AS e"


def test_two_choose_apart(database_url: str, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    check(two_choose_at_once(database_url, connection))


def test_control_without_the_events_lock(
    database_url: str, connection: psycopg.Connection[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "LOCK_EVENTS", NO_ADVISORY_LOCK)
    # Both come, so that nobody waits so long, and on a busy machine neither goes on alone.
    run = two_choose_at_once(database_url, connection, seconds_max=20)
    with pytest.raises(AssertionError):
        check(run)


def test_a_strangers_seat_is_not_given(database_url: str, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    a_stranger_takes_a_seat(database_url, connection)


def test_control_without_the_seats_lock(
    database_url: str, connection: psycopg.Connection[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seat_sql, "LOCK_SEATS", seat_sql.READ_SEATS)
    with pytest.raises(AssertionError):
        a_stranger_takes_a_seat(database_url, connection)


def test_a_batch_happens_once(database_url: str, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    a_batch_comes_twice(database_url, connection)


FORGETFUL = outcomes.READ_OUTCOMES + " WHERE false\n"


def test_control_without_recorded_outcomes(
    database_url: str, connection: psycopg.Connection[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcomes, "READ_OUTCOMES", FORGETFUL)
    monkeypatch.setattr(outcomes, "WRITE_OUTCOMES", outcomes.RECORD_OUTCOMES)
    with pytest.raises(AssertionError, match="happened twice"):
        a_batch_comes_twice(database_url, connection)


def test_the_outcomes_key_is_a_second_net(
    database_url: str, connection: psycopg.Connection[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if no outcome were ever read, recording it a second time fails, and with it the second run."""
    monkeypatch.setattr(outcomes, "READ_OUTCOMES", FORGETFUL)
    with pytest.raises(AssertionError, match="another answer"):
        a_batch_comes_twice(database_url, connection)
