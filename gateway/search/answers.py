"""Searches as the API describes them: what a request asks, its cursor, and the answer to it."""

from __future__ import annotations

import base64
import datetime as dt
from typing import Final

import msgspec

from db.currencies import minor_digits
from db.search.reading import Facets as Counted
from db.search.reading import Found
from db.search.terms import PRICE_BANDS
from gateway.contract.hall import EventList, Facets, FacetValue, FoundEvent, PriceFacet, Suggestion
from gateway.contract.values import EventId, Moment
from gateway.hall.facts import answered_facts
from gateway.hall.hall import Rendered
from gateway.search.catalogue import Hits, Place, Search, Sort
from gateway.wire.problems import invalid

ASKED_AT_SECONDS: Final = 30
"""Searches are asked as of the last whole span of so many seconds, so that equal ones are the same."""

_encode: Final = msgspec.json.Encoder().encode


def as_of(now: dt.datetime) -> dt.datetime:
    """The moment that a search at ``now`` is asked as of."""
    return dt.datetime.fromtimestamp(now.timestamp() // ASKED_AT_SECONDS * ASKED_AT_SECONDS, dt.UTC)


def rendered_list(ask: Search, hits: Hits) -> Rendered:
    """The answer of ``GET /api/events`` as it is sent."""
    return Rendered(0, 0.0, _encode(event_list(hits, ask.sort)))


def event_list(hits: Hits, sort: Sort) -> EventList:
    """The answer of ``GET /api/events``."""
    return EventList(
        events=tuple(map(_event, hits.found)),
        cursor=None if hits.after is None else _cursor(hits.after, sort),
        loose=not hits.every,
        facets=None if hits.facets is None else facet_answer(hits.facets),
        suggestions=None
        if hits.suggestions is None
        else tuple(msgspec.convert(one, Suggestion, from_attributes=True) for one in hits.suggestions),
    )


def facet_answer(counted: Counted) -> Facets:
    """The facets with the bounds of their prices."""
    return Facets(
        total=counted.total,
        available=counted.available,
        towns=tuple(FacetValue(value=value, count=count) for value, count in counted.towns),
        months=tuple(FacetValue(value=value, count=count) for value, count in counted.months),
        prices=tuple(_price(currency, band, count) for currency, band, count in counted.prices),
        at_least=counted.at_least,
    )


def read_cursor(cursor: str, sort: Sort) -> Place:
    """Where the page before ended.

    Raises:
        ProblemError: ``invalid_request``: it was never given, or for another order.
    """
    try:
        order, now, score, date, event_id, every = msgspec.json.decode(
            base64.urlsafe_b64decode(cursor), type=tuple[Sort, Moment, int, Moment, EventId, bool]
        )
    except ValueError:
        raise invalid("not a cursor of ours", "cursor") from None
    if order is not sort:
        raise invalid("a cursor of another order", "cursor")
    return Place(now, score, date, event_id, every)


def _cursor(place: Place, sort: Sort) -> str:
    parts = (sort, place.now, place.score, place.date, place.event_id, place.every)
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).decode()


def _event(found: Found) -> FoundEvent:
    return FoundEvent(**answered_facts(found.facts), price_from=found.price_from, available=found.is_available)


def _price(currency: str, band: int, count: int) -> PriceFacet:
    bounds = [0, *(bound * 10 ** minor_digits(currency) for bound in PRICE_BANDS), None]
    least = bounds[band]
    assert least is not None
    return PriceFacet(currency=currency, price_min=least, price_max=bounds[band + 1], count=count)
