"""Settings of sessions and of operators."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from db.operators.roles import OperatorRole
from db.settings import Section, bounded, setting
from db.texts import ONE_LINE


class SessionSettings(Section, frozen=True, kw_only=True):
    auth: Annotated[
        Literal["token", "open"],
        setting("open takes the body's userId as it is: development and load tests only", variable="ADMITONE_AUTH"),
    ] = "token"
    seconds: Annotated[int, bounded("a fan's session lives this long", 60, 2_592_000)] = 172_800

    @property
    def open_auth(self) -> bool:
        return self.auth == "open"


class GuardSettings(Section, frozen=True, kw_only=True):
    """How sessions that look like a program's are answered (`gateway.identity.answers`)."""

    answers: Annotated[
        Literal["on", "proofs", "watch", "off"],
        setting(
            "what suspicious sessions are answered: on: proofs, a place behind the others, a refusal; proofs: only"
            " proofs; watch: nothing, but it is shown to operators; off: nothing is counted"
        ),
    ] = "on"
    appeal: Annotated[
        str,
        setting("mail address or link to which a fan writes who was refused; empty: the organiser, without an address"),
        Meta(max_length=200, pattern=ONE_LINE),
    ] = ""
    asn_database: Annotated[
        str, setting("file of a database (MaxMind's format) that says whose an address is; empty: none")
    ] = ""
    country_database: Annotated[
        str, setting("file of a database (MaxMind's format) that says in which country an address is; empty: none")
    ] = ""


class OperatorSettings(Section, frozen=True, kw_only=True):
    wrong_per_minute: Annotated[
        int,
        bounded("wrong sign-ins of operators per address prefix and minute", 1, 10_000),
    ] = 60
    factor_roles: Annotated[
        str,
        setting("comma-separated roles that need a second factor, e.g. owner,steward; empty: none does"),
        Meta(pattern=r"^((viewer|steward|door|owner)(,(viewer|steward|door|owner))*)?$"),
    ] = ""

    @property
    def needing_factor(self) -> frozenset[OperatorRole]:
        """The roles that are not in force before their operator has a second factor."""
        return frozenset(OperatorRole(word) for word in self.factor_roles.split(",") if word)
