"""The seats and counts of events in this process' memory: read once from Postgres, then kept current by messages.

A worker's message carries the changes of each version. If a version is missing, the event is read anew. So no request
scans a table, and an answer is only as old as a message is on its way, or about a second if messages are lost.

Whole events are read from the replica, if there is one that has the version which is wanted, and versions are compared
with the primary.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from booking_lane.results import BatchNews, EventChange, JobRecord, version_told
from db.connections.old_reads import OldReads
from db.connections.small_reads import SmallReads
from db.events.halls import READ_VERSIONS
from gateway.contract.values import ID_MAX
from gateway.hall.hall import EVENT_SECONDS, Hall, UnknownEventError
from gateway.hall.labels import NO_LABELS, HallLabels
from gateway.hall.settings import HallSettings

logger = logging.getLogger(__name__)

UNKNOWN_MAX: Final = 10_000
UNKNOWN_SECONDS: Final = 2.0
WANTED_AT_FIRST_MAX: Final = 10_000
NEWEST: Final = ID_MAX
"""A version that no event reaches, so that only the primary will do."""
BEHIND_SECONDS: Final = 0.2
VERIFY_SECONDS: Final = 0.35
KEEP_SECONDS: Final = 0.5
MIN_VERSION_SECONDS_MAX: Final = 1.0
LABELS_SECONDS_MAX: Final = 1.0
"""A job's answer waits for so long at most to say what its seats are called."""


class Halls:
    """The halls of the events that requests named. Beyond what the settings allow, the least recently used is dropped.

    Args:
        engine: connections to the primary.
        old_reads: read whole events; of the primary, if none are given.
    """

    def __init__(
        self, engine: AsyncEngine, old_reads: OldReads | None = None, settings: HallSettings | None = None
    ) -> None:
        self._engine = engine
        self._settings = settings or HallSettings()
        self._old_reads = old_reads or OldReads(engine)
        self._wanted_at_first: dict[int, int] = {}
        self._halls: OrderedDict[int, Hall] = OrderedDict()
        self._unknown: dict[int, float] = {}
        self._reloads: set[asyncio.Task[None]] = set()
        self.follow: Callable[[int], Awaitable[None]] | None = None
        """Begins to follow an event's changes, which come to `on_change` then."""

    async def current(self, event_id: int, *, version_min: int = 0) -> Hall:
        """The event's hall for a reader: at ``version_min`` or later if Postgres has reached it, and at every version
        that this process has told a client in a job's answer. The message of such a version may still be on its way.

        Raises:
            UnknownEventError: there is no such event.
            sqlalchemy.exc.OperationalError: the event must be read, and Postgres does not answer.
        """
        hall = await self.hall(event_id)
        if version_min <= hall.abandoned:
            version_min = 0
        version_min = max(version_min, hall.answered)
        if hall.version < version_min:
            await self._catch_up(hall, version_min)
        return hall

    async def hall(self, event_id: int) -> Hall:
        """The event's hall, as this process knows it.

        Raises:
            UnknownEventError: there is no such event.
            sqlalchemy.exc.OperationalError: the event must be read, and Postgres does not answer.
        """
        if not 1 <= event_id <= ID_MAX:
            raise UnknownEventError(event_id)
        hall = self._halls.get(event_id)
        if hall is None:
            until = self._unknown.get(event_id)
            if until is not None and until > time.monotonic():
                raise UnknownEventError(event_id)
            hall = Hall(event_id)
            hall = self._halls.setdefault(event_id, hall)
        else:
            self._halls.move_to_end(event_id)
        hall.used_at = time.monotonic()
        if hall.version < 0:
            await self._load_first(hall)
        return hall

    @property
    def in_memory(self) -> Collection[int]:
        """The events whose changes are to be followed."""
        return self._halls.keys()

    def known(self, event_id: int) -> Hall | None:
        """The event's hall if this process follows it; nobody counts as having looked at it."""
        hall = self._halls.get(event_id)
        return None if hall is None or hall.version < 0 else hall

    def note_answered(self, record: JobRecord) -> None:
        """Note that a client is about to be answered with this finished job, so that the client's next read shows what
        the job changed.
        """
        hall = self._halls.get(record.event_id)
        version = version_told(record.body)
        if hall is None:
            self._want_at_first(record.event_id, version)
            return
        # A job may be older than a version that Postgres has lost.
        if version > hall.abandoned:
            hall.note_answered(record.user_id, version)

    def _want_at_first(self, event_id: int, version: int) -> None:
        """Have the first reading of an event show this version, which a replica may not have yet."""
        if not self._old_reads.has_replica:
            return
        version = max(version, self._wanted_at_first.pop(event_id, -1))
        if len(self._wanted_at_first) >= WANTED_AT_FIRST_MAX:
            del self._wanted_at_first[next(iter(self._wanted_at_first))]
        self._wanted_at_first[event_id] = version

    async def labels(self, event_id: int) -> HallLabels:
        """What the event's rows and seats are called; nothing where Postgres does not say it in time, because a job's
        answer never waits for Postgres.
        """
        hall = self._halls.get(event_id)
        if hall is None or hall.version < 0:
            with contextlib.suppress(Exception):
                hall = await asyncio.wait_for(self.hall(event_id), LABELS_SECONDS_MAX)
        return NO_LABELS if hall is None else hall.labels

    async def _load_first(self, hall: Hall) -> None:
        async with hall.lock:
            if hall.version >= 0:
                return
            try:
                if self.follow is not None:
                    await self.follow(hall.event_id)
                await self._load(hall, self._wanted_at_first.get(hall.event_id, -1))
                self._wanted_at_first.pop(hall.event_id, None)
            except UnknownEventError:
                self._halls.pop(hall.event_id, None)
                if len(self._unknown) >= UNKNOWN_MAX:
                    self._unknown.clear()
                self._unknown[hall.event_id] = time.monotonic() + UNKNOWN_SECONDS
                raise
            except BaseException:
                self._halls.pop(hall.event_id, None)
                raise
        self._drop_beyond_bounds(hall)

    def _drop_beyond_bounds(self, loaded: Hall) -> None:
        """Drop the halls that were not used for longest until the others fit. A hall that has streams stays."""
        seats = sum(hall.quantity for hall in self._halls.values())
        for event_id, hall in list(self._halls.items()):
            if len(self._halls) <= self._settings.halls_max and seats <= self._settings.seats_max:
                break
            if hall is not loaded and not hall.streams and not hall.lock.locked():
                del self._halls[event_id]
                seats -= hall.quantity

    async def _catch_up(self, hall: Hall, version_min: int) -> None:
        began_at = time.monotonic()
        until = began_at + MIN_VERSION_SECONDS_MAX
        while hall.version < version_min and (left := until - time.monotonic()) > 0:
            try:
                await asyncio.wait_for(hall.changed.wait(), left)
            except TimeoutError:
                break
        # A request may name a version that never comes, so one reading serves every request that waits.
        async with hall.lock:
            if hall.version < version_min and hall.loaded_at < began_at:
                await self._load_anew(hall, version_min)
                if hall.version < version_min == hall.answered:
                    hall.abandon()

    async def _load(self, hall: Hall, version_min: int = -1) -> None:
        """Read the event. The replica is asked only for what has not gone back before anything that is known."""
        version_min = max(version_min, hall.version, hall.answered)
        if hall.is_abandoned or not await self._load_old(hall, version_min):
            await self._old_reads.read_primary(hall.load)

    async def _load_old(self, hall: Hall, version_min: int) -> bool:
        async def load(connection: AsyncConnection) -> bool | None:
            return await hall.load_old(connection, version_min) or None

        if not await self._old_reads.read_replica(load):
            return False
        # The next comparison decides whether it is read from the primary after all.
        hall.behind_since = time.monotonic() - BEHIND_SECONDS
        return True

    async def renew(self, event_id: int) -> None:
        """Read an event at once that an operator has just made or changed here. Other processes notice the new version
        by themselves (`verify`).
        """
        self._unknown.pop(event_id, None)
        hall = self._halls.get(event_id)
        if hall is None:
            self._want_at_first(event_id, NEWEST)
        elif hall.version >= 0:
            await self.reload(hall, NEWEST)

    async def reload(self, hall: Hall, version_min: int) -> None:
        """Read the event anew, at ``version_min`` if Postgres has reached it; its streams get a snapshot."""
        async with hall.lock:
            await self._load_anew(hall, version_min)

    async def _load_anew(self, hall: Hall, version_min: int) -> None:
        before = hall.version
        await self._load(hall, version_min)
        is_abandoned, hall.is_abandoned = hall.is_abandoned, False
        if hall.version != before or is_abandoned:
            snapshot = hall.snapshot_frame()
            for stream in hall.streams:
                stream.write(snapshot)

    def on_former(self, news: BatchNews) -> None:
        """A worker of the release before has told every gateway of a batch."""
        if not news.is_told:
            for change in news.changes:
                self.on_change(change)

    def on_change(self, change: EventChange) -> None:
        """Apply an event's change to its hall."""
        hall = self._halls.get(change.event_id)
        if hall is None:
            return
        if hall.lock.locked():
            # The hall is being read at this moment, perhaps for the first time, and perhaps from a snapshot without
            # this change.
            hall.missed.append(change)
        elif hall.version >= 0 and not hall.apply(change):
            self._reload_soon(hall, change.version)

    def mark_stale(self) -> None:
        """Have `verify` read every outdated event anew at its next look, because messages may have been missed."""
        for hall in self._halls.values():
            hall.behind_since = time.monotonic() - BEHIND_SECONDS

    async def keep_streams(self) -> None:
        """Keep the streams alive, and end each at the end of its time, for as long as the process runs."""
        while True:
            await asyncio.sleep(KEEP_SECONDS)
            for hall in list(self._halls.values()):
                for stream in list(hall.streams):
                    stream.keep()

    def end_streams(self) -> None:
        """End every stream, because this process ends; the clients connect to another one."""
        for hall in self._halls.values():
            for stream in list(hall.streams):
                stream.end()

    async def verify(self, reads: SmallReads) -> None:
        """Compare the halls' versions with Postgres for as long as the process runs, and read anew what is behind, or
        ahead because Postgres has lost its last versions.
        """
        while True:
            await asyncio.sleep(VERIFY_SECONDS)
            self._drop_unused()
            halls = [hall for hall in self._halls.values() if hall.version >= 0]
            if not halls:
                continue
            # Postgres has every version that a message told before this moment.
            known = [max(hall.version, hall.answered) for hall in halls]
            try:
                versions = dict(await reads.rows(READ_VERSIONS, event_ids=[hall.event_id for hall in halls]))
            except Exception as error:
                logger.warning("cannot verify versions: %s", error)
                continue
            now = time.monotonic()
            for hall, known_version in zip(halls, known, strict=True):
                version = versions.get(hall.event_id)
                if version is None:
                    self._forget(hall)
                elif version < known_version:
                    logger.warning(
                        "event %d: Postgres has gone back from version %d to %d; the event is read anew",
                        hall.event_id,
                        known_version,
                        version,
                    )
                    hall.abandon()
                    self._reload_soon(hall, version)
                elif now - hall.read_whole_at > EVENT_SECONDS:
                    self._reload_soon(hall, version)
                elif version <= hall.version:
                    hall.behind_since = None
                elif hall.behind_since is None:
                    hall.behind_since = now
                elif now - hall.behind_since >= BEHIND_SECONDS:
                    self._reload_soon(hall, version)

    def _drop_unused(self) -> None:
        """Drop the halls at which nobody has looked for long, so that their events need not be followed."""
        since = time.monotonic() - self._settings.unused_seconds
        for event_id, hall in list(self._halls.items()):
            if hall.used_at < since and not hall.streams and not hall.lock.locked():
                self._want_at_first(event_id, max(hall.version, hall.answered))
                del self._halls[event_id]

    def _forget(self, hall: Hall) -> None:
        """Drop the hall of an event that is gone, for example of a rehearsal's copy."""
        if self._halls.get(hall.event_id) is hall:
            del self._halls[hall.event_id]
        for stream in list(hall.streams):
            stream.end()

    def _reload_soon(self, hall: Hall, version_min: int) -> None:
        if hall.lock.locked():
            return
        self._reloads.add(task := asyncio.get_running_loop().create_task(self._reload_quietly(hall, version_min)))
        task.add_done_callback(self._reloads.discard)

    async def _reload_quietly(self, hall: Hall, version_min: int) -> None:
        try:
            await self.reload(hall, version_min)
        except Exception as error:
            logger.warning("event %d not read anew: %s", hall.event_id, error)
