"""Follows the news of those events whose halls are in this process' memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Any, Final

from gateway.process.news import News, Topic

LOOK_SECONDS: Final = 2.0
"""An event whose hall was dropped is followed for so long at most."""
CONFIRMED_SECONDS_MAX: Final = 0.5
"""A hall that is to be read waits so long at most until Redis says that its event is followed. If Redis is away, the
comparison of versions with Postgres finds what was missed.
"""


class HallNews:
    """Follows events with the listener to the jobs' Redis.

    Args:
        topic: the events' changes.
        channel_of: returns an event's channel.
        watched: returns the events whose halls are in memory.
    """

    def __init__(
        self,
        listener: News,
        topic: Topic[Any],
        channel_of: Callable[[int], str],
        watched: Callable[[], Collection[int]],
    ) -> None:
        self._listener = listener
        self._topic = topic
        self._channel_of = channel_of
        self._watched = watched

    async def follow(self, event_id: int) -> None:
        """Follow an event, which is not forgotten while it is watched. What changes after this returned is heard."""
        channel = self._channel_of(event_id)
        await self._listener.follow_one(self._topic, channel)
        await self._listener.confirmed(channel, CONFIRMED_SECONDS_MAX)

    async def keep(self) -> None:
        """Forget, for as long as the process runs, the events that are not watched any more."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self._listener.follow(self._topic, {self._channel_of(event_id) for event_id in self._watched()})
