"""The list of the fans who have streams here, for each event: the line hears of differences, and renews one lease.

While the lease is renewed, every fan on the list counts as connected. A gateway that dies renews none, and its fans
have the same time to connect elsewhere as a fan whose own sign of life stays away.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from itertools import count
from typing import Final
from uuid import uuid4

from redis.exceptions import RedisError

from waiting_room.errors import RoomUnknown
from waiting_room.line import Line
from waiting_room.model import ListChanges
from waiting_room.operations import chunks

logger = logging.getLogger(__name__)

NEAR: Final = 1_000
"""A shown position up to this one is told at each change, so that it does not rise when this gateway is killed."""
ROUND_SECONDS_MAX: Final = 60.0
"""Each fan is told again this often at least, whatever was lost on the way."""

_PROCESS: Final = uuid4().hex[:10]
_NUMBERS: Final[Iterator[int]] = count(1)


class FanList:
    """The fans of one event who have streams at this process, as the line knows them.

    Args:
        beats_a_round: how many beats may pass until each fan is told again.
    """

    def __init__(self, line: Line, event_id: int, beats_a_round: float) -> None:
        self._line = line
        self._event_id = event_id
        self._beats_a_round = beats_a_round
        self._lock = asyncio.Lock()
        self._came: set[int] = set()
        self._left: dict[int, int] = {}
        self._lower: dict[int, int] = {}
        self._begin()

    def _begin(self) -> None:
        """Tell the list from its beginning, under a name that it never had: what was told under the old one ends with
        the old one's lease.
        """
        self._name = f"{_PROCESS}.{next(_NUMBERS)}"
        self._times_told = 0
        self._told: dict[int, int] = {}
        self._round: list[int] = []
        self._round_share = 0.0

    def came(self, fan: int) -> None:
        """A stream of the fan was opened here. The next beat tells it, though it may have been told of an older one:
        the fan may have lost a place and got another one in between.
        """
        self._came.add(fan)

    async def left(self, fan: int, shown: int, *, is_here: bool) -> None:
        """A stream of the fan was closed, which showed the position last (0: none). Tell it at once, because the next
        one may be opened at another gateway; those that close together are told together.

        Args:
            is_here: the fan has other streams here.
        """
        shown = min(filter(None, (shown, self._lower.pop(fan, 0), self._left.pop(fan, 0))), default=0)
        (self._lower if is_here else self._left)[fan] = shown
        async with self._lock:
            left, self._left, lower, self._lower = self._left, {}, self._lower, {}
            left = {fan: shown for fan, shown in left.items() if shown or fan in self._told}
            lower = {fan: shown for fan, shown in lower.items() if shown}
            try:
                if (left or lower) and await self._tell(lower, left, (), renews=False) is None:
                    await self._tell(lower, left, (), renews=False)
            except (RedisError, RoomUnknown) as error:
                logger.debug("that fans left was not told: %s", error)

    async def beat(self, look: Callable[[], Mapping[int, int]], changing: Callable[[], Collection[int]]) -> list[int]:
        """Renew the lease, and tell who came, and of whom nothing is heard any more.

        Args:
            look: gives the fans who are connected now, each with the lowest position shown (0: none).
            changing: gives those of them who are told in any case.

        Returns:
            Fans who are connected and hold no place any more.

        Raises:
            redis.RedisError, waiting_room.errors.RoomUnknown: the list is told anew with the next beat.
        """
        async with self._lock:
            here, again = look(), {*changing(), *self._came, *self._of_round()}
            self._came = set()
            if not here and not self._told:
                return []
            gone = await self._beat(here, again)
            if gone is None:
                gone = await self._beat(here, again)
            return gone or []

    def _of_round(self) -> list[int]:
        """The fans whose turn it is to be told again."""
        self._round_share += len(self._told) / self._beats_a_round
        number = int(self._round_share)
        self._round_share -= number
        if len(self._round) < number:
            self._round = list(self._told)
        first = len(self._round) - number
        turn, self._round = self._round[first:], self._round[:first]
        return turn

    async def _beat(self, here: Mapping[int, int], again: Collection[int]) -> list[int] | None:
        told = self._told
        news = {
            fan: shown
            for fan, shown in here.items()
            if fan in again or fan not in told or (0 < shown <= NEAR and shown != told[fan])
        }
        silent = [fan for fan in told if fan not in here and fan not in self._left]
        if news or silent or not self._times_told:
            return await self._tell(news, {}, silent, renews=True)
        if await self._line.renew_lease(self._event_id, self._name, self._times_told):
            return []
        self._begin()
        return None

    async def _tell(
        self, here: Mapping[int, int], left: Mapping[int, int], silent: Collection[int], *, renews: bool
    ) -> list[int] | None:
        """Tell in parts. After an error nobody knows what the line has heard, so that the list begins anew then too.

        Returns:
            The fans who hold no place any more; None if the line lost the list, which begins anew.
        """
        gone: list[int] = []
        # First those who go: the lease is renewed with the last part, and not for them.
        parts = [
            *(ListChanges(silent=part) for part in chunks(silent)),
            *(ListChanges(left=part) for part in chunks(left.items())),
            *(ListChanges(here=part) for part in chunks(here.items())),
        ] or [ListChanges()]
        parts[-1] = replace(parts[-1], renews=renews)
        for part in parts:
            try:
                reply = await self._line.tell_list(self._event_id, self._name, self._times_told, part)
            except BaseException:
                self._begin()
                raise
            if reply is None:
                self._begin()
                return None
            self._times_told += 1
            self._told.update(part.here)
            for fan in (*part.silent, *(fan for fan, _ in part.left), *reply):
                self._told.pop(fan, None)
            gone += reply
        return gone
