"""Measures how late the event loop runs what is due. This delay slows every request of the process."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from typing import Final

MEASURE_EVERY_SECONDS: Final = 0.1
LAG_BOUNDS_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class LoopLag:
    """Counts how late short sleeps end, in one class for each of `LAG_BOUNDS_SECONDS` and one above them."""

    def __init__(self) -> None:
        self.classes = [0] * (len(LAG_BOUNDS_SECONDS) + 1)
        self.sum_seconds = 0.0

    async def keep(self) -> None:
        """Measure for as long as the process runs."""
        loop = asyncio.get_running_loop()
        while True:
            due_at = loop.time() + MEASURE_EVERY_SECONDS
            await asyncio.sleep(MEASURE_EVERY_SECONDS)
            late_seconds = max(0.0, loop.time() - due_at)
            self.classes[bisect_left(LAG_BOUNDS_SECONDS, late_seconds)] += 1
            self.sum_seconds += late_seconds
