"""Batches, and reads of single purchases by a gateway's reader, on a Citus cluster beside plain Postgres of the same
server, in turns: CITUS_URL=… python -m tests.citus_pair

It prints the p50 of each.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import sys
import time
import uuid
from collections.abc import Iterator
from typing import Final

import msgspec

from booking_lane.commands import Command
from booking_lane.settings import HoldSettings
from db.connections.small_reads import SmallReads
from db.migrate import migrate
from db.sealing.keyring import Keyring, use
from gateway.booking.reader import Reader
from tests.citus import database_on, distributed_on
from tests.factories import PRICES, SECRET, make_event, one_type, plan_event
from tests.unit.booking_lane.asks import checkout, reserve
from tickets.keys import TicketKeys
from workers.engine.engine import Engine

BATCHES: Final = 100
WARM: Final = 20
ROWS, SEATS_PER_ROW = 50, 50


def main(batch: int) -> None:
    use(Keyring((SECRET,), SECRET))
    citus_url = os.environ["CITUS_URL"]
    with plain_on(citus_url) as plain_url, distributed_on(citus_url) as distributed_url, asyncio.Runner() as runner:
        sides = {"plain": Side(plain_url, "", runner), "Citus": Side(distributed_url, "?admitone_citus=on", runner)}
        for number in range(BATCHES):
            for side in sides.values():
                side.book(number, batch)
        for number in range(BATCHES):
            for side in sides.values():
                side.read(number)
        for side in sides.values():
            side.close()
    for kind in ("reserve", "checkout", "purchase read"):
        plain, citus = (statistics.median(side.seconds[kind][WARM:]) * 1000 for side in sides.values())
        print(f"{kind}, batches of {batch}: plain {plain:.2f} ms, Citus {citus:.2f} ms, {citus / plain:.2f} times")
    print(f"load {os.getloadavg()[0]:.1f}")


@contextlib.contextmanager
def plain_on(citus_url: str) -> Iterator[str]:
    """A migrated database that the cluster knows and whose tables stay on its coordinator."""
    with database_on(citus_url) as url:
        migrate(url)
        yield url


class Side:
    """One of the two databases, with two events that are booked in turns."""

    def __init__(self, database_url: str, further: str, runner: asyncio.Runner) -> None:
        hall = one_type("Hall", price=PRICES[1], rows=ROWS, seats_per_row=SEATS_PER_ROW)
        self._events = [make_event(database_url, plan_event(hall=(hall,))) for _ in range(2)]
        hold = HoldSettings(seconds=600, grace_seconds=15)
        self._engine = Engine(database_url + further, lambda: 0, hold, outage_seconds_max=30)
        self.seconds: dict[str, list[float]] = {"reserve": [], "checkout": [], "purchase read": []}
        self._runner = runner
        self._reads = SmallReads(database_url + further, "admitone-test")
        self._reader = Reader(self._reads, 15, TicketKeys(SECRET))
        self._bought: list[tuple[int, uuid.UUID]] = []

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
        if kind == "checkout":
            results = [msgspec.json.decode(outcome.body)["result"] for outcome in applied.outcomes]
            self._bought += [(one["userId"], uuid.UUID(one["purchaseId"])) for one in results]

    def read(self, number: int) -> None:
        """Read one purchase as a gateway does, of both events in turns."""
        fan, purchase = self._bought[number * len(self._bought) // BATCHES]
        begun = time.perf_counter()
        found = self._runner.run(self._reader.purchase(fan, purchase))
        self.seconds["purchase read"].append(time.perf_counter() - begun)
        assert found is not None
        assert str(purchase).encode() in found

    def close(self) -> None:
        self._engine.close()
        self._runner.run(self._reader.close())
        self._runner.run(self._reads.close())


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
