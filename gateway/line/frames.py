"""The frames of a fan's stream, as bytes. The parts that many fans are sent at the same time are rendered once."""

from __future__ import annotations

import math
import random
from typing import Final

import msgspec

from db.languages import Texts
from gateway.contract.line import Lobby
from gateway.line.counting_down import UNKNOWN, Pace
from gateway.line.places import room_state, stock_left
from gateway.wire.stream import frame
from waiting_room.eta import seats_reach, speed_in
from waiting_room.model import RoomCounts

RELEASED_RETRY_MS: Final = (45_000, 75_000)
"""How long clients wait that reconnect by themselves to a sold-out event: they would only read the same again."""

_encode = msgspec.json.Encoder().encode


def sold_out_frame() -> bytes:
    """The last word of a stream, and how long this client waits before it asks again."""
    return b"retry: %d\n" % random.randint(*RELEASED_RETRY_MS) + frame("sold_out", b"{}")  # noqa: S311 - spreads them


def closed_frame(reason: str) -> bytes:
    """The room is closed; the reason is a sentence, and empty if an operator closed the room."""
    return frame("closed", _encode({"reason": reason} if reason else {}))


class PlaceFrames:
    """The place frames of one turn and one class of fans. The parts that they share are rendered once.

    Attributes:
        pace: how fast the line moves; its forecast, as long as nothing was measured.
    """

    def __init__(self, counts: RoomCounts, waiting: int, *, priority: bool = False, pace: Pace = UNKNOWN) -> None:
        self._counts, self._priority = counts, priority
        self._speed = speed_in(counts)
        if self._speed is None:
            self.pace = UNKNOWN
        else:
            self.pace = pace if pace.measured else Pace(0.0, self._speed.expected / 60)
        reach = seats_reach(counts)
        self._reach = math.inf if reach is None else reach
        per_minute = b"null" if self._speed is None else b"%.1f" % self._speed.expected
        own = counts.priority if priority else max(0, waiting - counts.priority)
        tail = b'"classWaiting":%d,%b' % (own, shared_tail(counts, waiting))
        if priority:
            tail = b'"priority":true,' + tail
        self._tails = [b'"linePerMinute":%b,"mayRunOut":%b,%b' % (per_minute, out, tail) for out in (b"false", b"true")]

    def frame(self, position: int, falls: bytes = b"") -> bytes:
        """The frame that shows a fan this position.

        Args:
            falls: the fields that say what the page counts down by itself (`falls`); without them it counts nothing.
        """
        ahead = position - 1
        before = self._counts.ahead_in_both(ahead, priority=self._priority) if self._counts.priority else ahead
        tail = self._tails[before >= self._reach]
        if self._speed is None:
            return b'event: place\ndata: {"position":%d,"ahead":%d,"etaSeconds":null,"etaRange":null,%b%b\n\n' % (
                position,
                ahead,
                falls,
                tail,
            )
        return b'event: place\ndata: {"position":%d,"ahead":%d,"etaSeconds":%d,"etaRange":[%d,%d],%b%b\n\n' % (
            position,
            ahead,
            *self._speed.seconds(before),
            falls,
            tail,
        )


def falls(to: int, seconds: float) -> bytes:
    """The fields of a place frame that say to which position the page counts down by itself, and in how long."""
    return b'"fallsTo":%d,"fallsInSeconds":%g,' % (to, seconds)


def shared_tail(counts: RoomCounts, waiting: int) -> bytes:
    """The end of the data that all place frames of a turn share."""
    return b'"waiting":%d,"ratePerMinute":%s,"state":"waiting","roomState":"%s","stock":%s}' % (
        waiting,
        _encode(counts.config.rate_per_minute),
        room_state(counts).encode(),
        _encode(stock_left(counts)),
    )


def no_position_frame(state: str, room_state: str) -> bytes:
    """The place of a fan without a position, as an event for the stream."""
    return frame("place", _encode({"state": state, "roomState": room_state, "position": None, "ahead": None}))


def idle_frame(room_state: str, position: int | None) -> bytes:
    """The place of a fan who lost the pass by doing nothing."""
    ahead = None if position is None else position - 1
    fields = {"state": "waiting", "roomState": room_state, "position": position, "ahead": ahead, "idle": True}
    return frame("place", _encode(fields))


def lobby_frame(state: str, room_state: str, counts: RoomCounts, lobby: Lobby) -> bytes:
    """The place of a fan in a lobby, before the draw and while it goes on."""
    return frame(
        "place",
        _encode(
            {
                "position": None,
                "ahead": None,
                "etaSeconds": None,
                "etaRange": None,
                "waiting": counts.waiting + counts.lobby,
                "ratePerMinute": counts.config.rate_per_minute,
                "state": state,
                "roomState": room_state,
                "stock": None,
                "lobby": lobby,
            }
        ),
    )


def message_frame(message: str, messages: Texts) -> bytes:
    """The operators' message to the line, in every language, so that all streams share the frame.

    Where it is empty, and the fan's language has no text of its own, it removes the message that is shown.
    """
    return frame("message", _encode({"message": message, "messages": messages}))


def called_frame(claim_by_seconds: int) -> bytes:
    return frame("called", b'{"claimBySeconds":%d}' % claim_by_seconds)


def admitted_frame(admission_pass: str, expires_at: object, idle_ends_at: object, *, crowded: bool) -> bytes:
    """The fan is inside. It is sent again whenever one of these changes."""
    fields = {"pass": admission_pass, "expiresAt": expires_at, "idleEndsAt": idle_ends_at, "mayRunOut": crowded}
    return frame("admitted", _encode(fields))
