"""Counts the open streams of a process, of all kinds together and of each session or network, and refuses those beyond.

Each holds memory and a connection, so nobody may have very many. Where all are taken, a stream that yields is ended for
one that does not: a fan in line is told of the turn by a stream, while a hall's seats can be read as well.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, Protocol

from gateway.wire.problems import ProblemError
from gateway.wire.settings import StreamSettings

FULL_RETRY_SECONDS: Final = 5


class Endable(Protocol):
    """An open stream."""

    closed: bool

    def end(self) -> None:
        """Say farewell and close."""
        ...


class StreamSlots:
    """The open streams of a process."""

    def __init__(self, settings: StreamSettings) -> None:
        self.settings = settings
        self.streams_max = settings.per_process_max
        self.open = 0
        self.of_owners: Counter[str] = Counter()
        self.yielding: dict[Endable, None] = {}

    def slot(self, owner: str = "", owner_max: int = 0, *, yields: bool = False) -> StreamSlot:
        """A slot for one stream, not taken yet.

        Args:
            owner: the session or network that the stream counts with, of which ``owner_max`` may be open; empty: none.
            yields: the stream is ended where all slots are taken and another does not yield.
        """
        return StreamSlot(self, owner, owner_max, yields=yields)

    def of_fan(self, user_id: int, *, yields: bool = False) -> StreamSlot:
        """A slot for a stream of a session."""
        return self.slot(f"fan {user_id}", self.settings.per_session_max, yields=yields)

    def of_network(self, network: str) -> StreamSlot:
        """A slot for a stream without a session; it yields."""
        return self.slot(f"network {network}", self.settings.per_network_max, yields=True)

    def make_room(self) -> None:
        """End the oldest stream that yields; its slot is free a moment later."""
        while self.yielding:
            stream = next(iter(self.yielding))
            del self.yielding[stream]
            if not stream.closed:
                stream.end()
                return


class StreamSlot:
    """The slot of one stream: taken when it is opened, released when it has ended."""

    def __init__(self, slots: StreamSlots, owner: str, owner_max: int, *, yields: bool) -> None:
        self._slots = slots
        self._owner = owner
        self._owner_max = owner_max
        self._yields = yields
        self._stream: Endable | None = None
        self.seconds_max = slots.settings.seconds_max
        self.send_seconds_max = slots.settings.send_seconds_max

    def require_free(self) -> None:
        """Refuse a stream before anything is read for it.

        Raises:
            ProblemError: ``too_many_streams``.
        """
        slots = self._slots
        is_full = slots.open >= slots.streams_max and (self._yields or not slots.yielding)
        if is_full or (self._owner and slots.of_owners[self._owner] >= self._owner_max):
            raise ProblemError("too_many_streams", retry_after_seconds=FULL_RETRY_SECONDS)

    def take(self) -> None:
        """Take the slot, to be released when the stream has ended.

        Raises:
            ProblemError: ``too_many_streams``.
        """
        self.require_free()
        slots = self._slots
        if slots.open >= slots.streams_max:
            slots.make_room()
        slots.open += 1
        if self._owner:
            slots.of_owners[self._owner] += 1

    def opened(self, stream: Endable) -> None:
        """The stream is open now."""
        if self._yields:
            self._stream = stream
            self._slots.yielding[stream] = None

    def release(self) -> None:
        """The stream has ended."""
        slots = self._slots
        slots.open -= 1
        if self._stream is not None:
            slots.yielding.pop(self._stream, None)
            self._stream = None
        if self._owner:
            slots.of_owners[self._owner] -= 1
            if slots.of_owners[self._owner] <= 0:
                del slots.of_owners[self._owner]
