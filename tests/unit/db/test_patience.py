"""Trying again, waiting and repeating: what is tried, for how long, and what is raised."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter

import psycopg
import pytest

from db.patience import Apart, Patience, Trouble, Turns, repeat, trouble_of


class Flaky:
    """Fails so many times, then works."""

    def __init__(self, failures: int, error: Exception) -> None:
        self.failures = failures
        self.error = error
        self.calls = 0
        self.fifth = asyncio.Event()

    def __call__(self) -> int:
        self.calls += 1
        if self.calls == 5:
            self.fifth.set()
        if self.calls <= self.failures:
            raise self.error
        return self.calls

    async def later(self) -> int:
        return self()


async def test_work_is_tried_until_it_is_done() -> None:
    assert Patience(5, 0.001).retry(Flaky(3, OSError("away")), OSError) == 4
    assert await Patience(5, 0.001).retry_async(Flaky(3, OSError("away")).later, OSError, "waiting") == 4


async def test_patience_ends_and_the_last_error_is_raised() -> None:
    began = time.monotonic()
    with pytest.raises(ConnectionError, match="away"):
        Patience(0.05, 0.01).retry(Flaky(10_000, ConnectionError("away")), OSError)
    with pytest.raises(ConnectionError, match="away"):
        await Patience(0.05, 0.01).retry_async(Flaky(10_000, ConnectionError("away")).later, OSError, "waiting")
    assert 0.1 <= time.monotonic() - began < 5


async def test_an_error_that_is_not_named_is_raised_at_once() -> None:
    flaky = Flaky(1, ValueError("ours"))
    with pytest.raises(ValueError, match="ours"):
        Patience(5, 0.001).retry(flaky, OSError)
    assert flaky.calls == 1
    with pytest.raises(ValueError, match="ours"):
        await asyncio.wait_for(repeat(Flaky(1, ValueError("ours")).later, every_seconds=0, on=OSError, what="x"), 5)


async def test_a_try_that_failed_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    await Patience(5, 0.001).retry_async(Flaky(2, OSError("no route")).later, OSError, "waiting for Postgres")
    assert [record.getMessage() for record in caplog.records] == ["waiting for Postgres: no route"] * 2


async def test_waiting_says_whether_it_came_to_be() -> None:
    seen = iter([False, False, True])
    assert Patience(5, 0.001).wait_for(lambda: next(seen))
    assert not Patience(0.02, 0.001).wait_for(lambda: False)
    checks = iter([False, True])

    async def is_so() -> bool:
        return next(checks)

    assert await Patience(5, 0.001).wait_for_async(is_so)


async def test_a_duty_goes_on_after_errors(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    flaky = Flaky(2, OSError("away"))
    task = asyncio.create_task(
        repeat(flaky.later, every_seconds=0.001, on=OSError, what="not read", level=logging.DEBUG, spread=0.2)
    )
    await asyncio.wait_for(flaky.fifth.wait(), 5)
    task.cancel()
    assert [record.getMessage() for record in caplog.records if record.name == "db.patience"] == ["not read: away"] * 2


@pytest.mark.parametrize(
    ("sqlstate", "trouble"),
    [
        ("08006", Trouble.AWAY),  # connection failure, which a pooler sends while its own connection lives
        ("08P01", Trouble.AWAY),
        ("57P01", Trouble.AWAY),
        ("53300", Trouble.AWAY),
        ("25006", Trouble.AWAY),
        ("40001", Trouble.CONFLICT),
        ("40P01", Trouble.CONFLICT),
        ("40003", Trouble.AWAY),
        ("55P03", Trouble.CONFLICT),
        ("40002", None),
        ("58P01", None),
        ("23505", None),
        ("42P01", None),
        ("22003", None),
    ],
)
def test_whatever_says_try_again_is_waited_out(sqlstate: str, trouble: Trouble | None) -> None:
    assert trouble_of(psycopg.errors.lookup(sqlstate)("said by Postgres")) is trouble


def test_an_error_of_the_connection_itself_is_waited_out() -> None:
    assert trouble_of(psycopg.OperationalError("server closed the connection unexpectedly")) is Trouble.AWAY
    assert trouble_of(psycopg.errors.PipelineAborted("pipeline aborted")) is None
    assert trouble_of(psycopg.ProgrammingError("the query has 1 placeholder")) is None
    assert trouble_of(OSError("away")) is None


async def test_a_part_that_hangs_keeps_no_other_waiting() -> None:
    had: list[str] = []
    gate = asyncio.Event()

    async def hang() -> None:
        had.append("begun")
        await gate.wait()
        had.append("ended")

    async def work() -> None:
        had.append("worked")

    apart = Apart(0.01)
    await apart.turn({"a": hang, "b": work})
    await apart.turn({"a": hang, "b": work})
    await apart.turn({"b": work})
    assert had == ["begun", "worked", "worked", "worked"], "what is under way has no second turn"
    gate.set()
    await Apart(10).turn({"a": hang})
    await apart.turn({"b": work})
    assert Counter(had) == {"begun": 2, "ended": 2, "worked": 4}

    async def fail() -> None:
        raise OSError("away")

    with pytest.raises(OSError, match="away"):
        await apart.turn({"a": fail})
    with pytest.raises(OSError, match="away"):
        await apart.turn({"a": fail, "b": work})
    await apart.turn({"a": work})


async def test_who_ends_the_round_ends_its_duties() -> None:
    ended: list[str] = []

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("ended")

    turn = asyncio.create_task(Apart(60).turn({"a": hang, "b": hang}))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    turn.cancel()
    await asyncio.wait([turn])
    await asyncio.sleep(0)
    assert ended == ["ended", "ended"]


def test_a_turn_that_fails_takes_no_others_away(caplog: pytest.LogCaptureFixture) -> None:
    turns = Turns("the tick", OSError)
    had = []
    for name, error in (("a", OSError("away")), ("b", None), ("c", ValueError("a fault")), ("d", OSError("away"))):
        with turns.of(name):
            if error is not None:
                raise error
            had.append(name)
    turns.end()
    assert had == ["b"]
    assert len(turns.failed) == 3
    assert [record.getMessage() for record in caplog.records] == [
        "the tick of c failed",
        "the tick failed 3 times in a round, first of a: away",
    ]
    strict = Turns("the tick", OSError, others=False)
    with pytest.raises(ValueError, match="a fault"), strict.of("a"):
        raise ValueError("a fault")
