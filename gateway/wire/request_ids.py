"""Each request's id: what its answer says in ``X-Request-ID``, and all its log records."""

from __future__ import annotations

import random
import re
from typing import Any, Final

from booking_lane import about, tracing

HEADER: Final = b"x-request-id"
_SCOPE: Final = "admitone.request_id"
_SPAN: Final = "admitone.span"
_sane: Final = re.compile(rb"[A-Za-z0-9._-]{8,64}").fullmatch
_traceparent: Final = re.compile(rb"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}").fullmatch
"""https://www.w3.org/TR/trace-context/#traceparent-header, of any version that keeps its beginning."""


def begin(scope: Any) -> None:
    """Give the request its id: the one it brings if that is sane, else its trace's, else a new one."""
    given = trace = None
    for name, value in scope["headers"]:
        if name == HEADER:
            given = value
        elif name == b"traceparent":
            trace = _traceparent(value)
    ids = (None, None) if trace is None else (int(trace[1], 16), int(trace[2], 16))
    scope[_SPAN] = span = tracing.tracer.request(scope["method"], *ids)
    if given is not None and _sane(given):
        request_id = given
    elif trace is not None:
        request_id = trace[1]
    else:
        request_id = tracing.tracer.trace_id(span) or b"%032x" % random.getrandbits(128)
    scope[_SCOPE] = request_id
    about.begin(request_id=request_id)


def request_id(scope: Any) -> bytes:
    """The id that `begin` gave."""
    found: bytes = scope[_SCOPE]
    return found


def answered(scope: Any, route: str, status: int) -> None:
    """The request's answer begins: so ends its span, where it is traced."""
    tracing.tracer.answered(scope.pop(_SPAN), scope["method"], route, status, about.ids())
