"""Settings of invoices: who sells, and how invoices are numbered."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Final

from msgspec import Meta

from db.settings import Section, setting
from db.texts import ONE_LINE

SELLER_CHARS_MAX: Final = 120
ADDRESS_CHARS_MAX: Final = 500
TAX_ID_CHARS_MAX: Final = 60
SERIES_CHARS_MAX: Final = 30
SERIES_PATTERN: Final = r"^(?:[A-Za-z0-9._-]|\{year\}|\{event\})*$(?!\n)"
"""What a number begins with: plain signs, which fit a file's name, the year and the event's id."""
_day: Final = re.compile(r"\d{4}-\d{2}-\d{2}").fullmatch


class InvoiceSettings(Section, frozen=True, kw_only=True):
    """Invoices are made where the site or the event names a seller."""

    seller: Annotated[
        str,
        setting("who sells, as invoices name it; empty: only events that name a seller of their own have invoices"),
        Meta(max_length=SELLER_CHARS_MAX, pattern=ONE_LINE),
    ] = ""
    address: Annotated[
        str,
        setting("the seller's address, a semicolon between its lines"),
        Meta(max_length=ADDRESS_CHARS_MAX, pattern=ONE_LINE),
    ] = ""
    tax_id: Annotated[str, setting("the seller's tax number"), Meta(max_length=TAX_ID_CHARS_MAX, pattern=ONE_LINE)] = ""
    note: Annotated[
        str,
        setting("a sentence at the foot of each invoice, for example why no tax is charged"),
        Meta(max_length=ADDRESS_CHARS_MAX, pattern=ONE_LINE),
    ] = ""
    series: Annotated[
        str,
        setting(
            "what an invoice's number begins with; {year} and {event} stand for theirs. Each beginning counts anew"
        ),
        Meta(max_length=SERIES_CHARS_MAX, pattern=SERIES_PATTERN),
    ] = "{year}-"
    credit_series: Annotated[
        str,
        setting("the same of credit notes; empty: they count on in the invoices' series"),
        Meta(max_length=SERIES_CHARS_MAX, pattern=SERIES_PATTERN),
    ] = ""
    since: Annotated[
        str,
        setting(
            "purchases before this day (UTC, e.g. 2027-01-01) get no invoice; empty: all that were paid get theirs"
        ),
    ] = ""

    @property
    def since_at(self) -> dt.datetime:
        """The first moment whose purchases get an invoice.

        Raises:
            ValueError: ``since`` is no day.
        """
        if not self.since:
            return dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
        if not _day(self.since):
            raise ValueError("it is a day such as 2027-01-01")
        return dt.datetime.fromisoformat(self.since).replace(tzinfo=dt.UTC)


NO_SELLER: Final = InvoiceSettings()
"""The site names no seller."""
