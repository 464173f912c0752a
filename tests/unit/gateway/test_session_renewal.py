"""A session in use is renewed once for each of its tokens, and the renewed token is renewed in its turn."""

from __future__ import annotations

from typing import Any

from litestar import Request

from gateway.identity.sessions import RENEWED_HEADER, Identity
from gateway.wire.later_headers import later_headers

SECONDS = 1000


class Clock:
    """A clock that a test sets (Unix time, seconds)."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds


def request_with(token: str) -> Request[Any, Any, Any]:
    headers = [(b"authorization", b"Bearer " + token.encode()), (b"host", b"tickets.test")]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": headers, "query_string": b""})  # type: ignore[arg-type]


def renewed(identity: Identity, token: str) -> str | None:
    """The token that the answer to a request with this token brings, if it brings one."""
    request = request_with(token)
    assert identity.fan(request).user_id == 7
    brought = dict(later_headers(request.scope)).get(RENEWED_HEADER)
    return None if brought is None else brought.decode()


def test_each_token_is_renewed_once_and_the_renewed_one_in_its_turn() -> None:
    clock = Clock()
    identity = Identity("a secret of this test", session_seconds=SECONDS, open_auth=False, secure=False, now=clock)
    first, _ = identity.new_fan(7)
    assert renewed(identity, first) is None
    clock.seconds += 0.9 * SECONDS
    second = renewed(identity, first)
    assert second is not None
    assert renewed(identity, first) == second
    assert renewed(identity, second) is None
    clock.seconds += 0.9 * SECONDS
    third = renewed(identity, second)
    assert third is not None
    assert third not in (first, second)
    assert identity.verify(third).jti == identity.verify(second).jti
