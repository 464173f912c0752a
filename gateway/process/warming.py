"""What a gateway loads once it serves. It starts without these, and no fan waits for them later."""

from __future__ import annotations

import asyncio
import importlib
from typing import Final

from db.search import dates

START_PAUSE_SECONDS: Final = 1.0


async def load_the_rest() -> None:
    """Load it in a thread, between whose steps requests are answered; those who waited for the start come first."""
    await asyncio.sleep(START_PAUSE_SECONDS)
    await asyncio.to_thread(dates.prepare)
    await asyncio.to_thread(importlib.import_module, "icalendar")
