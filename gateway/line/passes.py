"""Reads place tokens and admission passes from requests: from headers, from the query, and a pass from a cookie."""

from __future__ import annotations

import contextlib

from litestar.datastructures import Cookie

from gateway.identity.cookies import cookie_name
from gateway.identity.sessions import Session
from gateway.wire.addresses import cookie_path
from gateway.wire.problems import ProblemError
from gateway.wire.requests import AnyRequest
from waiting_room.errors import TokenInvalid
from waiting_room.tokens import AdmissionPass, PlaceToken, Tokens

COOKIE_SECONDS = 24 * 3600


class Passes:
    """Reads both kinds of tokens from requests, and makes the cookies of passes.

    Args:
        secure: browsers send the cookies over TLS only.
    """

    def __init__(self, tokens: Tokens, *, secure: bool) -> None:
        self._tokens = tokens
        self._secure = secure

    def place(self, request: AnyRequest, event_id: int, fan: Session, in_query: str | None) -> PlaceToken | None:
        """The place that the request's token proves; None without a token. It may name another fan: the one who the
        same person was in a session that has ended.

        Raises:
            ProblemError: ``session_invalid`` if the token is forged, of another event, or of another simulated fan.
        """
        token = request.headers.get("x-place-token") or in_query
        if token is None:
            return None
        try:
            place = self._tokens.verify_place(token, event=event_id)
        except TokenInvalid as error:
            raise ProblemError("session_invalid", f"The place token is not valid: {error.reason}.") from None
        if fan.rehearses and place.fan != fan.user_id:
            raise ProblemError("session_invalid", "A simulated fan's place stays in its session.")
        return place

    def admission(self, request: AnyRequest, event_id: int, user_id: int) -> AdmissionPass | None:
        """The pass that the request carries; None without one.

        Raises:
            TokenInvalid: the pass is forged, or is for another event or fan.
        """
        token = request.headers.get("x-admission-pass") or request.cookies.get(self._cookie_name(event_id))
        return None if token is None else self._tokens.verify_pass(token, event=event_id, fan=user_id)

    def valid_admission(self, request: AnyRequest, event_id: int, user_id: int) -> AdmissionPass | None:
        """The pass that the request carries; None without a valid one."""
        with contextlib.suppress(TokenInvalid):
            return self.admission(request, event_id, user_id)
        return None

    def cookies(self, event_id: int, admission_pass: str | None) -> list[Cookie]:
        """The cookie of the pass; none without a pass."""
        if admission_pass is None:
            return []
        return [
            Cookie(
                key=self._cookie_name(event_id),
                value=admission_pass,
                max_age=COOKIE_SECONDS,
                path=cookie_path(),
                httponly=True,
                samesite="lax",
                secure=self._secure,
            )
        ]

    def _cookie_name(self, event_id: int) -> str:
        return cookie_name(f"admitone_pass_{event_id}", secure=self._secure)
