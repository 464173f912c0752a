"""The states that a waiting room can be in."""

from __future__ import annotations

from enum import StrEnum


class RoomState(StrEnum):
    """A room's state as the API names it.

    An operator sets `OFF`, `OPEN`, `PAUSED` and `CLOSED`. The others follow from the clock, from Redis and from what is
    left to sell, while the room is set to open or paused.
    """

    OFF = "off"
    LOBBY = "lobby"
    OPEN = "open"
    PAUSED = "paused"
    REBUILDING = "rebuilding"
    SOLD_OUT = "sold_out"
    CLOSED = "closed"
