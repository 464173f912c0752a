"""The site's lane maps in Postgres: each change is a row of its own, and the last one is in force.

Statements and rows only. How gateways and workers come to follow a map is `booking_lane.lane_map`'s part.
"""

from __future__ import annotations

import datetime as dt
from typing import Final, LiteralString, NamedTuple

import psycopg
from psycopg.types.json import Jsonb

LANES_MAX: Final = 64
"""A lane's number is below this."""
PINS_MAX: Final = 1000
KEPT_MAX: Final = 1000
"""Older rows are deleted when a new one is added."""

READ_LAST: Final[LiteralString] = """
SELECT revision, lane_count, pins, made_at, made_by FROM lane_map ORDER BY revision DESC LIMIT %(rows)s
"""

_LOCK: Final[LiteralString] = "LOCK TABLE lane_map IN SHARE ROW EXCLUSIVE MODE"

_ADD: Final[LiteralString] = """
INSERT INTO lane_map (revision, lane_count, pins, made_by)
VALUES (%(revision)s, %(lane_count)s, %(pins)s, %(made_by)s)
"""

_FORGET: Final[LiteralString] = "DELETE FROM lane_map WHERE revision <= %(revision)s"

OF_LANE: Final = (
    "(event_id %% %(lanes)s = %(lane)s AND event_id <> ALL (%(pinned)s::bigint[])"
    " OR event_id = ANY (%(pinned_here)s::bigint[]))"
)
"""The condition that an event belongs to a lane; its parameters are `booking_lane.lane_map.Lanes.of_lane`."""


class MapRow(NamedTuple):
    """``pins`` has the lanes of events that were given one, by event id; the others' lane is their id modulo
    ``lane_count``.
    """

    revision: int
    lane_count: int
    pins: dict[int, int]
    made_at: dt.datetime
    made_by: str


def map_row(row: tuple[object, ...]) -> MapRow:
    """A row of `READ_LAST`."""
    found = MapRow._make(row)
    return found._replace(pins={int(event_id): int(lane) for event_id, lane in found.pins.items()})


def lock_maps(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """Have others that change the map wait until this transaction ends."""
    connection.execute(_LOCK)


def last_maps(connection: psycopg.Connection[tuple[object, ...]], rows: int) -> list[MapRow]:
    """The last maps, the one in force first; none if nobody ever set one."""
    return [map_row(row) for row in connection.execute(READ_LAST, {"rows": rows})]


def add_map(
    connection: psycopg.Connection[tuple[object, ...]], revision: int, lane_count: int, pins: dict[int, int], by: str
) -> None:
    """Put a new map in force, in the caller's transaction, which has locked the maps."""
    values = {"revision": revision, "lane_count": lane_count, "pins": Jsonb(pins), "made_by": by}
    connection.execute(_ADD, values)
    connection.execute(_FORGET, {"revision": revision - KEPT_MAX})
