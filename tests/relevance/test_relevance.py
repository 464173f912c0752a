"""The figure of the search's relevance, over the queries that were not used to tune it."""

from __future__ import annotations

import psycopg
import pytest

from db.connections.engines import create_engine
from db.search.reading import Wanted, search
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
    found = []
    for one in queries:
        async with engine.connect() as pooled:
            answer = await search(pooled, Wanted(text=one.query), limit=DEPTH, now=NOW, by_score=True)
        found.append((ndcg([event.facts.event_id for event in answer.found], one.grades), one))
    await engine.dispose()
    figure = sum(value for value, _ in found) / len(found)
    with capsys.disabled():
        print(f"\nnDCG@{DEPTH} of {len(found)} queries ({half}): {figure:.3f}")
        if half == "tuning":
            for value, one in sorted(found, key=lambda pair: pair[0])[:12]:
                print(f"  {value:.2f}  {one.kind}: {one.query}")
    assert figure >= FIGURE_MIN
