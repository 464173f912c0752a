"""How many joins a network has before a proof is asked: a part of the room, and enough for a class or an office."""

from __future__ import annotations

import pytest

from gateway.line.joining import _free_joins_in


@pytest.mark.parametrize(
    ("places", "free", "expected"),
    [
        (0, 300, 40),
        (100, 300, 40),
        (300, 300, 75),
        (600, 300, 150),
        (2_500, 300, 150),
        (3_000, 300, 180),
        (5_500, 300, 330),
        (300, 1_000_000, 60_000),
    ],
)
def test_a_network_has_a_part_of_the_room(places: int, free: int, expected: int) -> None:
    assert _free_joins_in(places, free) == expected
