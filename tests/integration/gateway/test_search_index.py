"""The search's index: what it finds, how it follows the events, and what happens while it is away.

The index is `tests.index_server`, a server of ours that speaks the part of Elasticsearch's API that is used.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import psycopg
import pytest
from elasticsearch import ApiError, AsyncElasticsearch

from admitone.doctor.finding import Level
from admitone.doctor.search import examine
from admitone.doctor.site import Site as DoctorsSite
from admitone.settings import Settings
from db.connections import primary
from db.connections.engines import create_engine
from db.connections.old_reads import OldReads
from db.events.editing import edit_event
from db.events.edits import EventEdit
from db.patience import Patience
from db.search.index.building import apply_changes, rebuild
from db.search.index.client import client_of
from db.search.index.documents import Connection
from db.search.index.settings import SearchIndexSettings
from db.search.reading import Wanted
from db.settings import DatabaseSettings
from gateway.search.catalogue import Hits, Search, Sort
from gateway.search.indexed import IndexedCatalogue
from gateway.search.postgres import PostgresCatalogue
from tests.factories import make_event
from tests.index_server import IndexServer, Refused, index_server
from tests.relevance.corpus import NOW
from tests.relevance.judgements import DEPTH, judged, ndcg
from tests.relevance.loading import load
from workers.channels.search_index import Indexer

FIGURE_MIN = 0.9
NAME = "admitone-events"


@dataclass
class Site:
    """A database, an index that nothing stands in yet, and the two catalogues over them."""

    database_url: str
    server: IndexServer
    settings: SearchIndexSettings
    client: AsyncElasticsearch
    connection: Connection
    postgres: PostgresCatalogue
    indexed: IndexedCatalogue
    seconds: float = 1_000.0

    async def search(self, text: str = "", sort: Sort = Sort.RELEVANCE, **wanted: Any) -> list[int]:
        hits = await self.indexed.search(ask(text, sort, **wanted))
        return [one.facts.event_id for one in hits.found]

    async def follow(self) -> None:
        while await apply_changes(self.connection, self.client, NAME):
            pass


def ask(text: str = "", sort: Sort = Sort.RELEVANCE, *, limit: int = 20, **wanted: Any) -> Search:
    return Search(wanted=Wanted(text=text, **wanted), sort=sort, limit=limit, now=NOW, facets=True)


@pytest.fixture
async def site(database_url: str) -> AsyncIterator[Site]:
    async with contextlib.AsyncExitStack() as opened:
        server = await opened.enter_async_context(index_server())
        # Longer than a busy machine stalls, for only the tests of silence wait for it.
        settings = SearchIndexSettings(urls=server.url, timeout_seconds=10)
        engine = create_engine(database_url, pool_max=2)
        opened.push_async_callback(engine.dispose)
        client = client_of(settings, seconds=10)
        opened.push_async_callback(client.close)
        connection = await opened.enter_async_context(await primary.connect_async(database_url, "tests"))
        reads = OldReads(engine)
        postgres = PostgresCatalogue(reads)
        found = Site(
            database_url, server, settings, client, connection, postgres, IndexedCatalogue.of(settings, reads, postgres)
        )
        opened.push_async_callback(lambda: found.indexed.close())
        yield found


def hasty(site: Site, timeout_seconds: float = 0.2) -> IndexedCatalogue:
    """The catalogue with little patience, by a clock that the test moves."""
    settings = SearchIndexSettings(urls=site.server.url, timeout_seconds=timeout_seconds, away_seconds=5)
    return IndexedCatalogue(site.client, settings, site.indexed._old_reads, site.postgres, clock=lambda: site.seconds)


async def test_the_index_answers_as_postgres_does(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    with psycopg.connect(site.database_url, autocommit=True) as connection:
        load(connection)
        connection.execute("ANALYZE event_search, search_word")
    assert await rebuild(site.connection, site.client, NAME) == (await site.indexed.search(ask())).facets.total  # type: ignore[union-attr]  # facets were asked for
    figures, same = [], 0
    queries = judged("tuning")
    for one in queries:
        asked = ask(one.query, limit=DEPTH)
        ours, theirs = await site.indexed.search(asked), await site.postgres.search(asked)
        figures.append(ndcg([found.facts.event_id for found in ours.found], one.grades))
        same += ours == theirs
    with capsys.disabled():
        print(f"\nnDCG@{DEPTH} of the index (tuning): {sum(figures) / len(figures):.3f}; {same} answers as of Postgres")
    assert sum(figures) / len(figures) >= FIGURE_MIN
    # Where nothing is misspelt, pages, scores, cursors and facets are the same.
    for text, wanted in (
        ("", {"town": "berlin"}),
        ("berlin rock", {}),
        ("paper lanterns", {"available": True}),
        ("olympia june 2027", {}),
        ("", {"price_min": 100, "price_max": 5000, "currency": "EUR", "month": "2027-03", "venue": "hall"}),
        ("classical hamburg", {"date_min": NOW, "date_max": NOW + dt.timedelta(days=200)}),
        ("?!", {}),
    ):
        for sort in Sort:
            assert await pages(site.indexed, ask(text, sort, limit=7, **wanted)) == await pages(
                site.postgres, ask(text, sort, limit=7, **wanted)
            ), (text, sort)
    assert site.indexed.answered["postgres"] == 0


async def pages(catalogue: IndexedCatalogue | PostgresCatalogue, asked: Search) -> list[Hits]:
    """The first pages of a search, five at most."""
    found = [await catalogue.search(asked)]
    while (after := found[-1].after) is not None and len(found) < 5:
        found.append(await catalogue.search(replace(asked, after=after)))
    return found


async def test_the_index_follows_events_and_their_seats(site: Site) -> None:
    event_id = make_event(site.database_url)
    await rebuild(site.connection, site.client, NAME)
    with psycopg.connect(site.database_url) as connection:
        edit_event(connection, event_id, EventEdit(facts={"name": "Morgenrot"}), "me", "", seats_max=1_000)
    assert await site.search("morgenrot") == []
    await site.follow()
    assert await site.search("morgenrot") == [event_id]
    with psycopg.connect(site.database_url) as connection:
        (free,) = connection.execute("SELECT sum(available_count) FROM ticket").fetchone() or (0,)
        connection.execute("UPDATE ticket SET held_count = available_count, available_count = 0")
    assert free
    await site.follow()
    assert await site.search("morgenrot", available=True) == []
    with psycopg.connect(site.database_url) as connection:
        connection.execute("UPDATE ticket SET available_count = held_count, held_count = 0")
    await site.follow()
    assert await site.search("morgenrot", available=True) == [event_id]
    with psycopg.connect(site.database_url) as connection:
        unpublished = EventEdit(facts={"event_state": "unpublished"})
        edit_event(connection, event_id, unpublished, "me", "", seats_max=1_000)
    assert await site.search("morgenrot") == [], "Postgres says what is on show, also before the index knows"
    await site.follow()
    assert all(not one.documents for one in site.server.indices.values())


async def test_a_rebuild_leaves_no_gap_and_loses_no_change(site: Site) -> None:
    event_id = make_event(site.database_url)
    await rebuild(site.connection, site.client, NAME)
    during: list[list[int]] = []

    async def change() -> None:
        # The new index is whole, and the alias leads to the old one. Another process may not write meanwhile.
        with psycopg.connect(site.database_url) as connection:
            edit_event(connection, event_id, EventEdit(facts={"name": "Morgenrot"}), "me", "", seats_max=1_000)
        async with await primary.connect_async(site.database_url, "tests") as other:
            assert await apply_changes(other, site.client, NAME) == 0
        during.append(await site.search("nachtflug"))

    site.server.before_alias = change
    await rebuild(site.connection, site.client, NAME)
    assert during == [[event_id]]
    assert len(site.server.indices) == 1, "the old index is gone"
    assert await site.search("nachtflug") == [event_id]
    await site.follow()
    assert (await site.search("nachtflug"), await site.search("morgenrot")) == ([], [event_id])
    site.server.before_alias = refuse
    with pytest.raises(ApiError):
        await rebuild(site.connection, site.client, NAME)
    assert await site.search("morgenrot") == [event_id], "the old index stays where a new one fails"
    assert len(site.server.indices) == 1


def refuse() -> None:
    raise Refused(503, "unavailable_shards_exception", "away")


async def test_a_silent_index_costs_one_timeout_and_postgres_stands_in(site: Site) -> None:
    event_id = make_event(site.database_url)
    await rebuild(site.connection, site.client, NAME)
    indexed = hasty(site)
    site.server.silent = True
    before = site.server.searches
    answers = await asyncio.gather(*(indexed.search(ask("nachtflug", limit=number)) for number in range(1, 31)))
    assert {tuple(one.facts.event_id for one in hits.found) for hits in answers} == {(event_id,)}
    sent = site.server.searches - before
    assert 1 <= sent <= 30, "these were on their way when it fell silent"
    for _ in range(20):
        await indexed.search(ask("nachtflug"))
    assert site.server.searches - before == sent, "nobody asks it meanwhile"
    assert not indexed.is_up
    site.seconds += 6
    await asyncio.gather(*(indexed.search(ask("nachtflug")) for _ in range(20)))
    assert site.server.searches - before == sent + 1, "one tries it again"
    site.server.silent = False
    site.seconds += 6
    patient = hasty(site, timeout_seconds=10)
    patient._away_until = site.seconds - 1
    await patient.search(ask("nachtflug"))
    assert patient.is_up
    assert patient.answered == {"index": 1}
    assert indexed.answered == {"postgres": 70}


async def test_an_index_that_is_away_or_missing_is_stood_in_for(site: Site) -> None:
    event_id = make_event(site.database_url)
    patient = hasty(site, timeout_seconds=10)
    hits = await patient.search(ask("nachtflug"))
    assert [one.facts.event_id for one in hits.found] == [event_id]
    ups = [patient.is_up]
    await rebuild(site.connection, site.client, NAME)
    site.server.away = True
    await patient.search(ask("nachtflug"))
    ups.append(patient.is_up)
    site.server.away = False
    site.seconds += 6
    await patient.search(ask("nachtflug"))
    ups.append(patient.is_up)
    assert ups == [True, False, True], "a missing index is no server that is away"
    assert patient.answered == {"postgres": 2, "index": 1}


async def test_the_worker_builds_the_index_and_keeps_it(site: Site) -> None:
    event_id = make_event(site.database_url)
    stop = asyncio.Event()
    running = asyncio.create_task(Indexer(site.database_url, site.settings).run(stop))
    patience = Patience(20)

    async def is_built() -> bool:
        return bool(site.server.aliases.get(NAME))

    assert await patience.wait_for_async(is_built)
    with psycopg.connect(site.database_url) as connection:
        edit_event(connection, event_id, EventEdit(facts={"name": "Morgenrot"}), "me", "", seats_max=1_000)

    async def is_written() -> bool:
        return any("morgenrot" in index.values["name"] for index in site.server.indices.values())

    assert await patience.wait_for_async(is_written)
    site.server.indices.clear()
    site.server.aliases.clear()
    make_event(site.database_url)
    assert await patience.wait_for_async(is_written), "somebody deleted the index, and it is built anew"
    stop.set()
    await running


async def test_the_doctor_tells_of_the_index(site: Site) -> None:
    make_event(site.database_url)
    settings = Settings(db=DatabaseSettings(url=site.database_url), search_index=site.settings)

    def codes() -> dict[str, Level]:
        with psycopg.connect(site.database_url) as connection:
            return {one.code: one.level for one in examine(DoctorsSite(settings, postgres=connection))}

    fine = dict.fromkeys(("search_rows", "search_index", "search_index_late"), Level.OK)
    assert await asyncio.to_thread(codes) == {**fine, "search_index": Level.WARNING}, "there is no index"
    await rebuild(site.connection, site.client, NAME)
    assert await asyncio.to_thread(codes) == fine
    with psycopg.connect(site.database_url) as connection:
        connection.execute("UPDATE search_change SET since = since - interval '2 minutes'")
    assert await asyncio.to_thread(codes) == {**fine, "search_index_late": Level.WARNING}
    await site.follow()
    with psycopg.connect(site.database_url) as connection:
        connection.execute("UPDATE event_search SET revision = revision - 1")
    assert await asyncio.to_thread(codes) == {**fine, "search_rows": Level.WARNING}
    for index in site.server.indices.values():
        index.documents.clear()
    assert (await asyncio.to_thread(codes))["search_index"] is Level.WARNING, "documents are missing"
    site.server.away = True
    assert (await asyncio.to_thread(codes))["search_index"] is Level.WARNING
