"""Bodies and answers about who sells an event."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from db.invoices.model import EVENT_SERIES
from db.invoices.settings import (
    ADDRESS_CHARS_MAX,
    SELLER_CHARS_MAX,
    SERIES_CHARS_MAX,
    SERIES_PATTERN,
    TAX_ID_CHARS_MAX,
)
from db.texts import ONE_LINE
from gateway.contract.values import AnswerBody, RequestBody, Why

Sentence = Annotated[str, Meta(max_length=ADDRESS_CHARS_MAX, pattern=ONE_LINE)]
Series = Annotated[str, Meta(max_length=SERIES_CHARS_MAX, pattern=SERIES_PATTERN)]
_BAND: Final = {"name": "Band e.V.", "address": "Hauptstr. 1; 10115 Berlin", "taxId": "DE123456789"}


class SellerBody(RequestBody, kw_only=True):
    """Who sells the event, for the invoices to come; an empty ``name``: the site does. A semicolon stands between the
    lines of the ``address``. ``series`` is what numbers begin with, {year} and {event} stand for theirs; no other
    seller may count in it. Credit notes count there too, or in ``creditSeries``.
    """

    EXAMPLES = ({**_BAND, "series": "BAND{year}-", "why": "the band sells"}, {"name": ""})

    name: Annotated[str, Meta(max_length=SELLER_CHARS_MAX, pattern=ONE_LINE)]
    address: Sentence = ""
    tax_id: Annotated[str, Meta(max_length=TAX_ID_CHARS_MAX, pattern=ONE_LINE)] = ""
    note: Sentence = ""
    series: Series = EVENT_SERIES
    credit_series: Series = ""
    why: Why = ""


class SellerAnswer(AnswerBody, kw_only=True):
    """Who sells the event; ``name`` is empty where the site does."""

    event_id: int
    name: str
    address: str
    tax_id: str
    note: str
    series: str
    credit_series: str
