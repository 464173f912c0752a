"""The end of a test's part of the product, where other parts may still be at work."""

from __future__ import annotations

import asyncio

from sqlalchemy.ext.asyncio import AsyncEngine


async def dispose(engine: AsyncEngine) -> None:
    """Close an engine's connections, after all tasks have ended that the test left running. A connection that comes
    back to a pool which is gone is closed by nobody, and fails whichever test runs when it is found.
    """
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await engine.dispose()
