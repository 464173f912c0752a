"""Events as operators define and change them: facts, ticket types, prices, halls, and who changed what.

A change takes the lock that the booking batch takes, so it falls between two batches and never into one; then it looks
at what is sold and held, and is refused whole, with every reason, where it would strand a fan. Its version makes the
workers forget the free rows that they kept and the gateways read the event anew. Nothing commits here: the caller's
transaction does.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

from db.booking.sql import ADVISORY_SPACE
from db.change_log.changes import Change, ChangeRow, Subject, as_text, change_rows, insert_changes, select_changes
from db.events import sql as sql
from db.events.blocks import SeatBlock, blocks_of_rows

TICKET_TYPES_MAX: Final = 1000
SEATS_TOLD_MAX: Final = 100
EVENTS_LISTED_MAX: Final = 200
CHANGES_SINCE_MAX: Final = 100
SALE_MOVES_SECONDS_MIN: Final = 10
"""An on-sale with a lobby is not moved closer to now than that, nor from so close: the draw may be under way."""
FACTS: Final = ("name", "artist", "venue", "date", "on_sale_at", "currency", "seats_per_fan_max")

Seat = tuple[int, int, int]
"""(ticket_type_id, row_number, seat_number)."""


class UnknownEventError(LookupError):
    """There is no such event."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a change is refused: a problem's code, and where in the change. ``seats`` has `SEATS_TOLD_MAX` at most."""

    code: str
    path: str
    message: str
    seats: tuple[Seat, ...] = ()


class EventRefusedError(Exception):
    """The change would strand somebody, or makes no sense; nothing was changed."""

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        super().__init__("; ".join(refusal.message for refusal in refusals))
        self.refusals = tuple(refusals)


class EventChangedError(Exception):
    """Somebody changed the event since the revision that a change was meant for.

    ``revision`` is where it stands; ``since`` what changed meanwhile, the oldest first.
    """

    def __init__(self, revision: int, since: list[ChangeRow]) -> None:
        super().__init__(f"the event stands at revision {revision}")
        self.revision = revision
        self.since = since


@dataclass(frozen=True, slots=True)
class TicketTypeRow:
    """A ticket type, its counts and, of an event read whole, its seats."""

    ticket_type_id: int
    ticket_type: str
    price: int
    quantity: int
    available_count: int
    held_count: int
    blocks: tuple[SeatBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event as defined; ``revision`` goes up by one with each change by an operator, ``now`` is Postgres' clock."""

    event_id: int
    name: str
    artist: str
    venue: str
    date: dt.datetime
    on_sale_at: dt.datetime
    currency: str
    seats_per_fan_max: int
    version: int
    revision: int
    now: dt.datetime
    has_draw: bool
    ticket_types: tuple[TicketTypeRow, ...]

    @property
    def is_on_sale(self) -> bool:
        return self.on_sale_at <= self.now


@dataclass(frozen=True, slots=True)
class ListedEvent:
    event_id: int
    name: str
    artist: str
    venue: str
    date: dt.datetime
    on_sale_at: dt.datetime
    currency: str
    revision: int
    quantity: int
    sold: int
    held: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTicketType:
    """A ticket type to be added; it gets the next id. No seat stands in two of its blocks."""

    path: str
    ticket_type: str
    price: int
    blocks: tuple[SeatBlock, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedTicketType:
    """A new name or price; None leaves it."""

    path: str
    ticket_type_id: int
    ticket_type: str | None = None
    price: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatsOfType:
    """Seats of a ticket type, to be added or removed."""

    path: str
    ticket_type_id: int
    blocks: tuple[SeatBlock, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventEdit:
    """What is to change: ``facts`` by their columns (`FACTS`), ticket types and seats.

    ``path`` of a part is where the caller's request names it. No seat is named twice among those to be added.
    """

    facts: Mapping[str, Any] = field(default_factory=dict)
    fact_paths: Mapping[str, str] = field(default_factory=dict)
    changed_types: tuple[ChangedTicketType, ...] = ()
    added_types: tuple[NewTicketType, ...] = ()
    removed_types: tuple[tuple[str, int], ...] = ()
    added_seats: tuple[SeatsOfType, ...] = ()
    removed_seats: tuple[SeatsOfType, ...] = ()


@dataclass(frozen=True, slots=True)
class Edited:
    """What an edit did. ``sale_moved``: the room's revision went up too, and Redis is to be told."""

    changed: bool
    sale_moved: bool


def read_event(connection: psycopg.Connection, event_id: int, *, with_seats: bool = True) -> EventRow:
    """The event as it is defined; with its seats as blocks, in a transaction of one snapshot where that matters.

    Raises:
        UnknownEventError
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        facts = cursor.execute(sql.READ_EVENT, {"event_id": event_id}).fetchone()
        if facts is None:
            raise UnknownEventError(event_id)
        kinds = cursor.execute(sql.READ_TICKET_TYPES, {"event_id": event_id}).fetchall()
    rows: dict[int, list[tuple[int, list[int]]]] = {}
    if with_seats:
        for ticket_type_id, row_number, seat_numbers in connection.execute(sql.READ_ROWS, {"event_id": event_id}):
            rows.setdefault(ticket_type_id, []).append((row_number, seat_numbers))
    types = (TicketTypeRow(**kind, blocks=blocks_of_rows(rows.get(kind["ticket_type_id"], ()))) for kind in kinds)
    return EventRow(event_id=event_id, **facts, ticket_types=tuple(types))


def list_events(connection: psycopg.Connection, before: int, limit: int) -> list[ListedEvent]:
    """Events with an id below ``before``, the newest first, but no rehearsals; ``limit`` is cut to
    `EVENTS_LISTED_MAX`.
    """
    rows = connection.execute(sql.READ_LIST, {"before": before, "rows_max": min(limit, EVENTS_LISTED_MAX)})
    return [ListedEvent(*row) for row in rows]


def add_ticket_types(
    connection: psycopg.Connection, event_id: int, first_id: int, kinds: Iterable[tuple[str, int, Sequence[SeatBlock]]]
) -> None:
    """Write ticket types (name, price, blocks), numbered from ``first_id`` on, with their seats and counts.

    Raises:
        psycopg.errors.CheckViolation: a price below 0.
        psycopg.errors.UniqueViolation: a seat stands in two blocks.
    """
    numbered = list(enumerate(kinds, first_id))
    rows = [{"ticket_type_id": number, "ticket_type": name, "price": price} for number, (name, price, _) in numbered]
    connection.execute(sql.ADD_TICKET_TYPES, {"event_id": event_id, "rows": json.dumps(rows)})
    _add_seats(connection, event_id, [(number, blocks) for number, (_, _, blocks) in numbered])


def edit_event(
    connection: psycopg.Connection,
    event_id: int,
    edit: EventEdit,
    operator: str,
    why: str,
    *,
    seats_max: int,
    revision: int | None = None,
) -> Edited:
    """Change the event and log it; where nothing differs, nothing is written.

    Args:
        seats_max: of the event, afterwards.
        revision: the one that the change is meant for; None: whichever it is.

    Raises:
        UnknownEventError
        EventChangedError: it stands at another ``revision``.
        EventRefusedError: with every reason.
        psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled: bookings keep the event for too long.
    """
    connection.execute(sql.SESSION)
    connection.execute(sql.LOCK_EVENT, {"space": ADVISORY_SPACE, "event_id": event_id})
    before = read_event(connection, event_id, with_seats=False)
    if revision is not None and revision != before.revision:
        since = select_changes(Subject.EVENT, event_id, limit=CHANGES_SINCE_MAX, after_revision=revision)
        raise EventChangedError(before.revision, change_rows(connection.execute(*since))[::-1])
    refusals = _Examination(connection, before, edit, seats_max).refusals()
    if refusals:
        raise EventRefusedError(refusals)
    return _Writing(connection, before, edit, operator, why).write()


class _Examination:
    """Finds everything that speaks against an edit; reads only, under the lock."""

    def __init__(self, connection: psycopg.Connection, event: EventRow, edit: EventEdit, seats_max: int) -> None:
        self._connection = connection
        self._event = event
        self._edit = edit
        self._seats_max = seats_max
        self._types = {kind.ticket_type_id: kind for kind in event.ticket_types}
        self._found: list[Refusal] = []

    def refusals(self) -> list[Refusal]:
        facts = {name: value for name, value in self._edit.facts.items() if value != getattr(self._event, name)}
        if "on_sale_at" in facts:
            self._examine_sale(facts["on_sale_at"])
        if "currency" in facts and self._sold_or_held():
            self._refuse("currency_in_use", "currency", f"seats are sold or held in {self._event.currency}")
        if "seats_per_fan_max" in facts:
            self._examine_limit(facts["seats_per_fan_max"])
        dates = {name: self._edit.facts.get(name, getattr(self._event, name)) for name in ("date", "on_sale_at")}
        if facts.keys() & dates.keys() and dates["on_sale_at"] > dates["date"]:
            self._refuse("event_invalid", "on_sale_at", "the sale would begin after the event")
        self._examine_types()
        self._examine_removed_types()
        self._examine_seats()
        return self._found

    def _refuse(self, code: str, path: str, message: str, seats: Iterable[Seat] = ()) -> None:
        self._found.append(Refusal(code, self._edit.fact_paths.get(path, path), message, tuple(seats)))

    def _sold_or_held(self) -> bool:
        row = self._connection.execute(sql.SOLD_OR_HELD, {"event_id": self._event.event_id}).fetchone()
        assert row is not None
        return bool(row[0])

    def _examine_sale(self, moment: dt.datetime) -> None:
        event = self._event
        close = event.now + dt.timedelta(seconds=SALE_MOVES_SECONDS_MIN)
        if event.is_on_sale and self._sold_or_held():
            self._refuse("sale_begun", "on_sale_at", "the sale has begun, and seats are sold or held")
        elif event.has_draw and event.on_sale_at <= close:
            self._refuse("sale_begun", "on_sale_at", "the sale has begun, and its lobby is drawn")
        elif event.has_draw and moment <= close:
            self._refuse(
                "event_invalid",
                "on_sale_at",
                f"a sale with a lobby begins {SALE_MOVES_SECONDS_MIN} s from now or later",
            )

    def _examine_limit(self, limit: int) -> None:
        row = self._connection.execute(sql.MOST_OF_A_FAN, {"event_id": self._event.event_id}).fetchone()
        assert row is not None
        if row[0] > limit:
            self._refuse("limit_too_low", "seats_per_fan_max", f"a fan has {row[0]} seats already")

    def _examine_types(self) -> None:
        edit = self._edit
        removed = {ticket_type_id for _, ticket_type_id in edit.removed_types}
        names = {kind.ticket_type_id: kind.ticket_type for kind in self._event.ticket_types}
        for change in edit.changed_types:
            if change.ticket_type_id not in names:
                self._refuse("unknown_ticket_type", change.path, f"there is no ticket type {change.ticket_type_id}")
            elif change.ticket_type is not None:
                names[change.ticket_type_id] = change.ticket_type
        taken = [name for ticket_type_id, name in names.items() if ticket_type_id not in removed]
        paths = {change.ticket_type: change.path for change in edit.changed_types}
        for added in edit.added_types:
            taken.append(added.ticket_type)
            paths[added.ticket_type] = added.path
        for name in sorted({name for name in taken if taken.count(name) > 1 and name in paths}):
            self._refuse("event_invalid", paths[name], f"two ticket types would be named {name!r}")
        if not taken:
            self._refuse("event_invalid", "$", "an event has one ticket type at least")
        if len(taken) > TICKET_TYPES_MAX:
            self._refuse("event_invalid", "$", f"an event has {TICKET_TYPES_MAX} ticket types at most")

    def _examine_removed_types(self) -> None:
        paths = {ticket_type_id: path for path, ticket_type_id in self._edit.removed_types}
        for ticket_type_id in sorted(paths.keys() - self._types.keys()):
            self._refuse("unknown_ticket_type", paths[ticket_type_id], f"there is no ticket type {ticket_type_id}")
        known = {"event_id": self._event.event_id, "ticket_type_ids": sorted(paths.keys() & self._types.keys())}
        if not known["ticket_type_ids"]:
            return
        rows = self._connection.execute(sql.TAKEN_OF_TYPES, known | {"rows_max": SEATS_TOLD_MAX}).fetchall()
        self._refuse_taken(paths, [(r[0], *r) for r in rows])
        told = {row[0] for row in rows if row[3] == "seats_sold"}
        for (ticket_type_id,) in self._connection.execute(sql.TYPES_EVER_SOLD, known).fetchall():
            if ticket_type_id not in told:
                self._refuse(
                    "seats_sold", paths[ticket_type_id], "tickets of it were sold and cancelled; purchases tell of them"
                )

    def _refuse_taken(self, paths: Mapping[int, str], rows: Sequence[tuple[Any, ...]]) -> None:
        """Rows: item, ticket_type_id, row_number, seat_number, code, how many of that code the item has."""
        words = {"unknown_seats": "not there", "seats_sold": "sold", "seats_held": "held"}
        for item, code in dict.fromkeys((row[0], row[4]) for row in rows):
            these = [row for row in rows if (row[0], row[4]) == (item, code)]
            seats = [(row[1], row[2], row[3]) for row in these]
            self._refuse(code, paths[item], f"{_of_these(these[0][5])} {words[code]}", seats)

    def _examine_seats(self) -> None:
        event, edit = self._event, self._edit
        removed = {ticket_type_id for _, ticket_type_id in edit.removed_types}
        known = self._types.keys() - removed
        for part in (*edit.added_seats, *edit.removed_seats):
            if part.ticket_type_id not in known:
                self._refuse("unknown_ticket_type", part.path, f"there is no ticket type {part.ticket_type_id}")
        taking = [part for part in edit.removed_seats if part.ticket_type_id in known]
        if taking:
            rows = self._connection.execute(
                sql.SEATS_THAT_STAY,
                {"event_id": event.event_id, "blocks": _parts_json(taking), "rows_max": SEATS_TOLD_MAX},
            ).fetchall()
            self._refuse_taken(dict(enumerate(part.path for part in taking)), rows)
        giving = [part for part in edit.added_seats if part.ticket_type_id in known]
        if giving:
            rows = self._connection.execute(
                sql.SEATS_THERE,
                {"event_id": event.event_id, "blocks": _parts_json(giving), "rows_max": SEATS_TOLD_MAX},
            ).fetchall()
            for item in dict.fromkeys(row[0] for row in rows):
                these = [row for row in rows if row[0] == item]
                seats = [(row[1], row[2], row[3]) for row in these]
                self._refuse("seats_exist", giving[item].path, f"{_of_these(these[0][4])} there already", seats)
        self._examine_quantity()

    def _examine_quantity(self) -> None:
        edit = self._edit
        removed = {ticket_type_id for _, ticket_type_id in edit.removed_types}
        total = sum(kind.quantity for kind in self._event.ticket_types if kind.ticket_type_id not in removed)
        added = [*(kind.blocks for kind in edit.added_types), *(part.blocks for part in edit.added_seats)]
        total += sum(block.quantity for blocks in added for block in blocks)
        total -= sum(block.quantity for part in edit.removed_seats for block in part.blocks)
        if added and total > self._seats_max:
            self._refuse("event_invalid", "$", f"the event would have {total} seats; it has {self._seats_max} at most")


class _Writing:
    """Writes an edit that nothing speaks against, and its log."""

    def __init__(
        self, connection: psycopg.Connection, event: EventRow, edit: EventEdit, operator: str, why: str
    ) -> None:
        self._connection = connection
        self._event = event
        self._edit = edit
        self._operator = operator
        self._why = why
        self._types = {kind.ticket_type_id: kind for kind in event.ticket_types}
        self._lines: list[Change] = []

    def write(self) -> Edited:
        event, edit = self._event, self._edit
        facts = {name: edit.facts.get(name, getattr(event, name)) for name in FACTS}
        self._lines += [
            Change(name, as_text(getattr(event, name)), as_text(value))
            for name, value in facts.items()
            if value != getattr(event, name)
        ]
        self._change_types()
        self._remove_types()
        self._move_seats()
        self._add_types()
        if not self._lines:
            return Edited(changed=False, sale_moved=False)
        self._connection.execute(sql.CHANGE_EVENT, {"event_id": event.event_id, **facts})
        self._log(Subject.EVENT, event.revision + 1, self._lines)
        sale_moved = facts["on_sale_at"] != event.on_sale_at
        return Edited(changed=True, sale_moved=sale_moved and self._raise_room_revision(facts["on_sale_at"]))

    def _change_types(self) -> None:
        rows = []
        for change in self._edit.changed_types:
            now = self._types[change.ticket_type_id]
            name = now.ticket_type if change.ticket_type is None else change.ticket_type
            price = now.price if change.price is None else change.price
            if (name, price) == (now.ticket_type, now.price):
                continue
            rows.append({"ticket_type_id": change.ticket_type_id, "ticket_type": name, "price": price})
            if name != now.ticket_type:
                self._lines.append(Change(f"ticket_type {change.ticket_type_id}", now.ticket_type, name))
            if price != now.price:
                self._lines.append(Change(f"price of {name}", str(now.price), str(price)))
        if rows:
            self._run(sql.CHANGE_TICKET_TYPES, rows=json.dumps(rows))

    def _remove_types(self) -> None:
        removed = sorted({ticket_type_id for _, ticket_type_id in self._edit.removed_types})
        if removed:
            self._run(sql.REMOVE_TICKET_TYPES, ticket_type_ids=removed)
        for ticket_type_id in removed:
            kind = self._types[ticket_type_id]
            self._lines.append(Change("ticket_types", f"{kind.ticket_type}, {kind.quantity} seats at {kind.price}", ""))

    def _move_seats(self) -> None:
        quantities = {kind.ticket_type_id: kind.quantity for kind in self._event.ticket_types}
        if self._edit.removed_seats:
            self._run(sql.REMOVE_SEATS, blocks=_parts_json(self._edit.removed_seats))
        if self._edit.added_seats:
            _add_seats(
                self._connection,
                self._event.event_id,
                [(part.ticket_type_id, part.blocks) for part in self._edit.added_seats],
            )
        for sign, parts in (("-", self._edit.removed_seats), ("+", self._edit.added_seats)):
            for part in parts:
                moved = sum(block.quantity for block in part.blocks)
                before = quantities[part.ticket_type_id]
                quantities[part.ticket_type_id] = after = before + (moved if sign == "+" else -moved)
                name = f"seats of {self._types[part.ticket_type_id].ticket_type}"
                self._lines.append(Change(name, str(before), f"{after} ({sign} {_in_words(part.blocks)})"))

    def _add_types(self) -> None:
        added = self._edit.added_types
        if not added:
            return
        first = max(self._types, default=0) + 1
        kinds = [(kind.ticket_type, kind.price, kind.blocks) for kind in added]
        add_ticket_types(self._connection, self._event.event_id, first, kinds)
        self._lines += [
            Change("ticket_types", "", describe(kind.ticket_type, kind.price, kind.blocks)) for kind in added
        ]

    def _raise_room_revision(self, on_sale_at: object) -> bool:
        """The on-sale is part of what Redis keeps of a room, so its configuration changes too."""
        room = self._run(sql.RAISE_ROOM_REVISION).fetchone()
        if room is None:
            return False
        line = Change("on_sale_at", as_text(self._event.on_sale_at), as_text(on_sale_at))
        self._log(Subject.ROOM, room[0], [line])
        return True

    def _log(self, subject: Subject, revision: int, lines: Iterable[Change]) -> None:
        logged = insert_changes(subject, self._event.event_id, lines, self._operator, why=self._why, revision=revision)
        self._connection.execute(*logged)

    def _run(self, statement: str, **parameters: object) -> psycopg.Cursor[tuple[Any, ...]]:
        return self._connection.execute(statement, {"event_id": self._event.event_id, **parameters})


def describe(ticket_type: str, price: int, blocks: Iterable[SeatBlock]) -> str:
    """A ticket type in the log's words."""
    return f"{ticket_type}, {sum(block.quantity for block in blocks)} seats at {price}"


def _of_these(count: int) -> str:
    return f"{count} of these seats {'is' if count == 1 else 'are'}"


def _in_words(blocks: Sequence[SeatBlock]) -> str:
    first = blocks[0]
    more = f" and {len(blocks) - 1} more blocks" if len(blocks) > 1 else ""
    return (
        f"rows {first.first_row}-{first.first_row + first.rows - 1}, "
        f"seats {first.first_seat}-{first.first_seat + first.seats_per_row - 1}{more}"
    )


def _add_seats(connection: psycopg.Connection, event_id: int, kinds: Iterable[tuple[int, Sequence[SeatBlock]]]) -> None:
    blocks = [_block(0, ticket_type_id, block) for ticket_type_id, these in kinds for block in these]
    connection.execute(sql.ADD_SEATS, {"event_id": event_id, "blocks": json.dumps(blocks)})


def _parts_json(parts: Sequence[SeatsOfType]) -> str:
    return json.dumps(
        [_block(item, part.ticket_type_id, block) for item, part in enumerate(parts) for block in part.blocks]
    )


def _block(item: int, ticket_type_id: int, block: SeatBlock) -> dict[str, int]:
    return {
        "item": item,
        "ticket_type_id": ticket_type_id,
        "first_row": block.first_row,
        "rows": block.rows,
        "first_seat": block.first_seat,
        "seats_per_row": block.seats_per_row,
    }
