"""A session in use is renewed once for each of its tokens, and the renewed token is renewed in its turn."""

from __future__ import annotations

import time
from typing import Any

import pytest
from litestar import Request

from gateway.identity.sessions import RENEWED_HEADER, Identity, refuse_without_account
from gateway.wire.later_headers import later_headers
from gateway.wire.problems import ProblemError

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


def test_a_session_of_an_account_is_renewed_until_its_end_and_no_further() -> None:
    clock = Clock()
    identity = Identity("a secret of this test", session_seconds=SECONDS, open_auth=False, secure=False, now=clock)
    until = int(clock.seconds) + 2 * SECONDS
    first = identity.account_token("a session", 7, until)
    clock.seconds += 0.9 * SECONDS
    second = renewed(identity, first)
    assert second is not None
    assert identity.verify(second).jti == "a session"
    assert identity.verify(second).account_until == until
    clock.seconds += 0.9 * SECONDS
    third = renewed(identity, second)
    assert third is not None
    assert renewed(identity, third) is None, "nothing is longer than the session"
    clock.seconds = until
    fresh = Identity("a secret of this test", session_seconds=SECONDS, open_auth=False, secure=False, now=clock)
    with pytest.raises(ProblemError, match="session_invalid"):
        fresh.fan(request_with(third))
    assert fresh.ticket_holder(request_with(third)) is None, "who has an account signs in again"


def test_an_ended_session_is_refused_though_its_token_was_verified_before() -> None:
    ended: set[str] = set()
    identity = Identity("a secret of this test", session_seconds=SECONDS, open_auth=False, secure=False, ended=ended)
    token = identity.account_token("a session", 7, int(time.time()) + SECONDS)
    assert identity.fan(request_with(token)).is_account
    ended.add("a session")
    with pytest.raises(ProblemError, match="session_invalid"):
        identity.fan(request_with(token))
    assert identity.ticket_holder(request_with(token)) is None


def test_only_a_session_of_an_account_passes_where_one_is_required() -> None:
    identity = Identity("a secret of this test", session_seconds=SECONDS, open_auth=False, secure=False)
    anonymous = identity.verify(identity.new_fan(7)[0])
    account = identity.verify(identity.account_token("a session", 7, int(time.time()) + SECONDS))
    refuse_without_account(True, account)
    refuse_without_account(False, anonymous)
    for session in (anonymous, None):
        with pytest.raises(ProblemError, match="account_required"):
            refuse_without_account(True, session)
