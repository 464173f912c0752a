"""Settings of check-in, and of tickets as fans read them."""

from __future__ import annotations

from typing import Annotated

from db.settings import Section, bounded


class TicketSettings(Section, frozen=True, kw_only=True):
    texts_max: Annotated[
        int,
        bounded(
            "signed tickets that a gateway process keeps, 400 bytes each, for fans who look at theirs again; 0: none",
            0,
            1_000_000,
        ),
    ] = 10_000


class ScanSettings(Section, frozen=True, kw_only=True):
    connections_max: Annotated[
        int,
        bounded(
            "connections to Postgres that a gateway process keeps for scans alone, once tickets are scanned", 1, 16
        ),
    ] = 2
    list_max: Annotated[
        int,
        bounded("tickets in one part of the list that a gate's device keeps for when it has no network", 100, 20_000),
    ] = 5000
    event_hours: Annotated[int, bounded("an event can be chosen at the gates until so long after it began", 1, 720)] = (
        24
    )
