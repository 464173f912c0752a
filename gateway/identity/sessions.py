"""Who asks: sessions as signed tokens in a header or a cookie. Nothing else a client says is believed."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import msgspec
from litestar import Request
from litestar.datastructures import Cookie

from booking_lane import about
from gateway.wire.problems import ProblemError
from waiting_room.errors import TokenInvalid
from waiting_room.signing import Signer

FAN_COOKIE: Final = "admitone_session"
OPERATOR_COOKIE: Final = "admitone_operator"
OPERATOR_SECONDS: Final = 12 * 3600
VERIFIED_MAX: Final = 50_000
VERIFIED_SECONDS: Final = 600.0
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

AnyRequest = Request[Any, Any, Any]


class Session(msgspec.Struct, frozen=True, gc=False):
    """A verified session. ``user_id`` is 0 for an operator, whose ``name`` is told; ``jti`` names the session.

    ``rehearses``: the fan is a simulated one, of this copy of an event alone (`identity.rehearsals`); 0: a real one.
    """

    user_id: int
    role: Literal["fan", "operator"]
    jti: str
    name: str = ""
    rehearses: int = 0


class _Claims(msgspec.Struct, frozen=True):
    sub: str
    role: Literal["fan", "operator"]
    jti: str
    rehearses: int = 0


class Identity:
    """Signs and verifies sessions.

    Args:
        open_auth: requests without a session are taken at their word (development and load tests only).
        secure: cookies travel over TLS only.
        now: the clock that ends sessions (Unix time, seconds).
    """

    def __init__(
        self,
        secret: str,
        *,
        session_seconds: int,
        open_auth: bool,
        secure: bool,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._signer = Signer(secret, "admitone session v1", _Claims, now=now)
        self._now = now
        self._session_seconds = session_seconds
        self._secure = secure
        self.open_auth = open_auth
        self._verified: dict[str, tuple[float, Session]] = {}

    def new_fan(self, user_id: int | None = None) -> tuple[str, int]:
        """A token and its user id: random 52 bits, for a counter lost would hand out somebody's purchases."""
        user_id = user_id or secrets.randbelow(2**52 - 1) + 1
        return self._sign(str(user_id), "fan", self._session_seconds), user_id

    def new_rehearsal_fan(self, event_id: int, seconds: int) -> tuple[str, int]:
        """As `new_fan`, for so long a rehearsal on this copy of an event. Who has the secret makes them, no route."""
        user_id = secrets.randbelow(2**52 - 1) + 1
        return self._sign(str(user_id), "fan", seconds, rehearses=event_id), user_id

    def new_operator(self, name: str) -> str:
        return self._sign(name, "operator", OPERATOR_SECONDS)

    def cookie(self, token: str, *, operator: bool = False) -> Cookie:
        return Cookie(
            key=OPERATOR_COOKIE if operator else FAN_COOKIE,
            value=token,
            max_age=OPERATOR_SECONDS if operator else self._session_seconds,
            path="/",
            httponly=True,
            samesite="lax",
            secure=self._secure,
        )

    def no_cookie(self, *, operator: bool = False) -> Cookie:
        """Has the browser forget the session."""
        cookie = self.cookie("", operator=operator)
        cookie.max_age = 0
        return cookie

    def session(self, request: AnyRequest, role: Literal["fan", "operator"] = "fan") -> Session | None:
        """The request's session of this role, or None without any token.

        Raises:
            ProblemError: ``session_invalid`` for a bad token, ``cross_site`` for a foreign page's request.
        """
        authorization = request.headers.get("authorization")
        if authorization is not None:
            scheme, _, token = authorization.partition(" ")
            if scheme.lower() != "bearer":
                raise ProblemError("session_invalid", headers={"WWW-Authenticate": "Bearer"})
        else:
            cookie = request.cookies.get(OPERATOR_COOKIE if role == "operator" else FAN_COOKIE)
            if cookie is None:
                return None
            token = cookie
            refuse_cross_site(request)
        return self.verify(token.strip())

    def known(self, request: AnyRequest) -> Session | None:
        """The request's session, None where there is none or it is not good."""
        try:
            return self.session(request)
        except ProblemError:
            return None

    def fan(self, request: AnyRequest) -> Session:
        """The fan's session.

        Raises:
            ProblemError: ``unauthenticated``, ``session_invalid`` or ``cross_site``.
        """
        session = self.session(request)
        if session is None or session.role != "fan":
            raise ProblemError("unauthenticated", headers={"WWW-Authenticate": "Bearer"})
        about.note(user_id=session.user_id)
        return session

    def user(self, request: AnyRequest, said: int | None) -> int:
        """The user who asks; ``said`` is the body's userId, which must be the same.

        Raises:
            ProblemError: ``not_you``, and as `fan`.
        """
        if self.open_auth and said is not None:
            return said
        user_id = self.fan(request).user_id
        if said is not None and said != user_id:
            raise ProblemError("not_you")
        return user_id

    def operator(self, request: AnyRequest) -> Session:
        """The operator's session.

        Raises:
            ProblemError: ``unauthenticated`` or ``not_operator``.
        """
        session = self.session(request, "operator")
        if session is None:
            raise ProblemError("unauthenticated", headers={"WWW-Authenticate": "Bearer"})
        if session.role != "operator":
            raise ProblemError("not_operator")
        return session

    def verify(self, token: str) -> Session:
        """The session a token proves. Verified ones are remembered for some minutes: most requests repeat.

        Raises:
            ProblemError: ``session_invalid``.
        """
        now = time.monotonic()
        known = self._verified.get(token)
        if known is not None and known[0] > now:
            return known[1]
        try:
            claims, ends_at_seconds = self._signer.verify(token)
            session = (
                Session(int(claims.sub), "fan", claims.jti, rehearses=claims.rehearses)
                if claims.role == "fan"
                else Session(0, "operator", claims.jti, claims.sub)
            )
        except (TokenInvalid, ValueError):
            raise ProblemError("session_invalid", headers={"WWW-Authenticate": "Bearer"}) from None
        if len(self._verified) >= VERIFIED_MAX:
            self._verified.clear()
        until = min(now + VERIFIED_SECONDS, now + ends_at_seconds - self._now())
        self._verified[token] = (until, session)
        return session

    def _sign(self, subject: str, role: Literal["fan", "operator"], seconds: int, *, rehearses: int = 0) -> str:
        claims = _Claims(subject, role, secrets.token_urlsafe(9), rehearses)
        return self._signer.sign(claims, int(self._now()) + seconds)


def refuse_cross_site(request: AnyRequest) -> None:
    """A cookie proves the browser, not the page: a request that changes something, or that sets a cookie, must come
    from our own pages (OWASP CSRF).

    Raises:
        ProblemError: ``cross_site``.
    """
    if request.method in _SAFE_METHODS:
        return
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        if site not in {"same-origin", "none"}:
            raise ProblemError("cross_site")
        return
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise ProblemError("cross_site")
