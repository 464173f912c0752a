"""Sessions: signed tokens in a header or a cookie. Nothing else that a client sends proves its identity."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Container
from typing import Any, Final

import msgspec
from litestar.datastructures import Cookie

from booking_lane import about
from db.ids import new_session_id, new_user_id
from db.operators.roles import NO_GRANTS, Grants
from gateway.identity.cookies import (
    COOKIE_SECONDS_MAX,
    COOKIES,
    SAFE_METHODS,
    Role,
    cookie_name,
    refuse_cross_site,
    session_cookie,
)
from gateway.wire.addresses import below
from gateway.wire.later_headers import add_header, later_headers, set_header
from gateway.wire.problems import ProblemError
from gateway.wire.requests import AnyRequest, set_cookie_line
from messages.purchase_keys import PurchaseKeys
from waiting_room.errors import TokenInvalid
from waiting_room.key_ring import KeyGroup, Secret, ring_of
from waiting_room.signing import Signer

PURPOSE: Final = "admitone session v1"
OPERATOR_SECONDS: Final = 12 * 3600
RENEWED_SHARE: Final = 0.25
"""A session is renewed at its first use after this share of its life."""
KEPT_SPARE_SECONDS: Final = 24 * 3600
"""A session is kept longer only by so much or more: else each look at a ticket would make it anew."""
RENEWED_HEADER: Final = b"x-session-token"
"""Brings a renewed token to a client that sends its token in a header; a browser is given the cookie."""
VISIT: Final = "v"
"""Begins the id of a session that a browser was given and that has done nothing yet (`Identity.at_first_join`)."""
_SCOPE: Final[dict[Role, str]] = {"fan": "admitone.fan", "operator": "admitone.operator"}
VERIFIED_MAX: Final = 50_000
VERIFIED_SECONDS: Final = 600.0


class Session(msgspec.Struct, frozen=True, gc=False):
    """A verified session, whose id is ``jti``. Only an operator has a ``name``; an operator's ``user_id`` is 0.

    ``rehearses`` is 0 for a real fan. For a simulated fan it is the id of the copy of an event that this fan rehearses
    (`identity.rehearsals`).
    From ``renew_at`` on an answer brings a fan the session anew (Unix time, seconds).
    With ``ended`` the session is over, and good for the tickets that were bought in it alone.
    ``account_until`` is when a fan's session of an account ends, however often it is renewed (Unix time, seconds); 0
    for a fan without an account.
    ``grants`` are an operator's roles, once `gateway.identity.operators` has asked Postgres for them; ``is_token``: it
    is a script's, and nobody's own.
    """

    user_id: int
    role: Role
    jti: str
    name: str = ""
    rehearses: int = 0
    renew_at: float = math.inf
    ended: bool = False
    grants: Grants = NO_GRANTS
    is_token: bool = False
    account_until: int = 0

    @property
    def is_account(self) -> bool:
        """Whether the fan has signed in to an account."""
        return self.account_until > 0

    @property
    def is_visit(self) -> bool:
        """Whether the session has done nothing yet."""
        return self.jti.startswith(VISIT)


class _Claims(msgspec.Struct, frozen=True):
    sub: str
    role: Role
    jti: str
    rehearses: int = 0
    account_until: int = 0


def refuse_without_account(is_required: bool, session: Session | None) -> None:
    """Return unless an event requires an account and the session has none.

    Raises:
        ProblemError: ``account_required``, with the address where one signs in.
    """
    if is_required and not (session is not None and session.is_account):
        raise ProblemError("account_required", href=below("/account"))


class Identity:
    """Signs and verifies sessions.

    Args:
        open_auth: a request's body may name its fan without a session (development and load tests only).
        secure: browsers send the cookies over TLS only.
        now: the clock that ends sessions (Unix time, seconds).
        ended: the ids of accounts' sessions that were ended before their time.
    """

    def __init__(
        self,
        secret: Secret,
        *,
        session_seconds: int,
        open_auth: bool,
        secure: bool,
        now: Callable[[], float] = time.time,
        ended: Container[str] = frozenset(),
    ) -> None:
        self._ended = ended
        self._ring = ring_of(secret)
        self._signers: dict[Role, Signer[_Claims]] = {
            "fan": Signer(self._ring, KeyGroup.FANS, PURPOSE, _Claims, now=now),
            "operator": Signer(self._ring, KeyGroup.OPERATORS, PURPOSE, _Claims, now=now),
        }
        self._now = now
        self._session_seconds = session_seconds
        self._secure = secure
        self.open_auth = open_auth
        self.purchase_keys = PurchaseKeys(self._ring)
        self._verified: dict[str, tuple[float, Session]] = {}
        self._renewed: dict[tuple[str, float], str] = {}
        self._verified_by = self._ring.keys

    def new_fan(self, user_id: int | None = None, *, visits: bool = False) -> tuple[str, int]:
        """A token and its user id.

        Args:
            visits: it is for a browser that has done nothing yet. In development that makes no difference.
        """
        user_id = user_id or new_user_id()
        jti = VISIT + new_session_id() if visits and self._secure else ""
        return self._sign(str(user_id), "fan", self._session_seconds, jti=jti), user_id

    def at_first_join(self, request: AnyRequest, session: Session) -> Session:
        """The session that joins a line: a new fan's where a browser has done nothing before in its own, so that who
        put that session into the browser, or read it there, has no share in the place. The answer brings the cookie.

        A client that sends its token in ``Authorization`` keeps it: no page of a stranger can plant that.
        """
        if not session.is_visit or not self._token(request, "fan")[1]:
            return session
        token, _ = self.new_fan()
        set_header(request.scope, b"set-cookie", set_cookie_line(self.cookie(token)))
        return self.verify(token)

    def account_token(self, session_id: str, user_id: int, until_seconds: int) -> str:
        """The token of a fan's session of an account, which ends at that moment (Unix time, seconds) at the latest."""
        seconds = min(self._session_seconds, until_seconds - int(self._now()))
        return self._sign(str(user_id), "fan", seconds, jti=session_id, account_until=until_seconds)

    def new_rehearsal_fan(self, event_id: int, seconds: int) -> tuple[str, int]:
        """A simulated fan's token, good for ``seconds`` at this copy of an event, and its user id.

        No route gives out such tokens: only the rehearsal, which has the site's secret, makes them.
        """
        user_id = new_user_id()
        return self._sign(str(user_id), "fan", seconds, rehearses=event_id), user_id

    def operator_token(self, session_id: str, name: str, seconds: int = OPERATOR_SECONDS) -> str:
        """The token of an operator's session, or of a script. It is good while Postgres knows a session of this id."""
        return self._sign(name, "operator", seconds, jti=session_id)

    def cookie(self, token: str, role: Role = "fan") -> Cookie:
        """The cookie that has the browser send the token."""
        seconds = OPERATOR_SECONDS if role == "operator" else self._session_seconds
        return session_cookie(token, role, seconds, secure=self._secure)

    def no_cookie(self, role: Role) -> Cookie:
        """The cookie that has the browser forget the session."""
        return session_cookie("", role, 0, secure=self._secure)

    def session(self, request: AnyRequest, role: Role = "fan") -> Session | None:
        """The request's session of this role, or None without any token. Several parts of the gateway ask for it, and
        it is found once.

        Raises:
            ProblemError: ``session_invalid`` for a bad token, ``cross_site`` for a request of another site's page.
        """
        scope: Any = request.scope
        found: Session | None = scope.get(_SCOPE[role])
        if found is None:
            found = self._session(request, role)
            scope[_SCOPE[role]] = found
        return found

    def _session(self, request: AnyRequest, role: Role) -> Session | None:
        token, by_cookie = self._token(request, role)
        if token is None:
            if by_cookie:
                return None
            raise ProblemError("session_invalid", headers={"WWW-Authenticate": "Bearer"})
        if by_cookie:
            self.refuse_foreign(request)
        session = self.verify(token)
        if by_cookie and session.is_visit and request.method not in SAFE_METHODS:
            # What it does now is its own, and stays so when it joins a line later.
            token = self._sign(str(session.user_id), "fan", self._session_seconds)
            set_header(request.scope, b"set-cookie", set_cookie_line(self.cookie(token)))
        elif session.renew_at <= self._now():
            self._renew(request, session, by_cookie=by_cookie)
        return session

    def refuse_foreign(self, request: AnyRequest) -> None:
        """Refuse another site's request that this site's cookies came with. In production every write by cookie says
        where it comes from; a program that cannot say it sends its token in ``Authorization``.

        Raises:
            ProblemError: ``cross_site``.
        """
        refuse_cross_site(request, silent_too=self._secure and "cookie" in request.headers)

    def _renew(self, request: AnyRequest, session: Session, *, by_cookie: bool) -> None:
        """Have the answer bring the same session with its whole life before it. Its id stays, and so does the place."""
        if later_headers(request.scope):
            return
        # A renewed token is renewed in its turn: so the key is the session's id together with the token's own moment.
        key = session.jti, session.renew_at
        token = self._renewed.get(key)
        if token is None:
            # A client that keeps its old token costs one signature, not one for each of its requests.
            if len(self._renewed) >= VERIFIED_MAX:
                self._renewed.clear()
            token = (
                self.account_token(session.jti, session.user_id, session.account_until)
                if session.is_account
                else self._sign(str(session.user_id), "fan", self._session_seconds, jti=session.jti)
            )
            self._renewed[key] = token
        if by_cookie:
            add_header(request.scope, b"set-cookie", set_cookie_line(self.cookie(token)))
        else:
            add_header(request.scope, RENEWED_HEADER, token.encode())

    def has_token(self, request: AnyRequest) -> bool:
        """Whether the request brings a fan's token at all, valid or not; a cache must not answer such a request."""
        return self._token(request, "fan")[0] is not None or "authorization" in request.headers

    def sends_cookie(self, request: AnyRequest) -> bool:
        """Whether the request brings a fan's token, valid or not, as a cookie."""
        token, by_cookie = self._token(request, "fan")
        return by_cookie and token is not None

    def ticket_holder(self, request: AnyRequest) -> Session | None:
        """The request's fan, also of a session that has ended: it still shows the tickets that were bought in it, if
        `keep` says so. None without either.
        """
        session = self.known(request)
        if session is not None:
            return session if session.role == "fan" and not session.rehearses else None
        token, _ = self._token(request, "fan")
        try:
            claims, ends_at_seconds = self._signers["fan"].verify(token or "", late_seconds=COOKIE_SECONDS_MAX)
            holder = self._fan_session(claims, ends_at_seconds) if claims.role == "fan" else None
        except (TokenInvalid, ValueError):
            return None
        # Who has an account signs in again.
        if holder is None or holder.rehearses or holder.is_account or ends_at_seconds > self._now():
            return None
        return msgspec.structs.replace(holder, ended=True)

    def keep(self, request: AnyRequest, until_seconds: float) -> bool:
        """Have the session live until then (Unix seconds), even if unused: it is the key to tickets.

        Returns:
            False if there is no session, or if it has ended and its tickets too.
        """
        session = self.ticket_holder(request)
        if session is None or (session.ended and until_seconds <= self._now()):
            return False
        if session.is_account:
            return True
        ends_at = session.renew_at + self._session_seconds * (1 - RENEWED_SHARE)
        # A token is signed in whole seconds, from the one that has begun.
        seconds = min(math.ceil(until_seconds) - int(self._now()), COOKIE_SECONDS_MAX)
        if self._now() + seconds < ends_at + KEPT_SPARE_SECONDS and not session.ended:
            return True
        token = self._sign(str(session.user_id), "fan", seconds, jti=session.jti)
        if self._token(request, "fan")[1]:
            cookie = session_cookie(token, "fan", seconds, secure=self._secure)
            add_header(request.scope, b"set-cookie", set_cookie_line(cookie))
        else:
            set_header(request.scope, RENEWED_HEADER, token.encode())
        return True

    def fan_of_purchase(self, purchase_id: uuid.UUID, key: str) -> Session:
        """The fan whose purchase this key opens, good for that purchase alone.

        Raises:
            ProblemError: ``unknown_purchase``.
        """
        try:
            user_id = self.purchase_keys.fan(purchase_id, key)
        except TokenInvalid:
            raise ProblemError("unknown_purchase") from None
        about.note(user_id=user_id)
        return Session(user_id, "fan", "")

    def known(self, request: AnyRequest) -> Session | None:
        """The request's session; None if there is none, or if it is not valid."""
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

    def user(self, request: AnyRequest, user_id_in_body: int | None) -> int:
        """The user id of the request's fan. The body's userId, if there is one, must be the same.

        Raises:
            ProblemError: ``not_you`` for another userId in the body, and what `fan` raises.
        """
        if self.open_auth and user_id_in_body is not None:
            return user_id_in_body
        user_id = self.fan(request).user_id
        if user_id_in_body is not None and user_id_in_body != user_id:
            raise ProblemError("not_you")
        return user_id

    def operator(self, request: AnyRequest) -> Session:
        """The operator's session as the token has it: without grants, and perhaps one that was ended since.

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
        """The session that the token proves. Sessions are kept for some minutes, because most tokens come again.

        Raises:
            ProblemError: ``session_invalid``.
        """
        now = time.monotonic()
        if self._verified_by is not self._ring.keys:
            self._forget_verified()
        verified = self._verified.get(token)
        if verified is not None and verified[0] > now:
            return self._unended(verified[1])
        try:
            claims, ends_at_seconds = self._claims(token)
            session = (
                self._fan_session(claims, ends_at_seconds)
                if claims.role == "fan"
                else Session(0, "operator", claims.jti, claims.sub)
            )
        except (TokenInvalid, ValueError):
            raise ProblemError("session_invalid", headers={"WWW-Authenticate": "Bearer"}) from None
        if len(self._verified) >= VERIFIED_MAX:
            self._verified.clear()
        until = min(now + VERIFIED_SECONDS, now + ends_at_seconds - self._now())
        self._verified[token] = (until, session)
        return self._unended(session)

    def _unended(self, session: Session) -> Session:
        if session.account_until and session.jti in self._ended:
            raise ProblemError("session_invalid", headers={"WWW-Authenticate": "Bearer"})
        return session

    def _claims(self, token: str) -> tuple[_Claims, int]:
        """What the token says: a fan's is signed by the fans' keys and an operator's by the operators'. The first keys
        of both are equal, so that the role decides.

        Raises:
            TokenInvalid: see `Signer.verify`.
        """
        try:
            claims, ends_at_seconds = self._signers["fan"].verify(token)
            if claims.role == "fan":
                return claims, ends_at_seconds
        except TokenInvalid as error:
            if error.reason != "signature":
                raise
        claims, ends_at_seconds = self._signers["operator"].verify(token)
        if claims.role != "operator":
            raise TokenInvalid("signature")
        return claims, ends_at_seconds

    def _forget_verified(self) -> None:
        # A key was added or removed: what a removed one signed is refused from now on.
        self._verified.clear()
        self._renewed.clear()
        self._verified_by = self._ring.keys

    def _fan_session(self, claims: _Claims, ends_at_seconds: float) -> Session:
        renew_at = ends_at_seconds - self._session_seconds * (1 - RENEWED_SHARE)
        if claims.rehearses or (claims.account_until and ends_at_seconds >= claims.account_until):
            renew_at = math.inf
        return Session(
            int(claims.sub),
            "fan",
            claims.jti,
            rehearses=claims.rehearses,
            renew_at=renew_at,
            account_until=claims.account_until,
        )

    def _token(self, request: AnyRequest, role: Role) -> tuple[str | None, bool]:
        """The request's token of this role, if it has one; and whether a cookie brings it, or would."""
        has_authorization = request.headers.get("authorization") is not None
        bearer = _bearer(request) if has_authorization else None
        if bearer is not None:
            return bearer.strip(), False
        cookie = request.cookies.get(cookie_name(COOKIES[role], secure=self._secure))
        return (None, not has_authorization) if cookie is None else (cookie.strip(), True)

    def _sign(
        self, subject: str, role: Role, seconds: int, *, rehearses: int = 0, jti: str = "", account_until: int = 0
    ) -> str:
        claims = _Claims(subject, role, jti or new_session_id(), rehearses, account_until)
        return self._signers[role].sign(claims, int(self._now()) + seconds)


def _bearer(request: AnyRequest) -> str | None:
    """The token of an Authorization line of ours; another scheme is the proxy's before us, and none of our concern."""
    for line in request.headers.getall("authorization"):
        scheme, _, token = line.partition(" ")
        if scheme.lower() == "bearer":
            return token
    return None
