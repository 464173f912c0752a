"""What an event asks of a fan who buys: the operators set it, and gateways keep it with the event's hall."""

from __future__ import annotations

from typing import Any, Final, LiteralString

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.booking.events import ADVISORY_SPACE
from db.change_log.changes import Change, Subject, insert_changes
from db.events.editing import LOCKS, SESSION
from db.search.index.changes import NOTE

QUESTIONS_MAX: Final = 10
QUESTION_CHARS_MAX: Final = 200
TERMS_CHARS_MAX: Final = 20_000


class Question(msgspec.Struct, frozen=True, rename="camel"):
    """A question of the venue's own, answered in one line."""

    question_id: int
    text: str
    required: bool = False


class Asks(msgspec.Struct, frozen=True, rename="camel"):
    """What an event asks beside the fan's name and mail address, which every event asks that asks for anything.

    ``attendees``: a name for each seat. ``address``: where the fan lives, for the invoice. ``terms`` is what the fan
    agrees to, empty where there is nothing, and ``terms_version`` goes up with each new text.
    """

    attendees: bool = False
    questions: tuple[Question, ...] = ()
    terms: str = ""
    terms_version: int = 0
    address: bool = False


_READ: Final[LiteralString] = """
SELECT asks, revision,
       (SELECT coalesce(max(t.version), 0) FROM order_terms t WHERE t.event_id = e.event_id)
  FROM event e
 WHERE event_id = %(event_id)s AND rehearsal_of IS NULL
"""

_WRITE: Final[LiteralString] = """
UPDATE event
   SET asks = %(asks)s::jsonb, version = version + 1, revision = revision + 1
 WHERE event_id = %(event_id)s
"""

_KEEP_TERMS: Final[LiteralString] = """
INSERT INTO order_terms (event_id, version, terms) VALUES (%(event_id)s, %(version)s, %(terms)s)
"""


class NoSuchEventError(LookupError):
    """There is no such event, or it is a rehearsal's copy."""


def asks_of(stored: dict[str, Any] | None) -> Asks | None:
    """What an event asks, as it is stored; None where it asks for nothing."""
    return None if stored is None else msgspec.convert(stored, Asks)


async def set_asks(connection: AsyncConnection, event_id: int, asks: Asks | None, operator: str, why: str) -> bool:
    """Set what an event asks from now on, between two batches, and log it; returns whether that is anything new. The
    version of the terms is given here.

    Raises:
        NoSuchEventError
        sqlalchemy.exc.OperationalError: bookings keep the event for too long.
    """
    await connection.exec_driver_sql(SESSION)
    for lock in LOCKS:
        await connection.exec_driver_sql(lock, {"space": ADVISORY_SPACE, "event_id": event_id})
    row = (await connection.exec_driver_sql(_READ, {"event_id": event_id})).first()
    if row is None:
        raise NoSuchEventError(event_id)
    stored, revision, version = tuple(row)
    before = asks_of(stored)
    had = before.terms if before is not None else ""
    if asks is not None:
        is_new = bool(asks.terms) and asks.terms != had
        if is_new:
            version += 1
            await connection.exec_driver_sql(
                _KEEP_TERMS, {"event_id": event_id, "version": version, "terms": asks.terms}
            )
        asks = msgspec.structs.replace(asks, terms_version=version if asks.terms else 0)
    if asks == before:
        return False
    text = None if asks is None else msgspec.json.encode(asks).decode()
    await connection.exec_driver_sql(_WRITE, {"event_id": event_id, "asks": text})
    # Gateways show what was found from their memory, and whether the event asks anything is shown.
    await connection.exec_driver_sql(NOTE, {"event_ids": [event_id]})
    change = Change("asks", in_words(before), in_words(asks))
    logged = insert_changes(Subject.EVENT, event_id, [change], operator, why=why, revision=revision + 1)
    await connection.exec_driver_sql(*logged)
    return True


def in_words(asks: Asks | None) -> str:
    """What is asked, for the log."""
    if asks is None:
        return ""
    parts = [
        "name and mail address",
        "a name for each seat" if asks.attendees else "",
        "an address for the invoice" if asks.address else "",
        *[one.text for one in asks.questions],
        f"terms, version {asks.terms_version}" if asks.terms else "",
    ]
    return "; ".join(part for part in parts if part)
