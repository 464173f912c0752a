"""Changes of events fall between two batches, keep every count, and strand nobody."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from db.audit.invariants import audit
from db.booking.events import ADVISORY_SPACE, LOCK_EVENTS
from db.change_log.changes import Subject, change_rows, select_changes
from db.events.blocks import SeatBlock
from db.events.definitions import UnknownEventError, list_events, read_event
from db.events.editing import edit_event
from db.events.edits import (
    ChangedTicketType,
    Edited,
    EventChangedError,
    EventEdit,
    EventRefusedError,
    NewTicketType,
    SeatsOfType,
)
from db.events.seed import RoomSeed, TicketTypePlan
from tests.factories import make_event, one_type, plan_event, write_hold

HOUR = dt.timedelta(hours=1)
ROW = SeatBlock(rows=1, seats_per_row=4)


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


Make = Callable[..., int]


@pytest.fixture
def make(connection: psycopg.Connection) -> Make:
    def made(*, on_sale_in: dt.timedelta = -HOUR, lobby_minutes: int = 0) -> int:
        boxes = TicketTypePlan(
            ticket_type="Boxes", price=9900, blocks=(ROW, SeatBlock(rows=1, seats_per_row=1, first_row=5))
        )
        plan = plan_event(
            name="Recital",
            artist="",
            venue="Small Hall",
            on_sale_in=on_sale_in,
            hall=(one_type("Stalls", price=2500, rows=3, seats_per_row=4), boxes),
            room=RoomSeed(lobby_minutes=lobby_minutes),
            seats_per_fan_max=4,
        )
        return make_event(connection, plan)

    return made


def edit(connection: psycopg.Connection, event_id: int, *, revision: int | None = None, **parts: Any) -> Edited:
    with connection.transaction():
        return edit_event(connection, event_id, EventEdit(**parts), "ada", "why", seats_max=100, revision=revision)


def refusals(connection: psycopg.Connection, event_id: int, **parts: Any) -> list[tuple[str, str]]:
    with pytest.raises(EventRefusedError) as refused:
        edit(connection, event_id, **parts)
    return [(refusal.code, refusal.path) for refusal in refused.value.refusals]


def seats(ticket_type_id: int, *blocks: SeatBlock) -> tuple[SeatsOfType, ...]:
    return (SeatsOfType(path="here", ticket_type_id=ticket_type_id, blocks=blocks),)


def hold(connection: psycopg.Connection, event_id: int, row: int, seat: int, *, ends_in: float) -> None:
    """A seat of the stalls as the engine would hold it, its counts with it."""
    write_hold(connection, event_id, [(1, row, seat)], seconds=ends_in, prices={1: 2500})


def test_an_event_is_read_whole(connection: psycopg.Connection, make: Make) -> None:
    event_id = make()
    event = read_event(connection, event_id)
    assert (event.name, event.currency, event.revision, event.sale_has_begun, event.has_draw) == (
        "Recital",
        "EUR",
        1,
        True,
        False,
    )
    assert [kind.blocks for kind in event.ticket_types] == [
        (SeatBlock(rows=3, seats_per_row=4),),
        (ROW, SeatBlock(rows=1, seats_per_row=1, first_row=5)),
    ]
    assert read_event(connection, event_id, with_seats=False).ticket_types[0].blocks == ()
    with pytest.raises(UnknownEventError):
        read_event(connection, event_id + 1)
    make()
    assert [(one.event_id, one.quantity, one.sold) for one in list_events(connection, event_id + 1, 10)] == [
        (event_id, 17, 0)
    ]


def test_an_edit_keeps_the_counts(connection: psycopg.Connection, make: Make, database_url: str) -> None:
    event_id = make()
    done = edit(
        connection,
        event_id,
        facts={"name": "Gala", "seats_per_fan_max": 6},
        changed_types=(ChangedTicketType(path="a", ticket_type_id=1, price=2600),),
        added_types=(NewTicketType(path="b", ticket_type="Gods", price=500, blocks=(ROW,)),),
        removed_types=(("c", 2),),
        added_seats=seats(1, SeatBlock(rows=2, seats_per_row=1, first_row=9)),
        removed_seats=seats(1, SeatBlock(rows=2, seats_per_row=2)),
    )
    assert done == Edited(changed=True, sale_moved=False)
    event = read_event(connection, event_id)
    assert (event.version, event.revision) == (1, 2)
    assert [(kind.ticket_type, kind.price, kind.quantity, kind.available_count) for kind in event.ticket_types] == [
        ("Stalls", 2600, 10, 10),
        ("Gods", 500, 4, 4),
    ]
    assert audit(database_url) == []
    assert {
        (row.field, row.revision) for row in change_rows(connection.execute(*select_changes(Subject.EVENT, event_id)))
    } == {
        ("name", 2),
        ("seats_per_fan_max", 2),
        ("price of Stalls", 2),
        ("seats of Stalls", 2),
        ("ticket_types", 2),
    }


def test_a_seat_of_a_lapsed_hold_may_go_and_a_held_one_not(
    connection: psycopg.Connection, make: Make, database_url: str
) -> None:
    event_id = make()
    hold(connection, event_id, 1, 1, ends_in=-20)
    hold(connection, event_id, 1, 2, ends_in=60)
    assert refusals(connection, event_id, removed_seats=seats(1, ROW)) == [("seats_held", "here")]
    edit(connection, event_id, removed_seats=seats(1, SeatBlock(rows=1, seats_per_row=1)))
    kind = read_event(connection, event_id).ticket_types[0]
    assert (kind.quantity, kind.available_count, kind.held_count) == (11, 10, 1)
    # The lapsed hold itself is the sweep's to close.
    assert {broken.invariant for broken in audit(database_url)} <= {"hold_ends"}


def test_all_reasons_are_told(connection: psycopg.Connection, make: Make) -> None:
    event_id = make()
    hold(connection, event_id, 1, 2, ends_in=60)
    with pytest.raises(EventRefusedError) as refused:
        edit(
            connection,
            event_id,
            facts={"currency": "USD", "on_sale_at": dt.datetime.now(dt.UTC) + HOUR, "seats_per_fan_max": 1},
            removed_types=(("types", 1), ("types", 7)),
            added_seats=seats(2, ROW),
        )
    found = {refusal.code: refusal for refusal in refused.value.refusals}
    assert set(found) == {"currency_in_use", "sale_begun", "unknown_ticket_type", "seats_held", "seats_exist"}
    assert found["seats_held"].seats == ((1, 1, 2),)
    assert found["seats_exist"].seats == tuple((2, 1, seat) for seat in (1, 2, 3, 4))
    assert refusals(connection, event_id, facts={"seats_per_fan_max": 0}) == [("limit_too_low", "seats_per_fan_max")]
    too_many = seats(1, SeatBlock(rows=10, seats_per_row=10, first_row=50))
    assert refusals(connection, event_id, added_seats=too_many) == [("event_invalid", "$")]
    assert read_event(connection, event_id).revision == 1


def test_what_changes_nothing_writes_nothing(connection: psycopg.Connection, make: Make) -> None:
    event_id = make()
    event = read_event(connection, event_id)
    parts: dict[str, Any] = {
        "facts": {"name": "Recital"},
        "changed_types": (ChangedTicketType(path="", ticket_type_id=1, price=2500),),
    }
    assert edit(connection, event_id, **parts) == Edited(changed=False, sale_moved=False)
    after = read_event(connection, event_id)
    assert (after.version, after.revision) == (event.version, event.revision)
    assert change_rows(connection.execute(*select_changes(Subject.EVENT, event_id))) == []


def test_a_change_of_what_changed_meanwhile_is_refused(connection: psycopg.Connection, make: Make) -> None:
    event_id = make()
    edit(connection, event_id, facts={"venue": "Cellar"}, revision=1)
    with pytest.raises(EventChangedError) as refused:
        edit(connection, event_id, facts={"venue": "Roof"}, revision=1)
    assert refused.value.revision == 2
    assert [(row.field, row.before, row.after) for row in refused.value.since] == [("venue", "Small Hall", "Cellar")]


def test_a_sale_moves_with_its_rooms_revision(connection: psycopg.Connection, make: Make) -> None:
    event_id = make(on_sale_in=HOUR, lobby_minutes=30)
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=15)
    assert edit(connection, event_id, facts={"on_sale_at": soon}) == Edited(changed=True, sale_moved=True)
    assert connection.execute("SELECT revision FROM room").fetchone() == (2,)
    line = connection.execute(
        "SELECT operator, field, after, revision FROM change_log WHERE subject = 'room'"
    ).fetchone()
    assert line == ("ada", "on_sale_at", soon.isoformat(), 2)
    assert refusals(connection, event_id, facts={"on_sale_at": soon - HOUR}) == [("event_invalid", "on_sale_at")]
    connection.execute("UPDATE event SET on_sale_at = now() + interval '5 s'")
    assert refusals(connection, event_id, facts={"on_sale_at": soon + HOUR}) == [("sale_begun", "on_sale_at")]
    without = make(on_sale_in=-HOUR)
    assert edit(connection, without, facts={"on_sale_at": soon + HOUR}).sale_moved, "nobody bought, nobody drew"


def test_an_edit_waits_for_the_batch_before_it(connection: psycopg.Connection, make: Make, database_url: str) -> None:
    event_id = make()
    done = threading.Event()

    def change() -> None:
        with psycopg.connect(database_url, autocommit=True) as other:
            edit(other, event_id, facts={"name": "Gala"})
        done.set()

    thread = threading.Thread(target=change, daemon=True)
    with connection.transaction():
        connection.execute(LOCK_EVENTS, {"space": ADVISORY_SPACE, "event_ids": [event_id]})
        thread.start()
        assert not done.wait(0.5)
    assert done.wait(20)
    thread.join(20)
    assert read_event(connection, event_id).name == "Gala"


def test_an_edit_does_not_wait_for_ever(connection: psycopg.Connection, make: Make, database_url: str) -> None:
    event_id = make()
    with psycopg.connect(database_url, autocommit=True) as other, connection.transaction():
        connection.execute(LOCK_EVENTS, {"space": ADVISORY_SPACE, "event_ids": [event_id]})
        with pytest.raises(psycopg.errors.LockNotAvailable):
            edit(other, event_id, facts={"name": "Gala"})
