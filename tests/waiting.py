"""Waiting for what a test knows will come."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def await_that(
    condition: Callable[[], T], seconds_max: float = 15, *, each_seconds: float = 0.05, what: str = "it"
) -> T:
    """Ask until the condition gives something true, and give that.

    Raises:
        AssertionError: it was not so within ``seconds_max``.
    """
    until = time.monotonic() + seconds_max
    while not (found := condition()):
        assert time.monotonic() < until, f"{what} was not so within {seconds_max} s"
        time.sleep(each_seconds)
    return found
