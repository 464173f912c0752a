"""In production the first join of a browser begins a new session: who knew the one before has no share in the place."""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import Any

import pytest
from litestar import Request

from gateway.identity.sessions import Identity, Session
from gateway.wire.later_headers import later_headers

NAME = "__Host-admitone_session"


def identity(*, secure: bool = True) -> Identity:
    return Identity("a secret of this test", session_seconds=1000, open_auth=False, secure=secure)


def asking(token: str, *, method: str = "POST", by_cookie: bool = True, name: str = NAME) -> Request[Any, Any, Any]:
    said = (b"cookie", f"{name}={token}".encode()) if by_cookie else (b"authorization", f"Bearer {token}".encode())
    headers = [said, (b"host", b"tickets.test"), (b"sec-fetch-site", b"same-origin")]
    return Request({"type": "http", "method": method, "path": "/", "headers": headers, "query_string": b""})  # type: ignore[arg-type]


def cookies(request: Request[Any, Any, Any]) -> list[str]:
    """The tokens of the cookies that the answer brings."""
    return [
        SimpleCookie(value.decode())[NAME].value
        for name, value in later_headers(request.scope)
        if name == b"set-cookie"
    ]


def joined(gate: Identity, request: Request[Any, Any, Any]) -> Session:
    return gate.at_first_join(request, gate.fan(request))


def test_a_browser_that_has_done_nothing_joins_as_a_new_fan() -> None:
    gate = identity()
    planted, visitor = gate.new_fan(visits=True)
    request = asking(planted)
    fan = joined(gate, request)
    (token,) = cookies(request)
    assert gate.verify(token) == fan
    assert fan.user_id != visitor
    assert fan.jti != gate.verify(planted).jti
    again = asking(token)
    assert joined(gate, again).user_id == fan.user_id, "once it has joined it stays who it is"
    assert cookies(again) == []
    assert joined(gate, asking(planted)).user_id not in (fan.user_id, visitor), "who knows the old token is another fan"


def test_what_a_visitor_did_before_stays_the_visitors() -> None:
    gate = identity()
    token, visitor = gate.new_fan(visits=True)
    read = asking(token, method="GET")
    assert gate.fan(read).user_id == visitor
    assert cookies(read) == [], "to look is to do nothing"
    wrote = asking(token)
    assert gate.fan(wrote).user_id == visitor
    (settled,) = cookies(wrote)
    assert settled != token
    request = asking(settled)
    assert joined(gate, request).user_id == visitor
    assert cookies(request) == []


def test_a_token_in_authorization_stays_as_it_is() -> None:
    gate = identity()
    token, user_id = gate.new_fan(visits=True)
    request = asking(token, by_cookie=False)
    assert joined(gate, request).user_id == user_id
    assert later_headers(request.scope) == ()


@pytest.mark.parametrize("visits", [True, False])
def test_in_development_cookies_stay_too(visits: bool) -> None:
    gate = identity(secure=False)
    token, user_id = gate.new_fan(visits=visits)
    request = asking(token, name="admitone_session")
    assert joined(gate, request).user_id == user_id
    assert later_headers(request.scope) == ()
