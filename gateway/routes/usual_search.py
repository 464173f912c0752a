"""The query of ``GET /api/events`` as clients usually write it, read in a fraction of the time that Litestar takes.

Whatever is written otherwise is Litestar's to read, or to refuse.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import unquote_plus

from gateway.contract.values import CURSOR_CHARACTERS_MAX
from gateway.routes.halls import CHARACTERS_MAX, LIMIT_MAX
from gateway.search.catalogue import Sort

_usual: Final = re.compile(rb"(?:[A-Za-z]+=(?:[A-Za-z0-9._~*()'!-]|\+|%[0-9A-Fa-f]{2})+(?:&|$))+").fullmatch
_number: Final = re.compile("[1-9][0-9]{0,2}").fullmatch


def _text(written: str) -> str | None:
    return written if len(written) <= CHARACTERS_MAX and "\0" not in written else None


def _cursor(written: str) -> str | None:
    return written if len(written) <= CURSOR_CHARACTERS_MAX else None


def _limit(written: str) -> int | None:
    return int(written) if _number(written) and int(written) <= LIMIT_MAX else None


_SORTS: Final = {sort.value: sort for sort in Sort}
_TRUTHS: Final = {"true": True, "false": False}
_READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "q": _text,
    "venue": _text,
    "town": _text,
    "tag": _text,
    "cursor": _cursor,
    "limit": _limit,
    "sort": _SORTS.get,
    "available": _TRUTHS.get,
    "facets": _TRUTHS.get,
    "suggest": _TRUTHS.get,
}
"""By the name of a parameter: what reads it; None is not for us to read."""


def read_search(query: bytes) -> dict[str, Any] | None:
    """The arguments of `gateway.routes.halls.events`; None where Litestar is to read them."""
    if _usual(query) is None:
        return None
    found: dict[str, Any] = {}
    for part in query.decode("ascii").split("&"):
        name, _, written = part.partition("=")
        reader = _READERS.get(name)
        if reader is None or name in found:
            return None
        try:
            value = reader(unquote_plus(written, errors="strict"))
        except UnicodeDecodeError:
            return None
        if value is None:
            return None
        found[name] = value
    return found
