"""Batches on a Citus cluster beside plain Postgres of the same server, in turns: CITUS_URL=… python -m tests.citus_pair

It prints the p50 of each.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import time
from collections.abc import Iterator
from typing import Final

from booking_lane.commands import Command
from booking_lane.settings import HoldSettings
from db.migrate import migrate
from db.sealing.keyring import Keyring, use
from tests.citus import database_on, distributed_on
from tests.factories import PRICES, SECRET, make_event, one_type, plan_event
from tests.unit.booking_lane.asks import checkout, reserve
from workers.engine.engine import Engine

BATCHES: Final = 100
WARM: Final = 20
ROWS, SEATS_PER_ROW = 50, 50


def main(batch: int) -> None:
    use(Keyring((SECRET,), SECRET))
    citus_url = os.environ["CITUS_URL"]
    with plain_on(citus_url) as plain_url, distributed_on(citus_url) as distributed_url:
        sides = {"plain": Side(plain_url, ""), "Citus": Side(distributed_url, "?admitone_citus=on")}
        for number in range(BATCHES):
            for side in sides.values():
                side.book(number, batch)
    for kind in ("reserve", "checkout"):
        plain, citus = (statistics.median(side.seconds[kind][WARM:]) * 1000 for side in sides.values())
        print(f"{kind}, batches of {batch}: plain {plain:.1f} ms, Citus {citus:.1f} ms, {citus / plain:.2f} times")
    print(f"load {os.getloadavg()[0]:.1f}")


@contextlib.contextmanager
def plain_on(citus_url: str) -> Iterator[str]:
    """A migrated database that the cluster knows and whose tables stay on its coordinator."""
    with database_on(citus_url) as url:
        migrate(url)
        yield url


class Side:
    """One of the two databases, with two events that are booked in turns."""

    def __init__(self, database_url: str, further: str) -> None:
        hall = one_type("Hall", price=PRICES[1], rows=ROWS, seats_per_row=SEATS_PER_ROW)
        self._events = [make_event(database_url, plan_event(hall=(hall,))) for _ in range(2)]
        hold = HoldSettings(seconds=600, grace_seconds=15)
        self._engine = Engine(database_url + further, lambda: 0, hold, outage_seconds_max=30)
        self.seconds: dict[str, list[float]] = {"reserve": [], "checkout": []}

    def book(self, number: int, batch: int) -> None:
        event = self._events[number % 2]
        seats = [
            (1, 1 + n // SEATS_PER_ROW, 1 + n % SEATS_PER_ROW) for n in range(number * batch, (number + 1) * batch)
        ]
        fans = range(1 + number * batch, 1 + (number + 1) * batch)
        self._apply("reserve", [reserve(event, fan, seat) for fan, seat in zip(fans, seats, strict=True)])
        self._apply("checkout", [checkout(event, fan, seat) for fan, seat in zip(fans, seats, strict=True)])

    def _apply(self, kind: str, commands: list[Command]) -> None:
        begun = time.perf_counter()
        applied = self._engine.apply(commands)
        self.seconds[kind].append(time.perf_counter() - begun)
        assert all(b'"succeeded"' in outcome.body for outcome in applied.outcomes), applied.outcomes


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
