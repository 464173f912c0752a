"""Settings of the line that are equal in every room."""

from __future__ import annotations

from typing import Annotated

from db.settings import Section, bounded


class LineSettings(Section, frozen=True, kw_only=True):
    absence_seconds: Annotated[
        int, bounded("an absent fan's place is kept this long", 5, 3600, variable="ADMITONE_ABSENCE_SECONDS")
    ] = 120
    connected_seconds: Annotated[
        int, bounded("a heartbeat counts as connected this long", 2, 120, variable="ADMITONE_CONNECTED_SECONDS")
    ] = 15
    receipt_entries_max: Annotated[
        int,
        bounded(
            "changes of state kept on a fan's receipt, the latest", 1, 1000, variable="ADMITONE_RECEIPT_ENTRIES_MAX"
        ),
    ] = 50
    receipt_fans_max: Annotated[
        int,
        bounded(
            "fans whose receipts an event keeps, and as many of those before them; for a week",
            1000,
            5_000_000,
            variable="ADMITONE_RECEIPT_FANS_MAX",
        ),
    ] = 250_000
    rebuild_seconds: Annotated[
        int,
        bounded(
            "a room that Redis lost takes back known places this long before new ones; 0: not at all",
            0,
            600,
            variable="ADMITONE_REBUILD_SECONDS",
        ),
    ] = 10
