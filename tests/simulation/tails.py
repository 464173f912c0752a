"""A sale to its last seat on the line's real scripts, by a clock that the test moves: when each seat was sold."""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count

from redis import Redis

from tests.property.scripts import Scripts, Valkey
from waiting_room import operations
from waiting_room.keys import room_key
from waiting_room.model import RoomConfig, Stock

EVENT = 42
STEP_MS = 500
"""A gateway ticks its rooms twice as often."""
HEARTBEAT_MS = 4000
HEARD = 200
"""So many at the front are heard from: of the others no script asks yet."""
SIGN_SECONDS = 5.0
"""A page says so often that its fan is choosing."""
AGAIN_SECONDS = 2.0
HOLD_MARGIN_SECONDS = 600


@dataclass(slots=True)
class Crowd:
    """Who comes to the sale. Shares are of all fans; times are seconds, evenly spread.

    Args:
        idle: come in, and do nothing there. Their pages stay open.
        no_shows: stay to the call, and never answer it.
        chooses, pays: how long a fan looks at the seats, and holds them until they are paid.
    """

    fans: int
    idle: float = 0.3
    no_shows: float = 0.1
    chooses: tuple[float, float] = (4.0, 20.0)
    pays: tuple[float, float] = (4.0, 16.0)
    seats_max: int = 2


@dataclass(slots=True)
class TailSale:
    """Sells ``seats`` to a crowd. ``sold_ms`` has the moment of each seat's purchase, since the doors' opening."""

    client: Redis
    config: RoomConfig
    crowd: Crowd
    seats: int
    seed: int = 1
    sold_ms: list[int] = field(default_factory=list)
    let_in: int = 0
    idled: set[int] = field(default_factory=set)
    """The fans who lost a pass by doing nothing."""

    def run(self, seconds: int) -> None:
        """Run until everything is sold, or until so many seconds are over."""
        chance = random.Random(self.seed)
        valkey = Valkey(self.client, Scripts())
        start_ms = valkey.now_ms
        crowd = self.crowd
        free, held, versions = self.seats, 0, count(1)
        due: list[tuple[float, int, str, int, int]] = []
        order = count()
        kinds: dict[int, str] = {}
        answering: set[int] = set()

        def later(at: float, what: str, fan: int, seats: int = 0) -> None:
            heapq.heappush(due, (at, next(order), what, fan, seats))

        def tell_stock() -> None:
            valkey.do(operations.set_stock(EVENT, Stock(free, held, next(versions))))

        valkey.do(operations.configure(EVENT, self.config))
        tell_stock()
        for fan in range(1, crowd.fans + 1):
            drawn = chance.random()
            kinds[fan] = "no-show" if drawn < crowd.no_shows else "comes"
            if kinds[fan] == "comes" and chance.random() < crowd.idle:
                kinds[fan] = "idle"
            if valkey.do(operations.join(EVENT, fan, None)).state == "admitted":
                later(0, "in", fan)
        for step in range(seconds * 1000 // STEP_MS):
            now_ms = step * STEP_MS
            now = now_ms / 1000
            valkey.set_clock(start_ms + now_ms)
            if now_ms % HEARTBEAT_MS == 0:
                self._heartbeat(valkey)
            for fan in sorted(_fans(valkey, "called")) if self._tick(valkey) else ():
                if kinds[fan] != "no-show" and fan not in answering:
                    answering.add(fan)
                    later(now + chance.uniform(0.2, 3), "claim", fan)
            while due and due[0][0] <= now:
                _, _, what, fan, number = heapq.heappop(due)
                if what == "claim":
                    answering.discard(fan)
                    if valkey.do(operations.standing(EVENT, fan, touch=True)).state == "called":
                        valkey.do(operations.claim(EVENT, [fan]))
                        later(now, "in", fan)
                elif what == "in":
                    self.let_in += 1
                    if kinds[fan] == "comes":
                        ends = now + chance.uniform(*crowd.chooses)
                        later(ends, "try", fan, chance.randint(1, crowd.seats_max))
                        at = now + SIGN_SECONDS
                        while at < ends:
                            later(at, "sign", fan)
                            at += SIGN_SECONDS
                elif what == "sign":
                    valkey.do(operations.act(EVENT, fan, tries=False))
                elif what == "try":
                    acted = valkey.do(operations.act(EVENT, fan, tries=True))
                    if acted.pass_until_ms is None:
                        continue
                    number = min(number, free)
                    if number == 0:
                        later(now + AGAIN_SECONDS, "try", fan, 1)
                        continue
                    free, held = free - number, held + number
                    until_ms = valkey.now_ms + HOLD_MARGIN_SECONDS * 1000
                    valkey.do(operations.extend(EVENT, [(fan, until_ms)]))
                    tell_stock()
                    later(now + chance.uniform(*crowd.pays), "pay", fan, number)
                else:
                    held -= number
                    self.sold_ms += [now_ms] * number
                    valkey.do(operations.finish(EVENT, [fan]))
                    tell_stock()
            if free + held == 0:
                return

    def _tick(self, valkey: Valkey) -> bool:
        """Tick the door as a gateway does; return whether somebody was called."""
        has_called = False
        more = True
        while more:
            tick = valkey.do(operations.admit(EVENT))
            has_called, more = has_called or tick.called > 0, tick.more
        return has_called

    def _heartbeat(self, valkey: Valkey) -> None:
        front = [int(fan) for fan in valkey.client.zrange(room_key(EVENT, "line"), 0, HEARD - 1)]
        idle = _fans(valkey, "idle")
        self.idled |= idle
        inside = _fans(valkey, "called") | _fans(valkey, "admitted") | idle
        for fans in operations.chunks(front + sorted(inside)):
            valkey.do(operations.heartbeat(EVENT, [(fan, 0) for fan in fans]))


def _fans(valkey: Valkey, where: str) -> set[int]:
    members: Iterable[bytes] = valkey.client.zrange(room_key(EVENT, where), 0, -1)
    return {int(fan) for fan in members}
