"""What each ask makes of each room: one table, by which every door is tested."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

from db.rooms.states import RoomState
from db.rooms.steering import Ask, Refusal

OFF, OPEN, PAUSED, CLOSED = RoomState.OFF, RoomState.OPEN, RoomState.PAUSED, RoomState.CLOSED
BEGUN: Final = dt.timedelta(hours=-1)
TO_COME: Final = dt.timedelta(hours=1)

PAUSE, RESUME, CLOSE, REOPEN = Ask(paused=True), Ask(paused=False), Ask(closed=True), Ask(closed=False)
LOBBY, NO_LOBBY = Ask(dials={"lobby_minutes": 20}), Ask(dials={"lobby_minutes": 0})


@dataclass(frozen=True)
class Transition:
    """A room as it stands, what is asked of it, and the state or the refusal that follows.

    Attributes:
        on_sale_in: from now until the sale begins.
        field: the one at fault, where the ask is refused.
        dials: what the room's dials are afterwards, where the ask names any.
    """

    before: RoomState
    ask: Ask
    after: RoomState | Refusal
    on_sale_in: dt.timedelta = BEGUN
    field: str = ""

    @property
    def dials(self) -> dict[str, Any]:
        return {} if isinstance(self.after, Refusal) else dict(self.ask.dials)

    def __str__(self) -> str:
        asked = {"paused": self.ask.paused, "closed": self.ask.closed}
        named = [f"{name}={value}" for name, value in {**asked, **self.ask.dials}.items() if value is not None]
        return f"{self.before}-{','.join(named) or 'nothing'}-{'begun' if self.on_sale_in < TO_COME else 'to come'}"


TRANSITIONS: Final = [
    Transition(OPEN, PAUSE, PAUSED),
    Transition(OPEN, RESUME, OPEN),
    Transition(OPEN, CLOSE, CLOSED),
    Transition(OPEN, REOPEN, OPEN),
    Transition(PAUSED, PAUSE, PAUSED),
    Transition(PAUSED, RESUME, OPEN),
    Transition(PAUSED, CLOSE, CLOSED),
    Transition(PAUSED, REOPEN, PAUSED),
    Transition(CLOSED, PAUSE, CLOSED),
    Transition(CLOSED, RESUME, CLOSED),
    Transition(CLOSED, CLOSE, CLOSED),
    Transition(CLOSED, REOPEN, OPEN),
    Transition(CLOSED, Ask(paused=True, closed=False), PAUSED),
    Transition(CLOSED, Ask(paused=False, closed=False), OPEN),
    Transition(OPEN, Ask(paused=True, closed=True), CLOSED),
    Transition(PAUSED, Ask(paused=False, closed=True), CLOSED),
    Transition(OFF, PAUSE, Refusal.ROOM_OFF, field="paused"),
    Transition(OFF, RESUME, Refusal.ROOM_OFF, field="paused"),
    Transition(OFF, CLOSE, Refusal.ROOM_OFF, field="closed"),
    Transition(OFF, REOPEN, Refusal.ROOM_OFF, field="closed"),
    Transition(OFF, Ask(dials={"capacity": 7}), OFF),
    Transition(OFF, Ask(paused=False, dials={"capacity": 7}), Refusal.ROOM_OFF, field="paused"),
    Transition(CLOSED, Ask(paused=True, dials={"capacity": 7, "priority_share": 20}), CLOSED),
    Transition(OPEN, LOBBY, Refusal.SALE_BEGUN, field="lobby_minutes"),
    Transition(OPEN, NO_LOBBY, Refusal.SALE_BEGUN, field="lobby_minutes"),
    Transition(CLOSED, LOBBY, Refusal.SALE_BEGUN, field="lobby_minutes"),
    Transition(OPEN, Ask(paused=True, dials=LOBBY.dials), Refusal.SALE_BEGUN, field="lobby_minutes"),
    Transition(OPEN, LOBBY, OPEN, on_sale_in=TO_COME),
    Transition(PAUSED, LOBBY, PAUSED, on_sale_in=TO_COME),
    Transition(CLOSED, LOBBY, CLOSED, on_sale_in=TO_COME),
    Transition(OPEN, Ask(dials={"message": "  Doors at eight "}), OPEN),
]
