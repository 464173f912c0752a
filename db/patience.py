"""Patience with what is away: which errors of Postgres pass, and one way to try again, to wait and to repeat a duty.

Pauses here are for loops that are not hot. The engine has its own, which knows the deadlines of its commands.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, TypeVar

import psycopg

T = TypeVar("T")
Errors = type[Exception] | tuple[type[Exception], ...]

logger = logging.getLogger(__name__)


class Trouble(StrEnum):
    """Why a statement that failed may succeed when it is tried again."""

    CONFLICT = "conflict"
    """Another transaction was in the way, and the same connection will do."""
    AWAY = "away"
    """The server, the way to it or this session has failed, and a new connection is needed."""


# By SQLSTATE, or by its first two characters, which are its class:
# https://www.postgresql.org/docs/current/errcodes-appendix.html. An error that is not here would come again.
_TROUBLES: Final[Mapping[str, Trouble | None]] = MappingProxyType(
    {
        # The connection failed. A pooler sends this class too (08P01 as well), while its own connection lives.
        "08": Trouble.AWAY,
        # After a failover this server is a standby until it is promoted, or until the name leads to another one.
        "25006": Trouble.AWAY,
        # A time limit ended the session's transaction, because this process or the server was stalled.
        "25P03": Trouble.AWAY,
        "25P04": Trouble.AWAY,
        # A pooler gave us another session, which does not have our prepared statements, or has somebody else's.
        "26000": Trouble.AWAY,
        "42P05": Trouble.AWAY,
        # Deadlock, serialization failure, rollback. It is not known whether a commit happened where the completion is
        # unknown; a new connection tells, because outcomes are recorded.
        "40": Trouble.CONFLICT,
        "40002": None,
        "40003": Trouble.AWAY,
        # Disk, memory or connections are used up, which an operator or the end of others' work mends.
        "53": Trouble.AWAY,
        # Another session, for example a migration, has locked the row or uses the table.
        "55006": Trouble.CONFLICT,
        "55P03": Trouble.CONFLICT,
        # The server is stopping, starting or recovering; the statement or the idle session was cancelled; the database
        # was dropped, as a restored backup's predecessor is.
        "57": Trouble.AWAY,
        # The system below Postgres failed. A file that is missing or in the way (58P01, 58P02) stays so.
        "58000": Trouble.AWAY,
        "58030": Trouble.AWAY,
    }
)


def trouble_of(error: BaseException) -> Trouble | None:
    """Why the error of a statement may pass; None for an error that would come again, or that is none of Postgres'.

    An error without an SQLSTATE is libpq's or psycopg's own: the connection was refused, lost, or closed by us.
    """
    if not isinstance(error, psycopg.Error) or isinstance(error, psycopg.errors.PipelineAborted):
        return None
    if error.sqlstate is None:
        return Trouble.AWAY if isinstance(error, psycopg.OperationalError) else None
    return _TROUBLES.get(error.sqlstate, _TROUBLES.get(error.sqlstate[:2]))


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


class Apart:
    """Duties for several parts, side by side: a part that does not answer keeps the others waiting only briefly.

    Args:
        wait_seconds_max: a round goes on without the parts that take longer. Their work goes on as well, and they have
            no turn in the next rounds until it ends.
    """

    def __init__(self, wait_seconds_max: float) -> None:
        self._wait_seconds_max = wait_seconds_max
        self._late: dict[str, asyncio.Task[None]] = {}

    async def turn(self, duties: Mapping[str, Callable[[], Coroutine[Any, Any, None]]]) -> None:
        """Do the duties, which are given by the names of their parts. With one part they are waited for to the end.

        Raises:
            Exception: what a duty raised.
        """
        if len(duties) == 1 and not self._late:
            await next(iter(duties.values()))()
            return
        for name, duty in duties.items():
            if name not in self._late:
                self._late[name] = asyncio.get_running_loop().create_task(duty())
        try:
            if self._late:
                await asyncio.wait(self._late.values(), timeout=self._wait_seconds_max)
        except asyncio.CancelledError:
            for task in self._late.values():
                task.cancel()
            raise
        done = [name for name, task in self._late.items() if task.done()]
        for task in [self._late.pop(name) for name in done]:
            task.result()


class Turns:
    """One round in which each of many has a turn. A turn that fails takes no other's away.

    Args:
        what: the duty, for the log.
        on: errors of a part that is away or of a single turn. The round's first one is logged, with their number.
        others: whether any other exception ends only its turn, too; it is logged with its traceback.
    """

    def __init__(self, what: str, on: Errors, *, others: bool = True) -> None:
        self._what = what
        self._on = on
        self._others = others
        self.failed: list[Exception] = []
        self._first = ""

    @contextlib.contextmanager
    def of(self, name: object) -> Iterator[None]:
        """The turn of ``name``."""
        try:
            yield
        except self._on as error:
            if not self.failed:
                self._first = f"{name}: {error}"
            self.failed.append(error)
        except Exception as error:
            if not self._others:
                raise
            logger.exception("%s of %s failed", self._what, name)
            self.failed.append(error)

    def end(self) -> None:
        """Log what failed."""
        if self._first:
            logger.warning("%s failed %d times in a round, first of %s", self._what, len(self.failed), self._first)
