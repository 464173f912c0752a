"""A crowd that asks the same is answered by one run of the search."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator

import pytest
import redis.asyncio

from booking_lane.clients import async_client
from db.connections.engines import create_engine
from db.connections.old_reads import OldReads
from db.search.reading import Wanted
from gateway.search.cached import CachedCatalogue
from gateway.search.catalogue import Hits, Search, Sort
from gateway.search.postgres import PostgresCatalogue
from gateway.search.settings import SearchSettings
from tests.ending import dispose
from tests.factories import make_event

ASK = Search(wanted=Wanted(text="nachtflug"), sort=Sort.RELEVANCE, limit=5, now=dt.datetime.now(dt.UTC), facets=True)
LONG = SearchSettings(cache_seconds=300)


class Counting(PostgresCatalogue):
    """The catalogue in Postgres, which counts its runs."""

    runs = 0

    async def search(self, ask: Search) -> Hits:
        self.runs += 1
        return await super().search(ask)


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[redis.asyncio.Redis]:
    async with async_client(redis_url, connections_max=8) as client:
        yield client
        await client.connection_pool.disconnect()


@pytest.fixture
async def catalogue(database_url: str) -> AsyncIterator[Counting]:
    engine = create_engine(database_url, pool_max=2)
    yield Counting(OldReads(engine))
    await dispose(engine)


async def test_five_thousand_equal_searches_of_two_processes_are_one_run(
    client: redis.asyncio.Redis, catalogue: Counting, database_url: str
) -> None:
    event_id = make_event(database_url)
    processes = [CachedCatalogue(catalogue, client, LONG) for _ in range(2)]
    answers = await asyncio.gather(*(processes[number % 2].search(ASK) for number in range(5_000)))
    assert catalogue.runs == 1
    assert {tuple(one.facts.event_id for one in hits.found) for hits in answers} == {(event_id,)}
    assert all(hits.facets is not None and hits.facets.total == 1 for hits in answers)


async def test_an_operators_change_ends_every_answer(
    client: redis.asyncio.Redis, catalogue: Counting, database_url: str
) -> None:
    cached = CachedCatalogue(catalogue, client, LONG)
    assert (await cached.search(ASK)).found == []
    event_id = make_event(database_url)
    assert (await cached.search(ASK)).found == [], "it is kept"
    await cached.forget()
    assert [one.facts.event_id for one in (await cached.search(ASK)).found] == [event_id]
    assert catalogue.runs == 2


async def test_a_search_that_was_asked_again_is_renewed_by_one_while_others_get_it(
    client: redis.asyncio.Redis, catalogue: Counting
) -> None:
    cached = CachedCatalogue(catalogue, client, LONG, now=lambda: clock)
    clock = 1_000_000.0
    await cached.search(ASK)
    clock += 1.5
    processes = [CachedCatalogue(catalogue, client, LONG, now=lambda: clock) for _ in range(20)]
    await asyncio.gather(*(one.search(ASK) for one in processes))
    assert catalogue.runs == 2, "one of them renewed it"
    clock += 1
    await cached.search(ASK)
    assert catalogue.runs == 2
