"""Reads about one event at the node of a Citus cluster that has its rows, where Postgres plans them once."""

from __future__ import annotations

from typing import Any, Final, LiteralString

import psycopg

from db.citus.at_node import WHERE_PARTS_ARE, AtNode, of_parts
from db.connections.small_reads import SmallReads

EVENTS_MAX: Final = 10_000
"""Of so many events it is remembered where they are."""


class ReadsAtNodes:
    """Reads by connections of their own to each node that was needed.

    Args:
        coordinator: says where an event's rows are.
    """

    def __init__(self, coordinator: SmallReads) -> None:
        self._coordinator = coordinator
        self._nodes: dict[tuple[str, int], SmallReads] = {}
        self._of_events: dict[int, AtNode] = {}

    async def rows(self, statement: LiteralString, event_id: int, **parameters: object) -> list[tuple[Any, ...]] | None:
        """The rows that the statement reads; None where the event's rows were not found at a node.

        Args:
            statement: its first column says whether the part ``%(part)s`` of the tables is here
                (`db.citus.at_node.IS_HERE`), in the same snapshot. It gives one row at least.
        """
        try:
            there = self._of_events.get(event_id)
            if there is None:
                found = await self._coordinator.rows(WHERE_PARTS_ARE, event_id=event_id)
                if len(self._of_events) >= EVENTS_MAX:
                    self._of_events.clear()
                there = self._of_events[event_id] = of_parts(found)
            node = self._nodes.get((there.host, there.port))
            if node is None:
                node = self._nodes[there.host, there.port] = self._coordinator.at_host(there.host, there.port)
            rows = await node.rows(there.form(statement), part=there.part, **parameters)
        except (psycopg.Error, OSError):
            rows = []
        if rows and rows[0][0]:
            return rows
        self._of_events.pop(event_id, None)
        return None

    async def close(self) -> None:
        """Close the connections to the nodes."""
        for node in self._nodes.values():
            await node.close()
