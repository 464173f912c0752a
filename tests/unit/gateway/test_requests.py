"""The short way's request, which is made without what Litestar's own writes into each."""

from __future__ import annotations

from typing import Any

from litestar import Request

from gateway.wire.bodies import StrictRequest

SCOPE: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}


def test_a_request_has_every_field_of_litestars() -> None:
    fields = {field for above in Request.__mro__ for field in getattr(above, "__slots__", ())}
    assert fields > {"_url", "scope"}
    request: Any = StrictRequest(dict(SCOPE))
    assert [field for field in fields if not hasattr(request, field)] == []
