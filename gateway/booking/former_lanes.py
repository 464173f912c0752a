"""Finds the lanes at which a worker of the release before is at work, which tells every gateway of its batches.

It goes once no site upgrades from such a release any more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

from booking_lane.figures import Figures

FIRST_SECONDS: Final = 10.0
"""A process listens to all lanes for so long at first, because it cannot know yet."""
FOLLOWED_SECONDS: Final = 60.0


class FormerLanes:
    """Says whose former channels are to be listened to: of the lanes that had a batch lately that was told in the
    former way.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._all_until = now() + FIRST_SECONDS
        self._until: dict[int, float] = {}

    def on_figures(self, before: Mapping[int, Figures], after: Mapping[int, Figures]) -> None:
        """Compare two readings of the lanes' figures."""
        for lane in before.keys() & after.keys():
            done = after[lane].since(before[lane])
            if done.batches > done.told:
                self._until[lane] = self._now() + FOLLOWED_SECONDS

    def among(self, lanes: range) -> set[int]:
        """Those of these lanes whose former channel is to be listened to."""
        now = self._now()
        return {lane for lane in lanes if now < max(self._all_until, self._until.get(lane, 0.0))}
