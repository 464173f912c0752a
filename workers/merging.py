"""Looks after accounts that were joined to others, until nothing is left of them but a row."""

from __future__ import annotations

import logging
from typing import Any, Final

import psycopg

from db.accounts import merging as sql
from db.booking import housekeeping_sql
from db.booking.merging import EVENTS_OF_MERGING, MERGE_AFTER_SECONDS, MERGED_AT_ONCE_MAX
from db.patience import Turns
from waiting_room.line import Slots

logger = logging.getLogger(__name__)

ALL_LANES: Final[dict[str, Any]] = {"lanes": 1, "lane": 0, "pinned": [], "pinned_here": []}
_ADDRESSES: Final = (
    sql.MERGE_CONTACTS,
    sql.FORGET_CONTACTS,
    sql.MERGE_SUBSCRIPTIONS,
    sql.FORGET_SUBSCRIPTIONS,
    sql.MERGE_REDEMPTIONS,
)


def look_after(connection: psycopg.Connection[Any], slots: Slots) -> int:
    """Move places, addresses and redeemed codes of accounts that were joined to others, and end each join of which
    nothing is left; returns how many were ended. All of it may be done again, so that no crash leaves half of it.

    Raises:
        psycopg.Error: Postgres does not answer.
        redis.RedisError: Redis refused what was asked of a room, or a server of a cluster is away; all others were
            seen to.
    """
    asked = {
        "after_seconds": MERGE_AFTER_SECONDS,
        "settle_seconds": sql.SETTLE_SECONDS,
        "accounts_max": MERGED_AT_ONCE_MAX,
    }
    merges = connection.execute(sql.MERGES, asked).fetchall()
    if not merges:
        return 0
    turns = Turns("the joining of accounts", slots.room_errors, others=False)
    event_ids = [row[0] for row in connection.execute(housekeeping_sql.ROOMS_OPEN)]
    ended = 0
    for goes, stays, is_due in merges:
        which = {"stays": stays, "goes": goes}
        is_moved = not turns.failed
        for event_id in event_ids:
            with turns.of(f"event {event_id}"):
                is_moved = slots.merge(event_id, stays, goes) and is_moved
        for statement in _ADDRESSES:
            connection.execute(statement, which)
        left = connection.execute(EVENTS_OF_MERGING, {**ALL_LANES, "user_ids": [goes], "events_max": 1}).fetchone()
        if is_due and is_moved and not turns.failed and left is None:
            connection.execute(sql.MERGE_MESSAGES, which)
            connection.execute(sql.DONE, which)
            logger.info("nothing is left of account %d, which was joined to account %d", goes, stays)
            ended += 1
    turns.end()
    if turns.failed:
        raise turns.failed[0]
    return ended
