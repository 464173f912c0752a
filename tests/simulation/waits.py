"""A sale on the line's real scripts, by a clock that the test moves: what each fan was told, and how long it took."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count

from redis import Redis

from tests.property.scripts import Scripts, Valkey
from waiting_room import operations
from waiting_room.eta import Eta, eta_in, forecast, seats_reach
from waiting_room.keys import room_key
from waiting_room.model import Forecast, RoomConfig, RoomCounts, Stock

EVENT = 42
HEARD = 400
"""So many at the front are heard from: of the others no script asks yet."""
HEARTBEAT_SECONDS = 5
ASK_SECONDS = 60

Foretell = Callable[[RoomCounts, int], Eta | None]


@dataclass(frozen=True, slots=True)
class Told:
    """What a fan was told ``at`` a second of the sale, and how long they then waited; None: they were never called."""

    fan: int
    at: int
    ahead: int
    eta: Eta
    waited: int | None
    warned: bool

    @property
    def true(self) -> bool:
        low, high = self.eta.eta_range
        return self.waited is not None and low <= self.waited <= high


@dataclass(frozen=True, slots=True)
class Heard:
    """What a fan hears in one second: the forecast's time, and what follows from it and the position shown."""

    at: int
    shown: int
    eta: Eta
    forecast: Forecast | None


@dataclass(slots=True)
class Crowd:
    """Who comes, and what they do. Shares are of all fans; times are seconds.

    Args:
        fans: at the first second; ``later`` come each second after it.
        no_shows: stay to the call, and never answer it.
        ghosts: are not heard from after they have joined.
        inside: how long a fan keeps the slot.
        buyers: of those who come in take two seats.
    """

    fans: int = 1500
    later: float = 0.0
    no_shows: float = 0.0
    ghosts: float = 0.0
    inside: tuple[float, float] = (20.0, 60.0)
    buyers: float = 0.7


@dataclass(slots=True)
class Sale:
    """Runs a crowd through a room.

    Args:
        changes: by the second, what the operator changes then.
        seats: None: the stock is not told.
    """

    client: Redis
    config: RoomConfig
    crowd: Crowd
    changes: dict[int, dict[str, object]] = field(default_factory=dict)
    seats: int | None = None
    foretell: Foretell = eta_in
    followed: tuple[int, ...] = ()
    """Fans to note each second what they were told, in ``heard``."""
    seed: int = 7
    heard: dict[int, list[Heard]] = field(default_factory=dict)

    def run(self, seconds: int) -> list[Told]:
        chance = random.Random(self.seed)
        valkey = Valkey(self.client, Scripts())
        line, called = room_key(EVENT, "line"), room_key(EVENT, "called")
        start_ms = valkey.now_ms
        numbers = count(1)
        kinds: dict[int, str] = {}
        called_at: dict[int, int] = {}
        told: list[tuple[int, int, int, Eta, bool]] = []
        due: list[tuple[float, str, int]] = []
        free, held, version = self.seats or 0, 0, 0
        owing = 0.0
        config = self.config
        valkey.do(operations.configure(EVENT, config))
        known_called: set[int] = set()
        for second in range(seconds):
            valkey.set_clock(start_ms + second * 1000)
            if second in self.changes:
                config = replace(config, **self.changes[second], revision=config.revision + 1)  # type: ignore[arg-type]
                valkey.do(operations.configure(EVENT, config))
            owing += self.crowd.fans if second == 0 else self.crowd.later
            if self.seats is not None:
                version += 1
                valkey.do(operations.set_stock(EVENT, Stock(free, held, version)))
            while owing >= 1:
                owing -= 1
                fan = next(numbers)
                drawn = chance.random()
                ghost = drawn < self.crowd.ghosts
                kinds[fan] = "ghost" if ghost else "stays"
                if not ghost and chance.random() < self.crowd.no_shows:
                    kinds[fan] = "no-show"
                joined = valkey.do(operations.join(EVENT, fan, None))
                if joined.state == "admitted":
                    heapq.heappush(due, (second + chance.uniform(*self.crowd.inside), "done", fan))
                    called_at[fan] = second
            if second % HEARTBEAT_SECONDS == 0:
                front = [int(fan) for fan in valkey.client.zrange(line, 0, HEARD - 1)]
                front += [int(fan) for fan in valkey.client.zrange(called, 0, -1)]
                for fans in operations.chunks(fan for fan in front if kinds[fan] != "ghost"):
                    valkey.do(operations.heartbeat(EVENT, [(fan, 0) for fan in fans]))
            while valkey.do(operations.admit(EVENT)).more:
                pass
            now_called = {int(fan) for fan in valkey.client.zrange(called, 0, -1)}
            for fan in now_called - known_called:
                called_at.setdefault(fan, second)
                if kinds[fan] == "stays":
                    heapq.heappush(due, (second + chance.uniform(0.2, 3), "claim", fan))
            known_called = now_called
            while due and due[0][0] <= second:
                _, what, fan = heapq.heappop(due)
                if what == "claim":
                    valkey.do(operations.claim(EVENT, [fan]))
                    stays = chance.uniform(*self.crowd.inside)
                    if self.seats is not None and chance.random() < self.crowd.buyers and free >= 2:
                        free, held = free - 2, held + 2
                        heapq.heappush(due, (second + stays, "bought", fan))
                    else:
                        heapq.heappush(due, (second + stays, "done", fan))
                else:
                    if what == "bought":
                        held -= 2
                    valkey.do(operations.finish(EVENT, [fan]))
            counts = self._counts(valkey)
            for fan in self.followed:
                standing = valkey.do(operations.standing(EVENT, fan, touch=False))
                if standing.shown and (eta := self.foretell(counts, standing.shown - 1)) is not None:
                    self.heard.setdefault(fan, []).append(Heard(second, standing.shown, eta, counts.forecast))
            if second % ASK_SECONDS == 0:
                reach = seats_reach(counts)
                for fan, ahead in _ranks(valkey, kinds):
                    eta = self.foretell(counts, ahead)
                    if eta is not None:
                        told.append((fan, second, ahead, eta, reach is not None and ahead >= reach))
        return [
            Told(fan, at, ahead, eta, called_at[fan] - at if fan in called_at else None, warned)
            for fan, at, ahead, eta, warned in told
            if kinds[fan] == "stays"
        ]

    def _counts(self, valkey: Valkey) -> RoomCounts:
        """As a gateway reads them, which tells another forecast where it is time for one."""
        counts = valkey.do(operations.counts(EVENT))
        told = forecast(counts)
        if told is not None and told is not counts.forecast:
            assert valkey.do(operations.publish_forecast(EVENT, counts.forecast, told))
            counts = replace(counts, forecast=told)
        return counts


def _ranks(valkey: Valkey, kinds: dict[int, str]) -> Iterator[tuple[int, int]]:
    waiting = [int(fan) for fan in valkey.client.zrange(room_key(EVENT, "line"), 0, -1)]
    for fans in operations.chunks(waiting, operations.RANKS):
        yield from zip(fans, valkey.do(operations.positions(EVENT, fans)).ranks, strict=True)
