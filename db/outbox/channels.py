"""A channel's part in the database. Every channel is a way by which news leaves, and gives the same pieces of SQL."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import LiteralString


class ChannelName(StrEnum):
    """The ways by which news leaves, as deliveries name them."""

    WEBHOOK = "webhook"
    MESSAGE = "message"
    EDGE = "edge"


@dataclass(frozen=True, slots=True)
class ChannelSql:
    """A channel's part of the statements in `db.outbox.deliveries`."""

    name: ChannelName

    recipients: LiteralString
    """Selects (event_id, outbox_id, recipient_id) from ``news (event_id, outbox_id, kind, created_at)``: one row for
    each recipient that wants a piece of news."""

    deliverable: LiteralString
    """A condition on ``d``, a pending delivery of this channel: whether it may still be made."""


def is_to(channel: LiteralString, recipient: LiteralString) -> LiteralString:
    """SQL: ``d``, a delivery that is found by its outbox row, is the one of a channel to a recipient.

    No index on channel and recipient finds a row by this condition. Postgres takes such an index where it planned while
    the table was small, and then walks through all deliveries of the channel for each one that it looks for.
    """
    return f"d.channel || '' = {channel} AND d.recipient_id + 0 = {recipient}"
