"""What a hold notes of its seats."""

from __future__ import annotations

from collections.abc import Sequence


def seat_amounts(noted: Sequence[int], total_amount: int, seats: int) -> tuple[int, ...]:
    """The amount of each seat: as noted, or shares of the total for a hold that an older release made, which noted no
    more.
    """
    if noted:
        return tuple(noted)
    share, rest = divmod(total_amount, seats)
    return tuple(share + (index < rest) for index in range(seats))
