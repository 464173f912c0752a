"""Bodies and answers of check-in."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from db.entries.outcomes import Outcome
from db.texts import END, ONE_LINE, fault_of_line, tidy
from gateway.contract.values import AnswerBody, Moment, RequestBody, SeatInt, TicketTypeId

GATE_CHARS_MAX = 40
TICKET_CHARS_MAX = 400
SCANS_MAX = 200

Gate = Annotated[
    str,
    Meta(
        min_length=1, max_length=GATE_CHARS_MAX, pattern=ONE_LINE, description="the gate's name, as its device has it"
    ),
]
Device = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9_-]{8,64}" + END, description="what the device calls itself, and no other device")
]
TicketText = Annotated[
    str, Meta(min_length=1, max_length=TICKET_CHARS_MAX, description="a signed ticket, or the short code of one")
]
ScanId = Annotated[uuid.UUID, Meta(description="the device's own id of this scan; the same again is the same scan")]


YEAR_MIN, YEAR_MAX = 2000, 2200


def _refuse_unseen(gate: str) -> None:
    name = tidy(gate)
    fault = fault_of_line(name, GATE_CHARS_MAX) if name else "it has no character that can be seen"
    if fault is not None:
        raise ValueError(f"gate: {fault}")


class TicketOfSeat(RequestBody, kw_only=True):
    """A ticket by its purchase and seat, as a search finds it."""

    purchase_id: uuid.UUID
    ticket_type_id: TicketTypeId
    row_number: SeatInt
    seat_number: SeatInt


class EntryBody(RequestBody, kw_only=True):
    """Exactly one of ``ticket`` and ``seat`` says which ticket it is."""

    EXAMPLES = (
        {
            "ticket": "ABCDEFGHIJKLMNOP",
            "gate": "North",
            "deviceId": "device-0001",
            "scanId": "019a5b1e-7c1a-7b44-9d3e-5f0a2b6c8d10",
        },
    )

    gate: Gate
    device_id: Device
    scan_id: ScanId
    ticket: TicketText | UnsetType = UNSET
    seat: TicketOfSeat | UnsetType = UNSET

    def __post_init__(self) -> None:
        _refuse_unseen(self.gate)
        if (self.ticket is UNSET) == (self.seat is UNSET):
            raise ValueError("give either ticket or seat")

    @classmethod
    def complete_schema(cls, schema: dict[str, Any], seats_max: int) -> None:
        schema["oneOf"] = [{"required": ["ticket"]}, {"required": ["seat"]}]


class OfflineScan(RequestBody, kw_only=True):
    """A ticket that the device let in without a network, and when by the device's clock."""

    scan_id: ScanId
    ticket: TicketText
    gate: Gate
    scanned_at: Moment

    def __post_init__(self) -> None:
        _refuse_unseen(self.gate)
        if not YEAR_MIN <= self.scanned_at.year < YEAR_MAX:
            raise ValueError(f"scannedAt: a year from {YEAR_MIN} on, and before {YEAR_MAX}")


class SyncBody(RequestBody, kw_only=True):
    EXAMPLES = (
        {
            "deviceId": "device-0001",
            "scans": [
                {
                    "scanId": "019a5b1e-7c1a-7b44-9d3e-5f0a2b6c8d10",
                    "ticket": "ABCDEFGHIJKLMNOP",
                    "gate": "North",
                    "scannedAt": "2026-06-12T19:30:00Z",
                }
            ],
        },
    )

    device_id: Device
    scans: Annotated[tuple[OfflineScan, ...], Meta(min_length=1, max_length=SCANS_MAX)]


class TicketPlace(AnswerBody, kw_only=True):
    """Which seat a ticket is for. ``place`` is what the hall calls it, in words."""

    ticket_type_id: int
    ticket_type: str
    row_number: int
    seat_number: int
    place: str


class EntryAnswer(TicketPlace, kw_only=True):
    """A ticket that is let in. ``scannedAt`` is the device's clock where it had no network, else ``enteredAt``."""

    entry_id: uuid.UUID
    event_id: int
    purchase_id: uuid.UUID
    gate: str
    scanned_at: Moment
    entered_at: Moment


class SyncedScan(AnswerBody, kw_only=True):
    """What became of a scan: ``admitted``, or the code of a conflict with its sentence, and where and when the ticket
    was let in instead, if it was.
    """

    scan_id: uuid.UUID
    result: Outcome
    detail: str
    place: str
    entry_id: uuid.UUID | None
    entry_gate: str | None
    entry_scanned_at: Moment | None


class SyncedScans(AnswerBody, kw_only=True):
    scans: tuple[SyncedScan, ...]


class GateEventAnswer(AnswerBody, kw_only=True):
    event_id: int
    name: str
    venue: str
    date: Moment
    time_zone: str


class GateEvents(AnswerBody, kw_only=True):
    events: tuple[GateEventAnswer, ...]


class FoundTicketAnswer(TicketPlace, kw_only=True):
    """A ticket that may be meant. ``entryId``, ``enteredAt`` and ``gate`` are null until it is let in."""

    purchase_id: uuid.UUID
    cancelled: bool
    entry_id: uuid.UUID | None
    entered_at: Moment | None
    gate: str | None


class FoundTickets(AnswerBody, kw_only=True):
    tickets: tuple[FoundTicketAnswer, ...]


class UsedTicket(AnswerBody, kw_only=True):
    """A ticket of the list that was let in already."""

    ticket: str
    gate: str
    scanned_at: Moment


class TicketKeyAnswer(AnswerBody, kw_only=True):
    """A public key (RFC 8037) that verifies signed tickets."""

    kid: str
    x: str


class TicketList(AnswerBody, kw_only=True):
    """A part of the event's valid tickets, in four columns of one length, for a device without a network.

    ``tickets`` are hashes of signed tickets and ``codes`` of short codes: the first 80 bits of SHA-256 in base64url. A
    signed ticket's hash is of its bytes 12 to 41. ``places`` says in words which seat each is for. ``next`` is the
    ``after`` of the next part, null in the last one.
    """

    event_id: int
    read_at: Moment
    keys: tuple[TicketKeyAnswer, ...]
    ticket_types: dict[str, str]
    tickets: tuple[str, ...]
    codes: tuple[str, ...]
    ticket_type_ids: tuple[int, ...]
    places: tuple[str, ...]
    used: tuple[UsedTicket, ...]
    next: str | None


class GateCount(AnswerBody, kw_only=True):
    """``latestAt`` is when the last ticket was let in there."""

    gate: str
    entries: int
    latest_at: Moment


class TypeCount(AnswerBody, kw_only=True):
    """How many of a ticket type's sold tickets were let in."""

    ticket_type_id: int
    ticket_type: str
    sold: int
    entries: int


class EntryCounts(AnswerBody, kw_only=True):
    event_id: int
    sold: int
    entries: int
    conflicts: int
    gates: tuple[GateCount, ...]
    ticket_types: tuple[TypeCount, ...]


class ConflictAnswer(AnswerBody, kw_only=True):
    """A ticket that a device without a network let in, which could not be entered. Both scans have their time; the
    other one's members are null where there was none.
    """

    why: str
    place: str
    gate: str
    operator: str
    scanned_at: Moment
    recorded_at: Moment
    entry_gate: str | None
    entry_scanned_at: Moment | None
    entry_operator: str | None


class GateStanding(AnswerBody, kw_only=True):
    """What a gate shows: the counts, and the newest conflicts."""

    counts: EntryCounts
    conflicts: tuple[ConflictAnswer, ...]
