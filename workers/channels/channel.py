"""The interface of a channel, a way by which news leaves. Webhooks are one channel; mail would be another."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import psycopg

from db.outbox.channels import ChannelName

Connection = psycopg.AsyncConnection[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Message:
    """A piece of news for one recipient, taken for its ``attempts``-th attempt since it was first due."""

    event_id: int
    outbox_id: uuid.UUID
    recipient_id: int
    attempts: int
    kind: str
    payload: dict[str, Any]
    created_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended: ``error`` is empty for a success, ``status`` the recipient's answer in the channel's own
    numbers, None where there was no answer.
    """

    status: int | None
    error: str
    retry_after_seconds: int = 0

    @property
    def delivered(self) -> bool:
        return not self.error


M = TypeVar("M", bound=Message)
Ended = Sequence[tuple[M, Outcome]]
"""Messages, each with the outcome of its attempt."""


class Channel(Protocol[M]):
    """One way by which news leaves. `db.outbox.channels.ChannelSql` is its part in the database."""

    name: ChannelName

    async def take(self, connection: Connection, under_way: Mapping[int, int]) -> list[M]:
        """Messages that are due, each counted as one attempt and due again once that attempt must be over.

        Args:
            under_way: the number of attempts under way to each recipient; others have none.
        """

    async def send(self, message: M) -> Outcome:
        """Make one attempt. It raises only when it is cancelled."""

    def retry_seconds(self, attempts: int, outcome: Outcome) -> float | None:
        """How long after its ``attempts``-th attempt failed a message is tried again; None: it is given up."""

    async def note(self, connection: Connection, ended: Ended[M]) -> None:
        """Record which recipients answer and which fail, in the transaction that records the deliveries' outcomes."""

    async def close(self) -> None:
        """Close what the channel keeps open."""
