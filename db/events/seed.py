"""Events with their ticket types, seats and room, made in one go: for the demo, for load, for operators."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

import msgspec
import psycopg
from psycopg import sql

from db.connections import primary
from db.draws.draws import commit_seed_sync
from db.events.blocks import SeatBlock
from db.events.terms import NO_TERMS, Terms
from db.events.ticket_types import TICKET_TYPES_MAX, add_ticket_types
from db.events.time_zones import UNKNOWN_ZONE, is_time_zone, zone_of
from db.plans.model import HallPlan
from db.plans.writing import write_plan
from db.rooms.dials import DIALS, RoomDials, dials_of
from db.rooms.settings import RoomSettings
from db.rooms.states import RoomState
from db.rooms.steering import has_lobby, state_at_start
from db.search.writing import index_event

SEATS_MAX = 500_000

DEMO_NAME = "Nachtflug: Lena Brandt and Band"
PAID_DEMO_NAME = "Spätschicht: The Harbour Strings"
STADIUM_NAME = "The Paper Lanterns: Long Way Home Tour"
SALE_BEGUN_MINUTES = -60.0
SEED_ZONE = "Europe/Berlin"
_DEMO_WEEKS_AHEAD = 6
_STADIUM_WEEKS_AHEAD = 20

_ROOM_COLUMNS = ("event_id", "state", *DIALS)
_ADD_ROOM = sql.SQL("INSERT INTO room ({}) VALUES ({})").format(
    sql.SQL(", ").join(map(sql.Identifier, _ROOM_COLUMNS)), sql.SQL(", ").join(map(sql.Placeholder, _ROOM_COLUMNS))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomSeed(RoomDials):
    """The room that a new event starts with. Where its sale has begun already it has no lobby."""

    state: str = RoomState.OPEN


def room_seed(settings: RoomSettings) -> RoomSeed:
    """The room of a new event as the settings have it."""
    return RoomSeed(**msgspec.structs.asdict(settings))


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketTypePlan:
    """A block of ``rows`` × ``seats_per_row`` seats of one price (minor units), numbered from 1; or ``blocks``, none of
    which overlap.
    """

    ticket_type: str
    price: int
    rows: int = 0
    seats_per_row: int = 0
    blocks: tuple[SeatBlock, ...] = ()
    entrance: str = ""
    terms: Terms = NO_TERMS

    @property
    def hall(self) -> tuple[SeatBlock, ...]:
        return self.blocks or (SeatBlock(rows=self.rows, seats_per_row=self.seats_per_row),)

    @property
    def quantity(self) -> int:
        return sum(block.quantity for block in self.hall)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPlan:
    """An event to be made; its ticket types get the ids 1, 2, 3… in their order. Without an ``off_sale_at`` its sale
    ends at its date. A ``hall_plan`` has exactly the seats of the ticket types.

    Raises:
        ValueError: the plan cannot be built: no seats, too many, a malformed currency, or an unknown time zone.
    """

    name: str
    artist: str
    venue: str
    date: dt.datetime
    on_sale_at: dt.datetime
    currency: str
    ticket_types: tuple[TicketTypePlan, ...]
    room: RoomSeed
    seats_per_fan_max: int = 10
    time_zone: str = UNKNOWN_ZONE
    off_sale_at: dt.datetime | None = None
    hall_plan: HallPlan | None = None
    doors_at: dt.datetime | None = None
    picture_hash: str | None = None
    picture_alt: str = ""
    account_required: bool = False
    payments: str = ""
    town: str = ""
    tags: tuple[str, ...] = ()

    @property
    def _times(self) -> tuple[dt.datetime | None, ...]:
        return self.date, self.on_sale_at, self.off_sale_at, self.doors_at

    def __post_init__(self) -> None:
        if not 1 <= len(self.ticket_types) <= TICKET_TYPES_MAX:
            raise ValueError(f"an event has 1 to {TICKET_TYPES_MAX} ticket types")
        if any(block.rows < 1 or block.seats_per_row < 1 for kind in self.ticket_types for block in kind.hall):
            raise ValueError("a ticket type has at least one row of one seat")
        if sum(kind.quantity for kind in self.ticket_types) > SEATS_MAX:
            raise ValueError(f"an event has at most {SEATS_MAX} seats")
        if not re.fullmatch("[A-Z]{3}", self.currency):
            raise ValueError("a currency is three capital letters, as ISO 4217 has them")
        if any(at is not None and at.tzinfo is None for at in self._times):
            raise ValueError("an event's times name their zone")
        if not is_time_zone(self.time_zone):
            raise ValueError(f"there is no time zone {self.time_zone!r} in the IANA database")


def create_event(connection: psycopg.Connection, plan: EventPlan) -> int:
    """Make the event in the connection's transaction, or in one of its own; returns its id.

    Raises:
        SteeringRefusedError: no room starts in the state.
        psycopg.errors.CheckViolation: a price or a dial is out of the bounds that the tables set.
    """
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO event (name, artist, venue, date, time_zone, on_sale_at, off_sale_at, currency,
                               seats_per_fan_max, ticket_types_made, doors_at, picture_hash, picture_alt,
                               account_required, payments, town, tags)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            RETURNING event_id
            """,
            (
                plan.name,
                plan.artist,
                plan.venue,
                plan.date,
                plan.time_zone,
                plan.on_sale_at,
                plan.off_sale_at,
                plan.currency,
                plan.seats_per_fan_max,
                len(plan.ticket_types),
                plan.doors_at,
                plan.picture_hash,
                plan.picture_alt,
                plan.account_required,
                plan.payments,
                plan.town,
                list(plan.tags),
            ),
        )
        row = cursor.fetchone()
        assert row is not None
        (event_id,) = row
        clock = cursor.execute("SELECT clock_timestamp()").fetchone()
        assert clock is not None
        (now,) = clock
        lobby = has_lobby(plan.room.lobby_minutes, plan.on_sale_at, now)
        dials = dials_of(plan.room)
        room = dials | {"messages": str(plan.room.messages), "state": state_at_start(plan.room.state)}
        if not lobby:
            room["lobby_minutes"] = 0
        cursor.execute(_ADD_ROOM, {"event_id": event_id, **room})
        if lobby:
            commit_seed_sync(connection, event_id)
        kinds = [(kind.ticket_type, kind.price, kind.entrance, kind.terms, kind.hall) for kind in plan.ticket_types]
        add_ticket_types(connection, event_id, 1, kinds)
        if plan.hall_plan is not None:
            write_plan(connection, event_id, plan.hall_plan)
        index_event(connection, event_id)
    return int(event_id)


def seed_demo(
    database_url: str,
    *,
    room: RoomSeed,
    name: str = DEMO_NAME,
    on_sale_minutes: float = SALE_BEGUN_MINUTES,
    time_zone: str = SEED_ZONE,
    payments: str = "",
    boxes: int = 0,
) -> int:
    """A hall of 150 seats, 100 General and 50 VIP; returns the event's id.

    Args:
        payments: the provider that takes its payments; empty: nothing is to be paid.
        boxes: so many seats in a box besides, which are soon sold out.
        on_sale_minutes: until its sale begins; less than 0: it has begun.
        time_zone: IANA's name of the venue's; the event begins at eight in the evening there.

    Raises:
        ValueError: there is no such time zone.
    """
    return _seed(
        database_url,
        weeks_ahead=_DEMO_WEEKS_AHEAD,
        name=name,
        artist="Lena Brandt",
        venue="Kulturhalle am Hafen, Hamburg",
        room=room,
        on_sale_minutes=on_sale_minutes,
        time_zone=time_zone,
        payments=payments,
        ticket_types=(
            TicketTypePlan(ticket_type="General", price=4900, rows=10, seats_per_row=10),
            TicketTypePlan(ticket_type="VIP", price=12900, rows=5, seats_per_row=10),
            *([TicketTypePlan(ticket_type="Box", price=15900, rows=1, seats_per_row=boxes)] if boxes else []),
        ),
    )


def seed_stadium(
    database_url: str,
    *,
    room: RoomSeed,
    name: str = STADIUM_NAME,
    on_sale_minutes: float = SALE_BEGUN_MINUTES,
    time_zone: str = SEED_ZONE,
) -> int:
    """A stadium of 80,000 seats in eight stands; returns the event's id. See `seed_demo`."""
    stands = {
        "North Lower": 8900,
        "North Upper": 6900,
        "East Lower": 11900,
        "East Upper": 8900,
        "South Lower": 8900,
        "South Upper": 6900,
        "West Lower": 14900,
        "West Upper": 9900,
    }
    return _seed(
        database_url,
        weeks_ahead=_STADIUM_WEEKS_AHEAD,
        name=name,
        artist="The Paper Lanterns",
        venue="Rheinauen-Stadion, Köln",
        room=room,
        on_sale_minutes=on_sale_minutes,
        time_zone=time_zone,
        ticket_types=tuple(
            TicketTypePlan(ticket_type=stand, price=price, rows=100, seats_per_row=100)
            for stand, price in stands.items()
        ),
    )


def find_demo(database_url: str, *, name: str = DEMO_NAME) -> int | None:
    """The newest event that `seed_demo` made under this name, if there is one."""
    with primary.connect(database_url, "admitone-seed") as connection:
        found = connection.execute("SELECT max(event_id) FROM event WHERE name = %s", (name,)).fetchone()
    return None if found is None or found[0] is None else int(found[0])


def _seed(
    database_url: str,
    *,
    weeks_ahead: int,
    name: str,
    artist: str,
    venue: str,
    room: RoomSeed,
    on_sale_minutes: float,
    time_zone: str,
    ticket_types: tuple[TicketTypePlan, ...],
    payments: str = "",
) -> int:
    with primary.connect(database_url, "admitone-seed") as connection:
        # Postgres' clock, because the sale's opening is judged by it.
        row = connection.execute("SELECT now() AT TIME ZONE 'UTC'").fetchone()
        assert row is not None
        now: dt.datetime = row[0].replace(tzinfo=dt.UTC)
        event_id = create_event(
            connection,
            EventPlan(
                name=name,
                artist=artist,
                venue=venue,
                date=now.astimezone(zone_of(time_zone)).replace(hour=20, minute=0, second=0, microsecond=0)
                + dt.timedelta(weeks=weeks_ahead),
                time_zone=time_zone,
                on_sale_at=now + dt.timedelta(minutes=on_sale_minutes),
                currency="EUR",
                ticket_types=ticket_types,
                room=room,
                payments=payments,
            ),
        )
        # Without statistics the first thousands of bookings would be planned for an empty table.
        connection.execute("ANALYZE event, ticket, seat, room")
    return event_id
