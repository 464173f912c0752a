"""What networks have of an event, kept from one batch to the next.

A network that hundreds of fans share has hundreds of holds. To read them all with each batch cost more than to book.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

KEPT_SECONDS: Final = 2.0
"""A hold that lapses changes a network's numbers without a command, so they are read anew this often."""
EVENTS_KEPT_MAX: Final = 256
NEVER: Final = -1
"""The version of no event."""


@dataclass(slots=True)
class NetworkCounts:
    """What networks without a proof have of one event, as `db.booking.conduct` counts it, and when it was read."""

    seats: dict[str, int] = field(default_factory=dict)
    unbought: dict[str, float] = field(default_factory=dict)
    read_at: dict[str, float] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)
    """Networks whose counts were read or changed since the last batch."""
    pruned_at: float = float("-inf")
    """When what is not fresh any more was forgotten last."""

    def put(self, network: str, seats: int, unbought: float, read_at: float) -> None:
        self.seats[network] = seats
        self.unbought[network] = unbought
        self.read_at[network] = read_at
        self.touched.add(network)

    def add(self, network: str, seats: int) -> None:
        """Count seats more (or less), if the network's are counted here."""
        if network in self.seats:
            self.seats[network] += seats
            self.touched.add(network)

    def forget(self, network: str) -> None:
        del self.seats[network], self.unbought[network], self.read_at[network]


class KeptNetworks:
    """Keeps counts as `KeptRows` keeps free rows: they are used under the event's lock, only if the event has the
    version that they were kept with, and a batch puts them back only after its commit. What is near a bound is not
    kept, so that nobody is refused by what was true two seconds ago.

    Args:
        now: a clock that never goes back (seconds).
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.now = now
        self._kept: dict[int, tuple[int, NetworkCounts]] = {}

    def version_of(self, event_id: int, network: str) -> int:
        """The version of the event at which the network's counts need not be read; `NEVER` if they have to be."""
        version, counts = self._kept.get(event_id, (NEVER, None))
        return version if counts is not None and self._is_fresh(counts, network) else NEVER

    def _is_fresh(self, counts: NetworkCounts, network: str) -> bool:
        return self.now() - counts.read_at.get(network, -KEPT_SECONDS) < KEPT_SECONDS

    def take(self, event_id: int, version: int) -> NetworkCounts:
        """The counts of an event as of ``version``; none if what is kept is of another."""
        kept_version, counts = self._kept.pop(event_id, (NEVER, NetworkCounts()))
        return counts if kept_version == version else NetworkCounts()

    def keep(self, event_id: int, version: int, counts: NetworkCounts, seats_max: int) -> None:
        """Keep those of networks that have less than half of ``seats_max``. What is not fresh any more is forgotten
        every few seconds, and till then not used.
        """
        near = seats_max / 2
        for network in counts.touched:
            if counts.seats[network] > near or counts.unbought[network] > near:
                counts.forget(network)
        counts.touched.clear()
        if self.now() - counts.pruned_at >= KEPT_SECONDS:
            counts.pruned_at = self.now()
            for network in [one for one in counts.seats if not self._is_fresh(counts, one)]:
                counts.forget(network)
        if counts.seats:
            while len(self._kept) >= EVENTS_KEPT_MAX:
                del self._kept[next(iter(self._kept))]
            self._kept[event_id] = (version, counts)
