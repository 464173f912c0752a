"""A gateway's role reads everything and cannot write a booking. All acceptance tests run their gateways with it."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import sql

from db.events.seed import RoomSeed, seed_demo
from db.roles import COLUMNS_OF_WORKERS, READ_ALONE, UnknownRoleError, grant_gateway
from db.tables.metadata import METADATA
from tests.databases import as_gateway
from tests.integration.db.world import World

BOOKINGS = {
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
}


def test_no_booking_is_written_by_a_gateway(database_url: str) -> None:
    event_id = seed_demo(database_url, room=RoomSeed())
    with psycopg.connect(database_url, autocommit=True) as owner:
        world = World(owner, event_id)
        world.checkout(7, world.reserve(7, [(1, 1, 1)], after_seconds=1), after_seconds=2)
    refused = [
        sql.SQL(statement).format(sql.Identifier(table))
        for table in sorted(BOOKINGS)
        for statement in (
            "DELETE FROM {}",
            "UPDATE {} SET event_id = event_id",
            "INSERT INTO {0} SELECT * FROM {0}",
            "TRUNCATE {}",
        )
    ]
    refused += [
        sql.SQL(statement).format()
        for statement in (
            "UPDATE seat SET status = 'available'",
            "UPDATE seat SET held_until = now()",
            "INSERT INTO seat (event_id, ticket_type_id, row_number, seat_number, status) VALUES (1, 1, 99, 1, '')",
            "UPDATE voucher SET uses = 0",
            "UPDATE invoice_series SET last_number = 0",
            "ALTER TABLE seat DISABLE TRIGGER ALL",
            "CREATE TABLE mine (one int)",
            "DROP TABLE purchase",
        )
    ]
    with psycopg.connect(as_gateway(database_url), autocommit=True) as gateway:
        for statement in refused:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                gateway.execute(statement)
        for table in METADATA.tables:
            gateway.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table)))
        gateway.execute("UPDATE seat SET row_label = 'A' WHERE event_id = %s", (event_id,))
        assert gateway.execute("SELECT count(*) FROM purchase").fetchone() == (1,)


def test_what_the_role_may_not_write_is_there(database_url: str) -> None:
    assert set(READ_ALONE) - {"alembic_version", "invoice_series"} == BOOKINGS <= set(METADATA.tables)
    for table, columns in COLUMNS_OF_WORKERS.items():
        assert set(columns) < set(METADATA.tables[table].columns.keys())
    with pytest.raises(UnknownRoleError):
        grant_gateway(database_url, "nobody of this server")
    named = f"made_by_migrate_{database_url.rpartition('/')[2]}"
    for password in ("the first", "the second"):
        grant_gateway(database_url, named, password)
        with psycopg.connect(database_url, user=named, password=password) as gateway:
            assert gateway.execute("SELECT has_table_privilege('purchase', 'INSERT')").fetchone() == (False,)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP OWNED BY {0}").format(sql.Identifier(named)))
        connection.execute(sql.SQL("DROP ROLE {0}").format(sql.Identifier(named)))
    with psycopg.connect(database_url) as connection:
        owner = connection.info.user
        row = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = %s", (owner,)).fetchone()
    if row == (True,):
        with pytest.raises(ValueError, match="superuser"):
            grant_gateway(database_url, owner)
