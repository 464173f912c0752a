"""Trying again, waiting and repeating: what is tried, for how long, and what is raised."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest

from db.patience import Patience, repeat


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
