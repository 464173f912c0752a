"""Values as words: money, estimates and lengths of time; moments are in `gateway.pages.times`."""

from __future__ import annotations

import datetime as dt
import json
import re
from decimal import Decimal

from babel.numbers import format_decimal, format_percent
from markupsafe import Markup, escape

from db.booking.results import TaxPart
from db.events.terms import BASIS_POINTS
from gateway.pages.languages import current, gettext, ngettext
from gateway.pages.times import format_moment
from messages.moments import CLOCK
from messages.money import money_in

SEATS_BACK = dt.timedelta(seconds=30)
UNSURE = 8
"""A range of waits whose end is this many times its beginning says no more than its end."""


def format_number(number: int) -> str:
    """A count, grouped as the page's language does it, e.g. ``12,345``."""
    return str(format_decimal(number, locale=current().locale))


def format_money(amount: int, currency: str) -> str:
    """``amount`` minor units of an ISO 4217 currency, e.g. 4500 EUR is ``€45.00``, 4500 JPY is ``¥4,500``."""
    return money_in(current().locale, amount, currency)


def format_rate(basis_points: int) -> str:
    """A rate in hundredths of a percent as the page's language writes it, e.g. ``19%`` or ``7.25%``."""
    rate = Decimal(basis_points) / BASIS_POINTS
    return str(format_percent(rate, locale=current().locale, decimal_quantization=False))


def format_tax(part: TaxPart) -> str:
    """The line of a tax in a total, as the script says it."""
    words = gettext("VAT {rate}, included") if part.included else gettext("VAT {rate}")
    return words.format(rate=format_rate(part.basis_points))


def format_stock(available: int, held: int) -> str:
    """How many of a ticket type are left, as the script says it."""
    if available:
        return gettext("{n} left").format(n=format_number(available))
    if held:
        return gettext("{n} in baskets, may come back").format(n=format_number(held))
    return gettext("sold out")


def format_eta(seconds: int | None, least_most: tuple[int, ...] | None = None) -> str:
    """An estimate in words, e.g. ``About 4-7 minutes``, from its range in seconds, as the script says it."""
    if seconds is None:
        return gettext("We are working out how long it will take")
    least, most = least_most or (seconds * 4 // 5, seconds * 4 // 3)
    if most < 60:
        return gettext("Less than a minute")
    low = max(1, least // 60)
    high = max(low + 1, -(-most // 60))
    hours = -(-high // 60)
    if high > 120 and low < 60:
        return gettext("Between {minutes} minutes and {hours} hours").format(minutes=low, hours=hours)
    if high > 120:
        return gettext("About {low}\u2013{high} hours").format(low=low // 60, high=hours)
    if high >= UNSURE * low:
        return gettext("Within {high} minutes, perhaps much sooner").format(high=high)
    return gettext("About {low}\u2013{high} minutes").format(low=low, high=high)


def format_returning(held: int, ends_at: dt.datetime | None, zone: str) -> str:
    """What a page says to the line while every seat left is in a hold, by the clock of a time zone; the script says the
    same by the reader's.
    """
    seats = ngettext(
        "No seat is free right now. {n} is in another fan\u2019s basket and goes to the line if it comes back.",
        "No seat is free right now. {n} are in other fans\u2019 baskets and go to the line if they come back.",
        held,
    ).format(n=format_number(held))
    if ends_at is None:
        return seats
    # A full minute by which they are back: a checkout on its way has some seconds more than the hold.
    full = ends_at + SEATS_BACK + dt.timedelta(minutes=1) - dt.timedelta(microseconds=1)
    until = gettext("We know by {time} at the latest.").format(time=format_moment(full, zone, CLOCK))
    return f"{seats} {until}"


def format_span(seconds: int) -> str:
    """A length of time in words, e.g. ``10 minutes``."""
    if seconds % 60:
        return ngettext("{n} second", "{n} seconds", seconds).format(n=seconds)
    return ngettext("{n} minute", "{n} minutes", seconds // 60).format(n=seconds // 60)


def format_prose(text: str) -> Markup:
    """Words of the API's description, whose names stand in backquotes, as HTML."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped before


def format_json(value: object) -> str:
    """Not jinja's own, which is for scripts: it sorts the fields and writes apostrophes as escapes."""
    return json.dumps(value, ensure_ascii=False)
