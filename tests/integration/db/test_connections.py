"""The three doors to Postgres, and what each lets through."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from db.connections import look, primary, replica
from db.connections.engines import transaction


def setting(connection: psycopg.Connection[tuple[object, ...]], name: str) -> object:
    row = connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
    assert row is not None
    return row[0]


def test_each_says_its_name_and_keeps_the_settings_of_the_url(database_url: str) -> None:
    url = f"{database_url}&options=-c%20geqo%3Doff"
    for connect in (primary.connect, replica.connect, look.connect):
        with connect(url, "admitone-test") as connection:
            assert setting(connection, "application_name") == "admitone-test"
            assert setting(connection, "geqo") == "off"


def test_settings_of_the_session_come_beside_those_of_the_url(database_url: str) -> None:
    url = f"{database_url}&options=-c%20geqo%3Doff"
    with primary.connect(url, "admitone-test", session={"enable_seqscan": "off"}) as connection:
        assert (setting(connection, "geqo"), setting(connection, "enable_seqscan")) == ("off", "off")


def test_a_read_that_may_be_old_cannot_write(database_url: str) -> None:
    """Not even where no replica is configured and it reads the primary."""
    with replica.connect(database_url, "admitone-test") as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        with pytest.raises(errors.ReadOnlySqlTransaction):
            connection.execute("INSERT INTO operator (name, password_hash) VALUES ('x', 'x')")


def test_a_look_gives_up_soon(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with look.connect(database_url, "admitone-test") as connection:
        assert setting(connection, "statement_timeout") == f"{look.ANSWER_SECONDS}s"
    monkeypatch.setattr(look, "_SESSION", {"statement_timeout": 50})
    with look.connect(database_url, "admitone-test") as connection, pytest.raises(errors.QueryCanceled):
        connection.execute("SELECT pg_sleep(5)")


async def test_a_look_of_a_loop_and_a_commands_transaction(database_url: str) -> None:
    async with await look.connect_async(database_url, "admitone-test") as looking:
        await looking.execute("SELECT 1")
    async with transaction(database_url, "admitone-test") as connection:
        await connection.exec_driver_sql("INSERT INTO operator (name, password_hash) VALUES ('ada', 'x')")
    with primary.connect(database_url, "admitone-test") as connection_after:
        assert connection_after.execute("SELECT name FROM operator").fetchall() == [("ada",)]


def test_a_malformed_url_tells_no_password() -> None:
    with pytest.raises(ValueError, match="malformed") as refused:
        primary.connect("postgresql://ada:hunter2@host/db?nonsense=1", "admitone-test")
    assert "hunter2" not in str(refused.value)
