"""Distributes the tables of a migrated database over the nodes of its Citus cluster (``admitone migrate --citus``)."""

from __future__ import annotations

from typing import Final, LiteralString

import psycopg
from psycopg import sql

from db.citus.tables import DISTRIBUTED, LOCAL
from db.connections import primary

_HAS_CITUS: Final[LiteralString] = "SELECT count(*) FROM pg_extension WHERE extname = 'citus'"
_NODES: Final[LiteralString] = "SELECT count(*) FROM pg_dist_node WHERE shouldhaveshards AND isactive"
_IS_COORDINATOR: Final[LiteralString] = "SELECT count(*) FROM pg_dist_local_group WHERE groupid = 0"
_DONE: Final[LiteralString] = """
SELECT c.relname FROM pg_dist_partition p JOIN pg_class c ON c.oid = p.logicalrelid WHERE p.partmethod = 'h'
"""
_LOCK: Final[LiteralString] = "SELECT pg_advisory_xact_lock(%(key)s)"
_LOCK_KEY: Final = 0x0AD0_C175
_KEYS_OF_LOCAL: Final[LiteralString] = """
SELECT conrelid::regclass::text, conname
  FROM pg_constraint
 WHERE contype = 'f'
   AND conrelid::regclass::text = ANY (%(local)s)
   AND confrelid::regclass::text = ANY (%(distributed)s)
"""
# One node after the other: a foreign key to a table that was distributed in the same transaction needs it.
_SEQUENTIAL: Final[LiteralString] = "SELECT set_config('citus.multi_shard_modify_mode', 'sequential', true)"
# A batch writes to one copy of a row (`db.citus.at_node`).
_ONE_COPY: Final[LiteralString] = "SELECT set_config('citus.shard_replication_factor', '1', true)"
_DISTRIBUTE_FIRST: Final[LiteralString] = "SELECT create_distributed_table(%(table)s, 'event_id')"
_DISTRIBUTE: Final[LiteralString] = "SELECT create_distributed_table(%(table)s, 'event_id', colocate_with => 'event')"
_DROP_TRIGGER: Final[LiteralString] = "DROP TRIGGER IF EXISTS keep_event_search_available ON ticket"


class NoCitusError(LookupError):
    """The database is no coordinator of a Citus cluster that has nodes."""


def distribute(database_url: str) -> list[str]:
    """Distribute the tables that are not distributed yet, in one transaction. Gives their names.

    A table of the coordinator keeps no foreign key to a distributed one, and no trigger runs on a node. So deliveries
    are deleted by `db.outbox.deliveries`, and housekeeping keeps what the search says of free seats.

    Raises:
        NoCitusError: there is no Citus here, or no node.
        psycopg.Error: Postgres is away, or Citus refuses a table; nothing is distributed then.
    """
    with primary.connect(database_url, "admitone-migrate", autocommit=False) as connection:
        if not _number(connection, _HAS_CITUS):
            raise NoCitusError("The database has no extension citus: create it on the coordinator and on every node.")
        if not _number(connection, _IS_COORDINATOR):
            raise NoCitusError("DATABASE_URL leads to a node: name the coordinator.")
        if not _number(connection, _NODES):
            raise NoCitusError("No node of the cluster takes tables: add nodes with citus_add_node.")
        connection.execute(_LOCK, {"key": _LOCK_KEY})
        done = {row[0] for row in connection.execute(_DONE)}
        missing = [table for table in DISTRIBUTED if table not in done]
        if not missing:
            return []
        connection.execute(_SEQUENTIAL)
        connection.execute(_ONE_COPY)
        connection.execute(_DROP_TRIGGER)
        which = {"local": list(LOCAL), "distributed": list(DISTRIBUTED)}
        for table, key in connection.execute(_KEYS_OF_LOCAL, which).fetchall():
            drop = sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}")
            connection.execute(drop.format(sql.Identifier(table), sql.Identifier(key)))
        for table in missing:
            connection.execute(_DISTRIBUTE_FIRST if table == DISTRIBUTED[0] else _DISTRIBUTE, {"table": table})
        return missing


def _number(connection: psycopg.Connection[tuple[object, ...]], statement: LiteralString) -> int:
    row = connection.execute(statement).fetchone()
    return int(str(row[0])) if row is not None else 0
