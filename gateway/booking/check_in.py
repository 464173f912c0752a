"""Checks tickets in at the gates, and tells the gates' devices what they need to do that without a network."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import logging
import re
import struct
import time
import uuid
from base64 import urlsafe_b64encode
from typing import Any, Final, LiteralString

from sqlalchemy.ext.asyncio import AsyncEngine

from booking_lane.problems import CATALOGUE
from db.booking.seats import Seat, seat_keys
from db.booking.ticket_codes import beginnings_of, open_code
from db.connections import primary
from db.entries import reading
from db.entries.entries import (
    Checked,
    EntryRow,
    Scan,
    TicketKey,
    check_in,
    record_conflict,
    recorded_conflict,
    undo,
)
from db.entries.outcomes import Outcome
from db.entries.reading import FIRST, CountRow, ListedTicket
from db.messages.addresses import hash_of
from db.sealing.keyring import SealError
from gateway.booking.settings import ScanSettings
from gateway.contacts.contacts import tidy_mail
from gateway.contract.entries import (
    ConflictAnswer,
    EntryAnswer,
    EntryCounts,
    FoundTicketAnswer,
    GateCount,
    GateStanding,
    SyncedScan,
    TicketKeyAnswer,
    TicketList,
    TypeCount,
    UsedTicket,
)
from gateway.hall.hall import Hall, UnknownEventError
from gateway.hall.halls import Halls
from gateway.hall.labels import HallLabels
from gateway.wire.problems import ProblemError, invalid
from tickets.keys import TicketKeys
from tickets.signed import TICKET_CHARS, TicketInvalid

logger = logging.getLogger(__name__)

COUNTS_SECONDS: Final = 1.0
"""The counts are read once in so long, however many consoles and gates ask."""
EVENTS_MAX: Final = 200
HASH_BYTES: Final = 10
_SEAT: Final = re.compile(r"(\S+?)[\s/.,:-]+(\S+)")
_CURSOR: Final = re.compile(r"(\d{1,10})\.(\d{1,10})\.(\d{1,10})", re.ASCII)
_TICKET: Final = struct.Struct(">16sIIIH")
"""What a signed ticket's hash is of: bytes 12 to 41 of the ticket."""

_PROBLEMS: Final = {
    Outcome.USED: "ticket_used",
    Outcome.CANCELLED: "ticket_cancelled",
    Outcome.EVENT_CANCELLED: "event_cancelled",
    Outcome.HANDED_ON: "ticket_handed_on",
    Outcome.UNKNOWN: "unknown_ticket",
    Outcome.REPEATED: "scan_repeated",
}
_EVENT_IS_OFF: Final = "This event was cancelled; nobody is let in."


class OtherEventError(Exception):
    """The ticket is genuine, and for another event."""


class CheckIn:
    """Lets tickets in, for every gate of every event.

    Scans have connections of their own, so that a queue does not wait for what the rest of the site reads.

    Raises (every scan):
        psycopg.OperationalError: Postgres is away, or (psycopg_pool.PoolTimeout) no connection came free in time.
    """

    def __init__(
        self, database_url: str, engine: AsyncEngine, halls: Halls, keys: TicketKeys, settings: ScanSettings
    ) -> None:
        # Most gateways never see a scan, so none is kept open for it.
        self._gates = primary.pool(
            database_url,
            "admitone-gates",
            settings.connections_max,
            connections_min=0,
            session=primary.PLAN_BY_KEYS,
        )
        self._engine = engine
        self._halls = halls
        self._keys = keys
        self._settings = settings
        self._counts: dict[int, tuple[float, EntryCounts]] = {}

    async def open(self) -> None:
        await self._gates.open()

    async def close(self) -> None:
        await self._gates.close()

    # -- entries

    async def enter(self, ticket: str | TicketKey, scan: Scan) -> EntryAnswer:
        """Let a ticket in.

        Args:
            ticket: a signed ticket, a short code, or a seat of a purchase.

        Raises:
            ProblemError: ``unknown_event``, ``unknown_ticket``, ``other_event``, ``ticket_used`` (with when and where),
                ``ticket_cancelled``, ``ticket_handed_on``, ``event_cancelled`` or ``scan_repeated``.
        """
        hall = await self._hall(scan.event_id)
        try:
            key = self._key(ticket, scan.event_id) if isinstance(ticket, str) else ticket
        except OtherEventError:
            raise ProblemError("other_event") from None
        checked = await self._check_in(key, scan)
        if checked.outcome is not Outcome.ADMITTED:
            raise self._refusal(hall, checked)
        assert checked.entry is not None
        assert checked.seat is not None
        logger.info("%s let a ticket in at gate %s of event %s", scan.operator, scan.gate, scan.event_id)
        return EntryAnswer(
            entry_id=checked.entry.entry_id,
            event_id=scan.event_id,
            purchase_id=_given(checked.purchase_id),
            gate=checked.entry.gate,
            scanned_at=_utc(checked.entry.scanned_at),
            entered_at=_utc(checked.entry.entered_at),
            **_place(hall, checked.seat),
        )

    async def _check_in(self, ticket: TicketKey | str | None, scan: Scan) -> Checked:
        """What becomes of a scan; None is no ticket of this site."""
        if ticket is None:
            return Checked(Outcome.UNKNOWN)
        async with self._gates.connection() as connection:
            return await check_in(connection, ticket, scan)

    def _refusal(self, hall: Hall, checked: Checked) -> ProblemError:
        members: dict[str, Any] = {}
        if checked.seat is not None:
            members["place"] = _place(hall, checked.seat)["place"]
        if checked.entry is not None:
            members |= {
                "entryId": checked.entry.entry_id,
                "gate": checked.entry.gate,
                "scannedAt": _utc(checked.entry.scanned_at),
            }
        return ProblemError(_PROBLEMS[checked.outcome], _sentence(checked), **members)

    def _key(self, text: str, event_id: int) -> TicketKey | str | None:
        """The ticket that a text names: by its signature, or else by its code. None: the signature is not ours.

        Raises:
            OtherEventError
        """
        text = "".join(text.split()).upper()
        if "\0" in text:
            return None  # Postgres takes no such text.
        if len(text) != TICKET_CHARS:
            return text
        try:
            signed = self._keys.verify(text)
        except TicketInvalid:
            return None
        if signed.event_id != event_id:
            raise OtherEventError
        return TicketKey(signed.purchase_id, signed.seat, signed.issue_number)

    async def undo(self, event_id: int, entry_id: uuid.UUID, operator: str) -> None:
        """Take an entry back, so that its ticket can be checked in again.

        Raises:
            ProblemError: ``unknown_entry``.
        """
        async with self._engine.begin() as connection:
            is_there = await undo(connection, event_id, entry_id, operator)
        if not is_there:
            raise ProblemError("unknown_entry")
        logger.info("%s took entry %s of event %s back", operator, entry_id, event_id)

    async def sync(self, scans: list[tuple[str, Scan]]) -> list[SyncedScan]:
        """Enter what a device let in without a network, one after the other; the same scans again change nothing.

        Args:
            scans: of one event, each with its ticket's text.

        Raises:
            ProblemError: ``unknown_event``.
        """
        hall = await self._hall(scans[0][1].event_id)
        return [await self._sync(hall, text, scan) for text, scan in scans]

    async def _sync(self, hall: Hall, text: str, scan: Scan) -> SyncedScan:
        async with self._engine.connect() as connection:
            checked = await recorded_conflict(connection, scan)
        if checked is None:
            try:
                key = self._key(text, scan.event_id)
            except OtherEventError:
                key = None
            checked = await self._check_in(key, scan)
            if checked.outcome not in (Outcome.ADMITTED, Outcome.REPEATED):
                async with self._engine.begin() as connection:
                    await record_conflict(connection, scan, checked)
                logger.warning(
                    "event %s: %s had let in without a network what is %s",
                    scan.event_id,
                    scan.operator,
                    checked.outcome,
                )
        entry = checked.entry
        return SyncedScan(
            scan_id=scan.scan_id,
            result=checked.outcome,
            detail="" if checked.outcome is Outcome.ADMITTED else _said(checked),
            place="" if checked.seat is None else _place(hall, checked.seat)["place"],
            entry_id=None if entry is None else entry.entry_id,
            entry_gate=None if entry is None else entry.gate,
            entry_scanned_at=None if entry is None else _utc(entry.scanned_at),
        )

    # -- what gates and consoles show

    async def counts(self, event_id: int) -> EntryCounts:
        """How many tickets were let in, by gate and ticket type; at most `COUNTS_SECONDS` old.

        Raises:
            ProblemError: ``unknown_event``.
        """
        await self._hall(event_id)
        read_at, counts = self._counts.get(event_id, (-COUNTS_SECONDS, None))
        if counts is None or time.monotonic() - read_at >= COUNTS_SECONDS:
            async with self._engine.connect() as connection:
                counts = _counted(event_id, *await reading.entry_counts(connection, event_id))
            self._counts[event_id] = (time.monotonic(), counts)
        return counts

    async def standing(self, event_id: int) -> GateStanding:
        """The counts and the newest conflicts.

        Raises:
            ProblemError: ``unknown_event``.
        """
        hall = await self._hall(event_id)
        counts = await self.counts(event_id)
        rows = []
        if counts.conflicts:
            async with self._engine.connect() as connection:
                rows = await reading.entry_conflicts(connection, event_id)
        return GateStanding(counts=counts, conflicts=tuple(_conflict(hall, row) for row in rows))

    async def events(self, event_ids: frozenset[int] | None) -> list[reading.GateEvent]:
        """The events that can be chosen at a gate."""
        async with self._engine.connect() as connection:
            return await reading.gate_events(
                connection,
                None if event_ids is None else sorted(event_ids),
                hours=self._settings.event_hours,
                events_max=EVENTS_MAX,
            )

    async def find(self, event_id: int, sought: str) -> list[FoundTicketAnswer]:
        """The tickets that a steward may mean, at most 50.

        Args:
            sought: an order's number, a mail address, a ticket's text, or a row and a seat: ``12 7``.

        Raises:
            ProblemError: ``unknown_event``, or ``invalid_request`` for an address that is none.
        """
        hall = await self._hall(event_id)
        statement, key = self._sought(hall, event_id, sought.strip())
        async with self._engine.connect() as connection:
            found = await reading.find_tickets(connection, statement, key, event_id)
        return [
            FoundTicketAnswer(
                purchase_id=row.purchase_id,
                cancelled=row.is_cancelled,
                entry_id=row.entry_id,
                entered_at=None if row.entered_at is None else _utc(row.entered_at),
                gate=row.gate,
                **_place(hall, (row.ticket_type_id, row.row_number, row.seat_number)),
            )
            for row in found
        ]

    def _sought(self, hall: Hall, event_id: int, sought: str) -> tuple[LiteralString, Any]:
        if "@" in sought:
            return reading.BY_ADDRESS, hash_of(tidy_mail(sought))
        try:
            return reading.BY_ORDER, uuid.UUID(sought)
        except ValueError:
            pass
        if words := _SEAT.fullmatch(sought):
            return reading.BY_SEAT, _as_rows(_seats_called(hall, words[1], words[2]))
        try:
            key = self._key(sought, event_id)
        except OtherEventError:
            raise ProblemError("other_event") from None
        if isinstance(key, TicketKey):
            return reading.BY_SEAT, _as_rows([key.seat])
        return reading.BY_CODE, beginnings_of(key or "")

    async def valid_tickets(self, event_id: int, cursor: str | None, now: dt.datetime) -> TicketList:
        """A part of the event's valid tickets, as hashes.

        Args:
            cursor: the ``next`` of the part before.

        Raises:
            ProblemError: ``unknown_event``, or ``invalid_request`` for a cursor that was not given by us.
        """
        hall = await self._hall(event_id)
        after = FIRST
        if cursor is not None:
            numbers = _CURSOR.fullmatch(cursor)
            if numbers is None or any(int(number) >= 2**31 for number in numbers.groups()):
                raise invalid("not a cursor of ours", "cursor")
            after = (int(numbers[1]), int(numbers[2]), int(numbers[3]))
        most = self._settings.list_max
        async with self._engine.connect() as connection:
            rows = await reading.valid_tickets(connection, event_id, after, most)
        hashes = [ticket_hash(row.purchase_id, _seat(row), row.issue_number) for row in rows]
        return TicketList(
            event_id=event_id,
            read_at=now,
            keys=tuple(TicketKeyAnswer(kid=key["kid"], x=key["x"]) for key in self._keys.key_set()["keys"]),
            ticket_types={str(one.ticket_type_id): one.ticket_type for one in hall.tickets.values()},
            tickets=tuple(hashes),
            codes=tuple(_code_hash(row.stored_code) for row in rows),
            ticket_type_ids=tuple(row.ticket_type_id for row in rows),
            places=tuple(_words(hall.labels, _seat(row)) for row in rows),
            used=tuple(
                UsedTicket(ticket=hashed, gate=row.gate, scanned_at=_utc(row.entered_at))
                for hashed, row in zip(hashes, rows, strict=True)
                if row.entered_at is not None and row.gate is not None
            ),
            next=None if len(rows) < most else ".".join(map(str, _seat(rows[-1]))),
        )

    async def _hall(self, event_id: int) -> Hall:
        """The event's hall. A rehearsal's has no gates.

        Raises:
            ProblemError: ``unknown_event``.
        """
        try:
            hall = await self._halls.hall(event_id)
        except UnknownEventError:
            raise ProblemError("unknown_event") from None
        if hall.rehearsal_of is not None:
            raise ProblemError("unknown_event")
        return hall


def ticket_hash(purchase_id: uuid.UUID, seat: Seat, issue_number: int) -> str:
    """What stands in a device's list for a signed ticket."""
    return _hash(_TICKET.pack(purchase_id.bytes, *seat, issue_number))


def _code_hash(stored_code: str) -> str:
    """What stands in a device's list for a short code; empty where no key of this site opens it."""
    try:
        return _hash(open_code(stored_code).encode())
    except SealError:
        return ""


def _hash(content: bytes) -> str:
    return urlsafe_b64encode(hashlib.sha256(content).digest()[:HASH_BYTES]).decode().rstrip("=")


def _seat(row: ListedTicket) -> Seat:
    return row.ticket_type_id, row.row_number, row.seat_number


def _given(purchase_id: uuid.UUID | None) -> uuid.UUID:
    assert purchase_id is not None
    return purchase_id


def _utc(at: dt.datetime) -> dt.datetime:
    return at.astimezone(dt.UTC)


def _place(hall: Hall, seat: Seat) -> dict[str, Any]:
    """The members of `gateway.contract.entries.TicketPlace`."""
    ticket = hall.tickets.get(seat[0])
    return {
        "ticket_type_id": seat[0],
        "ticket_type": "" if ticket is None else ticket.ticket_type,
        "row_number": seat[1],
        "seat_number": seat[2],
        "place": _words(hall.labels, seat),
    }


def _words(labels: HallLabels, seat: Seat) -> str:
    """What the hall calls a seat. A ticket without a seat has row 0."""
    if seat[1] == 0:
        return f"No. {seat[2]}"
    called = labels.of(seat)
    parts = (called.section, f"Row {called.row or seat[1]}", f"Seat {called.seat or seat[2]}")
    return " · ".join(part for part in parts if part)


def _seats_called(hall: Hall, row: str, seat: str) -> list[Seat]:
    """The seats that are called so, and those that have these numbers where no plan says what they are called."""
    if hall.labels:
        return hall.labels.find(row, seat)
    if not (row.isascii() and row.isdigit() and seat.isascii() and seat.isdigit() and max(len(row), len(seat)) < 10):
        return []
    return [(ticket_type_id, int(row), int(seat)) for ticket_type_id in hall.tickets]


def _as_rows(seats: list[Seat]) -> str:
    return json.dumps(seat_keys([(0, *seat) for seat in seats]))


def _sentence(checked: Checked) -> str | None:
    entry: EntryRow | None = checked.entry
    if checked.outcome is Outcome.EVENT_CANCELLED:
        return _EVENT_IS_OFF
    if checked.outcome is Outcome.USED and entry is not None:
        return f"Somebody was let in with this ticket already, at gate {entry.gate}."
    return None


def _said(checked: Checked) -> str:
    """What a problem would say."""
    return _sentence(checked) or CATALOGUE[_PROBLEMS[checked.outcome]].detail


def _conflict(hall: Hall, row: reading.ConflictRow) -> ConflictAnswer:
    has_seat = row.ticket_type_id is not None and row.row_number is not None and row.seat_number is not None
    seat = (row.ticket_type_id or 0, row.row_number or 0, row.seat_number or 0)
    return ConflictAnswer(
        why=row.why,
        place=_words(hall.labels, seat) if has_seat else "",
        gate=row.gate,
        operator=row.operator,
        scanned_at=_utc(row.scanned_at),
        recorded_at=_utc(row.recorded_at),
        entry_gate=row.entry_gate,
        entry_scanned_at=None if row.entry_scanned_at is None else _utc(row.entry_scanned_at),
        entry_operator=row.entry_operator,
    )


def _counted(event_id: int, rows: list[CountRow], conflicts: int) -> EntryCounts:
    types: dict[int, TypeCount] = {}
    gates: dict[str, GateCount] = {}
    for row in rows:
        of_type = types.setdefault(
            row.ticket_type_id,
            TypeCount(ticket_type_id=row.ticket_type_id, ticket_type=row.ticket_type, sold=row.sold, entries=0),
        )
        if row.gate is None or row.latest_at is None:
            continue
        of_type.entries += row.entries
        latest_at = _utc(row.latest_at)
        of_gate = gates.setdefault(row.gate, GateCount(gate=row.gate, entries=0, latest_at=latest_at))
        of_gate.entries += row.entries
        of_gate.latest_at = max(of_gate.latest_at, latest_at)
    return EntryCounts(
        event_id=event_id,
        sold=sum(one.sold for one in types.values()),
        entries=sum(one.entries for one in types.values()),
        conflicts=conflicts,
        gates=tuple(gates[name] for name in sorted(gates)),
        ticket_types=tuple(types.values()),
    )
