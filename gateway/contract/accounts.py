"""Bodies and answers of fans' accounts."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from db.passwords import PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN
from db.texts import NO_NUL, ONE_LINE
from gateway.contract.factors import Credential, PasskeyAnswer
from gateway.contract.values import AnswerBody, Moment, RequestBody

MAIL_CHARS_MAX = 254
LINK_CHARS_MAX = 1024
Mail = Annotated[str, Meta(min_length=3, max_length=MAIL_CHARS_MAX, pattern=ONE_LINE)]
Password = Annotated[str, Meta(min_length=1, max_length=PASSWORD_CHARS_MAX, pattern=NO_NUL)]
NewPassword = Annotated[str, Meta(min_length=PASSWORD_CHARS_MIN, max_length=PASSWORD_CHARS_MAX, pattern=NO_NUL)]
Leave = Annotated[
    bool, Meta(description="sign in although the session without an account holds seats or is let in somewhere")
]


class LinkBody(RequestBody, kw_only=True):
    """``language`` is that of the mail, by its tag, for example ``de``."""

    EXAMPLES = ({"mail": "ada@example.org", "language": "en"},)

    mail: Mail
    language: Annotated[str, Meta(max_length=35, pattern=ONE_LINE)] = "en"


class AccountPasswordBody(RequestBody, kw_only=True):
    """``link`` is the last part of the mail's link."""

    EXAMPLES = ({"link": "eyJhbGciOi…", "password": "correct horse battery staple"},)

    link: Annotated[str, Meta(min_length=1, max_length=LINK_CHARS_MAX, pattern=ONE_LINE)]
    password: NewPassword
    language: Annotated[str, Meta(max_length=35, pattern=ONE_LINE)] = "en"
    leave: Leave = False


class AccountSignInBody(RequestBody, kw_only=True):
    EXAMPLES = ({"mail": "ada@example.org", "password": "correct horse battery staple"},)

    mail: Mail
    password: Password
    leave: Leave = False


class AccountSessionAnswer(AnswerBody, kw_only=True):
    """A session of an account, of the account's own ``userId``. ``moved`` are the events whose places came along from
    the session without an account in which the fan signed in.
    """

    token: str
    user_id: int
    moved: tuple[int, ...]


class AccountAnswer(AnswerBody, kw_only=True):
    """The account of the session. ``mail`` is null where an issuer told no address."""

    user_id: int
    mail: str | None
    has_password: bool


class AccountSessionEntry(AnswerBody, kw_only=True):
    """One of the account's own sessions; ``current`` is the one that asks."""

    network: str
    agent: str
    began_at: Moment
    ends_at: Moment
    current: bool


class AccountSessionList(AnswerBody, kw_only=True):
    sessions: tuple[AccountSessionEntry, ...]


class ChangedPasswordBody(RequestBody, kw_only=True):
    EXAMPLES = ({"password": "correct horse battery staple", "newPassword": "another horse, another staple"},)

    password: Password
    new_password: NewPassword


class AccountProofBody(RequestBody, kw_only=True):
    """The account's password once more; empty for an account without one."""

    EXAMPLES = ({"password": "correct horse battery staple"},)

    password: Annotated[str, Meta(max_length=PASSWORD_CHARS_MAX, pattern=NO_NUL)] = ""


IssuerName = Annotated[str, Meta(max_length=32, pattern=NO_NUL, description="the issuer's key; empty for the first")]


class IdentityBody(AccountProofBody, kw_only=True):
    """``issuer`` is the one to be linked; and the account's password once more, empty for an account without one."""

    EXAMPLES = ({"issuer": "club", "password": "correct horse battery staple"},)

    issuer: IssuerName = ""


class IdentityStart(AnswerBody, kw_only=True):
    """The browser goes to ``href``, and comes back to the account's page. It is good for ten minutes."""

    href: str


class IdentityAnswer(AnswerBody, kw_only=True):
    """An issuer of the site; ``linkedAt`` is null where it does not sign the fan in to this account."""

    issuer: str
    name: str
    linked_at: Moment | None


class IdentityList(AnswerBody, kw_only=True):
    identities: tuple[IdentityAnswer, ...]


class AccountPasskeyList(AnswerBody, kw_only=True):
    passkeys: tuple[PasskeyAnswer, ...]


class AccountPasskeySignInBody(RequestBody, kw_only=True):
    EXAMPLES = ({"credential": {}},)

    credential: Credential
    leave: Leave = False


class AccountJoinProofBody(RequestBody, kw_only=True):
    """What proves the other account: address and password, a passkey's answer, or the last part of a mail's link."""

    EXAMPLES = ({"mail": "ada@example.com", "password": "another horse, another staple"}, {"credential": {}})

    mail: Annotated[str, Meta(max_length=MAIL_CHARS_MAX, pattern=NO_NUL)] = ""
    password: Annotated[str, Meta(max_length=PASSWORD_CHARS_MAX, pattern=NO_NUL)] = ""
    credential: Credential | None = None
    link: Annotated[str, Meta(max_length=LINK_CHARS_MAX, pattern=NO_NUL)] = ""


class AccountJoinPreview(AnswerBody, kw_only=True):
    """What a join would move: how many purchases, holds, entries in waiting lists, places in lines, passkeys and
    issuers the other account has. ``proof`` is good in this session for ten minutes; ``mail`` is the other account's
    address.
    """

    proof: str
    mail: str | None
    purchases: int
    holds: int
    waiting_entries: int
    places: int
    passkeys: int
    issuers: int


class AccountJoinBody(AccountProofBody, kw_only=True):
    """The proof of the other account; and the password of the account of the session once more, empty for an account
    without one.
    """

    EXAMPLES = ({"proof": "eyJhbGciOi…", "password": "correct horse battery staple"},)

    proof: Annotated[str, Meta(min_length=1, max_length=LINK_CHARS_MAX, pattern=NO_NUL)]


class JoinedAccount(AnswerBody, kw_only=True):
    """An account that was joined to this one. ``mail`` is the address that it had and keeps, null where it had none or
    this account has it now; ``done`` is whether all that it had is here by now.
    """

    mail: str | None
    joined_at: Moment
    done: bool


class JoinedAccountList(AnswerBody, kw_only=True):
    joined: tuple[JoinedAccount, ...]
