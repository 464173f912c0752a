"""Bodies and answers about all operators, and about scripts' tokens."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from msgspec import Meta

from db.operators.accounts import NAME_CHARS_MAX
from db.operators.roles import OperatorRole
from db.operators.sessions import LABEL_CHARS_MAX, TOKEN_HOURS_MAX
from db.passwords import PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN
from db.texts import ONE_LINE
from gateway.contract.values import ID_MAX, AnswerBody, RequestBody

Name = Annotated[str, Meta(min_length=1, max_length=NAME_CHARS_MAX, pattern=ONE_LINE)]
Event = Annotated[int, Meta(ge=1, le=ID_MAX)]
OwnPassword = Annotated[str, Meta(min_length=1, max_length=PASSWORD_CHARS_MAX, description="of the owner who asks")]
NewPassword = Annotated[str, Meta(min_length=PASSWORD_CHARS_MIN, max_length=PASSWORD_CHARS_MAX)]


class NewOperatorBody(RequestBody, kw_only=True):
    """An operator to be; with ``eventId`` the role is for this event alone."""

    EXAMPLES = (
        {
            "name": "Grace",
            "newPassword": "another horse",
            "role": "steward",
            "password": "correct horse battery staple",
        },
    )

    name: Name
    new_password: NewPassword
    role: OperatorRole
    event_id: Event | None = None
    password: OwnPassword


class OperatorRoleBody(RequestBody, kw_only=True):
    """The role that an operator shall have, for an event with ``eventId``; null takes it away."""

    EXAMPLES = ({"name": "Grace", "role": "viewer", "password": "correct horse battery staple"},)

    name: Name
    role: OperatorRole | None
    event_id: Event | None = None
    password: OwnPassword


class OperatorPasswordBody(RequestBody, kw_only=True):
    """A new password for another operator, whose sessions end."""

    EXAMPLES = ({"name": "Grace", "newPassword": "a third horse", "password": "correct horse battery staple"},)

    name: Name
    new_password: NewPassword
    password: OwnPassword


class OperatorFactorsBody(RequestBody, kw_only=True):
    """The operator whose authenticator and passkeys are forgotten, for one who has lost them."""

    EXAMPLES = ({"name": "Grace", "password": "correct horse battery staple"},)

    name: Name
    password: OwnPassword


class ScriptTokenBody(RequestBody, kw_only=True):
    """A script's token to be; with ``eventId`` its role is for this event alone. It ends after ``hours``."""

    EXAMPLES = ({"name": "wall", "role": "viewer", "hours": 24, "password": "correct horse battery staple"},)

    name: Annotated[str, Meta(min_length=1, max_length=LABEL_CHARS_MAX, pattern=ONE_LINE)]
    role: OperatorRole
    event_id: Event | None = None
    hours: Annotated[int, Meta(ge=1, le=TOKEN_HOURS_MAX)] = 24
    password: OwnPassword


class ScriptTokenMade(AnswerBody, kw_only=True):
    """A script's new token: ``token`` is shown this once, and goes into ``Authorization: Bearer``."""

    token_id: str
    token: str


class OperatorListed(AnswerBody, kw_only=True):
    """An operator as owners see them. ``role`` is for the whole site, ``events`` has roles by the ids of events."""

    name: str
    role: OperatorRole | None
    events: dict[str, OperatorRole]
    sessions: int
    signed_in_at: dt.datetime | None
    authenticator: bool
    passkeys: int
    created_at: dt.datetime


class OperatorList(AnswerBody, kw_only=True):
    operators: tuple[OperatorListed, ...]


class ScriptToken(AnswerBody, kw_only=True):
    """A script's token, without what would prove it. ``eventId`` is null where its role is for the whole site."""

    token_id: str
    name: str
    role: OperatorRole
    event_id: int | None
    made_by: str
    made_at: dt.datetime
    ends_at: dt.datetime


class ScriptTokenList(AnswerBody, kw_only=True):
    tokens: tuple[ScriptToken, ...]


class OperatorLogLine(AnswerBody, kw_only=True):
    at: dt.datetime
    operator: str
    what: str
    before: str
    after: str


class OperatorLog(AnswerBody, kw_only=True):
    """What was changed about operators, tokens and keys, the newest first."""

    entries: tuple[OperatorLogLine, ...]
