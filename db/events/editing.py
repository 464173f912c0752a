"""Changes of events by operators, under the booking batch's lock.

A change takes the lock that the booking batch takes, so it falls between two batches and never into one. It then looks
at what is sold and held, and is refused whole, with every reason, where it would strand a fan. It raises the event's
version: so the workers forget the free rows that they kept, and the gateways read the event anew. Nothing commits
here: the caller's transaction does.
"""

from __future__ import annotations

from typing import Final

import psycopg

from db.booking.events import ADVISORY_SPACE
from db.change_log.changes import Subject, change_rows, select_changes
from db.events.definitions import read_event
from db.events.edits import Edited, EventChangedError, EventEdit, EventRefusedError
from db.events.examination import Examination
from db.events.writing import Writing

CHANGES_SINCE_MAX: Final = 100

SESSION: Final = """
SELECT set_config('lock_timeout', '5s', true), set_config('statement_timeout', '20s', true),
       set_config('idle_in_transaction_session_timeout', '10s', true)
"""
"""An edit that waits or stalls must not make bookings wait for longer than a fan would wait."""

LOCK_EVENT: Final = "SELECT pg_advisory_xact_lock(%(space)s::bigint + %(event_id)s)"

LOCK_EVENT_AT_NODE: Final = """
SELECT pg_advisory_xact_lock(%(space)s::bigint + %(event_id)s)
  FROM event
 WHERE event_id = %(event_id)s
"""
"""Comes after `LOCK_EVENT`. A Citus cluster runs it at the event's node, where a batch may still be at work whose
coordinator has failed and let go of its lock (ADR 178). On one Postgres it finds that this transaction has the lock.
"""
LOCKS: Final = (LOCK_EVENT, LOCK_EVENT_AT_NODE)
"""What a transaction runs, one after the other, before it changes anything that bookings of the event depend on."""


def edit_event(
    connection: psycopg.Connection,
    event_id: int,
    edit: EventEdit,
    operator: str,
    why: str,
    *,
    seats_max: int,
    cancel_until_hours: float = 0,
    revision: int | None = None,
) -> Edited:
    """Change the event and log it; where nothing differs, nothing is written.

    Args:
        seats_max: how many seats the event may have afterwards.
        cancel_until_hours: how long before the event its seats can no longer be given back.
        revision: the event's revision that the change is meant for; None: any.

    Raises:
        UnknownEventError: there is no such event.
        EventChangedError: the event has another ``revision``.
        EventRefusedError: the change would strand a fan or makes no sense; the error has every reason.
        psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled: bookings keep the event for too long.
    """
    connection.execute(SESSION)
    for lock in LOCKS:
        connection.execute(lock, {"space": ADVISORY_SPACE, "event_id": event_id})
    before = read_event(connection, event_id, with_seats=False)
    if revision is not None and revision != before.revision:
        since = select_changes(Subject.EVENT, event_id, limit=CHANGES_SINCE_MAX, after_revision=revision)
        raise EventChangedError(before.revision, change_rows(connection.execute(*since))[::-1])
    refusals = Examination(connection, before, edit, seats_max).refusals()
    if refusals:
        raise EventRefusedError(refusals)
    return Writing(connection, before, edit, operator, why, cancel_until_hours).write()
