"""Bodies and answers of sessions, captcha challenges and health."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from db.operators import NAME_CHARS_MAX, PASSWORD_CHARS_MAX
from db.texts import ONE_LINE
from gateway.contract.values import AnswerBody, RequestBody


class OperatorBody(RequestBody, kw_only=True):
    EXAMPLES = ({"name": "Ada", "password": "correct horse battery staple"},)

    name: Annotated[str, Meta(min_length=1, max_length=NAME_CHARS_MAX, pattern=ONE_LINE)]
    password: Annotated[str, Meta(min_length=1, max_length=PASSWORD_CHARS_MAX)]


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
