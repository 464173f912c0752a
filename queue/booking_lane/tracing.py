"""Traces, where they are on. `on` is all that a hot path looks at; it is None unless a collector is configured, and
then nothing of OpenTelemetry was ever imported.

A trace goes from the request through the batch, which carries its context as a W3C ``traceparent``, to the worker's
transaction and back to who hears of it (ADR 17).
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from booking_lane.commands import Batch
    from booking_lane.spans import Spans

on: Spans | None = None
"""Set once, before the process works."""

_NO_SPAN: Final = nullcontext()


def span(name: str) -> AbstractContextManager[object]:
    """A span of the work at hand, if that is traced."""
    return _NO_SPAN if on is None else on.part(name)


def booking(batch: Batch) -> AbstractContextManager[object]:
    """The worker's span of a batch, if that is traced."""
    return _NO_SPAN if on is None else on.booking(batch)


def here() -> str:
    """The ``traceparent`` of the work at hand; empty where it is not traced."""
    return "" if on is None else on.here()
