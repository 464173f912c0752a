"""The refusals of the line. Each error has a stable ``code``; the first line of its docstring is the message."""

# ruff: noqa: N818 - the name of an error here says what is the case: LineFull, NotCalled

from __future__ import annotations

import inspect
from typing import ClassVar


class RoomError(Exception):
    """The waiting room refused."""

    code: ClassVar[str] = "room_error"

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (inspect.getdoc(type(self)) or "").split("\n", 1)[0])


class RoomUnknown(RoomError):
    """Redis knows no room for this event: configure it, from Postgres."""

    code = "unknown_room"


class RoomOff(RoomError):
    """This event has no waiting room: no pass is needed."""

    code = "room_off"


class RoomClosed(RoomError):
    """The waiting room is closed."""

    code = "closed"


class RoomSoldOut(RoomError):
    """Everything is sold and no hold is outstanding: there is nothing to wait for."""

    code = "sold_out"


class NoPlace(RoomError):
    """The fan had no place in this line that could be given back."""

    code = "no_place"


class RetryLater(RoomError):
    """Waiting helps.

    ``retry_after_seconds`` says how long.
    """

    code = "retry_later"

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__()
        self.retry_after_seconds = retry_after_seconds


class Rebuilding(RetryLater):
    """The line is being rebuilt: places already given come back first."""

    code = "rebuilding"


class LineFull(RetryLater):
    """The line is full; nothing was stored."""

    code = "line_full"


class NotCalled(RoomError):
    """Only a fan who was called can claim.

    ``state`` is where this one stands.
    """

    code = "not_called"

    def __init__(self, state: str) -> None:
        super().__init__()
        self.state = state


class TokenInvalid(RoomError):
    """The token is not ours, or not for this.

    ``reason`` is malformed, signature, expired, event or fan.
    """

    code = "token_invalid"

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


REFUSALS: dict[str, type[RoomError]] = {
    refusal.code: refusal for refusal in (RoomUnknown, RoomOff, RoomClosed, RoomSoldOut, NoPlace)
}
RETRIES: dict[str, type[RetryLater]] = {retry.code: retry for retry in (Rebuilding, LineFull)}
