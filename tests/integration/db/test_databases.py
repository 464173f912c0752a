"""A database that served a test is as good as new for the next one, or is not used again."""

from __future__ import annotations

from typing import LiteralString

import psycopg
import pytest
from psycopg import sql

from db.audit.invariants import audit
from db.events.seed import RoomSeed, seed_demo
from db.operators.accounts import add_operator
from tests.databases import Databases

ROOM = RoomSeed(rate_per_minute=60, capacity=10)


def test_an_emptied_database_serves_again(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    # One that has served many tests may be too large to serve another.
    monkeypatch.setattr(databases, "_free", [])
    with databases.one() as url:
        first_id = seed_demo(url, room=ROOM)
        add_operator(url, "Ada", "correct horse battery staple")
        left_open = psycopg.connect(url)
        left_open.execute("SELECT FROM event")
    with databases.one() as again:
        assert again == url
        with psycopg.connect(again) as connection:
            for table in ("event", "seat", "operator"):
                assert connection.execute(sql.SQL("SELECT FROM {}").format(sql.Identifier(table))).rowcount == 0
        assert seed_demo(again, room=ROOM) == first_id
        assert audit(again) == []
    with pytest.raises(psycopg.OperationalError):
        left_open.execute("SELECT")
    left_open.close()


@pytest.mark.parametrize(
    "change",
    [
        "DROP INDEX uq_purchase_detail_live_seat",
        "ALTER TABLE seat DROP COLUMN seat_number CASCADE",
        "ALTER TABLE event ALTER COLUMN name DROP NOT NULL",
        "ALTER TABLE seat DISABLE TRIGGER ALL",
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE SEQUENCE mine",
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET deadlock_timeout = 20', current_database()); END $$",
        "INSERT INTO operator SELECT n::text, repeat('x', 100) FROM generate_series(1, 10000) AS n",
    ],
)
def test_a_changed_or_swollen_database_does_not(databases: Databases, change: LiteralString) -> None:
    with databases.one() as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute(change)
    with databases.one() as other:
        assert other != url
