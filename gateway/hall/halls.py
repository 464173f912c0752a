"""Every event's seats and counts as this process knows them: read once from Postgres, then kept by news.

A worker's message carries each version's difference; where one is missing, the event is read anew. So no request scans
a table, and no answer is older than a message takes, or a second where messages are lost.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import logging
import time
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Final

import msgspec
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from booking_lane.results import BatchNews, EventChange
from db.booking.seats import LAPSED, TAKEN
from db.tables.events import Event, Seat, Ticket
from gateway.contract.hall import EventAnswer, SeatRow, Section, TicketAnswer
from gateway.contract.values import ID_MAX
from gateway.wire.stream import Stream, frame

logger = logging.getLogger(__name__)

HALLS_MAX: Final = 64
UNKNOWN_MAX: Final = 10_000
UNKNOWN_SECONDS: Final = 2.0
DELTAS_KEPT_MAX: Final = 512
BEHIND_SECONDS: Final = 0.2
VERIFY_SECONDS: Final = 0.35
KEEP_SECONDS: Final = 0.5
MIN_VERSION_SECONDS_MAX: Final = 1.0
SEATS_SECONDS: Final = 0.25
"""How old a rendered seat map may be while seats change; no reader's own booking waits for it (`minVersion`)."""
GZIP_LEVEL: Final = 1
EVENT_SECONDS: Final = 60.0
"""How old an event's name, prices and hall may be; bookings are never that old."""

_encode = msgspec.json.Encoder().encode


EVENT_COLUMNS: Final = (
    Event.event_id,
    Event.name,
    Event.artist,
    Event.date,
    Event.venue,
    Event.on_sale_at,
    Event.currency,
    Event.seats_per_fan_max,
)
"""What `EventAnswer` is made of."""


class UnknownEventError(LookupError):
    """There is no such event."""


@dataclass(slots=True)
class Rendered:
    """An answer's bytes with what HTTP says of them, each made once."""

    version: int
    at: float
    body: bytes
    _tag: str = ""
    _gzipped: bytes = b""

    @property
    def tag(self) -> str:
        if not self._tag:
            self._tag = f'W/"{hashlib.blake2b(self.body, digest_size=12).hexdigest()}"'
        return self._tag

    @property
    def gzipped(self) -> bytes:
        if not self._gzipped:
            self._gzipped = gzip.compress(self.body, GZIP_LEVEL, mtime=0)
        return self._gzipped


class Hall:
    """One event in memory. ``taken`` maps seats that are not free to ``reserved`` or ``booked``."""

    def __init__(self, event_id: int) -> None:
        self.event_id = event_id
        self.event: EventAnswer
        self.rehearsal_of: int | None = None
        self.tickets: dict[int, TicketAnswer] = {}
        self.taken: dict[tuple[int, int, int], str] = {}
        self.version = -1
        self.revision = -1
        self.read_whole_at = -EVENT_SECONDS
        self.missed: list[EventChange] = []
        self.behind_since: float | None = None
        self.streams: set[Stream] = set()
        self.deltas: deque[tuple[int, bytes]] = deque(maxlen=DELTAS_KEPT_MAX)
        self.lock = asyncio.Lock()
        self.changed = asyncio.Event()
        self._sections = b"[]"
        self._seats: Rendered | None = None
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

    def set_sections(self, sections: tuple[Section, ...]) -> None:
        self._sections = _encode(sections)
        self._seats = None

    def seats_rendered(self, version_min: int | None = None) -> Rendered:
        """The answer of `GET …/seats`: of this version, or of one at most `SEATS_SECONDS` ago.

        A hall that sells changes its version many times a second, and a stadium's map is a megabyte to render.
        """
        now = time.monotonic()
        known = self._seats
        if known is not None and known.version != self.version:
            young = now - known.at < SEATS_SECONDS
            if not young or (version_min is not None and known.version < version_min):
                known = None
        if known is None:
            taken = _encode([[*seat, status] for seat, status in self.taken.items()])
            body = b'{"eventId":%d,"version":%d,"sections":%s,"taken":%s}' % (
                self.event_id,
                self.version,
                self._sections,
                taken,
            )
            known = self._seats = Rendered(self.version, now, body)
        return known

    def tickets_json(self) -> bytes:
        if self._tickets is None or self._tickets[0] != self.version:
            self._tickets = (self.version, _encode(tuple(self.tickets.values())))
        return self._tickets[1]

    def initial_call(self, room: bytes) -> Rendered:
        """The event, its ticket types' counts and its ``room`` (JSON), made once for all who ask meanwhile."""
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
        """Take the next version's difference; False if one before it is missing."""
        if change.version <= self.version:
            return True
        if change.version != self.version + 1:
            return False
        seats = []
        for seat in change.seats:
            key = (seat.ticket_type_id, seat.row_number, seat.seat_number)
            if seat.status == "available":
                self.taken.pop(key, None)
            else:
                self.taken[key] = seat.status
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
                # Behind: whoever reads on from here would have a gap. Reconnecting brings them up to date.
                stream.end()
        self._tell()
        return True

    def resume(self, stream: Stream, last_version: int | None) -> None:
        """Bring a stream up to date: from ``last_version`` on without a gap, or by a snapshot."""
        known = self.deltas[0][0] if self.deltas else self.version + 1
        if last_version is not None and known - 1 <= last_version <= self.version:
            missing = [delta for version, delta in self.deltas if version > last_version]
            if missing:
                stream.write(b"".join(missing))
        else:
            stream.write(self.snapshot_frame())

    def _tell(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    async def load(self, connection: AsyncConnection) -> None:
        """Read the event from Postgres, all of one moment.

        Raises:
            UnknownEventError
        """
        await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
        columns = (*EVENT_COLUMNS, Event.version, Event.revision, Event.rehearsal_of)
        event = (await connection.execute(select(*columns).where(Event.event_id == self.event_id))).one_or_none()
        if event is None:
            raise UnknownEventError(self.event_id)
        tickets = await connection.execute(
            select(
                Ticket.ticket_type_id,
                Ticket.ticket_type,
                Ticket.price,
                Ticket.quantity,
                Ticket.available_count,
                Ticket.held_count,
            )
            .where(Ticket.event_id == self.event_id)
            .order_by(Ticket.ticket_type_id)
        )
        taken = await connection.execute(
            select(Seat.ticket_type_id, Seat.row_number, Seat.seat_number, Seat.status).where(
                Seat.event_id == self.event_id,
                text(TAKEN),
            )
        )
        facts = event._asdict()
        self.rehearsal_of = facts.pop("rehearsal_of")
        version, revision = facts.pop("version"), facts.pop("revision")
        now = time.monotonic()
        if revision != self.revision or now - self.read_whole_at > EVENT_SECONDS:
            await self._load_sections(connection)
            self.read_whole_at, self.revision = now, revision
        self.event = EventAnswer(**facts)
        self.tickets = {row.ticket_type_id: TicketAnswer(**row._asdict()) for row in tickets}
        self.taken = {(row[0], row[1], row[2]): row[3] for row in taken}
        # The seats of lapsed holds that no sweep has given back yet are anybody's to take: they count as free.
        lapsed = await self._lapsed(connection)
        for ticket_type_id, count in lapsed.items():
            ticket = self.tickets[ticket_type_id]
            ticket.held_count -= count
            ticket.available_count += count
        if version != self.version:
            self.deltas.clear()
        self.version = version
        self._seats = self._tickets = self._initial_call = None
        self.behind_since = None
        missed, self.missed = self.missed, []
        for change in missed:
            self.apply(change)
        self._tell()

    async def _lapsed(self, connection: AsyncConnection) -> dict[int, int]:
        rows = await connection.execute(
            select(Seat.ticket_type_id, func.count())
            .where(Seat.event_id == self.event_id, text(LAPSED))
            .group_by(Seat.ticket_type_id)
        )
        return {row[0]: row[1] for row in rows}

    async def _load_sections(self, connection: AsyncConnection) -> None:
        rows = await connection.execute(
            select(
                Seat.ticket_type_id,
                Seat.row_number,
                func.array_agg(Seat.seat_number).label("seat_numbers"),
            )
            .where(Seat.event_id == self.event_id)
            .group_by(Seat.ticket_type_id, Seat.row_number)
            .order_by(Seat.ticket_type_id, Seat.row_number)
        )
        sections: dict[int, list[SeatRow]] = {}
        for ticket_type_id, row_number, seat_numbers in rows:
            sections.setdefault(ticket_type_id, []).append(
                SeatRow(row_number=row_number, seat_numbers=tuple(sorted(seat_numbers)))
            )
        self.set_sections(tuple(Section(ticket_type_id=key, rows=tuple(rows)) for key, rows in sections.items()))


class Halls:
    """The events this process was asked for, the least used forgotten beyond `HALLS_MAX`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._halls: OrderedDict[int, Hall] = OrderedDict()
        self._unknown: dict[int, float] = {}
        self._reloads: set[asyncio.Task[None]] = set()

    async def hall(self, event_id: int, *, version_min: int | None = None) -> Hall:
        """The event, at ``version_min`` at least where Postgres has come so far.

        Raises:
            UnknownEventError
            sqlalchemy.exc.OperationalError: it must be read and Postgres is away.
        """
        if not 1 <= event_id <= ID_MAX:
            raise UnknownEventError(event_id)
        hall = self._halls.get(event_id)
        if hall is None:
            until = self._unknown.get(event_id)
            if until is not None and until > time.monotonic():
                raise UnknownEventError(event_id)
            hall = Hall(event_id)
            hall = self._halls.setdefault(event_id, hall)
        else:
            self._halls.move_to_end(event_id)
        if hall.version < 0:
            await self._load_first(hall)
        if version_min is not None and hall.version < version_min:
            await self._catch_up(hall, version_min)
        return hall

    async def _load_first(self, hall: Hall) -> None:
        async with hall.lock:
            if hall.version >= 0:
                return
            try:
                await self._load(hall)
            except UnknownEventError:
                self._halls.pop(hall.event_id, None)
                if len(self._unknown) >= UNKNOWN_MAX:
                    self._unknown.clear()
                self._unknown[hall.event_id] = time.monotonic() + UNKNOWN_SECONDS
                raise
            except BaseException:
                self._halls.pop(hall.event_id, None)
                raise
        for event_id, other in list(self._halls.items()):
            if len(self._halls) <= HALLS_MAX:
                break
            if other is not hall and not other.streams and not other.lock.locked():
                del self._halls[event_id]

    async def _catch_up(self, hall: Hall, version_min: int) -> None:
        asked_at = time.monotonic()
        until = asked_at + MIN_VERSION_SECONDS_MAX
        while hall.version < version_min and (left := until - time.monotonic()) > 0:
            try:
                await asyncio.wait_for(hall.changed.wait(), left)
            except TimeoutError:
                break
        # One reading serves all who wait: anybody may ask for a version that will never be.
        async with hall.lock:
            if hall.version < version_min and hall.read_whole_at < asked_at:
                await self._load_anew(hall)

    async def _load(self, hall: Hall) -> None:
        async with self._engine.connect() as connection:
            await hall.load(connection)

    async def renew(self, event_id: int) -> None:
        """An operator has just made or changed the event: this process knows it at once, the others by its version."""
        self._unknown.pop(event_id, None)
        hall = self._halls.get(event_id)
        if hall is not None and hall.version >= 0:
            await self.reload(hall)

    async def reload(self, hall: Hall) -> None:
        """Read the event anew; its streams get a snapshot."""
        async with hall.lock:
            await self._load_anew(hall)

    async def _load_anew(self, hall: Hall) -> None:
        before = hall.version
        await self._load(hall)
        if hall.version != before:
            snapshot = hall.snapshot_frame()
            for stream in hall.streams:
                stream.write(snapshot)

    def on_batch(self, news: BatchNews) -> None:
        """A batch is finished: the halls that it changed follow."""
        for change in news.changes:
            self._apply(change)

    def _apply(self, change: EventChange) -> None:
        hall = self._halls.get(change.event_id)
        if hall is None or hall.version < 0:
            return
        if hall.lock.locked():
            # It is being read this moment, perhaps from before this change.
            hall.missed.append(change)
        elif not hall.apply(change):
            self._reload_soon(hall)

    def mark_stale(self) -> None:
        """Messages may have been missed: look at every event's version."""
        for hall in self._halls.values():
            hall.behind_since = time.monotonic() - BEHIND_SECONDS

    async def keep_streams(self) -> None:
        """Keep the streams alive, and end those whose time has come, for as long as the process runs."""
        while True:
            await asyncio.sleep(KEEP_SECONDS)
            for hall in list(self._halls.values()):
                for stream in list(hall.streams):
                    stream.keep()

    def end_streams(self) -> None:
        """Farewell to every stream; the clients reconnect, elsewhere."""
        for hall in self._halls.values():
            for stream in list(hall.streams):
                stream.end()

    async def verify(self) -> None:
        """Compare versions with Postgres for as long as the process runs; read anew what fell behind."""
        while True:
            await asyncio.sleep(VERIFY_SECONDS)
            known = [hall for hall in self._halls.values() if hall.version >= 0]
            if not known:
                continue
            try:
                async with self._engine.connect() as connection:
                    rows = await connection.execute(
                        select(Event.event_id, Event.version).where(
                            Event.event_id.in_([hall.event_id for hall in known])
                        )
                    )
                    versions = {row[0]: row[1] for row in rows}
            except Exception as error:
                logger.warning("cannot verify versions: %s", error)
                continue
            now = time.monotonic()
            for hall in known:
                version = versions.get(hall.event_id)
                if version is None:
                    self._forget(hall)
                elif now - hall.read_whole_at > EVENT_SECONDS:
                    self._reload_soon(hall)
                elif version <= hall.version:
                    hall.behind_since = None
                elif hall.behind_since is None:
                    hall.behind_since = now
                elif now - hall.behind_since >= BEHIND_SECONDS:
                    self._reload_soon(hall)

    def _forget(self, hall: Hall) -> None:
        """The event is gone, a rehearsal's copy for one."""
        if self._halls.get(hall.event_id) is hall:
            del self._halls[hall.event_id]
        for stream in list(hall.streams):
            stream.end()

    def _reload_soon(self, hall: Hall) -> None:
        if hall.lock.locked():
            return
        self._reloads.add(task := asyncio.get_running_loop().create_task(self._reload_quietly(hall)))
        task.add_done_callback(self._reloads.discard)

    async def _reload_quietly(self, hall: Hall) -> None:
        try:
            await self.reload(hall)
        except Exception as error:
            logger.warning("event %d not read anew: %s", hall.event_id, error)
