"""What fans and networks did with an event's seats, by which the engine decides who must prove to be a person first.

Seats of a *network* (an address prefix) count while its sessions hold them or have bought them without such a proof. A
hold that ended *unbought* counts by the part of its life that it blocked its seats: one that lapsed counts whole, one
that was given back at once nearly nothing. A purchase that was cancelled counts as unbought.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from db.booking.holds import Hold, keeps_seats
from db.booking.states import OPEN_STATES

UNPROVEN: Final = "NOT proven AND network <> ''"
"""SQL: a reservation that counts with its network."""
NETWORK_SEATS_MIN: Final = 10
"""A network without any proof may have so many seats of an event, however few its limit for one fan allows."""

SHARE_PERCENT: Final = 40
SHARE_SEATS_MIN: Final = 24
SHARE_SEATS_MAX: Final = 1000
"""Where a room names no number of limits, a network without any proof may have this share of the hall, within these
bounds: so one address can neither close nor buy a hall, and an office or a class meets no bound.
"""
NETWORK_LIMITS_OFF: Final = 100_000
"""From so many limits on, no network is bounded."""

LARGE_HOLD_SEATS: Final = 5
"""From so many seats on, a hold is large."""
LARGE_PERCENT: Final = 5
"""So much of a hall may be in large holds without a proof, as far as they come from more than one network. In a small
hall three sessions that hold their whole limit would else block a large part of it, over and over.
"""

NETWORK_ROWS_MAX: Final = 1000
"""So many holds of a network are looked at. A network that is bounded has fewer, or is far beyond its bound."""

_OPEN: Final = ", ".join(f"'{state}'" for state in OPEN_STATES)
IS_UNBOUGHT: Final = f"""(h.state IN ('lapsed', 'released')
            OR h.state IN ({_OPEN}) AND h.expires_at <= statement_timestamp())"""
"""SQL: the reservation ``h`` ended unbought."""
PART_BLOCKED: Final = """least(1, extract(epoch FROM coalesce(h.ended_at, h.expires_at) - h.created_at)
            / greatest(1, extract(epoch FROM h.expires_at - h.created_at)))"""
"""SQL: for which part of its life the reservation ``h`` blocked its seats."""

READ_NETWORKS: Final = f"""
SELECT k.event_id, n.network,
       coalesce(sum(h.seats) FILTER (WHERE h.has_them), 0)::int AS seats,
       coalesce(sum(h.seats * h.part) FILTER (WHERE h.is_unbought), 0)::float AS unbought_seats
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, networks text[])
 CROSS JOIN LATERAL unnest(k.networks) AS n (network)
 CROSS JOIN LATERAL (
       SELECT cardinality(h.seat_numbers) AS seats,
              h.state = 'purchased' OR h.state IN ({_OPEN}) AND h.expires_at > statement_timestamp() AS has_them,
              {IS_UNBOUGHT} AND h.created_at > statement_timestamp() - interval '1 hour' AS is_unbought,
              {PART_BLOCKED} AS part
         FROM reservation h
        WHERE h.event_id = k.event_id AND h.network = n.network AND NOT h.proven AND h.network <> ''
        LIMIT {NETWORK_ROWS_MAX}) AS h
 GROUP BY k.event_id, n.network
"""  # noqa: S608 - of constants alone
"""Of networks whose numbers the reader does not have. A row of its keys has all networks of an event."""


class NetworkRow(NamedTuple):
    """How many seats a network's sessions have without a proof, and how many of their seats ended unbought in the last
    hour, by the part of each hold's life.
    """

    event_id: int
    network: str
    seats: int
    unbought_seats: float


BOUGHT_UNPROVEN: Final = f"state = 'purchased' AND {UNPROVEN}"
"""SQL: a reservation that was bought without a proof of its fan's own."""

READ_BOUGHT_UNPROVEN: Final = """
SELECT k.event_id, CASE WHEN h.network = ANY (k.networks) THEN h.network ELSE '' END AS network,
       sum(cardinality(h.seat_numbers))::int AS seats
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, networks text[])
  JOIN reservation h ON h.event_id = k.event_id AND h.state = 'purchased' AND NOT h.proven AND h.network <> ''
 GROUP BY 1, 2
"""
"""How many seats of each event were bought without a proof of the fan's own: by each of these networks, and by all
others together.
"""

READ_LARGE_HOLDS: Final = f"""
SELECT h.event_id, h.network, sum(cardinality(h.seat_numbers))::int AS seats
  FROM room m
  JOIN reservation h ON h.event_id = m.event_id
   AND {keeps_seats("h")}
   AND NOT h.proven
   AND h.network <> ''
   AND cardinality(h.seat_numbers) >= {LARGE_HOLD_SEATS}
 WHERE m.event_id = ANY(%(event_ids)s::bigint[])
   AND m.network_limits_max < {NETWORK_LIMITS_OFF}
 GROUP BY h.event_id, h.network
"""  # noqa: S608 - of constants alone
"""How many seats of an event each network's large holds without a proof block now, those in their grace too."""

DEFAULT_LIMITS: Final = 2
"""Where a room names no number of limits, a network buys so many limits' worth without proofs of the fans' own."""
UNPROVEN_PERCENT_MAX: Final = 10
"""So much of a hall may be bought without proofs of the fans' own, from all networks together."""

READ_PICTURE: Final = f"""
SELECT h.network,
       count(DISTINCT h.user_id) AS sessions,
       count(DISTINCT h.user_id) FILTER (WHERE h.proven) AS proven_sessions,
       coalesce(sum(cardinality(h.seat_numbers)) FILTER (WHERE h.state = 'purchased'), 0)::int AS bought,
       coalesce(sum(cardinality(h.seat_numbers)) FILTER (
           WHERE NOT h.proven
             AND (h.state = 'purchased' OR h.state IN ({_OPEN}) AND h.expires_at > statement_timestamp())
       ), 0)::int AS unproven_seats,
       coalesce(sum(cardinality(h.seat_numbers) * {PART_BLOCKED}) FILTER (
           WHERE NOT h.proven AND {IS_UNBOUGHT} AND h.created_at > statement_timestamp() - interval '1 hour'
       ), 0)::float AS unbought_seats,
       coalesce(sum(cardinality(h.seat_numbers)) FILTER (
           WHERE h.state IN ({_OPEN}) AND h.expires_at > statement_timestamp()
       ), 0)::int AS held
  FROM reservation h
 WHERE h.event_id = %(event_id)s AND h.network <> ''
 GROUP BY h.network
 ORDER BY 5 DESC, 6 DESC, 2 DESC
 LIMIT %(networks_max)s
"""  # noqa: S608 - of constants alone


class PictureRow(NamedTuple):
    """What came from a network at an event: sessions that held seats, those that proved to be persons, seats bought
    and held now, and the two numbers by which a network without proofs is bounded.
    """

    network: str
    sessions: int
    proven_sessions: int
    bought: int
    unproven_seats: int
    unbought_seats: float
    held: int


def is_large(hold: Hold) -> bool:
    """Whether the hold counts among `READ_LARGE_HOLDS` for as long as it blocks its seats."""
    return len(hold.seats) >= LARGE_HOLD_SEATS and bool(hold.network) and not hold.proven


def _limits_worth(network_limits_max: int, seats_per_fan_max: int) -> int:
    return max(NETWORK_SEATS_MIN, network_limits_max * seats_per_fan_max)


def network_seats_max(network_limits_max: int, seats_per_fan_max: int, hall_seats: int) -> int:
    """How many seats a network without proofs may have in a hall of so many."""
    if network_limits_max >= NETWORK_LIMITS_OFF:
        return hall_seats
    if network_limits_max:
        return _limits_worth(network_limits_max, seats_per_fan_max)
    return max(SHARE_SEATS_MIN, min(SHARE_SEATS_MAX, hall_seats * SHARE_PERCENT // 100))


def bought_seats_max(network_limits_max: int, seats_per_fan_max: int) -> int:
    """How many seats may be bought from a network without proofs of the fans' own. It may hold more
    (`network_seats_max`), and buy those with such proofs.
    """
    return _limits_worth(network_limits_max or DEFAULT_LIMITS, seats_per_fan_max)


def large_seats_max(hall_seats: int) -> int:
    """How many seats of a hall of so many several networks may have in large holds without a proof."""
    return hall_seats * LARGE_PERCENT // 100


def unproven_seats_max(network_limits_max: int, seats_per_fan_max: int, hall_seats: int) -> int:
    """How many seats of a hall of so many may be bought without proofs of the fans' own, from all networks together."""
    if network_limits_max >= NETWORK_LIMITS_OFF:
        return hall_seats
    least = _limits_worth(network_limits_max, seats_per_fan_max) if network_limits_max else SHARE_SEATS_MIN
    return max(least, hall_seats * UNPROVEN_PERCENT_MAX // 100)
