"""The interface of a provider, which takes messages of one channel, and how a try with it ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from db.messages.queue import Taken
from messages.writer import Written


class Failure(StrEnum):
    """Why a try failed: the provider could not take it now, the message was refused, or its address does not exist."""

    AWAY = "away"
    REFUSED = "refused"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Tried:
    """How a try ended: ``failure`` is None for a message that was taken. ``provider_id`` is the provider's own name for
    it. ``copy`` is the message as it was sent, where the provider keeps one.
    """

    failure: Failure | None = None
    error: str = ""
    provider_id: str = ""
    retry_after_seconds: float = 0
    copy: str | None = None


class Provider(Protocol):
    """Takes messages of one channel."""

    name: str

    async def send(self, message: Taken, letter: Written) -> Tried:
        """Make one try. It raises only when it is cancelled."""

    async def close(self) -> None:
        """Close what the provider keeps open."""
