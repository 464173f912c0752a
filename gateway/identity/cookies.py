"""Cookies of sessions, and what protects them from other sites' pages."""

from __future__ import annotations

from typing import Final, Literal
from urllib.parse import urlsplit

from litestar.datastructures import Cookie

from gateway.wire.addresses import below, cookie_path
from gateway.wire.addresses import origin as own_origin
from gateway.wire.problems import ProblemError
from gateway.wire.requests import AnyRequest

Role = Literal["fan", "operator"]

COOKIES: Final[dict[Role, str]] = {"fan": "admitone_session", "operator": "admitone_operator"}
"""The name of the cookie of a session, by role, before `cookie_name`."""
COOKIE_SECONDS_MAX: Final = 400 * 24 * 3600
"""No browser keeps a cookie for longer."""
DEVICE_COOKIES: Final[dict[Role, str]] = {"fan": "admitone_device", "operator": "admitone_operator_device"}
"""The name of the cookie that tells that a person has signed in with this browser before
(`gateway.identity.password_tries`)."""
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def cookie_name(name: str, *, secure: bool) -> str:
    """The name that a cookie has at this site. A browser takes one of these prefixes from this host alone, over TLS:
    no other site of the same domain can put a session of its own into a fan's browser (RFC 6265bis, 4.1.3).
    """
    if not secure:
        return name
    # The first prefix is for cookies of a whole host alone.
    return ("__Secure-" if below("") else "__Host-") + name


def session_cookie(token: str, role: Role, max_age_seconds: int, *, secure: bool) -> Cookie:
    """A cookie that no script reads. Requests of other sites do not carry it, except that a fan's goes with a link that
    is followed.
    """
    return Cookie(
        key=cookie_name(COOKIES[role], secure=secure),
        value=token,
        max_age=max_age_seconds,
        path=cookie_path(),
        httponly=True,
        samesite="strict" if role == "operator" else "lax",
        secure=secure,
    )


def device_cookie(token: str, role: Role, max_age_seconds: int, *, secure: bool) -> Cookie:
    """The cookie by which a browser is known again at a sign-in; it proves nothing by itself."""
    return Cookie(
        key=cookie_name(DEVICE_COOKIES[role], secure=secure),
        value=token,
        max_age=max_age_seconds,
        path=cookie_path(),
        httponly=True,
        samesite="strict",
        secure=secure,
    )


def refuse_cross_site(request: AnyRequest, *, silent_too: bool = False) -> None:
    """Refuse a request of another site's page: a cookie proves the browser, not the page (OWASP CSRF).

    It is to be called for requests that change something or set a cookie.

    Args:
        silent_too: refuse what names neither its page's site nor its origin. Every browser names one of them with a
            write, so such a request comes from a program, and a program can send its token without a cookie.

    Raises:
        ProblemError: ``cross_site``.
    """
    if request.method in SAFE_METHODS:
        return
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        if site not in {"same-origin", "none"}:
            raise ProblemError("cross_site")
        return
    # A browser without Fetch Metadata is judged by its Origin. A proxy may have changed the Host that it asked for, so
    # an origin that the settings name is ours, too.
    origin = request.headers.get("origin")
    if origin is None and silent_too:
        raise ProblemError("cross_site")
    if origin in (None, own_origin() or None):
        return
    if urlsplit(origin).netloc != request.headers.get("host"):
        raise ProblemError("cross_site")
