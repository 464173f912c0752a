"""A cookie's line is written by hand, and reads as Litestar would write it."""

from __future__ import annotations

import pytest
from litestar.datastructures import Cookie

from gateway.wire.requests import set_cookie_line


@pytest.mark.parametrize(
    "cookie",
    [
        Cookie(key="__Host-admitone_session", value="e.y-_J", max_age=900, httponly=True, samesite="lax", secure=True),
        Cookie(key="admitone_session", value="token", max_age=0, path="/tickets", httponly=True, samesite="strict"),
        Cookie(key="admitone_session", value="token", secure=False),
        Cookie(key="admitone_language", value="de", max_age=1, samesite="none", secure=True),
        Cookie(key="forgotten", value=None, max_age=0),
        Cookie(key="quoted", value='a "b"; c', max_age=3),
        Cookie(key="of_a_domain", value="x", domain="tickets.test"),
    ],
    ids=lambda cookie: cookie.key,
)
def test_a_line_is_litestars(cookie: Cookie) -> None:
    assert set_cookie_line(cookie) == cookie.to_header(header="").encode()
