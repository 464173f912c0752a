"""What is found of events, and how it follows them."""

from __future__ import annotations

import datetime as dt
import unicodedata
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from db.connections.engines import create_engine
from db.events.editing import edit_event
from db.events.edits import EventEdit
from db.events.seed import EventPlan, create_event
from db.search.reading import Bounds, Wanted, facets, read_words, search
from db.search.writing import index_behind
from tests.factories import OFF, add_counts, one_type, plan_event

NOW = dt.datetime.now(dt.UTC)
LATER = NOW + dt.timedelta(weeks=20)


@pytest.fixture
def written(database_url: str) -> Any:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
async def read(database_url: str) -> AsyncIterator[AsyncConnection]:
    engine = create_engine(database_url, pool_max=1)
    async with engine.connect() as connection:
        yield connection
    await engine.dispose()


def plan(name: str = "Nachtflug", **facts: Any) -> EventPlan:
    return replace(plan_event(name=name, room=OFF, hall=[one_type(rows=1, seats_per_row=4)]), **facts)


async def found(read: AsyncConnection, text: str = "", *, by_score: bool = True, **wanted: Any) -> list[int]:
    answer = await search(read, Wanted(text=text, **wanted), limit=20, now=NOW, by_score=by_score)
    return [one.facts.event_id for one in answer.found]


async def test_an_event_is_found_by_each_of_its_texts_however_they_are_spelt(
    written: psycopg.Connection[Any], read: AsyncConnection
) -> None:
    event_id = create_event(
        written,
        plan(
            "Żółta Łódź",
            artist="Björk Ásdís",
            venue="Elbphilharmonie",
            town="København",
            tags=("chamber music",),
            date=dt.datetime(2031, 6, 12, 18, tzinfo=dt.UTC),
        ),
    )
    create_event(written, plan("Something Else", artist="Nobody", venue="Nowhere"))
    texts = ["zolta lodz", "ŻÓŁTA ŁÓDŹ", "bjork", "Bjrok", "harmonie", "kobenhavn", "chamber", "12.6.2031", "june 2031"]
    texts += [unicodedata.normalize(form, "Björk Ásdís") for form in ("NFC", "NFD")]
    assert [text for text in texts if await found(read, text) != [event_id]] == []
    assert await found(read, "?!") == [], "a text without a word finds nothing"


async def test_pages_go_on_without_gap_and_without_repeating(
    written: psycopg.Connection[Any], read: AsyncConnection
) -> None:
    ids = [create_event(written, plan(date=LATER + dt.timedelta(days=day % 3))) for day in range(7)]
    for by_score in (True, False):
        seen: list[int] = []
        after: tuple[Any, ...] | None = None
        while True:
            wanted = Wanted(text="nachtflug")
            page = await search(read, wanted, limit=2, now=NOW, by_score=by_score, after=after)
            if not page.found:
                break
            seen += [one.facts.event_id for one in page.found]
            last = page.found[-1]
            place = (last.facts.date, last.facts.event_id)
            after = (last.score, *place) if by_score else place
        assert seen == sorted(ids, key=lambda event_id: (ids.index(event_id) % 3, event_id))


async def test_what_can_be_bought_comes_first(written: psycopg.Connection[Any], read: AsyncConnection) -> None:
    coming = create_event(written, plan(on_sale_at=NOW + dt.timedelta(days=1)))
    sold_out, on_sale = create_event(written, plan()), create_event(written, plan(date=LATER))
    add_counts(written, sold_out, [(1, 1, number) for number in range(1, 5)], available=-1, held=1)
    assert await found(read, "nachtflug") == [on_sale, coming, sold_out]
    assert await found(read, "nachtflug", available=True) == [coming, on_sale][::-1]
    add_counts(written, sold_out, [(1, 1, 1)], available=1, held=-1)
    assert sold_out in await found(read, "nachtflug", available=True), "a seat came back"


async def test_the_index_follows_what_operators_change(written: psycopg.Connection[Any], read: AsyncConnection) -> None:
    event_id = create_event(written, plan())
    with written.transaction():
        edit_event(written, event_id, EventEdit(facts={"name": "Morgenrot", "tags": ("jazz",)}), "me", "", seats_max=10)
    assert (await found(read, "nachtflug"), await found(read, "morgenrot jazz")) == ([], [event_id])
    with written.transaction():
        edit_event(written, event_id, EventEdit(facts={"event_state": "unpublished"}), "me", "", seats_max=10)
    assert await found(read, "morgenrot") == await found(read) == []


async def test_housekeeping_finds_what_an_older_release_wrote(
    written: psycopg.Connection[Any], read: AsyncConnection
) -> None:
    changed, copied = create_event(written, plan()), create_event(written, plan())
    written.execute("UPDATE event SET name = 'Morgenrot', revision = 2 WHERE event_id = %s", (changed,))
    written.execute("DELETE FROM event_search WHERE event_id = %s", (copied,))
    written.execute("UPDATE event SET rehearsal_of = %s WHERE event_id = %s", (changed, copied))
    assert index_behind(written) == 1
    assert index_behind(written) == 0
    assert await found(read, "morgenrot") == [changed]
    assert copied not in await found(read), "a rehearsal's copy is in no list"


async def test_facets_count_and_narrow(written: psycopg.Connection[Any], read: AsyncConnection) -> None:
    june, july = dt.datetime(2031, 6, 30, 22, 30, tzinfo=dt.UTC), dt.datetime(2031, 7, 2, tzinfo=dt.UTC)
    first = create_event(written, plan(town="Köln", date=june - dt.timedelta(days=2)))
    at_midnight = create_event(written, plan(town="Köln", date=june))
    other = create_event(written, plan(town="Bonn", date=july, ticket_types=(one_type(price=900),)))
    words = await read_words(read, "nachtflug")
    counted = await facets(read, Wanted(text="nachtflug"), words, every=True)
    assert (counted.total, counted.available) == (3, 3)
    assert counted.towns == [("Köln", 2), ("Bonn", 1)]
    assert counted.months == [("2031-06", 1), ("2031-07", 2)], "by the venue's clock"
    assert counted.prices == [("EUR", 0, 1), ("EUR", 1, 2)]
    assert await found(read, town="KOLN") == [first, at_midnight]
    assert await found(read, month="2031-07") == [at_midnight, other]
    assert await found(read, currency="EUR", price_max=2500) == [other]


async def test_the_work_of_a_search_is_bounded(written: psycopg.Connection[Any], read: AsyncConnection) -> None:
    past = create_event(written, plan("Rock Hits", date=NOW - dt.timedelta(days=1)))
    soon = [create_event(written, plan("Rock Hits", date=NOW + dt.timedelta(days=day))) for day in (3, 1, 2)]
    named = create_event(written, plan("Rock", date=LATER))
    rare = create_event(written, plan("Waltz", date=LATER))
    bounds = Bounds(ranked_max=2, counted_max=3)

    async def ranked(text: str, by_score: bool = True) -> list[int]:
        answer = await search(read, Wanted(text=text), limit=20, now=NOW, by_score=by_score, bounds=bounds)
        return [one.facts.event_id for one in answer.found]

    assert await ranked("rock") == [named, soon[1], soon[2]], "the soonest, and the event of that very name"
    assert await ranked("rock", by_score=False) == [past, soon[1], soon[2], soon[0], named], "all are found by date"
    assert sorted(await ranked("rock waltz")) == sorted([soon[1], soon[2], rare]), "a rare word is not crowded out"
    words = await read_words(read, "rock")
    counted = await facets(read, Wanted(text="rock"), words, every=True, bounds=bounds)
    assert (counted.total, counted.at_least) == (3, True)
    whole = await facets(read, Wanted(text="rock"), words, every=True)
    assert (whole.total, whole.at_least) == (5, False)
