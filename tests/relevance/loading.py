"""Writes the corpus into a database."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import psycopg

from db.search.writing import index_events
from tests.relevance.corpus import EVENTS, NOW, CorpusEvent, Standing

_EVENT: Final = """
INSERT INTO event (event_id, name, artist, venue, town, tags, date, time_zone, on_sale_at, currency, state)
OVERRIDING SYSTEM VALUE
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, 'EUR', %s)
"""

_TICKET: Final = """
INSERT INTO ticket (event_id, ticket_type_id, ticket_type, price, quantity, available_count)
VALUES (%s, 1, 'General', 4900, 100, %s)
"""


def load(connection: psycopg.Connection[Any]) -> None:
    """Write every event of the corpus under its number, with 100 seats of one ticket type; not the seats themselves."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(_EVENT, [_event(event) for event in EVENTS])
        cursor.executemany(
            _TICKET, [(event.number, 0 if event.standing is Standing.SOLD_OUT else 100) for event in EVENTS]
        )
        index_events(connection, [event.number for event in EVENTS])


def _event(event: CorpusEvent) -> tuple[object, ...]:
    on_sale_at = NOW + dt.timedelta(days=2) if event.standing is Standing.COMING else NOW - dt.timedelta(days=90)
    state = "cancelled" if event.standing is Standing.CANCELLED else "published"
    venue = event.venue
    named = (event.number, event.name, event.artist, venue.name, venue.town, list(event.tags))
    return (*named, event.date, venue.time_zone, on_sale_at, state)
