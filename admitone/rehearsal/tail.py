"""How fast the end of a sale was, beside its middle."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

PART: Final = 0.05
"""The tail is this part of the seats, and it is compared with the same part around half-time."""


class Tail(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How many seconds it took to sell a twentieth of the seats: the one around half-time, and the last one."""

    half_seconds: float
    last_seconds: float

    @property
    def ratio(self) -> float:
        return self.last_seconds / self.half_seconds if self.half_seconds > 0 else float("inf")


def tail_of(sold: Iterable[tuple[float, int]], seats: int) -> Tail | None:
    """The tail of a sale that was sold out; None for another one.

    Args:
        sold: each purchase's moment in seconds, in their order, and its number of seats.
    """
    times = [at for at, number in sold for _ in range(number)]
    part = max(1, round(seats * PART))
    begin = (seats - part) // 2
    if not 0 < seats <= len(times) or begin < 1:
        return None
    return Tail(
        half_seconds=times[begin + part - 1] - times[begin - 1],
        last_seconds=times[seats - 1] - times[seats - part - 1],
    )
