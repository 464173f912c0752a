"""Settings of what a gateway keeps of halls in its memory."""

from __future__ import annotations

from typing import Annotated

from db.settings import Section, bounded


class HallSettings(Section, frozen=True, kw_only=True):
    """The least recently used hall is dropped once there are more halls or more seats, and each once nobody looks."""

    halls_max: Annotated[
        int,
        bounded("events whose halls a gateway process keeps in memory", 1, 100_000, variable="ADMITONE_HALLS_MAX"),
    ] = 1000
    seats_max: Annotated[
        int,
        bounded("seats of all those halls together; 6,000 take about 1 MB", 10_000, 1_000_000_000),
    ] = 3_000_000
    unused_seconds: Annotated[
        int, bounded("seconds without a look until a hall is dropped, and its event's changes are not sent", 5, 86_400)
    ] = 300
