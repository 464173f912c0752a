"""Bodies and answers of operators' second factors."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

from msgspec import Meta

from db.operators.factors import PASSKEY_LABEL_CHARS_MAX
from db.passwords import PASSWORD_CHARS_MAX
from db.texts import ONE_LINE
from gateway.contract.values import AnswerBody, RequestBody

CODE_CHARS_MAX = 40
Credential = Annotated[dict[str, Any], Meta(description="as the browser's navigator.credentials gave it, in JSON")]


class OwnPasswordBody(RequestBody, kw_only=True):
    """The operator's password once more: whoever finds an open console changes no factor."""

    EXAMPLES = ({"password": "correct horse battery staple"},)

    password: Annotated[str, Meta(min_length=1, max_length=PASSWORD_CHARS_MAX)]


class FactorCodeBody(RequestBody, kw_only=True):
    EXAMPLES = ({"code": "123456"},)

    code: Annotated[str, Meta(min_length=6, max_length=CODE_CHARS_MAX, pattern=ONE_LINE)]


class PasskeyBody(RequestBody, kw_only=True):
    EXAMPLES = ({"label": "Laptop", "credential": {}},)

    label: Annotated[str, Meta(min_length=1, max_length=PASSKEY_LABEL_CHARS_MAX, pattern=ONE_LINE)]
    credential: Credential


class PasskeySignInBody(RequestBody, kw_only=True):
    EXAMPLES = ({"credential": {}},)

    credential: Credential


class PasskeyOptions(AnswerBody, kw_only=True):
    """What to ask the browser for (WebAuthn), in JSON."""

    options: dict[str, Any]


class NewAuthenticator(AnswerBody, kw_only=True):
    """An authenticator's secret, told this once: as text, as an ``otpauth`` address, and as a picture (data URI)."""

    secret: str
    uri: str
    picture: str


class RecoveryCodes(AnswerBody, kw_only=True):
    """Codes that take the place of an authenticator's, each once. They are told this once."""

    codes: tuple[str, ...]


class PasskeyAnswer(AnswerBody, kw_only=True):
    passkey_id: str
    label: str
    made_at: dt.datetime
    used_at: dt.datetime | None


class FactorsAnswer(AnswerBody, kw_only=True):
    """What the operator has beside the password."""

    authenticator: bool
    recovery_codes: int
    passkeys: tuple[PasskeyAnswer, ...]
