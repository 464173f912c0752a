"""Stops that come by a signal while redis-py is at work."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

import redis
from rq.exceptions import StopRequested


class CatchingRedis(redis.Redis):
    """Has its own process told to stop at its first command, and catches what is raised then, as redis-py does while it
    notes a command's figures.
    """

    signals = 0

    def execute_command(self, *args: object, **options: object) -> object:
        with suppress(StopRequested):
            if not self.signals:
                self.signals += 1
                os.kill(os.getpid(), signal.SIGTERM)
        return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
