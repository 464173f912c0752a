"""An event's tables at the node of a Citus cluster that has them, and statements that name those.

Citus keeps the rows of each distributed table in parts (its word is shards), each a table of its own at one node. The
parts with the same events' rows stay together. Whoever names the parts at their node is served by Postgres alone,
with plans that are kept; Citus plans each run of a statement anew.

Citus may move the parts to another node. It waits for transactions that have run `KEEP`, and what they then find by
`IS_HERE` stays so until they end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, LiteralString

import psycopg

from db.citus.tables import DISTRIBUTED

WHERE_PARTS_ARE: Final[LiteralString] = """
SELECT n.nodename, n.nodeport, one.shardid, t.logicalrelid::regclass::text, s.shardid
  FROM pg_dist_shard one
  JOIN pg_dist_partition o ON o.logicalrelid = one.logicalrelid
  JOIN pg_dist_placement p ON p.shardid = one.shardid
  JOIN pg_dist_node n ON n.groupid = p.groupid AND n.noderole = 'primary'
  JOIN pg_dist_partition t ON t.colocationid = o.colocationid AND t.partmethod = 'h'
  JOIN pg_dist_shard s ON s.logicalrelid = t.logicalrelid AND s.shardminvalue = one.shardminvalue
 WHERE one.shardid = get_shard_id_for_distribution_column('event', %(event_id)s::bigint)
"""
KEEP: Final[LiteralString] = "SELECT lock_shard_metadata(5, ARRAY[%(part)s::bigint])"
"""5 is Postgres' ``ShareLock``, which Citus' own writes take too. One part stands for all that stay with it."""
IS_HERE: Final[LiteralString] = """
SELECT count(*) = 1 AS is_here
  FROM pg_dist_placement
  JOIN pg_dist_local_group USING (groupid)
 WHERE shardid = %(part)s::bigint
"""

_TABLE: Final = re.compile(
    rf"\b(FROM|JOIN|UPDATE|INTO|USING)(\s+)({'|'.join(DISTRIBUTED)})\b(?!\.)(?=(\s+(?:AS\s+)?[a-z])?)"
)
"""A table, and whether the statement has a name of its own for it: keywords are written in capitals."""


class NotDistributedError(psycopg.OperationalError):
    """`admitone migrate --citus` has not distributed all tables of this release, each row to one node."""


@dataclass(slots=True, eq=False)
class AtNode:
    """The tables of some events: ``tables`` has the name of each at the node, by its name.

    Attributes:
        part: Citus' id of the part of ``event``.
    """

    host: str
    port: int
    part: int
    tables: dict[str, str]
    _forms: dict[str, str] = field(default_factory=dict)

    def form(self, statement: str) -> str:
        """The statement, with these tables in place of the distributed ones."""
        found = self._forms.get(statement)
        if found is None:
            found = self._forms[statement] = _TABLE.sub(self._named, statement)
        return found

    def _named(self, match: re.Match[str]) -> str:
        before, space, table, alias = match.groups()
        return f"{before}{space}{self.tables[table]}{'' if alias else f' AS {table}'}"


def at_node(connection: psycopg.Connection[tuple[object, ...]], event_id: int) -> AtNode:
    """Ask the coordinator where the event's rows are, or would be.

    Raises:
        psycopg.Error: the coordinator is away, or `NotDistributedError`.
    """
    return of_parts(connection.execute(WHERE_PARTS_ARE, {"event_id": event_id}).fetchall())


def of_parts(rows: Sequence[tuple[object, ...]]) -> AtNode:
    """The rows of `WHERE_PARTS_ARE`.

    Raises:
        NotDistributedError
    """
    tables = {str(table): f"{table}_{part}" for *_, table, part in rows}
    if len(tables) < len(DISTRIBUTED) or len(rows) > len(tables):
        raise NotDistributedError("tables are not distributed, each row to one node: run `admitone migrate --citus`")
    host, port, part, *_ = rows[0]
    return AtNode(str(host), int(str(port)), int(str(part)), tables)
