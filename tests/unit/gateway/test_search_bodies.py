"""The bodies that the search sends to Elasticsearch hold to its API's specification, as Elastic's own client has it.

The classes of `elasticsearch.dsl` are generated from that specification.
"""

from __future__ import annotations

import datetime as dt
import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest
from elasticsearch import AsyncElasticsearch
from elasticsearch.dsl import aggs, field, query, types

from db.search.index.documents import MAPPINGS
from db.search.reading import Wanted
from gateway.search.catalogue import Place, Search, Sort
from gateway.search.elastic import Index
from gateway.search.queries import Pass, asked_of_index, query_of

NOW = dt.datetime(2027, 1, 15, 12, tzinfo=dt.UTC)
WANTED = Wanted(
    text="the paper lanterns berlin june 2027 12.6.2027 u2 x",
    venue="great hall",
    town="Köln",
    tag="rock",
    month="2027-06",
    currency="EUR",
    price_min=100,
    price_max=9_000,
    date_min=NOW,
    date_max=NOW,
    available=True,
)
RANGE = {"gt", "gte", "lt", "lte"}
"""Of these the client has a class by hand (`elasticsearch.dsl.Range`)."""


def parameters(made: Any) -> set[str]:
    return set(inspect.signature(made).parameters) - {"self", "kwargs"}


def faults(body: dict[str, Any]) -> Iterator[str]:
    """What in a query the specification does not have."""
    ((name, given),) = body.items()
    made = query.Query.get_dsl_class(name)
    known = parameters(made.__init__)
    if "_field" not in known:
        yield from (f"{name}: {one}" for one in given.keys() - known)
        for one, about in made._param_defs.items():
            if about.get("type") == "query" and one in given:
                inner = given[one] if isinstance(given[one], list) else [given[one]]
                yield from (fault for each in inner for fault in faults(each))
        return
    ((of, given),) = given.items()
    if of not in MAPPINGS["properties"]:
        yield f"{name}: no field {of}"
    named = re.findall(r"types\.(\w+)", str(inspect.signature(made.__init__).parameters["_value"].annotation))
    taken = {one for each in named for one in getattr(types, each).__annotations__} or RANGE
    yield from (f"{name}: {one}" for one in given.keys() - taken)


@pytest.mark.parametrize("how", Pass)
@pytest.mark.parametrize("by_score", [True, False])
@pytest.mark.parametrize("wanted", [WANTED, Wanted(text="lena"), Wanted()], ids=["all", "word", "nothing"])
def test_queries_are_as_specified(how: Pass, by_score: bool, wanted: Wanted) -> None:
    body = query_of(wanted, asked_of_index(wanted.text), NOW, how, by_score=by_score)
    assert list(faults(body)) == []
    assert query.Q(body).to_dict() == body, "the client's own classes write the same"


def test_a_fault_is_noticed() -> None:
    assert list(faults({"term": {"town": {"valeu": "x"}}})) == ["term: valeu"]
    assert list(faults({"bool": {"must": [{"prefix": {"twon": {"value": "x"}}}]}})) == ["prefix: no field twon"]
    assert list(faults({"dis_max": {"querys": []}})) == ["dis_max: querys"]


@pytest.mark.parametrize("sort", Sort)
def test_the_search_is_as_specified(sort: Sort) -> None:
    ask = Search(wanted=WANTED, sort=sort, limit=5, now=NOW, facets=True, after=Place(NOW, 7, NOW, 3, True))
    by_score = sort is Sort.RELEVANCE
    client = AsyncElasticsearch("http://127.0.0.1:9")
    body = Index(client, "events").body(ask, {"match_all": {}}, 6, by_score=by_score)
    assert body.keys() <= parameters(client.search)
    assert len(body["sort"]) == len(body["search_after"])
    for name, one in body["aggs"].items():
        assert aggs.A(one).to_dict() == one, name
        kind = next(key for key in one if key != "aggs")
        if kind == "terms":
            assert one[kind].keys() <= parameters(aggs.Terms.__init__)
            assert one[kind]["field"] in MAPPINGS["properties"]
        else:
            assert list(faults(one[kind])) == []


def test_the_mapping_has_types_that_there_are() -> None:
    known = {made.name for made in vars(field).values() if inspect.isclass(made) and issubclass(made, field.Field)}
    assert {one["type"] for one in MAPPINGS["properties"].values()} <= known
