"""Asks the index at Elasticsearch which events a search finds. What is shown of them is read in Postgres."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from elasticsearch import AsyncElasticsearch

from db.search.reading import FACET_VALUES_MAX, Facets
from gateway.search.catalogue import Search, Sort
from gateway.search.moments import moment
from gateway.search.queries import (
    Pass,
    aggregations,
    asked_of_index,
    query_of,
    search_after,
    sort_of,
)


@dataclass(frozen=True, slots=True)
class Hit:
    """An event that was found; ``score`` is 0 by date."""

    event_id: int
    score: int
    date: dt.datetime


@dataclass(frozen=True, slots=True)
class Found:
    """The next events of a search; ``every`` as in `gateway.search.catalogue.Hits`."""

    hits: list[Hit]
    every: bool
    facets: Facets | None


class Index:
    """The index behind the alias ``name``."""

    def __init__(self, client: AsyncElasticsearch, name: str) -> None:
        self._client = client
        self._name = name

    async def find(self, ask: Search, limit: int) -> Found:
        """The next ``limit`` events.

        Raises:
            elasticsearch.ApiError, elasticsearch.TransportError: Elasticsearch refuses or does not answer.
        """
        if ask.wanted.is_nowhere:
            return Found([], True, Facets() if ask.facets else None)
        asked = asked_of_index(ask.wanted.text)
        place = ask.after
        by_score = ask.sort is Sort.RELEVANCE
        passes = [Pass.EXACT]
        if asked.groups:
            passes.append(Pass.NEAR)
        if place is not None and not place.every:
            passes = [Pass.LOOSE]
        elif place is None and by_score and len(asked.groups) > 1:
            passes.append(Pass.LOOSE)
        now = ask.now if place is None else place.now
        # Each pass is a search of its own, and the first one is almost always enough.
        for how in passes:
            query = query_of(ask.wanted, asked, now, how, by_score=by_score)
            answer = (await self._client.search(**self.body(ask, query, limit, by_score=by_score))).body
            if answer["hits"]["total"]["value"]:
                break
        every = how is not Pass.LOOSE or not answer["hits"]["total"]["value"]
        return Found(
            [_hit(one, by_score) for one in answer["hits"]["hits"]],
            every,
            _facets(answer) if ask.facets else None,
        )

    def body(self, ask: Search, query: Mapping[str, Any], limit: int, *, by_score: bool) -> dict[str, Any]:
        """The parameters of the client's `search`."""
        return {
            "index": self._name,
            "query": query,
            "sort": sort_of(by_score),
            "size": limit,
            "source": False,
            "track_total_hits": True if ask.facets else 1,
            **({} if ask.after is None else {"search_after": search_after(ask.after, by_score)}),
            **({"aggs": aggregations()} if ask.facets else {}),
        }


def _hit(hit: Mapping[str, Any], by_score: bool) -> Hit:
    *score, date_us, event_id = hit["sort"]
    return Hit(event_id, int(score[0]) if by_score else 0, moment(date_us))


def _facets(answer: Mapping[str, Any]) -> Facets:
    counted = answer["aggregations"]
    return Facets(
        total=answer["hits"]["total"]["value"],
        towns=[(one["key"], one["doc_count"]) for one in counted["towns"]["buckets"] if one["key"]][:FACET_VALUES_MAX],
        months=[(one["key"], one["doc_count"]) for one in counted["months"]["buckets"]],
        prices=sorted(
            (currency["key"], band["key"], band["doc_count"])
            for currency in counted["currencies"]["buckets"]
            for band in currency["bands"]["buckets"]
        ),
        available=counted["available"]["doc_count"],
    )
