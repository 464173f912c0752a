"""One event in memory: its facts, counts and seats, and the answers and frames that are made of them."""

from __future__ import annotations

import asyncio
import datetime as dt
import gzip
import hashlib
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from booking_lane.results import EventChange
from db.booking.charges import charge_of
from db.events.halls import (
    HallRow,
    TicketTypeCounts,
    begin_snapshot,
    hall_row,
    labelled_rows,
    seat_rows,
    taken_seats,
    ticket_type_counts,
)
from db.orders.asks import Asks, asks_of
from db.plans.best_seats import FreeSeats
from gateway.contract.hall import EventAnswer, SeatRow, Section, TicketAnswer
from gateway.hall.facts import event_answer
from gateway.hall.labels import NO_LABELS, HallLabels
from gateway.wire.stream import Stream, frame

DELTAS_KEPT_MAX: Final = 512
SEATS_SECONDS: Final = 0.25
"""A rendered seat map may be this old while seats change and rendering is dear (`RENDER_SHARE`), unless the reader
names a `minVersion`.
"""
RENDER_SHARE: Final = 0.05
"""Maps are rendered at every version while that takes at most this share of the process' time."""
RENDER_SECONDS_MAX: Final = 0.05
"""A quiet hall saves up at most this much of its share."""
ANSWERED_FANS_MAX: Final = 2_000
REISSUED_SECONDS: Final = 2.0
"""A change may be on its way for this long after the hall was read with it."""
GZIP_LEVEL: Final = 1
EVENT_SECONDS: Final = 3600.0
"""An event is read whole after this long though no version told of a change. Each change of its facts and its hall
raises its revision, and is read at once; this finds what somebody wrote into Postgres by hand.
"""

_encode = msgspec.json.Encoder().encode


def ticket_answer(counts: TicketTypeCounts) -> TicketAnswer:
    """A ticket type as the API describes it."""
    terms = counts.terms
    charge = charge_of(counts.price, terms)
    return TicketAnswer(
        ticket_type_id=counts.ticket_type_id,
        ticket_type=counts.ticket_type,
        price=counts.price,
        quantity=counts.quantity,
        available_count=counts.available_count,
        held_count=counts.held_count,
        fee=charge.fee,
        tax=charge.tax,
        tax_basis_points=charge.tax_basis_points,
        tax_included=terms.tax_included,
        amount=None if charge.is_plain else charge.amount,
        sold_from=terms.sold_from,
        sold_until=terms.sold_until,
        seats_per_fan_max=terms.seats_per_fan_max,
    )


class UnknownEventError(LookupError):
    """There is no such event."""


@dataclass(slots=True)
class Rendered:
    """An answer's bytes, with their entity tag and their compressed form, each of which is made once."""

    version: int
    at: float
    body: bytes
    seconds: float = 0.0
    """How long the rendering and the compressing took."""
    _tag: str = ""
    _gzipped: bytes = b""

    @property
    def tag(self) -> str:
        if not self._tag:
            self._tag = hashlib.blake2b(self.body, digest_size=12).hexdigest()
        return f'"{self._tag}"'

    @property
    def gzipped_tag(self) -> str:
        """The strong tag of the compressed form, which has other bytes."""
        return f'{self.tag[:-1]}-gzip"'

    @property
    def gzipped(self) -> bytes:
        if not self._gzipped:
            began_at = time.monotonic()
            self._gzipped = gzip.compress(self.body, GZIP_LEVEL, mtime=0)
            self.seconds += time.monotonic() - began_at
        return self._gzipped


class Hall:
    """One event in memory. ``taken`` maps seats that are not free to ``reserved`` or ``booked``.

    Attributes:
        answered: the highest version that this process has told a client in a job's answer. Reads show that version.
        answered_to: the same for each of the fans who were answered last, by user id.
        abandoned: up to this version, a version of this hall may be one that Postgres has lost and given anew to other
            changes. -1 if Postgres never lost any.
        free_seats: the free seats of each ticket type, for proposals. They follow ``taken``; None until somebody asks
            for a proposal (`gateway.hall.proposals`).
        labels: what the rows and seats are called.
        asks: what a fan answers before a checkout; None: nothing.
        used_at: when somebody last asked for the hall.
    """

    def __init__(self, event_id: int) -> None:
        self.event_id = event_id
        self.event: EventAnswer
        self.rehearsal_of: int | None = None
        self.tickets: dict[int, TicketAnswer] = {}
        self.taken: dict[tuple[int, int, int], str] = {}
        self.version = -1
        self.revision = -1
        self.answered = -1
        self.answered_to: dict[int, int] = {}
        self.abandoned = -1
        self.used_at = time.monotonic()
        self.loaded_at = -EVENT_SECONDS
        self.read_whole_at = -EVENT_SECONDS
        self.missed: list[EventChange] = []
        self.behind_since: float | None = None
        self.is_abandoned = False
        self.streams: set[Stream] = set()
        self.deltas: deque[tuple[int, bytes]] = deque(maxlen=DELTAS_KEPT_MAX)
        self.free_seats: dict[int, FreeSeats] | None = None
        self.labels = NO_LABELS
        self.asks: Asks | None = None
        self.lock = asyncio.Lock()
        self.changed = asyncio.Event()
        self._sections = b"[]"
        self._seats: Rendered | None = None
        self._render_seconds = RENDER_SECONDS_MAX
        self._render_seconds_at = time.monotonic()
        self._tickets: tuple[int, bytes] | None = None
        self._initial_call: tuple[bytes, Rendered] | None = None

    @property
    def free(self) -> int:
        return sum(ticket.available_count for ticket in self.tickets.values())

    @property
    def held(self) -> int:
        return sum(ticket.held_count for ticket in self.tickets.values())

    @property
    def quantity(self) -> int:
        return sum(ticket.quantity for ticket in self.tickets.values())

    @property
    def takings(self) -> int:
        """What the sold seats cost by the prices, fees and taxes now in force, in minor units."""
        return sum(
            ticket.cost * (ticket.quantity - ticket.available_count - ticket.held_count)
            for ticket in self.tickets.values()
        )

    def set_sections(self, sections: tuple[Section, ...]) -> None:
        self._sections = _encode(sections)
        self._seats = None

    def seats_rendered(self, version_min: int | None = None) -> Rendered:
        """The answer of `GET …/seats`, at this version, or at one of at most `SEATS_SECONDS` ago if rendering is dear.

        During a sale the version changes many times a second, and a stadium's map is a megabyte to render.
        """
        now = time.monotonic()
        rendered = self._seats
        if rendered is not None and self.is_outdated(rendered, version_min):
            rendered = None
        if rendered is None:
            taken = _encode([[*seat, status] for seat, status in self.taken.items()])
            body = b'{"eventId":%d,"version":%d,"sections":%s,"taken":%s}' % (
                self.event_id,
                self.version,
                self._sections,
                taken,
            )
            rendered = self._seats = Rendered(self.version, now, body, time.monotonic() - now)
        return rendered

    def is_outdated(self, rendered: Rendered, version_min: int | None = None) -> bool:
        """Whether an answer of this hall is to be rendered anew: it is of another version, and ``version_min`` asks for
        a later one, or it is older than `SEATS_SECONDS`, or rendering it is cheap.
        """
        if rendered.version == self.version:
            return False
        now = time.monotonic()
        is_recent = now - rendered.at < SEATS_SECONDS
        is_asked_for = version_min is not None and rendered.version < version_min
        return is_asked_for or not is_recent or self._may_render(now, rendered.seconds)

    def _may_render(self, now: float, seconds: float) -> bool:
        """Whether a rendering of ``seconds`` fits into the share of time that renderings may take. If so, it is counted
        there.
        """
        saved = self._render_seconds + (now - self._render_seconds_at) * RENDER_SHARE
        self._render_seconds, self._render_seconds_at = min(saved, RENDER_SECONDS_MAX), now
        if self._render_seconds < seconds:
            return False
        self._render_seconds -= seconds
        return True

    def note_answered(self, user_id: int, version: int) -> None:
        """Note that the fan was answered with this version. A read of the fan's must show it from now on."""
        self.answered = max(self.answered, version)
        self.answered_to.pop(user_id, None)
        if len(self.answered_to) >= ANSWERED_FANS_MAX:
            del self.answered_to[next(iter(self.answered_to))]
        self.answered_to[user_id] = version

    async def seats_for(self, user_id: int) -> Rendered:
        """The answer of `GET …/seats` for a fan who may just have booked. If the last rendering is older than what the
        fan was answered, this waits for the next one, which is due after `SEATS_SECONDS` at the latest.
        """
        rendered = self.seats_rendered()
        if rendered.version < self.answered_to.get(user_id, -1):
            await asyncio.sleep(max(0.0, rendered.at + SEATS_SECONDS - time.monotonic()))
            rendered = self.seats_rendered()
        return rendered

    def tickets_json(self) -> bytes:
        if self._tickets is None or self._tickets[0] != self.version:
            self._tickets = (self.version, _encode(tuple(self.tickets.values())))
        return self._tickets[1]

    def changes_at(self) -> list[dt.datetime]:
        """When the clock alone changes what is said of the event; moments that are past may be among them."""
        of_tickets = (at for ticket in self.tickets.values() for at in (ticket.sold_from, ticket.sold_until) if at)
        return [self.event.on_sale_at, self.event.off_sale_at, *of_tickets]

    def initial_call(self, room: bytes) -> Rendered:
        """The event, its ticket types' counts and its ``room`` (JSON), rendered once for each version."""
        if self._initial_call is None or self._initial_call[0] != room or self._initial_call[1].version != self.version:
            body = b'{"event":%s,"tickets":%s,"room":%s,"version":%d}' % (
                _encode(self.event),
                self.tickets_json(),
                room,
                self.version,
            )
            self._initial_call = (room, Rendered(self.version, 0.0, body))
        return self._initial_call[1]

    def snapshot_frame(self) -> bytes:
        data = b'{"version":%d,"revision":%d,"taken":%s,"tickets":%s}' % (
            self.version,
            self.revision,
            _encode([[*seat, status] for seat, status in self.taken.items()]),
            self.tickets_json(),
        )
        return frame("snapshot", data, self.version)

    def apply(self, change: EventChange) -> bool:
        """Apply the change to the next version; return False if the event must be read anew, because a version before
        it is missing, or because Postgres has given a version anew (`abandon`).
        """
        if change.version <= self.version:
            if time.monotonic() - self.loaded_at < REISSUED_SECONDS:
                return True
            self.abandon()
            return False
        if change.version != self.version + 1:
            return False
        seats = []
        for seat in change.seats:
            key = (seat.ticket_type_id, seat.row_number, seat.seat_number)
            if seat.status == "available":
                self.taken.pop(key, None)
            else:
                self.taken[key] = seat.status
            if self.free_seats is not None and (free := self.free_seats.get(seat.ticket_type_id)) is not None:
                (free.give if seat.status == "available" else free.take)(seat.row_number, seat.seat_number)
            seats.append([*key, seat.status])
        for count in change.counts:
            ticket = self.tickets.get(count.ticket_type_id)
            if ticket is not None:
                ticket.available_count = count.available_count
                ticket.held_count = count.held_count
        self.version = change.version
        self.behind_since = None
        data = b'{"version":%d,"seats":%s,"tickets":%s}' % (self.version, _encode(seats), self.tickets_json())
        delta = frame("seats", data, self.version)
        self.deltas.append((self.version, delta))
        for stream in self.streams:
            if not stream.write(delta) and not stream.closed:
                # The client reads too slowly and would miss this change; its next connection brings it up to date.
                stream.end()
        self._signal_change()
        return True

    def resume(self, stream: Stream, last_version: int | None) -> None:
        """Bring a stream up to date: by the changes since ``last_version`` if all are kept, else by a snapshot."""
        oldest_kept = self.deltas[0][0] if self.deltas else self.version + 1
        if last_version is not None and max(oldest_kept - 1, self.abandoned + 1) <= last_version <= self.version:
            missing = [delta for version, delta in self.deltas if version > last_version]
            if missing:
                stream.write(b"".join(missing))
        else:
            stream.write(self.snapshot_frame())

    def subscribe(self, stream: Stream, last_version: int | None) -> Callable[[], Awaitable[None]]:
        """Bring the stream up to date and send it every change from now on; return the function that ends this."""
        self.resume(stream, last_version)
        self.streams.add(stream)

        async def leave() -> None:
            self.streams.discard(stream)

        return leave

    def abandon(self) -> None:
        """Take what this process knows of the event for lost: Postgres has gone back to an earlier version, for example
        with a failover to a standby or a restored backup. The event must be read anew.
        """
        self.abandoned = max(self.abandoned, self.version, self.answered)
        self.answered = -1
        self.answered_to.clear()
        self.deltas.clear()
        self.is_abandoned = True

    def _signal_change(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    async def load(self, connection: AsyncConnection) -> None:
        """Read the event from Postgres, all in one snapshot.

        Raises:
            UnknownEventError: there is no such event.
        """
        await self._load(connection, await self._row(connection), may_be_old=False)

    async def load_old(self, connection: AsyncConnection, version_min: int) -> bool:
        """As `load`, from a replica that may be a little behind. Where the replica has not reached ``version_min`` or
        the changes that were told meanwhile, this gives False and changes nothing.
        """
        await begin_snapshot(connection)
        row = await hall_row(connection, self.event_id)
        return row is not None and row.version >= version_min and await self._load(connection, row, may_be_old=True)

    async def load_counts(self, connection: AsyncConnection) -> bool:
        """Read what is said of the event as a whole, without its seats. Such a hall follows no changes.

        Raises:
            UnknownEventError: there is no such event.
        """
        row = await self._row(connection)
        self.version = row.version
        self.rehearsal_of = row.rehearsal_of
        self.event = event_answer(row.facts)
        counts = await ticket_type_counts(connection, self.event_id)
        self.tickets = {count.ticket_type_id: ticket_answer(count) for count in counts}
        return True

    async def _row(self, connection: AsyncConnection) -> HallRow:
        await begin_snapshot(connection)
        row = await hall_row(connection, self.event_id)
        if row is None:
            raise UnknownEventError(self.event_id)
        return row

    async def _load(self, connection: AsyncConnection, row: HallRow, *, may_be_old: bool) -> bool:
        counts = await ticket_type_counts(connection, self.event_id)
        taken = await taken_seats(connection, self.event_id)
        now = time.monotonic()
        is_changed = row.revision != self.revision
        is_read_whole = is_changed or now - self.read_whole_at > EVENT_SECONDS
        sections: tuple[Section, ...] = ()
        labels = self.labels
        if is_read_whole:
            sections = await self._read_sections(connection)
            # Whatever changes a label raises the revision, unless Postgres has gone back.
            if is_changed or self.is_abandoned:
                labels = HallLabels(await labelled_rows(connection, self.event_id))
        told = [change.version for change in self.missed if change.version > row.version]
        if may_be_old and told and told[0] != row.version + 1:
            return False
        if is_read_whole:
            self.set_sections(sections)
            self.read_whole_at, self.revision = now, row.revision
        self.labels = labels
        self.loaded_at = now
        self.rehearsal_of = row.rehearsal_of
        self.event = event_answer(row.facts)
        self.asks = asks_of(row.facts.asks)
        self.tickets = {count.ticket_type_id: ticket_answer(count) for count in counts}
        self.taken = taken
        self.free_seats = None
        if row.version != self.version:
            self.deltas.clear()
        self.version = row.version
        self._seats = self._tickets = self._initial_call = None
        self.behind_since = None
        missed, self.missed = self.missed, []
        for change in missed:
            self.apply(change)
        self._signal_change()
        return True

    async def _read_sections(self, connection: AsyncConnection) -> tuple[Section, ...]:
        sections: dict[int, list[SeatRow]] = {}
        for row in await seat_rows(connection, self.event_id):
            sections.setdefault(row.ticket_type_id, []).append(
                SeatRow(row_number=row.row_number, seat_numbers=row.seat_numbers)
            )
        return tuple(Section(ticket_type_id=key, rows=tuple(rows)) for key, rows in sections.items())
