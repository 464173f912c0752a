"""What a client says it takes, has and prefers: request headers that are lists, which may come in several lines."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final, Literal

from litestar import Request

CHARACTERS_MAX: Final = 1024
"""A longer list is not read, since quotes in it may be scanned many times."""
_item: Final = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*")+')
"""One member of a list: a comma within quotes does not end it (RFC 9110, 5.6.1)."""
_tag: Final = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')
_weight: Final = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)").fullmatch
Coding = Literal["br", "gzip"]
_NAMES: Final[dict[Coding, tuple[str, ...]]] = {"br": ("br",), "gzip": ("gzip", "x-gzip")}


def field(request: Request[Any, Any, Any], name: str) -> str | None:
    """All lines of a header as the one list that they are (RFC 9110, 5.3); None without any."""
    lines = request.headers.getall(name, [])
    return ", ".join(lines) if lines else None


def _items(text: str) -> list[str]:
    return _item.findall(text) if len(text) <= CHARACTERS_MAX else []


@lru_cache(maxsize=256)
def takes_gzip(accept_encoding: str | None) -> bool:
    """Whether an answer may be gzipped and the client would not rather have it plain (RFC 9110, 12.5.3)."""
    return coding(accept_encoding, ("gzip",)) is not None


@lru_cache(maxsize=256)
def coding(accept_encoding: str | None, offered: tuple[Coding, ...] = ("br", "gzip")) -> Coding | None:
    """The coding that an answer goes in, of two that are equally welcome the one offered first; None where the client
    takes none of them or would rather have it plain (RFC 9110, 12.5.3). Whoever takes ``*`` is given gzip at most.
    """
    if accept_encoding is None:
        return None
    weights: dict[str, float] = {}
    for item in _items(accept_encoding):
        coding, *parameters = (part.strip().lower() for part in item.split(";"))
        weights.setdefault(coding, _weight_of(parameters))

    def weight(one: Coding) -> float:
        others = weights.get("*", 0.0) if one == "gzip" else 0.0
        return max((weights[name] for name in _NAMES[one] if name in weights), default=others)

    best = max(offered, key=weight)
    return best if weight(best) > 0 and weight(best) >= weights.get("identity", 0.0) else None


def _weight_of(parameters: list[str]) -> float:
    """The ``q`` among a coding's parameters: 1 without any, 0 where it cannot be read, so that nothing is sent which a
    client may have refused.
    """
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return float(value.strip()) if _weight(value.strip()) else 0.0
    return 1.0


@lru_cache(maxsize=256)
def in_order_of_weight(accept: str | None) -> tuple[str, ...]:
    """The members of an Accept-Language in lower case, the most wanted first; what is refused (``q=0``) is left out."""
    weighted = []
    for item in _items(accept or ""):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        weighted.append((_weight_of(parameters), name))
    return tuple(name for weight, name in sorted(weighted, key=lambda one: -one[0]) if weight > 0)


def has_already(if_none_match: str | None, tag: str) -> bool:
    """Whether ``tag`` is among those of an If-None-Match, weak or strong (RFC 9110, 8.8.3.2); ``*`` is every tag."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or tag.removeprefix("W/") in _tag.findall(if_none_match)


@lru_cache(maxsize=64)
def wait_seconds(prefer: str | None, seconds_max: float) -> float:
    """The first ``wait`` of a Prefer; a preference that cannot be read is ignored (RFC 7240, 2)."""
    for item in _items(prefer or ""):
        name, _, value = item.partition(";")[0].partition("=")
        value = value.strip()
        if len(value) > 1 and value[0] == value[-1] == '"':
            value = value[1:-1]
        if name.strip().lower() == "wait" and value.isascii() and value.isdigit():
            return min(float(value), seconds_max)
    return 0.0
