"""A sale in a model: a line, a door with a token bucket, fans who book late, and an engine's queue."""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from waiting_room.autopilot import STEP_SECONDS, WINDOW_SECONDS, Sight, Steering, start, steer

TICKS_A_SECOND = 10
BASE_MS = 20.0


@dataclass(slots=True)
class Second:
    """What one second of a sale was."""

    at: int
    rate_per_minute: float
    shown_per_minute: float
    p95_ms: float
    admitted: int
    waiting: int
    sold: int
    active: int
    slots_free: int
    why: str


@dataclass(slots=True)
class Sale:
    """A simulated sale.

    Args:
        engine_per_second: commands the engine ends a second, by the second of the sale.
        no_show: the share of called fans who never claim.
        seats: the fans' two each; a fan gives up when there is none.
        commands: each fan makes so many (reserve, then checkout, ...), spread over ``think_seconds``.
    """

    ceiling_per_minute: int = 6000
    capacity: int = 5000
    target_ms: float = 500.0
    engine_per_second: Callable[[int], float] = lambda _: 100.0
    arrivals: Callable[[int], int] = lambda second: 20_000 if second == 0 else 0
    no_show: Callable[[int], float] = lambda _: 0.0
    seats: int = 1_000_000
    commands: int = 2
    think_seconds: tuple[float, float] = (5.0, 40.0)
    claim_window_seconds: int = 60
    chance: random.Random = field(default_factory=lambda: random.Random(5))

    def run(self, seconds: int) -> list[Second]:
        """Simulate; gives every second."""
        chance = self.chance
        waiting = sold = 0
        active: dict[int, float] = {}
        calls: dict[int, list[bool]] = {}
        called = 0
        due: dict[int, list[int]] = {}
        queue: deque[tuple[float, int]] = deque()
        left: dict[int, int] = {}
        ended: deque[tuple[float, float]] = deque()
        admissions: deque[float] = deque()
        answered: deque[tuple[float, bool]] = deque(maxlen=400)
        bucket = 0.0
        work = 0.0
        done_of: deque[tuple[float, float, float]] = deque()
        fan = 0
        steering: Steering = start(self.ceiling_per_minute, 0.0)
        found: list[Second] = []
        for tick in range(seconds * TICKS_A_SECOND):
            now = tick / TICKS_A_SECOND
            second = int(now)
            if tick % TICKS_A_SECOND == 0:
                waiting += self.arrivals(second)
                while ended and ended[0][0] < now - WINDOW_SECONDS:
                    ended.popleft()
                while admissions and admissions[0] < now - WINDOW_SECONDS:
                    admissions.popleft()
                waits = sorted(wait for _, wait in ended)
                p95_ms = waits[int(len(waits) * 0.95)] if waits else None
                in_room = len(active) + called
                by_stock = max(0, (self.seats - sold) // 2 * 2)
                slots = max(0, min(self.capacity, by_stock) - in_room)
                no_shows = sum(not came for _, came in answered) / len(answered) if answered else 0.0
                sight = Sight(
                    at_seconds=now,
                    waiting=waiting,
                    slots_free=slots,
                    stock_bound=by_stock < self.capacity,
                    p95_ms=p95_ms,
                    backlog=len(queue),
                    ended_per_second=len(ended) / WINDOW_SECONDS,
                    admitted_per_second=len(admissions) / WINDOW_SECONDS,
                    busy_share=min(1.0, sum(n for _, n, _ in done_of) / max(1e-9, sum(c for _, _, c in done_of))),
                    troubles=0,
                    no_show_rate=no_shows,
                )
                if second > 0 and second % int(STEP_SECONDS) == 0:
                    steering = steer(steering, sight, self.ceiling_per_minute, self.target_ms)
                found.append(
                    Second(
                        second,
                        steering.rate_per_minute,
                        steering.shows_per_minute,
                        p95_ms or 0.0,
                        sum(at > now - 1 for at in admissions),
                        waiting,
                        sold,
                        in_room,
                        slots,
                        steering.why,
                    )
                )
            bucket = min(
                max(1.0, steering.rate_per_minute / 60), bucket + steering.rate_per_minute / 60 / TICKS_A_SECOND
            )
            slots = min(self.capacity, max(0, (self.seats - sold) // 2 * 2)) - len(active) - called
            while bucket >= 1 and waiting and slots > 0:
                bucket -= 1
                slots -= 1
                waiting -= 1
                comes = chance.random() >= self.no_show(second)
                called += 1
                at = now + (chance.uniform(0.2, 3) if comes else self.claim_window_seconds)
                calls.setdefault(math.ceil(at * TICKS_A_SECOND), []).append(comes)
            for comes in calls.pop(tick, ()):
                called -= 1
                answered.append((now, comes))
                if comes:
                    fan += 1
                    active[fan] = now
                    admissions.append(now)
                    left[fan] = self.commands
                    for number in range(self.commands):
                        at_tick = tick + int(chance.uniform(*self.think_seconds) * TICKS_A_SECOND * (number + 1) / 2)
                        due.setdefault(at_tick, []).append(fan)
            for who in due.pop(tick, ()):
                queue.append((now, who))
            work = min(work + self.engine_per_second(second) / TICKS_A_SECOND, self.engine_per_second(second))
            before = len(ended)
            while queue and work >= 1:
                work -= 1
                since, who = queue.popleft()
                ended.append((now, BASE_MS + (now - since) * 1000))
                left[who] -= 1
                if left[who] == 0:
                    del active[who]
                    sold = min(self.seats, sold + 2)
            done_of.append((now, len(ended) - before, self.engine_per_second(second) / TICKS_A_SECOND))
            while done_of[0][0] < now - WINDOW_SECONDS:
                done_of.popleft()
        return found
