"""Settings of sessions and of operators."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from db.operators.roles import OperatorRole
from db.settings import Section, bounded, setting


class SessionSettings(Section, frozen=True, kw_only=True):
    auth: Annotated[
        Literal["token", "open"],
        setting("open takes the body's userId as it is: development and load tests only", variable="ADMITONE_AUTH"),
    ] = "token"
    seconds: Annotated[int, bounded("a fan's session lives this long", 60, 2_592_000)] = 172_800

    @property
    def open_auth(self) -> bool:
        return self.auth == "open"


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
