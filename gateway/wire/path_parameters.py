"""Parameters in paths: one address for each thing, so any other spelling of its number or UUID is not found."""

from __future__ import annotations

import re
import uuid
from typing import Any, Final

from litestar.routes.base import parsers_map

_number: Final = re.compile(r"0|-?[1-9][0-9]*", re.ASCII).fullmatch
_uuid: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE).fullmatch


def parse_number(text: str) -> int:
    """Raises:
    ValueError: the text is no number, or not as a number is written: ``+1``, ``01``, other scripts' digits.
    """
    if _number(text) is None:
        raise ValueError(text)
    return int(text)


def parse_uuid(text: str) -> uuid.UUID:
    """Raises:
    ValueError: the text is no UUID, or one in braces, without hyphens or as a URN.
    """
    if _uuid(text) is None:
        raise ValueError(text)
    return uuid.UUID(text)


PARSERS: Final[dict[Any, Any]] = {int: parse_number, uuid.UUID: parse_uuid}


def require_canonical() -> None:
    """Have Litestar read the parameters of routes made from here on so: where a parser refuses, it answers 404."""
    parsers_map.update(PARSERS)
