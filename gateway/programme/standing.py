"""The order in which the seats of a row stand, where a file may name them in another, and how far apart they are."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

Exact = tuple[float, float]
"""(x, y)."""

EVEN_STEPS: Final = 1.4
"""Where no step from a seat to the next is so many times as long as the way from the first seat to its nearest one, the
seats stand as they are named.
"""
CHAIN_SEATS_MAX: Final = 300
SAMPLED_MAX: Final = 2_000
"""So many seats are looked at to find how far neighbours are from one another."""


def standing_order(points: Sequence[Exact]) -> list[int]:
    """The order of a row's seats: the one that they are named in, or a shorter way past all of them, such as down one
    side of a table and up the other.
    """
    given = list(range(len(points)))
    if len(points) < 3:
        return given
    steps = [math.dist(one, two) for one, two in pairwise(points)]
    if max(steps) <= EVEN_STEPS * min(math.dist(points[0], other) for other in points[1:]):
        return given
    (left, top), (right, bottom) = (tuple(map(pick, zip(*points, strict=True))) for pick in (min, max))
    axis = 0 if right - left >= bottom - top else 1
    along = sorted(given, key=lambda index: (points[index][axis], points[index][1 - axis]))
    ways = [along]
    if len(points) <= CHAIN_SEATS_MAX:
        ways += [_chain(points, along[0]), _chain(points, along[-1])[::-1]]
    shortest = min(ways, key=lambda way: _length(points, way))
    return shortest if _length(points, shortest) < 0.99 * sum(steps) else given


def pitch_of(rows: Iterable[Sequence[Exact]]) -> float | None:
    """How far most seats are from the nearest other one of their row; None where no row has two."""
    nearest: list[float] = []
    for points in rows:
        sampled = points[:CHAIN_SEATS_MAX]
        for index, point in enumerate(sampled):
            others = (math.dist(point, other) for place, other in enumerate(sampled) if place != index)
            distance = min((apart for apart in others if apart > 0), default=None)
            if distance is not None:
                nearest.append(distance)
        if len(nearest) >= SAMPLED_MAX:
            break
    return statistics.median_low(nearest) if nearest else None


def _chain(points: Sequence[Exact], first: int) -> list[int]:
    """From the first seat on, always to the nearest seat that is left."""
    way = [first]
    left = set(range(len(points))) - {first}
    while left:
        here = points[way[-1]]
        way.append(min(left, key=lambda index: (math.dist(here, points[index]), index)))
        left.remove(way[-1])
    return way


def _length(points: Sequence[Exact], way: Sequence[int]) -> float:
    return sum(math.dist(points[one], points[two]) for one, two in pairwise(way))
