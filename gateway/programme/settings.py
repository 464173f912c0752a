"""Settings of what an operator may send to make or change an event."""

from __future__ import annotations

from typing import Annotated

from db.settings import Section, bounded


class PictureSettings(Section, frozen=True, kw_only=True):
    bytes_max: Annotated[int, bounded("a picture that an operator uploads", 65_536, 67_108_864)] = 8_388_608
    pixels_max: Annotated[
        int, bounded("pixels of a picture that an operator uploads; each takes 4 bytes of memory", 65_536, 200_000_000)
    ] = 40_000_000


class EventSettings(Section, frozen=True, kw_only=True):
    bytes_max: Annotated[
        int, bounded("request body of an operator who makes or changes an event", 1024, 67_108_864)
    ] = 8_388_608
    seats_max: Annotated[int, bounded("seats of an event that an operator makes or changes", 1, 500_000)] = 200_000
