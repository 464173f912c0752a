"""The list of events: what the address asks for, and the links that narrow the list or go on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlencode

from babel.dates import format_skeleton

from db.events.sale import SaleState
from db.search.reading import Wanted
from gateway.contract.hall import Facets
from gateway.pages.formats import format_money
from gateway.pages.languages import current, gettext, prefix
from gateway.pages.views import ListedView

EVENTS_LISTED_MAX: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the list's address asks for; empty texts and None ask for nothing."""

    q: str = ""
    town: str = ""
    month: str = ""
    currency: str = ""
    price_min: int = 0
    price_max: int | None = None
    available: bool = False
    by_date: bool = False
    cursor: str | None = None

    @property
    def wanted(self) -> Wanted:
        return Wanted(
            text=self.q,
            town=self.town,
            month=self.month,
            currency=self.currency,
            price_min=self.price_min or None,
            price_max=self.price_max,
            available=self.available,
        )

    @property
    def is_narrowed(self) -> bool:
        """Whether the list leaves out events that have the words."""
        return self != Asked(q=self.q, by_date=self.by_date, cursor=self.cursor)

    @property
    def in_order_of_date(self) -> bool:
        """Without words all events fit alike, so the soonest come first."""
        return self.by_date or not self.q

    @property
    def address(self) -> str:
        values = {
            "q": self.q,
            "town": self.town,
            "month": self.month,
            "currency": self.currency,
            "priceMin": self.price_min or "",
            "priceMax": self.price_max or "",
            "available": "true" if self.available else "",
            "sort": "date" if self.by_date else "",
            "cursor": self.cursor or "",
        }
        query = urlencode({name: value for name, value in values.items() if value})
        return f"{prefix()}/?{query}" if query else f"{prefix()}/"


@dataclass(frozen=True, slots=True)
class Choice:
    """A link that narrows the list, or with ``chosen`` widens it again."""

    words: str
    address: str
    count: int | None = None
    chosen: bool = False

    def narrows(self, total: int) -> bool:
        """Whether the link shows other events than the list of so many does."""
        return self.chosen or self.count != total


def choices(asked: Asked, facets: Facets) -> list[tuple[str, list[Choice]]]:
    """The ways to narrow the list, by their headings; a way that all events go is left out."""
    first = replace(asked, cursor=None)
    towns = (
        [Choice(asked.town, replace(first, town="").address, chosen=True)]
        if asked.town
        else [Choice(one.value, replace(first, town=one.value).address, one.count) for one in facets.towns]
    )
    months = (
        [Choice(_month(asked.month), replace(first, month="").address, chosen=True)]
        if asked.month
        else [Choice(_month(one.value), replace(first, month=one.value).address, one.count) for one in facets.months]
    )
    anything = {"currency": "", "price_min": 0, "price_max": None}
    if asked.currency:
        words = _price(asked.currency, asked.price_min, asked.price_max)
        prices = [Choice(words, replace(first, **anything).address, chosen=True)]  # type: ignore[arg-type]
    else:
        prices = [
            Choice(
                _price(one.currency, one.price_min, one.price_max),
                replace(first, currency=one.currency, price_min=one.price_min, price_max=one.price_max).address,
                one.count,
            )
            for one in facets.prices
        ]
    words = gettext("With free seats")
    if asked.available:
        seats = [Choice(words, replace(first, available=False).address, chosen=True)]
    else:
        seats = [Choice(words, replace(first, available=True).address, facets.available)] * (
            0 < facets.available < facets.total
        )
    found = (
        (gettext("Town"), towns),
        (gettext("Month"), months),
        (gettext("Price"), prices),
        (gettext("Seats"), seats),
    )
    return [
        (heading, those) for heading, those in found if those and (len(those) > 1 or those[0].narrows(facets.total))
    ]


def groups(events: Sequence[ListedView]) -> list[tuple[str, list[ListedView]]]:
    """The events by what a fan can do about them, each group under its heading; none is empty."""
    on_sale = [event for event in events if event.is_on_sale]
    coming = [event for event in events if event.sale is SaleState.COMING]
    others = [event for event in events if event not in on_sale and event not in coming]
    found = (
        (gettext("On sale now"), on_sale),
        (gettext("Coming soon"), coming),
        (gettext("No tickets just now"), others),
    )
    return [(heading, those) for heading, those in found if those]


def _month(month: str) -> str:
    year, number = month.split("-")
    return format_skeleton("yMMMM", dt.date(int(year), int(number), 1), locale=current().locale)


def _price(currency: str, price_min: int, price_max: int | None) -> str:
    if price_max is None:
        return gettext("from %(price)s") % {"price": format_money(price_min, currency)}
    if not price_min:
        return gettext("below %(price)s") % {"price": format_money(price_max, currency)}
    return f"{format_money(price_min, currency)} – {format_money(price_max, currency)}"
