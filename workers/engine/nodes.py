"""An engine's transactions on a Citus cluster: each is at the node that has its event's rows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

import psycopg
from psycopg.pq import TransactionStatus

from db.booking.events import ADVISORY_SPACE, LOCK_EVENTS
from db.booking.purchases import COUNT_ORDERS, Purchase
from db.citus.at_node import IS_HERE, KEEP, AtNode, at_node
from workers.engine.statements import Connection, Cursor, run

EVENTS_MAX: Final = 10_000
"""Of so many events it is remembered where they are."""
PREPARED_MAX: Final = 2_000
"""Of so many statements a connection keeps the plans: each part of the tables has statements of its own."""


class MovedError(psycopg.errors.SerializationFailure):
    """Citus has moved the event's rows to another node."""


class NodeCursor(Cursor):
    """Runs the form of each statement that names the tables at the node."""

    def __init__(self, connection: Connection, *, there: AtNode, **kwargs: Any) -> None:
        super().__init__(connection, **kwargs)
        self._there = there

    def execute(self, query: Any, params: Any = None, **kwargs: Any) -> NodeCursor:
        return super().execute(self._there.form(query) if isinstance(query, str) else query, params, **kwargs)


class Nodes:
    """One connection to each node that was needed.

    Args:
        connect: makes a connection to the Postgres at this host and port.
    """

    def __init__(self, connect: Callable[[str, int], Connection]) -> None:
        self._connect = connect
        self._connections: dict[tuple[str, int], Connection] = {}
        self._of_parts: dict[int, AtNode] = {}
        self._of_events: dict[int, AtNode] = {}

    @property
    def is_lost(self) -> bool:
        """Whether one of the connections has ended by itself."""
        return any(connection.closed for connection in self._connections.values())

    def connections(self) -> list[Connection]:
        """Those that are open."""
        return [connection for connection in self._connections.values() if not connection.closed]

    def close(self) -> None:
        """Close the connections, and forget where events are."""
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()
        self._forget()

    @contextlib.contextmanager
    def transaction(self, coordinator: Connection, event_id: int) -> Iterator[Connection]:
        """A transaction at the event's node, within one of the coordinator's that has the event's lock. All who change
        an event take its lock at the coordinator; here they take it too, because a coordinator that fails lets go of it
        while the node is at work.

        Raises:
            MovedError: the event's rows are at another node by now, where a second try finds them.
            psycopg.Error: the coordinator or the node is away.
        """
        with contextlib.ExitStack() as opened:
            with coordinator.pipeline():
                opened.enter_context(coordinator.transaction())
                run(coordinator, LOCK_EVENTS, space=ADVISORY_SPACE, event_ids=[event_id])
            there = self._of_event(coordinator, event_id)
            node = self._connection(there)
            try:
                with contextlib.ExitStack() as at_it:
                    with node.pipeline():
                        at_it.enter_context(node.transaction())
                        run(node, KEEP, part=there.part)
                        is_here = run(node, IS_HERE, part=there.part)
                    if is_here.fetchone() != (True,):
                        self._forget()
                        raise MovedError("the event's rows are at another node")
                    node.cursor_factory = partial(NodeCursor, there=there)  # type: ignore[assignment]
                    yield node
            except BaseException:
                if node.info.transaction_status != TransactionStatus.IDLE:
                    node.close()
                raise
            finally:
                node.cursor_factory = Cursor

    def _of_event(self, coordinator: Connection, event_id: int) -> AtNode:
        there = self._of_events.get(event_id)
        if there is None:
            if len(self._of_events) >= EVENTS_MAX:
                self._forget()
            there = at_node(coordinator, event_id)
            there = self._of_events[event_id] = self._of_parts.setdefault(there.part, there)
        return there

    def _forget(self) -> None:
        self._of_events.clear()
        self._of_parts.clear()

    def _connection(self, there: AtNode) -> Connection:
        key = there.host, there.port
        connection = self._connections.get(key)
        if connection is None or connection.closed:
            connection = self._connections[key] = self._connect(*key)
            connection.prepared_max = PREPARED_MAX
        return connection


def number_orders(coordinator: Connection, purchases: Sequence[Purchase]) -> None:
    """Give the new purchases the next numbers of the site, which the coordinator alone counts."""
    numbers = run(coordinator, COUNT_ORDERS, orders=len(purchases))
    for purchase, (number,) in zip(purchases, numbers, strict=True):
        purchase.order_number = number
