"""The Host of a request: exactly one, and one that can be a host (RFC 9112, 3.2)."""

from __future__ import annotations

import re
from typing import Any, Final

_NAME: Final = b"host"
_possible: Final = re.compile(rb"[A-Za-z0-9\-._~!$&'()*+;=%]*(?::[0-9]*)?|\[[0-9A-Fa-f:.]+\](?::[0-9]*)?").fullmatch


def has_one_host(scope: Any) -> bool:
    """False for two Host lines, for one that is no host, and for none, which only HTTP/1.0 may send.

    A proxy and a gateway that each believe another of two lines would disagree about where a request goes.
    """
    found = [value for name, value in scope["headers"] if name == _NAME]
    if len(found) == 1:
        return _possible(found[0]) is not None
    return not found and bool(scope["http_version"] == "1.0")
