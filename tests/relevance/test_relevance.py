"""The figure of the search's relevance, over the queries that were not used to tune it."""

from __future__ import annotations

from typing import cast

import psycopg
import pytest

from db.connections.engines import create_engine
from db.connections.old_reads import OldReads
from db.search.reading import Wanted
from gateway.search.catalogue import Catalogue, Search, Sort
from gateway.search.memory import MemoryCatalogue
from gateway.search.postgres import PostgresCatalogue
from tests.relevance.corpus import NOW
from tests.relevance.judgements import DEPTH, judged, ndcg
from tests.relevance.loading import load

FIGURE_MIN = 0.9


@pytest.mark.parametrize("half", ["tuning", "figure"])
async def test_the_search_finds_what_fans_mean(
    half: str, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        load(connection)
        connection.execute("ANALYZE event_search, search_word")
    queries = judged(half)
    assert len(queries) == 100
    engine = create_engine(database_url, pool_max=1)
    reads = OldReads(engine)
    postgres = PostgresCatalogue(reads)
    # Without Postgres to stand in, so that a search which needs it fails.
    memory = MemoryCatalogue(reads, cast(Catalogue, None), events_max=10_000)
    await memory.load()
    for name, catalogue in (("Postgres", postgres), ("a gateway's memory", memory)):
        found = []
        for one in queries:
            asked = Search(wanted=Wanted(text=one.query), sort=Sort.RELEVANCE, limit=DEPTH, now=NOW)
            hits = await catalogue.search(asked)
            found.append((ndcg([event.facts.event_id for event in hits.found], one.grades), one))
        figure = sum(value for value, _ in found) / len(found)
        with capsys.disabled():
            print(f"\nnDCG@{DEPTH} of {len(found)} queries ({half}) in {name}: {figure:.3f}")
            if half == "tuning":
                for value, one in sorted(found, key=lambda pair: pair[0])[:12]:
                    print(f"  {value:.2f}  {one.kind}: {one.query}")
        assert figure >= FIGURE_MIN
    await engine.dispose()
