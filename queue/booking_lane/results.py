"""Results back from the worker: a key a job, and one message a batch that every gateway hears."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, Final

import msgspec
import redis

from booking_lane.commands import Command, Outcome
from booking_lane.figures import count


class JobRecord(msgspec.Struct, frozen=True, array_like=True):
    """What Redis knows of a job. ``body`` is the outcome's JSON, or empty while it is queued.

    ``queued`` is False while an Idempotency-Key is only claimed and Redis has no job of it yet. ``trace`` is the
    ``traceparent`` of the batch that had the outcome, where it is traced.
    """

    user_id: int
    event_id: int
    kind: str
    body_hash: bytes
    queued: bool
    body: bytes = b""
    trace: str = ""


class SeatChange(msgspec.Struct, frozen=True, array_like=True):
    """A seat's new status: ``available``, ``reserved`` or ``booked``."""

    ticket_type_id: int
    row_number: int
    seat_number: int
    status: str


class Count(msgspec.Struct, frozen=True, array_like=True):
    """A ticket type's counts after the batch."""

    ticket_type_id: int
    available_count: int
    held_count: int


class EventChange(msgspec.Struct, frozen=True, array_like=True):
    """What a batch changed of one event, which took its version from ``version - 1`` to ``version``."""

    event_id: int
    version: int
    seats: tuple[SeatChange, ...]
    counts: tuple[Count, ...]


class BatchNews(msgspec.Struct, frozen=True, array_like=True):
    """The message of one finished batch."""

    batch_id: uuid.UUID
    origin: str
    lane: int
    outcomes: tuple[Outcome, ...]
    changes: tuple[EventChange, ...]
    trace: str = ""


_KEEP: Final = (files(__package__) / "lua" / "keep.lua").read_text()
_encode = msgspec.msgpack.Encoder().encode
encode_record = _encode
decode_record = msgspec.msgpack.Decoder(JobRecord).decode
decode_news = msgspec.msgpack.Decoder(BatchNews).decode


def job_key(command_id: uuid.UUID) -> str:
    return f"job:{command_id.hex}"


def channel(lane: int) -> str:
    """The pub/sub channel of a lane's finished batches."""
    return f"booking:lane:{lane}"


def keep(pipe: Any, records: Mapping[uuid.UUID, JobRecord], ttl_seconds: int) -> None:
    """Put the jobs' records, by command id, into ``pipe``."""
    if records:
        keys = map(job_key, records)
        # Its text and not its hash: a script that Redis had lost would fail in the midst of a MULTI.
        pipe.eval(_KEEP, len(records), *keys, ttl_seconds, *map(encode_record, records.values()))


def publish(
    client: redis.Redis,
    news: BatchNews,
    ttl_seconds: int,
    *,
    commands: Sequence[Command] = (),
    now_ms: int = 0,
    busy_ms: int = 0,
) -> None:
    """Write every outcome's key, tell every gateway, and count the ``commands`` in the lane's figures: one pipeline.

    Args:
        now_ms: the jobs' Redis' clock, by which the commands' waits are measured.
        busy_ms: how long the worker was at it.

    Raises:
        redis.RedisError: Redis did not take it; a re-run of the batch publishes again.
    """
    records = {
        outcome.command_id: JobRecord(
            outcome.user_id, outcome.event_id, outcome.kind, outcome.body_hash, True, outcome.body, news.trace
        )
        for outcome in news.outcomes
    }
    with client.pipeline(transaction=False) as pipe:
        keep(pipe, records, ttl_seconds)
        pipe.publish(channel(news.lane), _encode(news))
        if commands:
            count(pipe, news.lane, commands, news.outcomes, now_ms, busy_ms)
        pipe.execute()
