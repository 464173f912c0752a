"""The figures of a lane, which its workers count in Redis, in the round trip that publishes a batch.

Each lane has one hash of counters that only grow. So any gateway can read the figures of the whole site, and the
difference of two readings is what was done between them. A Redis that lost its data begins again at 0.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, Final, cast

import msgspec
import redis
import redis.asyncio

from booking_lane.commands import Command, Outcome

WAIT_BOUNDS_MS: Final = (
    *(2, 5, 7, 10, 15, 22, 33, 50, 75, 110, 160, 240, 360),
    *(540, 800, 1200, 1800, 2700, 4000, 6000, 9000, 13_500, 20_000, 30_000),
)
"""The upper bounds of the classes in which waits are counted, each half as much again as the one before. A command
waits from its arrival to its outcome.
"""

_COUNT: Final = (files(__package__) / "lua" / "count.lua").read_text()

CHOICES: Final = frozenset({"no_block", "seats_taken", "sold_out", "limit_exceeded"})
"""With these codes a fan is told that there is not what was asked for. Nothing is wrong with the sale then."""


class Figures(msgspec.Struct, frozen=True):
    """A reading of one or more lanes. All figures only grow. ``waits`` has a class for each bound, and one above the
    last. ``told`` counts the batches that a worker told to those who need to know; one of the release before told
    the others to every gateway.
    """

    batches: int = 0
    told: int = 0
    commands: Mapping[tuple[str, str], int] = {}
    """How many commands ended, by their kind and by ``succeeded`` or the problem's code."""
    waits: tuple[int, ...] = (0,) * (len(WAIT_BOUNDS_MS) + 1)
    waits_sum_ms: int = 0
    busy_ms: int = 0
    """How long workers were at work on batches."""

    def __add__(self, other: Figures) -> Figures:
        return Figures(
            self.batches + other.batches,
            self.told + other.told,
            Counter(self.commands) + Counter(other.commands),
            tuple(map(sum, zip(self.waits, other.waits, strict=True))),
            self.waits_sum_ms + other.waits_sum_ms,
            self.busy_ms + other.busy_ms,
        )

    def since(self, earlier: Figures) -> Figures:
        """The difference to an earlier reading; the whole reading if Redis lost its data in between."""
        if earlier.batches > self.batches:
            return self
        return Figures(
            self.batches - earlier.batches,
            self.told - earlier.told,
            Counter(self.commands) - Counter(earlier.commands),
            tuple(max(0, now - then) for now, then in zip(self.waits, earlier.waits, strict=True)),
            max(0, self.waits_sum_ms - earlier.waits_sum_ms),
            max(0, self.busy_ms - earlier.busy_ms),
        )

    def wait_ms(self, share: float) -> float | None:
        """The wait that ``share`` of the commands did not exceed, interpolated in its class; None without commands."""
        total = sum(self.waits)
        if total == 0:
            return None
        left = share * total
        below = 0.0
        for bound, number in zip((*WAIT_BOUNDS_MS, WAIT_BOUNDS_MS[-1]), self.waits, strict=True):
            if number and left <= number:
                return round(below + (bound - below) * left / number, 1)
            left -= number
            below = float(bound)
        return below


def figures_key(lane: int) -> str:
    return f"lane:{lane}:figures"


def count(
    pipe: Any, lane: int, commands: Sequence[Command], outcomes: Sequence[Outcome], now_ms: int, busy_ms: int
) -> None:
    """Put a finished batch's figures into ``pipe``."""
    grown: Counter[str] = Counter(batches=1, told=1, busy_ms=busy_ms)
    for command in commands:
        if command.is_recorded:
            waited_ms = max(0, now_ms - command.received_at_ms)
            grown[f"wait:{bisect_left(WAIT_BOUNDS_MS, waited_ms)}"] += 1
            grown["wait_ms"] += waited_ms
    for outcome in outcomes:
        grown[f"command:{outcome.kind}:{_status_or_code(outcome.body)}"] += 1
    pairs = [part for field_and_number in grown.items() for part in field_and_number]
    # One command: a HINCRBY for each field took as long as all records of a small batch.
    pipe.eval(_COUNT, 1, figures_key(lane), *pairs)


class _Problem(msgspec.Struct):
    code: str


class _Body(msgspec.Struct):
    status: str
    problem: _Problem | None = None


_body = msgspec.json.Decoder(_Body).decode


def _status_or_code(body: bytes) -> str:
    if body.startswith(b'{"status":"succeeded"'):
        return "succeeded"
    decoded = _body(body)
    return decoded.problem.code if decoded.problem is not None else decoded.status


async def read(client: redis.asyncio.Redis, lane: int) -> Figures:
    """A lane's figures.

    Raises:
        redis.RedisError: Redis does not answer.
    """
    return from_hash(cast(dict[bytes, bytes], await client.hgetall(figures_key(lane))))


def from_hash(fields: Mapping[bytes, bytes]) -> Figures:
    """A reading from the hash at `figures_key`."""
    waits = [0] * (len(WAIT_BOUNDS_MS) + 1)
    commands: dict[tuple[str, str], int] = {}
    batches = told = waits_sum_ms = busy_ms = 0
    for raw, value in fields.items():
        name, _, rest = raw.decode().partition(":")
        number = int(value)
        if name == "batches":
            batches = number
        elif name == "told":
            told = number
        elif name == "wait_ms":
            waits_sum_ms = number
        elif name == "busy_ms":
            busy_ms = number
        elif name == "wait" and int(rest) < len(waits):
            waits[int(rest)] = number
        elif name == "command":
            kind, _, how = rest.partition(":")
            commands[kind, how] = number
    return Figures(batches, told, commands, tuple(waits), waits_sum_ms, busy_ms)
