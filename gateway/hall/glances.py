"""Glances at many events, for figures that nobody acts on: what was read of an event stays while its version does."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

import psycopg

from db.connections.old_reads import OldReads
from db.connections.small_reads import SmallReads
from db.events.halls import READ_VERSIONS
from gateway.hall.hall import Hall, UnknownEventError
from gateway.hall.halls import Halls

logger = logging.getLogger(__name__)

KEPT_MAX: Final = 1_000
"""Of more events, those glanced at last are kept."""


class Glances:
    """Looks at events without keeping their halls in memory, for then this process would have to follow them."""

    def __init__(self, halls: Halls, old_reads: OldReads, reads: SmallReads) -> None:
        self._halls = halls
        self._old_reads = old_reads
        self._reads = reads
        self._kept: dict[int, Hall] = {}
        """As they were read, with their counts and without their seats."""

    async def at(self, event_ids: Sequence[int]) -> dict[int, Hall]:
        """These events with their counts, as this process knows them, or else as Postgres does. Events that are gone
        are left out.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: an event must be read, and Postgres does not answer.
        """
        found = {event_id: hall for event_id in event_ids if (hall := self._halls.known(event_id)) is not None}
        others = [event_id for event_id in event_ids if event_id not in found]
        if not others:
            return found
        try:
            versions = dict(await self._reads.rows(READ_VERSIONS, event_ids=others))
        except (psycopg.Error, OSError) as error:
            logger.warning("the events' versions are not read: %s", error)
            versions = {}
        for event_id in others:
            hall = self._kept.pop(event_id, None)
            if hall is None or versions.get(event_id) != hall.version:
                hall = Hall(event_id)
                try:
                    await self._old_reads.read(hall.load_counts)
                except UnknownEventError:
                    continue
            found[event_id] = self._kept[event_id] = hall
        while len(self._kept) > KEPT_MAX:
            del self._kept[next(iter(self._kept))]
        return found
