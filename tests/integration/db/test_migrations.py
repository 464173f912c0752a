"""The migrations build what the models say, and the schema keeps the promise it makes to Citus."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg import sql
from sqlalchemy import Connection, NullPool, Table, UniqueConstraint, create_engine

from db.connections.engines import sqlalchemy_url
from db.migrate import alembic_config, current, migrate
from db.tables.metadata import METADATA

HEAD = ScriptDirectory.from_config(alembic_config()).get_current_head()


@pytest.fixture
def empty_database_url(postgres_url: str) -> Iterator[str]:
    name = sql.Identifier("test_migrations")
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
        yield (
            sqlalchemy_url(postgres_url)
            .set(drivername="postgresql", database="test_migrations")
            .render_as_string(hide_password=False)
        )
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def connected(database_url: str) -> Connection:
    return create_engine(sqlalchemy_url(database_url), poolclass=NullPool).connect()


def test_alembic_finds_no_difference_from_the_models(database_url: str) -> None:
    options = {"compare_type": True, "compare_server_default": True}
    with connected(database_url) as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts=options), METADATA) == []


# What Alembic does not compare: checks, partial indexes' predicates, cascades, storage, identities.
CATALOGUE = """
SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
  FROM pg_constraint
 WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'alembic_version'
 UNION ALL
SELECT 'index', tablename, indexname, indexdef
  FROM pg_indexes
 WHERE schemaname = 'public' AND tablename <> 'alembic_version'
 UNION ALL
SELECT 'storage', relname, '', array_to_string(reloptions, ' ')
  FROM pg_class
 WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'alembic_version'
 UNION ALL
SELECT 'column', table_name, column_name,
       concat_ws(' ', ordinal_position, data_type, udt_name, is_nullable, column_default, identity_generation)
  FROM information_schema.columns
  JOIN information_schema.tables USING (table_schema, table_name)
 WHERE table_schema = 'public' AND table_name <> 'alembic_version' AND table_type = 'BASE TABLE'
"""


def test_the_catalogue_is_the_one_the_models_make(database_url: str, empty_database_url: str) -> None:
    with connected(empty_database_url) as connection:
        METADATA.create_all(connection)
        connection.commit()
    with psycopg.connect(database_url) as migrated, psycopg.connect(empty_database_url) as modelled:
        found = set(migrated.execute(CATALOGUE))
        assert found == set(modelled.execute(CATALOGUE))
    assert len(found) > 100


@pytest.mark.parametrize("table", ["event", "ticket", "seat", "reservation"])
def test_tables_updated_often_leave_room_on_their_pages(database_url: str, table: str) -> None:
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT reloptions FROM pg_class WHERE relname = %s", (table,)).fetchone()
    assert row is not None
    assert "fillfactor=70" in row[0]


def test_an_empty_database_has_no_revision(empty_database_url: str) -> None:
    assert current(empty_database_url) is None


def test_two_migrations_at_once_are_one(empty_database_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(migrate, empty_database_url) for _ in range(4)]:
            done.result()
    assert current(empty_database_url) == HEAD


def test_the_migrations_can_be_undone(empty_database_url: str) -> None:
    migrate(empty_database_url)
    config = alembic_config()
    with connected(empty_database_url) as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        connection.commit()
    with psycopg.connect(empty_database_url) as psycopg_connection:
        left = psycopg_connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        assert left.fetchall() == [("alembic_version",)]


REFERENCE_TABLES = {
    "account",
    "account_fan",
    "account_identity",
    "account_passkey",
    "account_session",
    "alarm",
    "alarm_notice",
    "alarm_receiver",
    "change_log",
    "follower",
    "invoice",
    "invoice_series",
    "lane_map",
    "network_rule",
    "network_rules_version",
    "operator",
    "operator_event_role",
    "operator_passkey",
    "operator_recovery_code",
    "operator_session",
    "operator_totp",
    "picture",
    "quiet_hours",
    "reconciliation",
    "search_word",
    "signing_key",
    "suppression",
    "webhook_endpoint",
}
BOOKING_TABLES = [table for table in METADATA.sorted_tables if table.name not in REFERENCE_TABLES]


@pytest.mark.parametrize("table", BOOKING_TABLES, ids=lambda table: table.name)
def test_event_id_is_in_every_key(table: Table) -> None:
    keys = [list(table.primary_key.columns)]
    keys += [list(key.columns) for key in table.constraints if isinstance(key, UniqueConstraint)]
    keys += [list(index.columns) for index in table.indexes if index.unique]
    for key in keys:
        assert "event_id" in [column.name for column in key]
    for foreign_key in table.foreign_key_constraints:
        assert "event_id" in [column.name for column in foreign_key.columns]
