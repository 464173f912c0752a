"""Patience with what is away: one way to try again, to wait for something, and to repeat a duty.

Pauses here are for loops that are not hot. The engine has its own, which knows the deadlines of its commands.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
Errors = type[Exception] | tuple[type[Exception], ...]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long something is waited for, and the pause between two tries."""

    seconds_max: float
    pause_seconds: float = 0.05

    def retry(self, work: Callable[[], T], on: Errors) -> T:
        """Do the work until it raises none of ``on``; gives its result.

        Raises:
            Exception: one of ``on``, after ``seconds_max``; any other at once.
        """
        until = time.monotonic() + self.seconds_max
        while True:
            try:
                return work()
            except on:
                if time.monotonic() > until:
                    raise
            time.sleep(self.pause_seconds)

    async def retry_async(self, work: Callable[[], Awaitable[T]], on: Errors, what: str) -> T:
        """As `retry`; each try that failed is logged as ``<what>: <error>``."""
        until = time.monotonic() + self.seconds_max
        while True:
            try:
                return await work()
            except on as error:
                if time.monotonic() > until:
                    raise
                logger.warning("%s: %s", what, error)
            await asyncio.sleep(self.pause_seconds)

    def wait_for(self, is_so: Callable[[], bool]) -> bool:
        """Wait until it is so; whether it was within ``seconds_max``."""
        until = time.monotonic() + self.seconds_max
        while not is_so():
            if time.monotonic() > until:
                return False
            time.sleep(self.pause_seconds)
        return True

    async def wait_for_async(self, is_so: Callable[[], Awaitable[bool]]) -> bool:
        """As `wait_for`."""
        until = time.monotonic() + self.seconds_max
        while not await is_so():
            if time.monotonic() > until:
                return False
            await asyncio.sleep(self.pause_seconds)
        return True


async def repeat(
    work: Callable[[], Awaitable[object]],
    *,
    every_seconds: float,
    on: Errors,
    what: str,
    level: int = logging.WARNING,
    spread: float = 0.0,
) -> None:
    """Do the work again and again for as long as the process runs; errors of ``on`` are logged, and it goes on.

    Args:
        every_seconds: the pause after each time.
        spread: share by which the pause varies at random, so that processes do not work in step.
    """
    while True:
        try:
            await work()
        except on as error:
            logger.log(level, "%s: %s", what, error)
        await asyncio.sleep(every_seconds * random.uniform(1 - spread, 1 + spread))  # noqa: S311 - no secret
