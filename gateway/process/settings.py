"""Settings of a gateway process's end."""

from __future__ import annotations

from typing import Annotated

from db.settings import Section, bounded


class EndingSettings(Section, frozen=True, kw_only=True):
    drain_seconds: Annotated[
        int,
        bounded(
            "told to end, a gateway serves on for so long, not ready, before it says farewell",
            0,
            4,
            variable="ADMITONE_DRAIN_SECONDS",
        ),
    ] = 2
