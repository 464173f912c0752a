"""HEAD: the same answer as GET has, without its body (RFC 9110, 9.3.2)."""

from __future__ import annotations

from typing import Any, Final

_ASKED: Final = "admitone.head"


def as_get(scope: Any, send: Any) -> tuple[Any, Any]:
    """The scope of the GET that a HEAD stands for, and a ``send`` that keeps the body back.

    The scope is a copy, since the server asks its own for the method when it frames the answer.
    """

    async def send_head(message: Any) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return {**scope, "method": "GET", _ASKED: True}, send_head


def is_head(scope: Any) -> bool:
    """The request is a HEAD that `as_get` made a GET of."""
    return _ASKED in scope
