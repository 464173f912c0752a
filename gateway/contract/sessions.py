"""Bodies and answers of sessions, captcha challenges and health."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from gateway.contract.values import NO_NUL, AnswerBody, RequestBody


class OperatorBody(RequestBody, kw_only=True):
    EXAMPLES = ({"name": "Ada", "password": "correct horse battery staple"},)

    name: Annotated[str, Meta(min_length=1, max_length=64, pattern=NO_NUL)]
    password: Annotated[str, Meta(min_length=1, max_length=1024)]


class SessionAnswer(AnswerBody, kw_only=True):
    token: str
    user_id: int


class OperatorAnswer(AnswerBody, kw_only=True):
    token: str


class OperatorName(AnswerBody, kw_only=True):
    """The name of the operator whose session it is."""

    name: str


class ChallengeAnswer(AnswerBody, kw_only=True):
    """An ALTCHA challenge, as its widget reads it."""

    algorithm: str
    challenge: str
    maxnumber: int
    salt: str
    signature: str


class Health(AnswerBody, kw_only=True):
    status: Literal["ok", "failing"]
    failing: tuple[str, ...] = ()
