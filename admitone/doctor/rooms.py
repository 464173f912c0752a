"""Rooms: whether Redis knows each as Postgres has it, whether a gateway ticks it, whether it is being rebuilt, and
whether its slots agree with the bookings.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, cast

import redis

from admitone.doctor.finding import Finding, error, fine, warning
from admitone.doctor.site import Site
from db.booking.holds import keeps_slot
from db.rehearsals.rehearsals import LOCK_SPACE
from waiting_room.errors import RoomUnknown
from waiting_room.keys import room_key
from waiting_room.line import Slots
from waiting_room.model import RoomCounts

ROOMS_MAX: Final = 200
ADMITTED_MAX: Final = 50_000
TICK_SECONDS_MAX: Final = 5
SETTLED_SECONDS: Final = 20
"""Slots are reconciled every ten seconds, so an older difference is a fault."""

_ROOMS: Final = """
SELECT event_id, revision FROM room WHERE state NOT IN ('off', 'closed') ORDER BY event_id DESC LIMIT %(rooms_max)s
"""
_BOUGHT: Final = f"""
SELECT count(*)
  FROM unnest(%(user_ids)s::bigint[], %(admitted_at_ms)s::bigint[]) AS k (user_id, admitted_at_ms)
 WHERE EXISTS (SELECT FROM purchase p
                WHERE p.event_id = %(event_id)s AND p.user_id = k.user_id
                  AND p.purchase_at > to_timestamp(k.admitted_at_ms / 1000.0)
                  AND p.purchase_at < clock_timestamp() - make_interval(secs => %(settled_seconds)s))
   AND NOT EXISTS (SELECT FROM reservation r
                    WHERE r.event_id = %(event_id)s AND r.user_id = k.user_id AND {keeps_slot("r")})
"""  # noqa: S608 - of constants alone""
_HOLDERS: Final = f"""
SELECT DISTINCT r.user_id
  FROM reservation r
 WHERE r.event_id = %(event_id)s AND {keeps_slot("r")}
   AND r.created_at < clock_timestamp() - make_interval(secs => %(settled_seconds)s)
 LIMIT %(admitted_max)s
"""  # noqa: S608 - of constants alone
_COPIES_LEFT: Final = """
SELECT event_id, rehearsal_of
  FROM event e
 WHERE rehearsal_of IS NOT NULL
   AND NOT EXISTS (SELECT FROM pg_locks l
                    WHERE l.locktype = 'advisory' AND l.objsubid = 1
                      AND (l.classid::bigint << 32) | l.objid::bigint = %(lock_space)s::bigint + e.rehearsal_of)
 ORDER BY event_id
 LIMIT %(rooms_max)s
"""


def examine(site: Site) -> Iterator[Finding]:
    if site.postgres is None or site.line is None:
        return
    yield from _copies_left(site)
    slots = Slots(site.line)
    rooms = site.rows(_ROOMS, {"rooms_max": ROOMS_MAX})
    waiting = admitted = 0
    for event_id, revision in rooms:
        try:
            counts = slots.counts(event_id)
        except RoomUnknown:
            yield warning(
                "behind",
                "room_unknown",
                f"Redis knows no room of event {event_id}",
                "Nothing where a gateway runs: it opens the room within five seconds.",
            )
            continue
        waiting, admitted = waiting + counts.waiting, admitted + counts.admitted
        yield from _room(site.line, event_id, revision, counts)
        yield from _slots(site, slots, event_id)
    yield fine("behind", "rooms", f"{len(rooms)} rooms open, {waiting} fans in line, {admitted} admitted")


def _copies_left(site: Site) -> Iterator[Finding]:
    left = site.rows(_COPIES_LEFT, {"lock_space": LOCK_SPACE, "rooms_max": ROOMS_MAX})
    if left:
        copies = ", ".join(str(copy) for copy, _ in left[:4]) + (", ..." if len(left) > 4 else "")
        yield warning(
            "behind",
            "rehearsal_left",
            f"{len(left)} copies of events are left of rehearsals ({copies})",
            f"Remove them: `admitone rehearse {left[0][1]} --remove`, and so for each event rehearsed.",
        )


def _room(line: redis.Redis, event_id: int, revision: int, counts: RoomCounts) -> Iterator[Finding]:
    if counts.state == "rebuilding":
        left = (counts.rebuild_until_ms - counts.now_ms) / 1000
        yield warning(
            "behind",
            "room_rebuilding",
            f"Event {event_id}: Redis lost the line, known places come back for another {left:.0f} s",
            "Nothing; new fans are let in after it. Find out why Redis lost its data.",
        )
    if counts.config.revision < revision:
        yield warning(
            "behind",
            "room_outdated",
            f"Event {event_id}: Redis has the room's revision {counts.config.revision}, its operator set {revision}",
            "See that a gateway runs and reaches Postgres and Redis.",
        )
    ticked_at = cast(bytes | None, line.hget(room_key(event_id, "config"), "ticked_at"))
    silent_seconds = (counts.now_ms - int(ticked_at or 0)) / 1000
    if silent_seconds > TICK_SECONDS_MAX:
        yield error(
            "behind",
            "room_not_ticked",
            f"Event {event_id}: nobody has kept the door for {silent_seconds:.0f} s",
            "Start a gateway; any one keeps every door.",
        )


def _slots(site: Site, slots: Slots, event_id: int) -> Iterator[Finding]:
    """Compare a bounded number of slots with the bookings."""
    fans: list[int] = []
    admitted_at: list[int] = []
    cursor = 0
    while len(fans) < ADMITTED_MAX:
        page = slots.admitted_page(event_id, cursor)
        fans += [one.fan for one in page.fans]
        admitted_at += [one.admitted_at_ms for one in page.fans]
        cursor = page.cursor
        if cursor == 0:
            break
    parameters = {
        "event_id": event_id,
        "user_ids": fans,
        "admitted_at_ms": admitted_at,
        "settled_seconds": SETTLED_SECONDS,
        "admitted_max": ADMITTED_MAX,
    }
    kept = site.value(_BOUGHT, parameters)
    holders = {row[0] for row in site.rows(_HOLDERS, parameters)}
    missing = len(holders.difference(fans)) if cursor == 0 else 0
    if kept or missing:
        yield warning(
            "behind",
            "slots_differ",
            f"Event {event_id}: {kept} slots of fans who have bought are not free, "
            f"{missing} fans with holds have no slot",
            "See that the housekeeping worker and cron run: they reconcile every ten seconds.",
        )
