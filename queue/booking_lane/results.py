"""The results that a worker sends back: a record for each job, and messages to those who need them.

The gateway that sent a batch hears of its outcomes, on a channel of its own. What changed at an event is heard by the
gateways that have its hall in memory, on the event's channel. A gateway that waits for a job of another one notes so
beside the job, and is sent its record. Everybody else hears nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, Final

import msgspec
import redis

from booking_lane.commands import Awaiting, Command, Outcome
from booking_lane.figures import count
from db.channels import channel_of, database_of


class JobRecord(msgspec.Struct, frozen=True, array_like=True):
    """The record of a job in Redis. ``body`` is the outcome's JSON, and empty while the job is queued.

    ``queued`` is False while an Idempotency-Key is only claimed, and Redis has no job for it yet. ``trace`` is the
    ``traceparent`` of the batch, if it is traced. ``payment_id``: the job waits for this payment, which ends at
    ``payment_until_us`` (Unix microseconds; 0: not known here); ``is_processing``: a bank works on it.
    """

    user_id: int
    event_id: int
    kind: str
    body_hash: bytes
    queued: bool
    body: bytes = b""
    trace: str = ""
    payment_id: uuid.UUID | None = None
    payment_until_us: int = 0
    is_processing: bool = False


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
    """The changes of a batch to one event, which is at ``version`` with them and was at ``version - 1`` before."""

    event_id: int
    version: int
    seats: tuple[SeatChange, ...]
    counts: tuple[Count, ...]


class BatchNews(msgspec.Struct, frozen=True, array_like=True):
    """The message to its ``origin`` that a batch is finished, without ``changes``.

    Gateways of the releases before `is_told` hear it with all changes on the lane's channel. ``is_told``: gateways of
    this release were told by their own channels.
    """

    batch_id: uuid.UUID
    origin: str
    lane: int
    outcomes: tuple[Outcome, ...]
    changes: tuple[EventChange, ...]
    trace: str = ""
    awaiting: tuple[Awaiting, ...] = ()
    is_told: bool = False


class _Versioned(msgspec.Struct):
    version: int = -1


class _Told(msgspec.Struct):
    """The part of a job's outcome that says the event's version."""

    result: _Versioned | None = None
    problem: _Versioned | None = None


_KEEP: Final = (files(__package__) / "lua" / "keep.lua").read_text()
_KEEP_RESULTS: Final = (files(__package__) / "lua" / "keep_results.lua").read_text()
AWAITED_SECONDS: Final = 60
"""How long a gateway's note stands that it waits for a job; no request waits for longer."""
_HEX_CHARACTERS: Final = 32
_encode = msgspec.msgpack.Encoder().encode
encode_record = _encode
decode_record = msgspec.msgpack.Decoder(JobRecord).decode
decode_news = msgspec.msgpack.Decoder(BatchNews).decode
decode_change = msgspec.msgpack.Decoder(EventChange).decode
decode_opened = msgspec.msgpack.Decoder(tuple[uuid.UUID, ...]).decode
_decode_told = msgspec.json.Decoder(_Told).decode


def version_told(body: bytes) -> int:
    """The event's version that a finished job's outcome tells; -1 for an outcome without one."""
    told = _decode_told(body)
    versioned = told.result or told.problem
    return -1 if versioned is None else versioned.version


def job_key(command_id: uuid.UUID) -> str:
    return f"job:{command_id.hex}"


def awaited_key(command_id: uuid.UUID) -> str:
    """The key of the gateways that wait for a job which another one may have sent."""
    return f"awaited:{command_id.hex}"


def channel(lane: int, database: int = 0) -> str:
    """The channel on which gateways of the release before hear of a lane's batches, at the site in that database of
    its Redis.
    """
    return channel_of(f"booking:lane:{lane}", database)


def origin_channel(origin: str, database: int = 0) -> str:
    """The channel of the batches that the gateway ``origin`` sent."""
    return channel_of(f"booking:gateway:{origin}", database)


def awaited_channel(origin: str, database: int = 0) -> str:
    """The channel of the jobs of others that the gateway ``origin`` waits for."""
    return channel_of(f"booking:awaited:{origin}", database)


def event_channel(event_id: int, database: int = 0) -> str:
    """The channel of an event's changes."""
    return channel_of(f"booking:event:{event_id}", database)


def decode_awaited(payload: bytes) -> tuple[uuid.UUID, JobRecord]:
    """A message of `awaited_channel`: the job, and its record."""
    return uuid.UUID(hex=payload[:_HEX_CHARACTERS].decode()), decode_record(payload[_HEX_CHARACTERS:])


def keep(pipe: Any, records: Mapping[uuid.UUID, JobRecord], ttl_seconds: int) -> None:
    """Add to ``pipe`` the writing of the jobs' records, which are given by command id."""
    if records:
        keys = map(job_key, records)
        # The text is sent, not its hash: if Redis had lost the script, the hash would fail in the midst of a MULTI.
        pipe.eval(_KEEP, len(records), *keys, ttl_seconds, *map(encode_record, records.values()))


def opened_key(payment_id: uuid.UUID) -> str:
    """The key of a payment that its provider has opened: what lets the fan's browser pay, sealed."""
    return f"payment:{payment_id.hex}"


def opened_channel(database: int = 0) -> str:
    """The channel of payments that fans can pay from now on, at the site in that database of its Redis."""
    return channel_of("payments:opened", database)


def publish_opened(client: redis.Redis, opened: Mapping[uuid.UUID, str], ttl_seconds: int) -> None:
    """Write and tell that fans can pay these now. The sealed secrets are given by the payments' ids.

    Raises:
        redis.RedisError: Redis did not take it. Gateways read Postgres then.
    """
    with client.pipeline(transaction=False) as pipe:
        for payment_id, secret in opened.items():
            pipe.set(opened_key(payment_id), secret, ex=ttl_seconds)
        pipe.publish(opened_channel(database_of(client)), _encode(tuple(opened)))
        pipe.execute()


def record_of_awaiting(one: Awaiting, trace: str = "") -> JobRecord:
    """The record of a job that waits for its payment."""
    payment = (one.payment_id, one.payment_until_us, one.is_processing)
    return JobRecord(one.user_id, one.event_id, one.kind, one.body_hash, True, b"", trace, *payment)


def publish(
    client: redis.Redis,
    news: BatchNews,
    ttl_seconds: int,
    *,
    commands: Sequence[Command] = (),
    now_ms: int = 0,
    busy_ms: int = 0,
) -> None:
    """Write every outcome's record, tell the gateways that need to know, and count the ``commands`` in the lane's
    figures, all in one pipeline.

    An event's changes go first, because a fan whose request is answered may read the hall at once. A gateway of the
    release before that listens costs a second trip.

    Args:
        now_ms: the time on the clock of the jobs' Redis, for measuring the commands' waits.
        busy_ms: how long the worker took for the batch.

    Raises:
        redis.RedisError: Redis did not take it; a second run of the batch publishes again.
    """
    records = {one.command_id: record_of_awaiting(one, news.trace) for one in news.awaiting} | {
        outcome.command_id: JobRecord(
            outcome.user_id, outcome.event_id, outcome.kind, outcome.body_hash, True, outcome.body, news.trace
        )
        for outcome in news.outcomes
    }
    database = database_of(client)
    former = channel(news.lane, database)
    with client.pipeline(transaction=False) as pipe:
        for change in news.changes:
            pipe.publish(event_channel(change.event_id, database), _encode(change))
        _keep_results(pipe, records, ttl_seconds, database)
        to_origin = msgspec.structs.replace(news, changes=()) if news.changes else news
        pipe.publish(origin_channel(news.origin, database), _encode(to_origin))
        if commands:
            count(pipe, news.lane, commands, news.outcomes, now_ms, busy_ms)
        pipe.pubsub_numsub(former)
        *_, [(_, listeners)] = pipe.execute()
    if listeners:
        client.publish(former, _encode(msgspec.structs.replace(news, is_told=True)))


def _keep_results(pipe: Any, records: Mapping[uuid.UUID, JobRecord], ttl_seconds: int, database: int) -> None:
    if records:
        values = map(encode_record, records.values())
        pipe.eval(
            _KEEP_RESULTS, len(records), *map(job_key, records), ttl_seconds, awaited_channel("", database), *values
        )
