"""Values as words: money, moments, estimates and lengths of time."""

from __future__ import annotations

import datetime as dt
import json
import re

from markupsafe import Markup, escape

# ISO 4217: currencies whose minor unit is not a hundredth.
EXPONENTS = dict.fromkeys(
    [
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "ISK",
        "JPY",
        "KMF",
        "KRW",
        "PYG",
        "RWF",
        "UGX",
        "UYI",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    ],
    0,
) | dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3)

SYMBOLS = {"EUR": "€", "GBP": "£", "USD": "$", "JPY": "¥"}

SEATS_BACK = dt.timedelta(seconds=30)


def format_money(amount: int, currency: str) -> str:
    """``amount`` minor units of an ISO 4217 currency, e.g. 4500 EUR is ``€45.00``, 4500 JPY is ``¥4,500``."""
    exponent = EXPONENTS.get(currency, 2)
    whole, fraction = divmod(abs(amount), 10**exponent)
    digits = f"{whole:,}" + (f".{fraction:0{exponent}d}" if exponent else "")
    sign = "-" if amount < 0 else ""
    symbol = SYMBOLS.get(currency)
    return f"{sign}{symbol}{digits}" if symbol else f"{sign}{currency}\u00a0{digits}"


def format_time(moment: dt.datetime) -> str:
    """A moment in UTC words, e.g. ``Fri 12 Jun 2026, 19:30 UTC``; a script shows it in local time."""
    return moment.astimezone(dt.UTC).strftime("%a %-d %b %Y, %H:%M UTC")


def format_eta(seconds: int | None, least_most: tuple[int, ...] | None = None) -> str:
    """An estimate in words, e.g. ``About 4-7 minutes``, from its range in seconds, as the script says it."""
    if seconds is None:
        return "We are working out how long it will take"
    least, most = least_most or (seconds * 4 // 5, seconds * 4 // 3)
    if most < 60:
        return "Less than a minute"
    low = max(1, least // 60)
    high = max(low + 1, -(-most // 60))
    if high > 120 and low < 60:
        return f"{low} minute{'' if low == 1 else 's'} to {-(-high // 60)} hours"
    if high > 120:
        return f"About {low // 60}\u2013{-(-high // 60)} hours"
    return f"About {low}\u2013{high} minutes"


def format_returning(held: int, ends_at: dt.datetime | None) -> str:
    """What a page says to the line while every seat left is in a hold; the script says the same."""
    seats, hands = ("1 seat is", "another fan\u2019s") if held == 1 else (f"{held:,} seats are", "other fans\u2019")
    until = ""
    if ends_at is not None:
        # A full minute by which they are back: a checkout on its way has some seconds more than the hold.
        full = ends_at.astimezone(dt.UTC) + SEATS_BACK + dt.timedelta(minutes=1) - dt.timedelta(microseconds=1)
        until = f" until {full:%H:%M} UTC at the latest"
    return f"{seats} in {hands} hands{until}. What comes back goes to the line, in order."


def format_span(seconds: int) -> str:
    """A length of time in words, e.g. ``10 minutes``."""
    count, unit = (seconds // 60, "minute") if seconds % 60 == 0 else (seconds, "second")
    return f"{count} {unit}{'' if count == 1 else 's'}"


def format_prose(text: str) -> Markup:
    """Words of the API's description, whose names stand in backquotes, as HTML."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped before


def format_json(value: object) -> str:
    """Not jinja's own, which is for scripts: it sorts the fields and writes apostrophes as escapes."""
    return json.dumps(value, ensure_ascii=False)
