"""Settings of sessions."""

from __future__ import annotations

from typing import Annotated, Literal

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
