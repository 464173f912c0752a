"""The cancellation of an event is recorded once, and each of its purchases is told of once, in bounded steps."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import psycopg
import pytest

from db.audit.invariants import audit
from db.events import cancelling
from db.events.cancelling import Bookings, write_cancellation_news
from db.events.editing import edit_event
from db.events.edits import Edited, EventEdit, EventRefusedError
from db.events.sale import EventState
from db.events.seed import RoomSeed, seed_demo
from tests.integration.db.world import World

CANCELLED = {"event_state": EventState.CANCELLED, "notice": "We are sorry."}


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    """Five purchases of the event, of which one was given back, and a live hold; and a purchase of another event."""
    event_id = seed_demo(database_url, room=RoomSeed())
    with psycopg.connect(database_url, autocommit=True) as connection:
        world, another = World(connection, event_id), World(connection, seed_demo(database_url, room=RoomSeed()))
        for fan in range(1, 6):
            bought = world.checkout(fan, world.reserve(fan, [(1, 1, fan)], after_seconds=fan), after_seconds=fan + 1)
            if fan == 5:
                world.cancel(fan, bought, after_seconds=10)
        world.reserve(6, [(1, 2, 1)], after_seconds=1190)
        another.checkout(1, another.reserve(1, [(1, 1, 1)], after_seconds=1), after_seconds=2)
        yield world


def edit(world: World, **facts: object) -> Edited:
    with world.connection.transaction():
        return edit_event(world.connection, world.event_id, EventEdit(facts=facts), "ada", "why", seats_max=10_000)


def tell(database_url: str) -> None:
    async def step() -> None:
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
            await write_cancellation_news(connection)

    asyncio.run(step())


def told(world: World) -> list[str]:
    query = "SELECT payload ->> 'purchaseId' FROM outbox WHERE kind = 'purchase.event_cancelled' ORDER BY 1"
    return [row[0] for row in world.connection.execute(query)]


def is_done(world: World) -> bool:
    row = world.connection.execute("SELECT done_at IS NOT NULL FROM event_cancellation").fetchone()
    assert row is not None
    return bool(row[0])


def test_every_purchase_is_told_of_once_and_in_steps(
    database_url: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancelling, "PURCHASES_IN_ONE_STEP_MAX", 3)
    edited = edit(world, **CANCELLED)
    assert edited.cancelled == Bookings(purchases=4, seats=4, holds=1)
    assert edited.sale_moved, "the room is configured anew"
    tell(database_url)
    assert len(told(world)) == 3
    assert not is_done(world)
    tell(database_url)
    assert len(told(world)) == 4
    assert not is_done(world), "a hold is still open"
    world.connection.execute(
        """
        UPDATE reservation SET state = 'lapsed' WHERE user_id = 6;
        UPDATE seat SET status = 'available', reservation_id = NULL, held_until = NULL WHERE row_number = 2;
        UPDATE ticket SET available_count = available_count + held_count, held_count = 0;
        """
    )
    tell(database_url)
    assert is_done(world)
    tell(database_url)
    mine = "SELECT purchase_id::text FROM purchase WHERE event_id = %s AND status = 'confirmed' ORDER BY 1"
    assert told(world) == [row[0] for row in world.connection.execute(mine, (world.event_id,))]
    assert audit(database_url) == []


def test_two_dispatchers_tell_nothing_twice(database_url: str, world: World) -> None:
    edit(world, **CANCELLED)
    with psycopg.connect(database_url) as other:
        other.execute("SELECT FROM event_cancellation FOR UPDATE")
        tell(database_url)
        assert told(world) == [], "the other one is at it"
    tell(database_url)
    assert len(told(world)) == 4


def test_a_cancelled_event_can_only_stay_so(world: World) -> None:
    edit(world, **CANCELLED)
    for state in (EventState.PUBLISHED, EventState.UNPUBLISHED):
        with pytest.raises(EventRefusedError) as refused:
            edit(world, event_state=state)
        assert [refusal.code for refusal in refused.value.refusals] == ["cancelled_for_good"]
    assert edit(world, **CANCELLED) == Edited(changed=False, sale_moved=False)
    again = edit(world, notice="Paid back.")
    assert (again.changed, again.cancelled) == (True, None)
