"""``admitone allotment``: takes seats out of the sale and puts them back from the command line, as the console does."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

import psycopg

from admitone.settings import Settings
from db.connections import primary
from db.events.allotments import AllotmentRow, list_allotments
from db.events.blocks import blocks_of_seats
from db.events.definitions import UnknownEventError, read_event
from db.events.editing import edit_event
from db.events.edits import EventEdit, EventRefusedError, NewAllotment, SeatsOfType
from db.texts import fault_of_name, tidy
from gateway.contract.programme import TYPE_NAME_MAX
from gateway.contract.values import HALL_NUMBER_MAX

OPERATOR: Final = "command line"
T = TypeVar("T")
_ROW: Final = re.compile(r"\s*(\d{1,9})\s*:\s*(\d{1,9}(?:\s*-\s*\d{1,9})?(?:\s*,\s*\d{1,9}(?:\s*-\s*\d{1,9})?)*)\s*")


class AllotmentError(Exception):
    """Nothing was changed; the message says why."""


def seats_named(text: str, seats_max: int) -> set[tuple[int, int]]:
    """The (row, seat) that a text names: ``1: 1-4, 7; 2: 1-4`` are seats 1 to 4 and 7 of row 1, and 1 to 4 of row 2.

    Raises:
        AllotmentError: the text names seats otherwise, or more than ``seats_max``.
    """
    found: set[tuple[int, int]] = set()
    for part in filter(str.strip, text.split(";")):
        row = _ROW.fullmatch(part)
        if row is None:
            raise AllotmentError(f"seats are named by their rows, as in 1: 1-4, 7; 2: 1-4, and not so: {part.strip()}")
        for span in row[2].split(","):
            first, _, last = span.partition("-")
            seats = range(int(first), int(last or first) + 1)
            if not seats or max(seats[-1], int(row[1])) > HALL_NUMBER_MAX or len(seats) > seats_max:
                raise AllotmentError(f"no hall has these seats: row {row[1]}, {span.strip()}")
            found.update((int(row[1]), seat) for seat in seats)
    if not found or len(found) > seats_max:
        raise AllotmentError(f"name at least one seat, and {seats_max} at most")
    return found


def make(settings: Settings, event_id: int, name: str, ticket_type_id: int, seats: str, why: str) -> uuid.UUID:
    """Take free seats of a ticket type out of the sale; returns the allotment's id.

    Raises:
        AllotmentError: there is no such event or seat, a seat is held or sold, or the name or the seats are malformed.
    """
    name = tidy(name)
    fault = fault_of_name(name, TYPE_NAME_MAX)
    if fault is not None:
        raise AllotmentError(f"the name: {fault}")
    allotment_id = uuid.uuid4()
    named = blocks_of_seats(seats_named(seats, settings.event.seats_max))
    part = SeatsOfType(path="--seats", ticket_type_id=ticket_type_id, blocks=named)
    _edit(settings, event_id, EventEdit(removed_seats=(part,), set_aside=NewAllotment(allotment_id, name)), why)
    return allotment_id


def put_back(settings: Settings, event_id: int, allotment_id: uuid.UUID, why: str) -> None:
    """Put the seats of an allotment back into the sale.

    Raises:
        AllotmentError: there is no such event or allotment.
    """
    _edit(settings, event_id, EventEdit(put_back=allotment_id), why)


def listed(settings: Settings, event_id: int) -> list[str]:
    """One line of text for each allotment of an event, the newest first.

    Raises:
        AllotmentError: there is no such event.
    """

    def read(connection: psycopg.Connection) -> list[AllotmentRow]:
        read_event(connection, event_id, with_seats=False)
        return list_allotments(connection, event_id)

    return [
        f"{row.allotment_id} {row.name}: {len(row.seats)} seats ({_words(row.seats)}), "
        f"by {row.made_by}, {row.made_at:%Y-%m-%d %H:%M}"
        for row in _run(settings, read)
    ]


def _words(seats: Iterable[tuple[int, int, int]]) -> str:
    """Seats as `seats_named` reads them, with the number of their ticket type before each row."""
    rows: dict[tuple[int, int], list[list[int]]] = {}
    for ticket_type_id, row, seat in sorted(seats):
        spans = rows.setdefault((ticket_type_id, row), [])
        if spans and spans[-1][1] == seat - 1:
            spans[-1][1] = seat
        else:
            spans.append([seat, seat])
    return "; ".join(
        f"type {ticket_type_id} row {row}: {', '.join(str(a) if a == b else f'{a}-{b}' for a, b in spans)}"
        for (ticket_type_id, row), spans in rows.items()
    )


def _edit(settings: Settings, event_id: int, edit: EventEdit, why: str) -> None:
    def work(connection: psycopg.Connection) -> None:
        with connection.transaction():
            edit_event(
                connection,
                event_id,
                edit,
                OPERATOR,
                why,
                seats_max=settings.event.seats_max,
                cancel_until_hours=settings.hold.cancel_until_hours,
            )

    _run(settings, work)


def _run(settings: Settings, work: Callable[[psycopg.Connection], T]) -> T:
    try:
        with primary.connect(settings.db.url, "admitone-allotment") as connection:
            return work(connection)
    except UnknownEventError:
        raise AllotmentError("there is no such event") from None
    except EventRefusedError as refused:
        raise AllotmentError("; ".join(one.message for one in refused.refusals)) from None
    except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled):
        raise AllotmentError("bookings keep this event for too long; try again") from None
