"""The OpenTelemetry spans of bookings. This module is imported only if traces are on."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    format_span_id,
    format_trace_id,
)

from booking_lane.commands import KINDS, Batch
from booking_lane.results import JobRecord

LINKS_MAX: Final = 128
"""A batch's spans are linked to at most this many of its commands. The SDK keeps no more links."""
TRACEPARENT_CHARS: Final = 55
_LOW_64_BITS: Final = (1 << 64) - 1


def parsed(traceparent: str) -> SpanContext | None:
    """The context in a ``traceparent`` that `here` wrote; None if it is empty or cannot be read."""
    if len(traceparent) != TRACEPARENT_CHARS:
        return None
    parts = traceparent.split("-")
    try:
        context = SpanContext(int(parts[1], 16), int(parts[2], 16), True, TraceFlags(int(parts[3], 16)))
    except (IndexError, ValueError):
        return None
    return context if context.is_valid else None


def _under(context: SpanContext) -> Context:
    return trace.set_span_in_context(NonRecordingSpan(context), Context())


class Spans:
    """Begins and ends spans.

    Args:
        ratio: the share of requests that are traced. The trace's id decides, not the client.
    """

    is_on = True

    def __init__(self, tracer: Tracer, ratio: float) -> None:
        self._tracer = tracer
        self._bound = round(ratio * (1 << 64))

    # -- requests

    def request(self, method: str, trace_id: int | None, parent_id: int | None) -> Span:
        """Begin a request's span, which is current in its task from now on. The ids are the client's."""
        parent = Context()
        if trace_id is not None and parent_id is not None:
            flags = TraceFlags.SAMPLED if trace_id & _LOW_64_BITS < self._bound else TraceFlags.DEFAULT
            parent = _under(SpanContext(trace_id, parent_id, True, TraceFlags(flags)))
        span = self._tracer.start_span(method, parent, SpanKind.SERVER, attributes={"http.request.method": method})
        contexts.attach(trace.set_span_in_context(span, Context()))
        return span

    @staticmethod
    def trace_id(span: Span) -> bytes:
        """The id of a span's trace, as ``traceparent`` writes it."""
        return format_trace_id(span.get_span_context().trace_id).encode()

    @staticmethod
    def answered(span: Span, method: str, route: str, status: int, ids: Mapping[str, object]) -> None:
        """End a request's span when its answer begins, because a stream may last for hours."""
        if not span.is_recording():
            return
        span.update_name(f"{method} {route}")
        span.set_attributes({"http.route": route, "http.response.status_code": status})
        for name, value in ids.items():
            span.set_attribute(f"admitone.{name}", value.decode("latin-1") if isinstance(value, bytes) else str(value))
        if status >= 500:
            span.set_status(Status(StatusCode.ERROR))
        span.end()

    async def waiting(self, answer: Awaitable[JobRecord | None]) -> JobRecord | None:
        """Wait for a job's outcome, in a span that is linked to the batch which had it."""
        with self.part("wait") as span:
            record = await answer
            context = None if record is None else parsed(record.trace)
            if context is not None:
                span.add_link(context)
            return record

    # -- batches

    @contextmanager
    def enqueueing(self, batch: Batch) -> Iterator[str]:
        """The span of a batch on its way to Redis, in the trace of its first traced command, and linked to all traced
        ones. It yields the ``traceparent`` that the batch is to carry, empty if none of its commands is traced.
        """
        commands = _commands(batch)
        if not commands:
            yield ""
            return
        # It is not the current one: it begins in one task of a gateway and ends in another.
        about = self._batch(f"enqueue lane-{batch.lane}", SpanKind.PRODUCER, commands[0], commands, batch)
        with self._tracer.start_span(**about) as span:
            yield _traceparent(span.get_span_context())

    @contextmanager
    def booking(self, batch: Batch) -> Iterator[None]:
        """The worker's span of a batch, linked to its commands."""
        parent = parsed(batch.trace)
        if parent is None:
            yield
            return
        about = self._batch(f"book lane-{batch.lane}", SpanKind.CONSUMER, parent, _commands(batch), batch)
        with self._tracer.start_as_current_span(**about):
            yield

    @contextmanager
    def receiving(self, traceparent: str, lane: int) -> Iterator[None]:
        """A gateway's span of a batch's message: in it, waiting requests are woken and streams written to."""
        parent = parsed(traceparent)
        if parent is None:
            yield
            return
        with self._tracer.start_as_current_span(f"hear lane-{lane}", _under(parent), SpanKind.CONSUMER):
            yield

    @staticmethod
    def _batch(
        name: str, kind: SpanKind, parent: SpanContext, commands: Sequence[SpanContext], batch: Batch
    ) -> dict[str, Any]:
        """What the span of a batch begins with."""
        return {
            "name": name,
            "context": _under(parent),
            "kind": kind,
            "attributes": {
                "messaging.system": "rq",
                "messaging.destination.name": f"lane-{batch.lane}",
                "messaging.batch.message_count": len(batch.commands),
                "admitone.batch_id": str(batch.batch_id),
                "admitone.kinds": sorted({KINDS[type(command)] for command in batch.commands}),
            },
            "links": [Link(context) for context in commands],
        }

    # -- parts of the work at hand

    @contextmanager
    def part(self, name: str, kind: SpanKind = SpanKind.INTERNAL, **attributes: Any) -> Iterator[Span]:
        """A span under the current one; an invalid one if nothing is traced."""
        if not trace.get_current_span().is_recording():
            yield INVALID_SPAN
            return
        with self._tracer.start_as_current_span(name, kind=kind, attributes=attributes) as span:
            yield span

    def begun(self, name: str, kind: SpanKind, attributes: Mapping[str, str]) -> Span | None:
        """A span under the current one that the caller ends; None if nothing is traced."""
        if not trace.get_current_span().is_recording():
            return None
        return self._tracer.start_span(name, kind=kind, attributes=attributes)

    @staticmethod
    def here() -> str:
        """The ``traceparent`` of the current span; empty if nothing is traced."""
        span = trace.get_current_span()
        return _traceparent(span.get_span_context()) if span.is_recording() else ""

    @staticmethod
    def ids() -> dict[str, str]:
        """The ids of the current trace and span, for a log record; empty if nothing is traced."""
        span = trace.get_current_span()
        if not span.is_recording():
            return {}
        context = span.get_span_context()
        return {"trace_id": format_trace_id(context.trace_id), "span_id": format_span_id(context.span_id)}


def _traceparent(context: SpanContext) -> str:
    trace_id, span_id = format_trace_id(context.trace_id), format_span_id(context.span_id)
    return f"00-{trace_id}-{span_id}-{context.trace_flags:02x}"


def _commands(batch: Batch) -> list[SpanContext]:
    contexts = (parsed(command.trace) for command in batch.commands)
    return [context for context in contexts if context is not None][:LINKS_MAX]
