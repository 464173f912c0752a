"""The database role of gateways: it reads everything, writes what operators and fans set, and no booking.

A booking is written by the workers alone, which keep the role that owns the tables. So whoever breaks into a gateway
can sell nothing: not a hold, not a purchase, not the state of a seat (ADR 72).
"""

from __future__ import annotations

from typing import Final

import psycopg
from psycopg import sql

from db.connections import primary

READ_ALONE: Final = (
    "reservation",
    "purchase",
    "purchase_detail",
    "ticket_issue",
    "booking_command",
    "waiting_entry",
    "payment",
    "payment_job",
    "refund",
    "invoice",
    "invoice_series",
    "alembic_version",
)
"""Of these a gateway reads the rows and writes none."""

COLUMNS_OF_WORKERS: Final = {"seat": ("status", "reservation_id", "held_until"), "voucher": ("uses",)}
"""Of these tables a gateway writes the rows but not these columns."""


class UnknownRoleError(LookupError):
    """The server has no such role: an administrator makes it first, or ADMITONE_GATEWAY_PASSWORD is set
    (docs/running.md).
    """


def grant_gateway(database_url: str, role: str, password: str = "") -> None:
    """Give a role the rights of a gateway, and take all others that it has in this schema. Run it after each migration.

    Args:
        password: where one is given, the role logs in with it from now on, and is made if the server has none.

    Raises:
        UnknownRoleError: there is no such role, and no password to make it with.
        ValueError: the role is a superuser.
        psycopg.errors.InsufficientPrivilege: the tables belong to another role than this URL's, or that one makes no
            roles.
    """
    name = sql.Identifier(role)
    with primary.connect(database_url, "admitone-migrate", autocommit=False) as connection:
        row = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = %s", (role,)).fetchone()
        if row is None and not password:
            raise UnknownRoleError(" ".join((UnknownRoleError.__doc__ or "").split()))
        if row is not None and row[0]:
            raise ValueError("a superuser may do everything, whatever is granted: name another role")
        if row is None:
            connection.execute(sql.SQL("CREATE ROLE {}").format(name))
        if password:
            # The server's log may show a statement, so what it is sent is the hash that it would keep.
            kept = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
            connection.execute(sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(name, sql.Literal(kept)))
        _grant(connection, name)


def _grant(connection: psycopg.Connection[tuple[object, ...]], role: sql.Identifier) -> None:
    for statement in (
        "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {}",
        "REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM {}",
        "REVOKE ALL ON SCHEMA public FROM {}",
        "GRANT USAGE ON SCHEMA public TO {}",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {}",
        "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {}",
    ):
        connection.execute(sql.SQL(statement).format(role))
    columns: dict[str, list[str]] = {}
    for table, column in connection.execute(
        "SELECT c.table_name, c.column_name"
        "  FROM information_schema.columns c"
        "  JOIN information_schema.tables t USING (table_schema, table_name)"
        " WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE'"
        " ORDER BY c.ordinal_position"
    ):
        columns.setdefault(str(table), []).append(str(column))
    for table, names in columns.items():
        if table in READ_ALONE:
            continue
        kept = COLUMNS_OF_WORKERS.get(table)
        if kept is None:
            granted = sql.SQL("GRANT INSERT, UPDATE, DELETE ON {} TO {}").format(sql.Identifier(table), role)
        else:
            listed = sql.SQL(", ").join(sql.Identifier(name) for name in names if name not in kept)
            granted = sql.SQL("GRANT INSERT ({0}), UPDATE ({0}), DELETE ON {1} TO {2}").format(
                listed, sql.Identifier(table), role
            )
        connection.execute(granted)
