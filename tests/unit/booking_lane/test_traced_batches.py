"""Traced commands and batches: what workers and gateways of other releases make of them, and what tracing costs off."""

from __future__ import annotations

import subprocess
import sys
import uuid

import msgspec
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from booking_lane import tracing
from booking_lane.commands import Batch, Reserve, decode_batch, encode_batch
from booking_lane.results import BatchNews, JobRecord, decode_news, decode_record, encode_record
from booking_lane.spans import Spans, parsed

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class ReserveBefore(msgspec.Struct, frozen=True, kw_only=True, tag_field="k", tag="reserve"):
    """`Reserve` before commands were traced."""

    command_id: uuid.UUID
    event_id: int
    user_id: int
    received_at_ms: int
    deadline_ms: int
    body_hash: bytes = b""
    seats: tuple[tuple[int, int, int], ...] = ()
    best_available: tuple[int, int] | None = None


class BatchBefore(msgspec.Struct, frozen=True, array_like=True):
    batch_id: uuid.UUID
    origin: str
    lane: int
    commands: tuple[ReserveBefore, ...]


class RecordBefore(msgspec.Struct, frozen=True, array_like=True):
    user_id: int
    event_id: int
    kind: str
    body_hash: bytes
    queued: bool
    body: bytes = b""


def reserve(trace: str) -> Reserve:
    return Reserve(
        command_id=uuid.uuid4(), event_id=7, user_id=9, received_at_ms=1, deadline_ms=2, seats=((1, 2, 3),), trace=trace
    )


def test_a_worker_that_does_not_know_traces_reads_a_traced_batch() -> None:
    command = reserve(TRACE)
    batch = Batch(uuid.uuid4(), "here", 1, (command,), TRACE)
    read = msgspec.msgpack.decode(encode_batch(batch), type=BatchBefore)
    assert (read.batch_id, read.lane) == (batch.batch_id, 1)
    assert read.commands[0].command_id == command.command_id
    assert read.commands[0].seats == ((1, 2, 3),)


def test_a_batch_of_a_gateway_that_does_not_know_traces_is_read() -> None:
    before = BatchBefore(
        uuid.uuid4(),
        "there",
        0,
        (ReserveBefore(command_id=uuid.uuid4(), event_id=7, user_id=9, received_at_ms=1, deadline_ms=2),),
    )
    read = decode_batch(msgspec.msgpack.encode(before))
    assert (read.trace, read.commands[0].trace) == ("", "")
    assert read.commands[0].command_id == before.commands[0].command_id


def test_records_and_news_of_both_are_read_by_both() -> None:
    before = RecordBefore(1, 2, "reserve", b"h", True, b"{}")
    assert decode_record(msgspec.msgpack.encode(before)) == JobRecord(1, 2, "reserve", b"h", True, b"{}")
    now = JobRecord(1, 2, "reserve", b"h", True, b"{}", TRACE)
    assert msgspec.msgpack.decode(encode_record(now), type=RecordBefore) == before
    batch_id = uuid.uuid4()
    assert decode_news(msgspec.msgpack.encode([batch_id, "here", 0, [], []])) == BatchNews(batch_id, "here", 0, (), ())


def test_a_command_that_is_not_traced_is_no_larger() -> None:
    assert b"trace" not in msgspec.msgpack.encode(reserve(""))
    assert TRACE.encode() in msgspec.msgpack.encode(reserve(TRACE))


def test_off_nothing_of_it_is_imported() -> None:
    probe = (
        "import sys, admitone.asgi, admitone.cli, workers.pool, gateway.app\n"
        # redis-py looks for OpenTelemetry's interface itself.
        "names = {'opentelemetry.sdk.trace', 'opentelemetry.exporter', 'booking_lane.spans', 'sentry_sdk'}\n"
        "print(*sorted(names & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == []
    assert tracing.tracer is tracing.OFF
    assert tracing.tracer.here() == ""


def test_the_ratio_decides_and_no_client() -> None:
    for ratio, traced in ((0.0, False), (1.0, True)):
        provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(ratio)), shutdown_on_exit=False)
        spans = Spans(provider.get_tracer("test"), ratio)
        context = parsed(TRACE)
        assert context is not None
        for ids in ((context.trace_id, context.span_id), (None, None)):
            span = spans.request("POST", *ids)
            assert span.is_recording() is traced
            assert bool(spans.here()) is traced
            if ids[0] is not None:
                assert spans.trace_id(span) == b"0af7651916cd43dd8448eb211c80319c"


def test_what_is_no_traceparent_is_no_context() -> None:
    for text in ("", "00", "00-x-y-01", f"00-{'0' * 32}-b7ad6b7169203331-01", "a-b-c-d"):
        assert parsed(text) is None
