"""How many streams one process has open, how many it allows, and for how long each stays open."""

from __future__ import annotations

from typing import Final

from gateway.wire.problems import ProblemError
from gateway.wire.settings import StreamSettings

FULL_RETRY_SECONDS: Final = 5


class StreamSlots:
    """Counts the open streams of a process, of all kinds together, and refuses those beyond the bound."""

    def __init__(self, settings: StreamSettings) -> None:
        self.streams_max = settings.per_process_max
        self.seconds_max = settings.seconds_max
        self.send_seconds_max = settings.send_seconds_max
        self.open = 0

    def require_free(self) -> None:
        """Refuse a stream before anything is read for it.

        Raises:
            ProblemError: ``too_many_streams``.
        """
        if self.open >= self.streams_max:
            raise ProblemError("too_many_streams", retry_after_seconds=FULL_RETRY_SECONDS)

    def take(self) -> None:
        """Count one more open stream, to be released when it has ended.

        Raises:
            ProblemError: ``too_many_streams``.
        """
        self.require_free()
        self.open += 1

    def release(self) -> None:
        """A stream has ended."""
        self.open -= 1
