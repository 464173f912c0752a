"""The search in a gateway's memory: what it finds, how it follows the events, and when Postgres stands in."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import msgspec
import psycopg
import pytest

from booking_lane.clients import async_client
from db.connections.engines import create_engine
from db.connections.old_reads import OldReads
from db.events.editing import edit_event
from db.events.edits import EventEdit
from db.orders.asks import Asks, set_asks
from db.search.reading import Bounds, Wanted
from gateway.contract.hall import EventList
from gateway.search.cached import CachedCatalogue
from gateway.search.catalogue import Catalogue, Hits, Search, Sort
from gateway.search.held import HeldCatalogue
from gateway.search.memory import CHANGES_MAX, MemoryCatalogue
from gateway.search.postgres import PostgresCatalogue
from gateway.search.settings import SearchSettings
from tests.ending import dispose
from tests.factories import OFF, make_event, one_type, plan_event
from tests.relevance.corpus import NOW
from tests.relevance.loading import load


class Counting(PostgresCatalogue):
    """The catalogue in Postgres, which counts its runs."""

    runs = 0

    async def search(self, ask: Search) -> Hits:
        self.runs += 1
        return await super().search(ask)


@pytest.fixture
async def reads(database_url: str) -> AsyncIterator[OldReads]:
    engine = create_engine(database_url, pool_max=2)
    yield OldReads(engine)
    await dispose(engine)


@pytest.fixture
def postgres(reads: OldReads) -> Counting:
    return Counting(reads)


@pytest.fixture
def memory(reads: OldReads, postgres: Counting) -> MemoryCatalogue:
    return MemoryCatalogue(reads, postgres, events_max=10_000)


@pytest.fixture
def written(database_url: str) -> Any:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


def ask(text: str = "", sort: Sort = Sort.RELEVANCE, *, limit: int = 20, **wanted: Any) -> Search:
    return Search(wanted=Wanted(text=text, **wanted), sort=sort, limit=limit, now=NOW, facets=True, seats=True)


async def found(catalogue: Catalogue, text: str, **wanted: Any) -> list[int]:
    return [one.facts.event_id for one in (await catalogue.search(ask(text, **wanted))).found]


async def pages(catalogue: Catalogue, asked: Search) -> list[Hits]:
    """The first pages of a search, five at most."""
    found = [await catalogue.search(asked)]
    while (after := found[-1].after) is not None and len(found) < 5:
        found.append(await catalogue.search(replace(asked, after=after)))
    return found


async def test_memory_answers_as_postgres_does(written: psycopg.Connection[Any], reads: OldReads) -> None:
    load(written)
    written.execute("ANALYZE event_search, search_word")
    bounds = Bounds(ranked_max=120, counted_max=100_000)
    postgres = Counting(reads, bounds)
    memory = MemoryCatalogue(reads, postgres, events_max=10_000, bounds=bounds)
    await memory.load()
    for text, wanted in (
        ("", {"town": "berlin"}),
        ("berlin rock", {}),
        ("rock", {}),
        ("be", {"tag": "rock"}),
        ("lena brandt waltz", {}),
        ("paper lanterns", {"available": True}),
        ("olympia june 2027", {}),
        ("", {"price_min": 100, "price_max": 5000, "currency": "EUR", "month": "2027-03", "venue": "hall"}),
        ("classical hamburg", {"date_min": NOW, "date_max": NOW + dt.timedelta(days=200)}),
        ("?!", {}),
    ):
        for sort in Sort:
            asked = ask(text, sort, limit=7, **wanted)
            assert await pages(memory, asked) == await pages(postgres, asked), (text, sort)


@pytest.mark.timeout(60)
async def test_a_search_that_comes_as_a_look_ends_stops_nothing(memory: MemoryCatalogue) -> None:
    """The look is over, the loop has not said so yet, and it began too long ago for the search."""
    await memory.load()

    async def long_ago() -> bool:
        return True

    memory._look = asyncio.create_task(long_ago())
    memory._look.add_done_callback(memory._on_looked)
    assert await asyncio.create_task(memory.is_fresh())
    assert memory._look is None


async def test_memory_follows_events_and_their_seats(
    written: psycopg.Connection[Any], memory: MemoryCatalogue, postgres: Counting, database_url: str
) -> None:
    await memory.load()
    event_id = make_event(written)
    assert await found(memory, "Nachtflgu") == [event_id]
    # A transaction with an older number ends after a newer one.
    with psycopg.connect(database_url) as slow:
        slow.execute("SELECT pg_current_xact_id()")
        other = make_event(written, replace(plan_event(name="Waltz", room=OFF, hall=[one_type()])))
        assert await found(memory, "waltz") == [other]
        edit_event(slow, event_id, EventEdit(facts={"name": "Morgenrot"}), "me", "", seats_max=1_000)
        assert await found(memory, "morgenrot") == []
        slow.commit()
    assert (await found(memory, "nachtflug"), await found(memory, "morgenrot")) == ([], [event_id])
    written.execute(
        "UPDATE ticket SET held_count = available_count, available_count = 0 WHERE event_id = %s", (event_id,)
    )
    assert await found(memory, "morgenrot", available=True) == []
    written.execute("UPDATE ticket SET available_count = held_count, held_count = 0 WHERE event_id = %s", (event_id,))
    hits = await memory.search(ask("morgenrot"))
    assert hits.facets is not None
    assert (hits.facets.total, hits.facets.available) == (1, 1)
    with written.transaction():
        edit_event(written, event_id, EventEdit(facts={"event_state": "unpublished"}), "me", "", seats_max=1_000)
    hits = await memory.search(ask("morgenrot"))
    assert hits.facets is not None
    assert (hits.found, hits.facets.total) == ([], 0)
    again = make_event(written)
    assert await found(memory, "nachtflug") == [again], "another event has its slot now"
    assert await found(memory, "waltz") == [other]
    assert postgres.runs == 0


async def test_memory_shows_what_postgres_shows(
    written: psycopg.Connection[Any], reads: OldReads, memory: MemoryCatalogue, postgres: Counting
) -> None:
    event_id = make_event(written)
    await memory.load()
    assert await pages(memory, ask("nachtflug")) == await pages(postgres, ask("nachtflug"))
    doors_at = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    facts = {"notice": "Doors at seven", "doors_at": doors_at, "picture_alt": "A choir", "account_required": True}
    with written.transaction():
        edit_event(written, event_id, EventEdit(facts=facts), "me", "", seats_max=1_000)
    async with reads._primary.begin() as connection:
        await set_asks(connection, event_id, Asks(attendees=True), "me", "")
    for asked in (ask("nachtflug"), ask("", Sort.DATE), replace(ask("nacht"), suggestions=True)):
        hits = await memory.search(asked)
        assert hits == await postgres.search(asked)
        assert (hits.found[0].facts.notice, hits.found[0].facts.asks) == ("Doors at seven", {})
    without_seats = await memory.search(replace(ask("nachtflug"), seats=False))
    assert [(one.is_available, one.seats) for one in without_seats.found] == [(True, None)]


@pytest.fixture
async def cached(redis_url: str, postgres: Counting) -> AsyncIterator[CachedCatalogue]:
    async with async_client(redis_url, connections_max=8) as client:
        yield CachedCatalogue(postgres, client, SearchSettings())
        await client.connection_pool.disconnect()


async def test_answers_are_held_until_an_event_becomes_another(
    written: psycopg.Connection[Any], reads: OldReads, postgres: Counting, cached: CachedCatalogue
) -> None:
    now = 1_000.0
    settings = SearchSettings(held_bytes_max=2_000)
    memories = [
        MemoryCatalogue(reads, postgres, events_max=10_000, fresh_seconds=0.25, clock=lambda: now) for _ in range(2)
    ]
    here, there = (HeldCatalogue(memory, cached, settings, now=lambda: now) for memory in memories)
    event_id = make_event(written)
    asked = replace(ask("nachtflug"), seats=False)

    async def names(gateway: HeldCatalogue) -> list[str]:
        return [event.name for event in msgspec.json.decode((await gateway.answer(asked)).body, type=EventList).events]

    assert await names(here) == ["Nachtflug"]
    assert postgres.runs == 1, "not read yet"
    for memory in memories:
        await memory.load()
    looks = reads.made["primary"]
    cached.answered.clear()
    answers = await asyncio.gather(*(here.answer(asked) for _ in range(5_000)))
    assert all(answer is answers[0] for answer in answers)
    assert (cached.answered, reads.made["primary"] - looks) == ({"search": 1, "cache": 4_999}, 1)
    assert await names(there) == ["Nachtflug"]
    with written.transaction():
        edit_event(written, event_id, EventEdit(facts={"name": "Nachtflug II"}), "me", "", seats_max=1_000)
    await here.forget()
    assert await names(here) == ["Nachtflug II"], "the gateway of the operator knows at once"
    assert await names(there) == ["Nachtflug"]
    now += 0.3
    assert await names(there) == ["Nachtflug II"]
    held = await there.answer(asked)
    assert await there.answer(asked) is held
    now += settings.cache_seconds
    assert await there.answer(asked) is not held, "an answer grows old"
    held = await there.answer(asked)
    for other in ("nacht", "nachtf", "nachtfl"):
        await there.answer(replace(asked, wanted=Wanted(text=other)))
    assert await there.answer(asked) is not held, "others have its room"
    assert postgres.runs == 1


async def test_postgres_stands_in_where_memory_does_not_suffice(
    written: psycopg.Connection[Any], memory: MemoryCatalogue, postgres: Counting, reads: OldReads
) -> None:
    event_id = make_event(written)
    assert await found(memory, "nachtflug") == [event_id]
    assert postgres.runs == 1, "not read yet"
    await memory.load()
    assert await found(memory, "") == [event_id]
    assert postgres.runs == 2, "all events by what can be bought are an order of Postgres' alone"
    written.execute(
        "INSERT INTO search_change (event_id) SELECT 1000 + n FROM generate_series(1, %s) AS n", (CHANGES_MAX,)
    )
    assert await found(memory, "nachtflug") == [event_id]
    assert postgres.runs == 3, "too much has changed to be taken in before an answer"
    small = MemoryCatalogue(reads, postgres, events_max=1)
    await small.load()
    assert await found(small, "nachtflug") == [event_id]
    assert postgres.runs == 3
    second = make_event(written)
    await found(small, "nachtflug")
    assert sorted(await found(small, "nachtflug")) == [event_id, second]
    assert postgres.runs > 3, "more events than fit"
