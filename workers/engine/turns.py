"""Whose turn it is in the waiting list of one ticket type: the first entry that the free seats suffice for."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from db.waiting.entries import Entry


class Turns:
    """The first entries of each size, as far as a batch could serve them. Pure.

    Args:
        entries: in the order of their numbers.
        cut: sizes of which more entries wait than were read.
    """

    def __init__(self, entries: Iterable[Entry] = (), cut: Iterable[int] = ()) -> None:
        self._sizes: dict[int, deque[Entry]] = {}
        self._cut = set(cut)
        for entry in entries:
            self._sizes.setdefault(entry.quantity, deque()).append(entry)

    def are_wanted(self, free: int) -> bool:
        """Whether somebody waits whom ``free`` seats suffice for."""
        sizes = {size for size, waiting in self._sizes.items() if waiting}
        return any(size <= free for size in sizes | self._cut)

    def first(self, free: int) -> Entry | None:
        """The first entry that ``free`` seats suffice for.

        None also where it may be one that was not read: then nobody is served before the next batch has read it.
        """
        if any(size <= free and not self._sizes.get(size) for size in self._cut):
            return None
        heads = [waiting[0] for size, waiting in self._sizes.items() if waiting and size <= free]
        return min(heads, key=lambda entry: entry.number, default=None)

    def add(self, entry: Entry) -> None:
        """A fan entered, behind all others."""
        if entry.quantity not in self._cut:
            self._sizes.setdefault(entry.quantity, deque()).append(entry)

    def remove(self, entry: Entry) -> None:
        """The entry does not wait any more."""
        waiting = self._sizes.get(entry.quantity, deque())
        if entry in waiting:
            waiting.remove(entry)
