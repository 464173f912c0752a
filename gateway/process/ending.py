"""A gateway process' orderly end, from the first SIGTERM, SIGINT or SIGHUP on.

The process is not ready any more, but serves on for the drain's seconds, in which a load balancer looks elsewhere. Then
every stream gets a `bye`, requests in flight are answered, and the server ends. A second signal ends the drain at once,
and a third one does not wait for the requests in flight.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any, Final

from booking_lane.signals import end_process_within, ending_signals

EXIT_SECONDS_MAX: Final = 9.5
"""By then the process has ended, whatever hangs in it, as a thread that waits for a silent Redis or for a name."""

Handler = Callable[[int, FrameType | None], Any]


class Ending:
    """Takes the ending signals before the server's own handlers do, and calls those when the drain is over.

    Args:
        begin: called at the first signal, in its handler.
        farewell: called when streams and waiting requests are to end.
    """

    def __init__(self, drain_seconds: float, begin: Callable[[], None], farewell: Callable[[], None]) -> None:
        self._drain_seconds = drain_seconds
        self._begin = begin
        self._farewell = farewell
        self.serving = False
        """Whether there is anybody to say farewell to. A process that only waits for its servers just ends."""
        self._begun = False
        self._ended = False

    def listen(self) -> None:
        """Take the signals from here on; to be called in the running loop. Does nothing but in the main thread."""
        if threading.current_thread() is not threading.main_thread():
            return
        loop = asyncio.get_running_loop()
        terminate = signal.getsignal(signal.SIGTERM)
        for number in ending_signals():
            # uvicorn takes no SIGHUP, which would cut every stream: it is told of a SIGTERM.
            server = terminate if number == signal.SIGHUP else signal.getsignal(number)
            if callable(server):
                signal.signal(number, partial(self._on_signal, loop, server))

    def _on_signal(
        self, loop: asyncio.AbstractEventLoop, server: Handler, number: int, frame: FrameType | None
    ) -> None:
        if not self.serving:
            os._exit(0)
        if self._ended:
            # uvicorn waits for nothing more after a second SIGINT.
            server(signal.SIGINT, frame)
            return
        end = partial(self._end, server, number, frame)
        if self._begun:
            loop.call_soon_threadsafe(end)
            return
        self._begun = True
        end_process_within(EXIT_SECONDS_MAX)
        self._begin()
        loop.call_soon_threadsafe(loop.call_later, self._drain_seconds, end)

    def _end(self, server: Handler, number: int, frame: FrameType | None) -> None:
        if not self._ended:
            self._ended = True
            server(signal.SIGTERM if number == signal.SIGHUP else number, frame)
            self._farewell()
