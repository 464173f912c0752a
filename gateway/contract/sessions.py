"""Bodies and answers of sessions, captcha challenges and health."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from db.operators.accounts import NAME_CHARS_MAX
from db.operators.roles import OperatorRole
from db.passwords import PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN
from db.texts import ONE_LINE
from gateway.contract.values import AnswerBody, RequestBody


class OperatorBody(RequestBody, kw_only=True):
    EXAMPLES = ({"name": "Ada", "password": "correct horse battery staple"},)

    name: Annotated[str, Meta(min_length=1, max_length=NAME_CHARS_MAX, pattern=ONE_LINE)]
    password: Annotated[str, Meta(min_length=1, max_length=PASSWORD_CHARS_MAX)]
    code: Annotated[str, Meta(max_length=40, pattern=ONE_LINE)] | UnsetType = UNSET


class SessionAnswer(AnswerBody, kw_only=True):
    token: str
    user_id: int


class OperatorAnswer(AnswerBody, kw_only=True):
    token: str


class OperatorName(AnswerBody, kw_only=True):
    """The operator whose session it is. ``role`` is for the whole site, ``events`` has roles by the ids of events.

    ``may`` lists the roles whose acts the operator may do at the whole site, ``mayAt`` at single events by their ids.
    ``secondFactorNeeded``: the roles are not in force before the operator has added a second factor.
    """

    name: str
    role: OperatorRole | None
    events: dict[str, OperatorRole]
    may: tuple[OperatorRole, ...]
    may_at: dict[str, tuple[OperatorRole, ...]]
    second_factor_needed: bool


class OperatorSessionAnswer(AnswerBody, kw_only=True):
    """One of the operator's own sessions; ``current`` is the one that asks."""

    session_id: str
    network: str
    agent: str
    began_at: dt.datetime
    ends_at: dt.datetime
    current: bool


class OperatorSessionList(AnswerBody, kw_only=True):
    sessions: tuple[OperatorSessionAnswer, ...]


class PasswordBody(RequestBody, kw_only=True):
    EXAMPLES = ({"password": "correct horse battery staple", "newPassword": "another horse, another staple"},)

    password: Annotated[str, Meta(min_length=1, max_length=PASSWORD_CHARS_MAX)]
    new_password: Annotated[str, Meta(min_length=PASSWORD_CHARS_MIN, max_length=PASSWORD_CHARS_MAX)]


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
    degraded: tuple[str, ...] = ()
