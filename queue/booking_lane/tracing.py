"""Traces of bookings. Unless a collector is configured, `tracer` is `Untraced`, whose methods do nothing, and nothing
of OpenTelemetry is imported.

A trace leads from the request through the batch, which carries its context as a W3C ``traceparent``, to the worker's
transaction, and back to the gateways that get the batch's message (ADR 17).
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from booking_lane.commands import Batch
    from booking_lane.results import JobRecord
    from booking_lane.spans import Spans

_NO_SPAN: Final = nullcontext()
_NO_TRACE: Final = nullcontext("")
_NO_IDS: Final[Mapping[str, str]] = {}


class Untraced:
    """Takes the place of `booking_lane.spans.Spans`, and does nothing."""

    is_on = False

    def request(self, method: str, trace_id: int | None, parent_id: int | None) -> Any:
        return None

    def trace_id(self, span: Any) -> bytes:
        return b""

    def answered(self, span: Any, method: str, route: str, status: int, ids: Mapping[str, object]) -> None:
        pass

    def waiting(self, answer: Awaitable[JobRecord | None]) -> Awaitable[JobRecord | None]:
        return answer

    def enqueueing(self, batch: Batch) -> AbstractContextManager[str]:
        return _NO_TRACE

    def booking(self, batch: Batch) -> AbstractContextManager[object]:
        return _NO_SPAN

    def receiving(self, traceparent: str, lane: int) -> AbstractContextManager[object]:
        return _NO_SPAN

    def part(self, name: str) -> AbstractContextManager[object]:
        return _NO_SPAN

    def here(self) -> str:
        return ""

    def ids(self) -> Mapping[str, str]:
        return _NO_IDS


OFF: Final = Untraced()
tracer: Untraced | Spans = OFF
"""The process' tracer. It is set once, before the process begins its work."""
