"""Headers that an answer is given after its handler made it, by what was learnt of the request on the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

_SCOPE: Final = "admitone.headers"
NONE: Final[Sequence[tuple[bytes, bytes]]] = ()


def add_header(scope: Any, name: bytes, value: bytes) -> None:
    """Have the request's answer say this too."""
    scope[_SCOPE] = [*scope.get(_SCOPE, NONE), (name, value)]


def set_header(scope: Any, name: bytes, value: bytes) -> None:
    """As `add_header`, in place of what was said by this name before."""
    scope[_SCOPE] = [header for header in scope.get(_SCOPE, NONE) if header[0] != name]
    add_header(scope, name, value)


def later_headers(scope: Any) -> Sequence[tuple[bytes, bytes]]:
    """What `add_header` was given for this request."""
    found: Sequence[tuple[bytes, bytes]] = scope.get(_SCOPE, NONE)
    return found
