"""A search as the body that Elasticsearch takes. What a word may mean and is worth is said by `db.search.asking`.

An event's score is the same whole number as Postgres makes (`db.search.statements`), so that the order and the cursors
of both are one. Only the misspelt words that they find differ: here Lucene counts the letters between two words.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from enum import IntEnum
from itertools import pairwise
from typing import Any, Final

from db.events.sale import EventState
from db.search.asking import (
    ENDING_MAX,
    FORM,
    FURTHER,
    NEAR,
    STEM_MIN,
    WITHIN,
    WITHIN_MIN,
    WORTH_OF_PLACE,
    Asked,
    Meaning,
    asked,
    level_of,
    may_be_misspelt,
    typed,
)
from db.search.folding import fold, words
from db.search.index.documents import FIELD_OF_PLACE
from db.search.reading import FACET_VALUES_MAX, Wanted
from db.search.statements import LOST_MOST, STANDINGS, WHOLE_OF
from gateway.search.catalogue import Place
from gateway.search.moments import micros

Query = dict[str, Any]

EXPANSIONS_MAX: Final = 50
"""So many words at most are taken for what a misspelt one may mean."""


class Pass(IntEnum):
    """How widely a search looks. The next pass is made where one finds nothing."""

    EXACT = 0
    """Every word, as it is spelt."""
    NEAR = 1
    """Every word, and what may be meant by it."""
    LOOSE = 2
    """Any of the words, and what may be meant by them."""


def asked_of_index(text: str) -> Asked:
    """The words of a search text with what each means as it is spelt. Two neighbours may be one word of an event."""
    what = typed(text)
    return asked(what, {word: (word,) for _, word in what.joined})


def query_of(wanted: Wanted, words_asked: Asked, now: dt.datetime, how: Pass, *, by_score: bool) -> Query:
    """The query; each event that it finds has its score if the order is by it."""
    filters = _filters(wanted)
    groups = [_group(group, how) for group in words_asked.groups]
    every: Query = {}
    if groups:
        every = {"must": groups} if how is not Pass.LOOSE else {"should": groups, "minimum_should_match": 1}
    if not by_score:
        return {"bool": {"filter": [*filters, {"bool": every} if every else {"match_all": {}}]}}
    parts = len(groups) or 1
    boosts = [*_standing(now, parts)]
    if groups:
        boosts.append(_whole(words_asked.key, parts))
    return {
        "bool": {
            **({"filter": filters} if filters else {}),
            **({"must": [{"bool": every}]} if every else {"must": [_worth({"match_all": {}}, 0)]}),
            "should": boosts,
        }
    }


def sort_of(by_score: bool) -> list[Query]:
    """The order of events."""
    by_date: list[Query] = [{"date_us": {"order": "asc"}}, {"event_id": {"order": "asc"}}]
    return [{"_score": {"order": "desc"}}, *by_date] if by_score else by_date


def search_after(place: Place, by_score: bool) -> list[int]:
    """Where a page goes on."""
    by_date = [micros(place.date), place.event_id]
    return [place.score, *by_date] if by_score else by_date


def aggregations() -> dict[str, Query]:
    """The facets: the most frequent towns, the next months, prices by currency, and what is available."""
    return {
        "towns": {
            "terms": {"field": "town", "size": FACET_VALUES_MAX + 1, "order": [{"_count": "desc"}, {"_key": "asc"}]}
        },
        "months": {"terms": {"field": "month", "size": FACET_VALUES_MAX, "order": [{"_key": "asc"}]}},
        "currencies": {
            "terms": {"field": "currency", "size": FACET_VALUES_MAX},
            "aggs": {"bands": {"terms": {"field": "price_band", "size": FACET_VALUES_MAX}}},
        },
        "available": {"filter": {"term": {"is_available": {"value": True}}}},
    }


def _filters(wanted: Wanted) -> list[Query]:
    found: list[Query] = [_prefix("venue", word) for word in words(wanted.venue)]
    exact = {
        "town_key": fold(wanted.town),
        "tag_keys": fold(wanted.tag),
        "month": wanted.month,
        "currency": wanted.currency,
    }
    found += [_term(field, value) for field, value in exact.items() if value]
    if wanted.available:
        found.append(_term("is_available", True))
    price = _range(gte=wanted.price_min, lt=wanted.price_max)
    date = _range(
        gte=None if wanted.date_min is None else micros(wanted.date_min),
        lte=None if wanted.date_max is None else micros(wanted.date_max),
    )
    found += [{"range": {field: bounds}} for field, bounds in (("price_from", price), ("date_us", date)) if bounds]
    return found


def _range(**bounds: int | None) -> dict[str, int]:
    return {name: bound for name, bound in bounds.items() if bound is not None}


def _group(group: Sequence[Meaning], how: Pass) -> Query:
    """A word: each event has what the best of its meanings is worth there."""
    ways: list[tuple[int, Mapping[str, Query]]] = []
    for meaning in group:
        make = _prefix if meaning.begins else _term
        ways.append((meaning.worth, {field: make(field, meaning.word) for field in FIELD_OF_PLACE.values()}))
    word = max(group, key=lambda one: one.worth).word
    if not word.startswith("="):
        ways += [
            (worth, {field: {kind: {field: parameters}} for field in FIELD_OF_PLACE.values()})
            for worth, kind, parameters in _further(word, how)
        ]
    queries = [
        _worth(fields[field], level_of(worth * WORTH_OF_PLACE[where] / 10))
        for worth, fields in ways
        for where, field in FIELD_OF_PLACE.items()
    ]
    return {"dis_max": {"queries": queries}}


def _further(word: str, how: Pass) -> list[tuple[int, str, Query]]:
    """What else a word may stand for, as (worth, the kind of query, its parameters)."""
    found: list[tuple[int, str, Query]] = []
    if len(word) >= WITHIN_MIN:
        found.append((WITHIN, "wildcard", {"value": f"*{word}*"}))
    if how is Pass.EXACT or not may_be_misspelt(word):
        return found
    fuzzy = {"value": word, "max_expansions": EXPANSIONS_MAX, "transpositions": True}
    found.append((NEAR, "fuzzy", {**fuzzy, "fuzziness": 1}))
    if len(word) >= STEM_MIN:
        found.append((FURTHER, "fuzzy", {**fuzzy, "fuzziness": 2}))
        found.append((FORM, "prefix", {"value": word[: max(STEM_MIN, len(word) - ENDING_MAX)]}))
    return found


def _whole(key: str, parts: int) -> Query:
    queries = [_worth(_term(column, key), worth * parts) for column, worth in WHOLE_OF.items()]
    return {"dis_max": {"queries": queries}}


def _standing(now: dt.datetime, parts: int) -> list[Query]:
    """What an event has before one that has begun, in steps: each needs the ones before."""
    at = micros(now)
    steps: tuple[list[Query], ...] = (
        [{"range": {"date_us": {"gte": at}}}],
        [
            {"range": {"off_sale_us": {"gt": at}}},
            {"bool": {"must_not": [_term("state", EventState.CANCELLED.value)]}},
        ],
        [_term("is_available", True)],
        [{"range": {"on_sale_us": {"lte": at}}}],
    )
    losses = [LOST_MOST, *STANDINGS, 0]
    needed: list[Query] = []
    found = []
    for step, (before, behind) in zip(steps, pairwise(losses), strict=True):
        needed = [*needed, *step]
        found.append(_worth({"bool": {"filter": needed}}, (before - behind) * parts))
    return found


def _worth(query: Query, boost: int) -> Query:
    return {"constant_score": {"filter": query, "boost": boost}}


def _term(field: str, value: str | bool) -> Query:
    return {"term": {field: {"value": value}}}


def _prefix(field: str, word: str) -> Query:
    return {"prefix": {field: {"value": word}}}
