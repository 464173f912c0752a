"""The engine's connection if traces are on: it makes a span for each statement and for each transaction.

In a pipeline psycopg sends many statements before it reads the first answer. Their spans end with the pipeline, when
the answers are there, and so show how long each statement was on its way.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from opentelemetry.trace import Span, SpanKind

from booking_lane import tracing
from booking_lane.spans import Spans
from db.booking import events, holds, outcomes, purchases, seats
from db.connections.pooled import PooledConnection
from db.outbox.writer import WRITE_OUTBOX

_NAMES: Final = {
    statement: name.lower()
    for module in (events, seats, holds, purchases, outcomes)
    for name, statement in vars(module).items()
    if name.isupper() and isinstance(statement, str)
} | {WRITE_OUTBOX: "write_outbox"}
_OTHER: Final = "statement"


class TracedCursor(psycopg.Cursor[Any]):
    """Makes a span for each statement, without its parameters, which may be personal."""

    def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        connection = self.connection
        assert isinstance(connection, TracedConnection)
        with connection.span_of(query):
            return super().execute(query, *args, **kwargs)


class TracedConnection(psycopg.Connection[Any]):
    """Makes spans for transactions, pipelines and statements, within the span that is current."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cursor_factory = TracedCursor
        self._on_their_way: list[Span] | None = None

    @contextmanager
    def span_of(self, query: Any) -> Iterator[None]:
        """The span of a statement. It ends with the ``with`` block, or with the pipeline that the statement is in."""
        assert isinstance(tracing.tracer, Spans)
        text = query if isinstance(query, str) else ""
        span = tracing.tracer.begun(
            f"postgres {_NAMES.get(text, _OTHER)}",
            SpanKind.CLIENT,
            {"db.system.name": "postgresql", "db.query.text": " ".join(text.split())},
        )
        try:
            yield
        except BaseException as error:
            if span is not None:
                span.record_exception(error)
            raise
        finally:
            if span is not None:
                if self._on_their_way is None:
                    span.end()
                else:
                    self._on_their_way.append(span)

    @contextmanager
    def pipeline(self) -> Iterator[psycopg.Pipeline]:
        begun: list[Span] = []
        self._on_their_way = begun
        try:
            with super().pipeline() as pipeline:
                yield pipeline
        finally:
            self._on_their_way = None
            for span in begun:
                span.end()

    @contextmanager
    def transaction(self, *args: Any, **kwargs: Any) -> Iterator[psycopg.Transaction]:
        with tracing.tracer.part("postgres transaction"), super().transaction(*args, **kwargs) as transaction:
            yield transaction


class TracedPooledConnection(TracedConnection, PooledConnection):
    """The same through a pooler."""
