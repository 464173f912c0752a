"""What networks have of an event, kept from one batch to the next.

A network that hundreds of fans share has hundreds of holds. To read them all with each batch cost more than to book.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

KEPT_SECONDS: Final = 60.0
"""A hold that lapses leaves a network without a command. What is kept still has its seats, so the numbers are read anew
this often, or whoever holds much and lets it lapse would be asked for a proof too soon.
"""
EVENTS_KEPT_MAX: Final = 256
NETWORKS_KEPT_MAX: Final = 50_000
"""Of all events together."""


@dataclass(slots=True)
class NetworkCounts:
    """What networks without a proof have of one event, as `db.booking.conduct` counts it, and when it was read."""

    seats: dict[str, int] = field(default_factory=dict)
    unbought: dict[str, float] = field(default_factory=dict)
    given_back: dict[str, int] = field(default_factory=dict)
    """Seats that were given back since the network was read. Only Postgres knows for how much of them it answers."""
    read_at: dict[str, float] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)
    """Networks whose counts were read or changed since the last batch."""

    def put(self, network: str, seats: int, unbought: float, read_at: float) -> None:
        self.seats[network] = seats
        self.unbought[network] = unbought
        self.given_back.pop(network, None)
        self.read_at[network] = read_at
        self.touched.add(network)

    def add(self, network: str, seats: int) -> None:
        """Count seats more (or less), if the network's are counted here."""
        if network in self.seats:
            self.seats[network] += seats
            self.touched.add(network)

    def give_back(self, network: str, seats: int) -> None:
        """Count seats less that were held and not bought."""
        self.add(network, -seats)
        self.given_back[network] = self.given_back.get(network, 0) + seats

    def is_near(self, network: str, seats_max: int) -> bool:
        """Whether the network has half of a bound. If not, all that it holds may lapse, and it still answers for less
        than ``seats_max`` unbought seats.
        """
        unbought = self.unbought[network] + self.given_back.get(network, 0)
        return self.seats[network] > seats_max / 2 or unbought >= seats_max / 2

    def forget(self, network: str) -> None:
        del self.seats[network], self.unbought[network], self.read_at[network]
        self.given_back.pop(network, None)


class KeptNetworks:
    """Keeps counts as `KeptRows` keeps free rows: they are used under the event's lock, only if the event has the
    version that they were kept with, and a batch puts them back only after its commit. They are never too low, and what
    is near a bound is not kept, so that nobody is refused by what was true a minute ago.

    Args:
        now: a clock that never goes back (seconds).
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.now = now
        self._kept: dict[int, tuple[int, NetworkCounts]] = {}
        self._in_all = 0

    def take(self, event_id: int, version: int) -> NetworkCounts:
        """The counts of an event as of ``version``; none if what is kept is of another."""
        kept = self._kept.pop(event_id, None)
        if kept is None:
            return NetworkCounts()
        kept_version, counts = kept
        self._in_all -= len(counts.seats)
        return counts if kept_version == version else NetworkCounts()

    def due(self, counts: NetworkCounts, networks: set[str]) -> list[str]:
        """Which of these networks are to be read."""
        since = self.now() - KEPT_SECONDS
        read_at = counts.read_at
        return [network for network in networks if read_at.get(network, since) <= since]

    def keep(self, event_id: int, version: int, counts: NetworkCounts, seats_max: int) -> None:
        """Keep those that are not near ``seats_max``."""
        for network in counts.touched:
            if network in counts.seats and counts.is_near(network, seats_max):
                counts.forget(network)
        counts.touched.clear()
        if not counts.seats:
            return
        self._kept[event_id] = (version, counts)
        self._in_all += len(counts.seats)
        while len(self._kept) > EVENTS_KEPT_MAX or self._in_all > NETWORKS_KEPT_MAX:
            _, dropped = self._kept.pop(next(iter(self._kept)))
            self._in_all -= len(dropped.seats)
