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
    stock_factor: Annotated[
        float, bounded("fans called and at work at a time, in times the free seats; 0: the seats bound nobody", 0, 100)
    ] = 2.0
    stock_spare: Annotated[
        int, bounded("so many more, so that no last seat waits for a fan who does nothing", 0, 10_000)
    ] = 20
    work_seconds: Annotated[
        int,
        bounded("a fan inside counts as at work this long after the last sign of it; 0: as long as the pass", 0, 3600),
    ] = 10
    choose_seconds: Annotated[
        int,
        bounded("while seats are scarce, a page's word that its fan is choosing counts this long after a try", 0, 3600),
    ] = 180
    idle_seconds: Annotated[
        int,
        bounded(
            "while seats are scarce, a fan who does nothing this long loses the pass and keeps the place; 0: nobody",
            0,
            3600,
        ),
    ] = 60
    news_ms: Annotated[
        int,
        bounded(
            "what happens to fans is told to the gateways together, once in this time or the door's tick; 0: at once",
            0,
            1000,
        ),
    ] = 250
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
    rooms_max: Annotated[
        int,
        bounded(
            "rooms that a gateway process keeps in memory and ticks, 2 KB each: the newest of those not off",
            1,
            100_000,
            variable="ADMITONE_ROOMS_MAX",
        ),
    ] = 2000
    rebuild_seconds: Annotated[
        int,
        bounded(
            "a room that Redis lost takes back known places this long before new ones; 0: not at all",
            0,
            600,
            variable="ADMITONE_REBUILD_SECONDS",
        ),
    ] = 10
