"""Reads that may be a little old: of the replica while it is known to be fresh, and of the primary otherwise.

A read names itself as one by coming here. What a fan has just bought, a job's outcome and an idempotency key never do.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import psycopg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from db.connections.engines import create_engine
from db.connections.lag import PRIMARY_AT, REPLICA_AT, Lag
from db.connections.look import KeptLook, hang_up
from db.patience import repeat
from db.settings import DatabaseSettings

logger = logging.getLogger(__name__)

LOOK_EVERY_SECONDS: Final = 0.2
REPLICA_SECONDS_MAX: Final = 2.0
"""A read of the replica that takes longer is made at the primary instead. So is one that waits so long to begin."""

SERVERS: Final = ("replica", "primary")

T = TypeVar("T")


class OldReads:
    """Gives reads that may be old a connection to the replica, or to the primary.

    Args:
        primary: connections to the primary.
        db: names the replica, if there is one, and how old its reads may be.

    Attributes:
        made: how many reads each of `SERVERS` was asked for, or has answered if it is the replica.
    """

    def __init__(self, primary: AsyncEngine, db: DatabaseSettings | None = None) -> None:
        db = db or DatabaseSettings()
        self._primary = primary
        self._lag_seconds_max = db.replica_lag_seconds_max
        self._lag = Lag()
        self._was_fresh = False
        self._replica: AsyncEngine | None = None
        if db.replica_url:
            self._replica = create_engine(
                db.replica_url,
                db.replica_pool_max,
                "admitone-gateway-reads",
                connect_seconds=int(REPLICA_SECONDS_MAX),
                wait_seconds=REPLICA_SECONDS_MAX,
            )
            self._looks = (
                KeptLook(db.url, "admitone-replica-lag"),
                KeptLook(db.replica_url, "admitone-replica-lag"),
            )
        self.made: Counter[str] = Counter()

    @property
    def has_replica(self) -> bool:
        return self._replica is not None

    @property
    def lag_seconds(self) -> float | None:
        """How old a read of the replica may be, infinite if that is not known; None if there is no replica."""
        return self._lag.seconds(time.monotonic()) if self.has_replica else None

    @property
    def is_fresh(self) -> bool:
        """Whether there is a replica that is fresh enough to be read."""
        return self.has_replica and self._lag.seconds(time.monotonic()) <= self._lag_seconds_max

    @property
    def engine(self) -> AsyncEngine | None:
        """The replica's pool, for figures; None if there is no replica."""
        return self._replica

    async def read(
        self, work: Callable[[AsyncConnection], Awaitable[T]], accepts: Callable[[T], bool] = lambda found: True
    ) -> T:
        """Do ``work`` on the replica, or on the primary where the replica is not fresh, fails or is slow. So ``work``
        may be done twice, and has no effect until it returns.

        Args:
            accepts: says whether what the replica gave will do. None never does.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the primary does not answer.
        """

        async def accepted(connection: AsyncConnection) -> T | None:
            found = await work(connection)
            return found if found is not None and accepts(found) else None

        found = await self.read_replica(accepted)
        return await self.read_primary(work) if found is None else found

    async def read_primary(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Do ``work`` on the primary, because the replica cannot do it.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the primary does not answer.
        """
        self.made["primary"] += 1
        async with self._primary.connect() as connection:
            return await work(connection)

    async def read_replica(self, work: Callable[[AsyncConnection], Awaitable[T | None]]) -> T | None:
        """Do ``work`` on the replica alone. None where it is not fresh, fails or is slow, or where ``work`` gives None
        because it wants something newer.
        """
        if self._replica is None or not self.is_fresh:
            return None
        try:
            async with self._replica.connect() as connection:
                driver = (await connection.get_raw_connection()).driver_connection
                assert isinstance(driver, psycopg.AsyncConnection)
                # A timeout must not cancel the statement, for psycopg would first ask the silent server to cancel it.
                timer = asyncio.get_running_loop().call_later(REPLICA_SECONDS_MAX, hang_up, driver.fileno())
                try:
                    found = await work(connection)
                finally:
                    timer.cancel()
        except (SQLAlchemyError, psycopg.Error, OSError) as error:
            logger.warning("a read of the replica failed, the primary is read: %s", error)
            # A statement that a standby cancelled, because it was in the way of what is replayed, says nothing more.
            if not isinstance(error, DBAPIError) or error.connection_invalidated:
                self._lag.forget()
            return None
        if found is not None:
            self.made["replica"] += 1
        return found

    async def keep(self) -> None:
        """Measure the lag for as long as the process runs; only where there is a replica."""
        away = (psycopg.Error, OSError)
        await repeat(self._look, every_seconds=LOOK_EVERY_SECONDS, on=away, what="replica", level=logging.DEBUG)

    async def _look(self) -> None:
        primary, replica = self._looks
        try:
            asked_at = time.monotonic()
            (position,) = await primary.row(PRIMARY_AT)
            self._lag.on_primary(asked_at, position)
            (position,) = await replica.row(REPLICA_AT)
            self._lag.on_replica(position)
        finally:
            if self.is_fresh != self._was_fresh:
                self._was_fresh = self.is_fresh
                logger.warning("reads that may be old go to the %s", "replica" if self._was_fresh else "primary")

    async def close(self) -> None:
        if self._replica is not None:
            for look in self._looks:
                await look.close()
            await self._replica.dispose()
