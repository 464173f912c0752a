"""The outline of a section for which none was given."""

from __future__ import annotations

import math
from collections.abc import Iterable

from db.plans.model import Outline, Point

PAD = 8
"""From the middle of an outermost seat to the outline."""
_CORNERS = tuple((math.cos(turn * math.pi / 4), math.sin(turn * math.pi / 4)) for turn in range(8))


def outline_around(seats: Iterable[Point]) -> Outline:
    """The convex polygon around these seats, `PAD` or a little more away from each. There is one seat at least."""
    hull = _hull(sorted(set(seats)))
    reach = PAD / math.cos(math.pi / 8)
    around = {(round(x + reach * right), round(y + reach * down)) for x, y in hull for right, down in _CORNERS}
    return tuple(_hull(sorted(around)))


def middle_of(outline: Outline) -> Point:
    """The middle of an outline's corners, each of which counts by the length of its sides."""
    total = x = y = 0.0
    for (x1, y1), (x2, y2) in zip(outline, (*outline[1:], outline[0]), strict=True):
        length = math.hypot(x2 - x1, y2 - y1)
        total, x, y = total + length, x + (x1 + x2) / 2 * length, y + (y1 + y2) / 2 * length
    return (round(x / total), round(y / total)) if total else outline[0]


def _hull(points: list[Point]) -> list[Point]:
    """The corners of the convex hull of sorted points (Andrew's monotone chain)."""
    if len(points) < 3:
        return points
    return _half(points)[:-1] + _half(points[::-1])[:-1]


def _half(points: Iterable[Point]) -> list[Point]:
    found: list[Point] = []
    for point in points:
        while len(found) >= 2 and _turn(found[-2], found[-1], point) <= 0:
            found.pop()
        found.append(point)
    return found


def _turn(one: Point, two: Point, three: Point) -> int:
    return (two[0] - one[0]) * (three[1] - one[1]) - (two[1] - one[1]) * (three[0] - one[0])
