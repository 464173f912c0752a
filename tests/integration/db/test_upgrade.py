"""An upgrade from release 0.1.0 (revision 0008): its rows are kept, and its processes go on until they are replaced."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator

import psycopg
import pytest
from alembic import command
from psycopg import sql
from psycopg.rows import dict_row
from sqlalchemy import NullPool, create_engine

from db.connections.engines import sqlalchemy_url
from db.events.time_zones import UNKNOWN_ZONE
from db.migrate import alembic_config, migrate

RELEASE_0_1_0 = "0008"
DATABASE = "test_upgrade"

# What release 0.1.0 runs; these statements are not the product's any more.
FAN_OUT_OF_0_1_0 = """
WITH taken AS (
    SELECT event_id, outbox_id, kind, created_at
      FROM outbox
     WHERE sent_at IS NULL
     ORDER BY outbox_id
     LIMIT 500
       FOR UPDATE SKIP LOCKED
), handed AS (
    INSERT INTO webhook_delivery (event_id, outbox_id, endpoint_id, due_at, created_at)
    SELECT t.event_id, t.outbox_id, e.endpoint_id, statement_timestamp(), statement_timestamp()
      FROM taken t
      JOIN event v ON v.event_id = t.event_id AND v.rehearsal_of IS NULL
      JOIN webhook_endpoint e
        ON t.kind = ANY (e.kinds)
       AND (e.event_id IS NULL OR e.event_id = t.event_id)
       AND e.created_at <= t.created_at
        ON CONFLICT DO NOTHING
)
UPDATE outbox o
   SET sent_at = statement_timestamp()
  FROM taken t
 WHERE o.event_id = t.event_id AND o.outbox_id = t.outbox_id
"""
TAKE_OF_0_1_0 = """
WITH due AS (
    SELECT d.event_id, d.outbox_id, d.endpoint_id
      FROM webhook_endpoint e
      LEFT JOIN json_to_recordset('[]') AS k (endpoint_id bigint, under_way int) USING (endpoint_id)
     CROSS JOIN LATERAL (
           SELECT event_id, outbox_id, endpoint_id
             FROM webhook_delivery
            WHERE endpoint_id = e.endpoint_id
              AND state = 'pending'
              AND due_at <= statement_timestamp()
            ORDER BY due_at
            LIMIT greatest(0, 8 - coalesce(k.under_way, 0))
              FOR UPDATE SKIP LOCKED) d
     WHERE e.disabled_at IS NULL
), taken AS (
    UPDATE webhook_delivery d
       SET attempts = d.attempts + 1, due_at = clock_timestamp() + make_interval(secs => 20)
      FROM due
     WHERE d.outbox_id = due.outbox_id AND d.event_id = due.event_id AND d.endpoint_id = due.endpoint_id
    RETURNING d.event_id, d.outbox_id, d.endpoint_id, d.attempts
)
SELECT t.outbox_id, t.attempts, o.kind
  FROM taken t
  JOIN outbox o ON o.event_id = t.event_id AND o.outbox_id = t.outbox_id
"""
NOTE_OF_0_1_0 = """
UPDATE webhook_delivery d
   SET state = k.state, status = k.status, error = k.error,
       due_at = clock_timestamp() + make_interval(secs => k.wait_seconds),
       ended_at = CASE WHEN k.state <> 'pending' THEN clock_timestamp() END
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, outbox_id uuid, endpoint_id bigint, attempts int, state text, status int, error text,
             wait_seconds float)
 WHERE d.outbox_id = k.outbox_id AND d.event_id = k.event_id AND d.endpoint_id = k.endpoint_id
   AND d.state = 'pending'
   AND (k.state = 'delivered' OR d.attempts = k.attempts)
"""


def upgrade_to(url: str, revision: str) -> None:
    config = alembic_config()
    with create_engine(sqlalchemy_url(url), poolclass=NullPool).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


@pytest.fixture
def old_url(postgres_url: str) -> Iterator[str]:
    """A database that release 0.1.0 has made, with an event, an endpoint and news in every state of delivery."""
    name = sql.Identifier(DATABASE)
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(name))
        url = (
            sqlalchemy_url(postgres_url)
            .set(drivername="postgresql", database=DATABASE)
            .render_as_string(hide_password=False)
        )
        upgrade_to(url, RELEASE_0_1_0)
        with psycopg.connect(url) as connection:
            connection.execute(
                """
                INSERT INTO event (event_id, name, venue, date, on_sale_at, currency)
                VALUES (1, '', '', now(), now() - interval '1 hour', 'EUR');
                INSERT INTO room (event_id, opened_for) SELECT event_id, on_sale_at FROM event;
                INSERT INTO webhook_endpoint (url, kinds, secret, created_at)
                VALUES ('', '{room.paused}', '', now() - interval '1 day');
                """
            )
            for number, sent in enumerate((True, True, True, False), 1):
                connection.execute(
                    "INSERT INTO outbox (event_id, outbox_id, kind, payload, created_at, sent_at)"
                    " VALUES (1, %s, 'room.paused', '{\"eventId\": 1}', now(), CASE WHEN %s THEN now() END)",
                    (uuid.UUID(int=number), sent),
                )
            for number, state in ((1, "delivered"), (2, "pending"), (3, "dead")):
                connection.execute(
                    "INSERT INTO webhook_delivery (event_id, outbox_id, endpoint_id, state, attempts, due_at,"
                    " created_at, ended_at, status, error)"
                    " VALUES (1, %s, 1, %s, 3, now(), now(), CASE WHEN %s THEN now() END, 500, 'it answered 500')",
                    (uuid.UUID(int=number), state, state != "pending"),
                )
            connection.execute(
                """
                INSERT INTO room_log (event_id, at, operator, field, before, after, why, revision)
                VALUES (1, '2026-01-01', 'ada', 'state', 'open', 'paused', 'the bar is full', 2),
                       (1, '2026-01-03', 'ada', 'state', 'paused', 'open', '', 3);
                INSERT INTO event_log (event_id, at, operator, field, before, after, why, revision)
                VALUES (1, '2026-01-02', 'bo', 'name', '', 'Nachtflug', '', 2);
                INSERT INTO webhook_log (at, operator, endpoint_id, field, before, after)
                VALUES ('2026-01-01', 'bo', 7, 'url', '', 'https://shop.example');
                """
            )
        yield url
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def deliveries(url: str) -> list[tuple[int, str, int, str, int]]:
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT outbox_id, channel, recipient_id, state, attempts FROM delivery ORDER BY outbox_id"
        )
        return [(row[0].int, *row[1:]) for row in rows]


def test_deliveries_are_kept(old_url: str) -> None:
    migrate(old_url)
    assert deliveries(old_url) == [
        (1, "webhook", 1, "delivered", 3),
        (2, "webhook", 1, "pending", 3),
        (3, "webhook", 1, "dead", 3),
    ]


def test_the_running_release_goes_on_delivering(old_url: str) -> None:
    """The views of the old names are for a dispatcher that runs on until the workers are replaced."""
    migrate(old_url)
    with psycopg.connect(old_url, row_factory=dict_row) as connection:
        connection.execute(FAN_OUT_OF_0_1_0)
        taken = {row["outbox_id"].int: row["attempts"] for row in connection.execute(TAKE_OF_0_1_0)}
        assert taken == {2: 4, 4: 1}
        rows = (
            '[{"event_id": 1, "outbox_id": "00000000-0000-0000-0000-000000000004", "endpoint_id": 1, "attempts": 1,'
            ' "state": "delivered", "status": 204, "error": "", "wait_seconds": 0}]'
        )
        assert connection.execute(NOTE_OF_0_1_0, {"rows": rows}).rowcount == 1
    assert deliveries(old_url)[-1] == (4, "webhook", 1, "delivered", 1)


LINES = [
    ("event", 1, "bo", "name", "", "Nachtflug", "", 2),
    ("room", 1, "ada", "state", "open", "paused", "the bar is full", 2),
    ("room", 1, "ada", "state", "paused", "open", "", 3),
    ("webhook", 7, "bo", "url", "", "https://shop.example", "", 0),
]


def log(url: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT subject, subject_id, operator, field, before, after, why, revision"
            " FROM change_log ORDER BY subject, log_id"
        ).fetchall()


def test_the_three_logs_become_one(old_url: str) -> None:
    migrate(old_url)
    assert log(old_url) == LINES


def test_the_running_release_goes_on_logging(old_url: str) -> None:
    """A gateway of 0.1.0 writes and reads its logs by their old names until it is replaced."""
    migrate(old_url)
    with psycopg.connect(old_url) as connection:
        connection.execute(
            """
            INSERT INTO room_log (event_id, operator, field, before, after, why, revision)
            VALUES (1, 'ada', 'capacity', '1', '2', '', 4) RETURNING room_log.event_id, room_log.log_id;
            INSERT INTO event_log (event_id, operator, field, before, after, why, revision)
            SELECT 1, 'bo', k.field, k.before, k.after, '', 3
              FROM json_to_recordset('[{"field": "venue", "before": "", "after": "Hafen"}]')
                   AS k (field text, before text, after text);
            WITH ended AS (SELECT 7 AS endpoint_id), logged AS (
                INSERT INTO webhook_log (operator, endpoint_id, field, before, after)
                SELECT 'dispatcher', endpoint_id, 'enabled', 'true', 'false: it answered 410 Gone' FROM ended)
            SELECT endpoint_id FROM ended;
            """
        )
        read = connection.execute("SELECT after FROM room_log WHERE event_id = 1 ORDER BY log_id DESC").fetchall()
    assert [row[0] for row in read] == ["2", "open", "paused"]
    assert [line for line in log(old_url) if line not in LINES] == [
        ("event", 1, "bo", "venue", "", "Hafen", "", 3),
        ("room", 1, "ada", "capacity", "1", "2", "", 4),
        ("webhook", 7, "dispatcher", "enabled", "true", "false: it answered 410 Gone", "", 0),
    ]


def test_the_old_logs_come_back_when_the_upgrade_is_undone(old_url: str) -> None:
    migrate(old_url)
    config = alembic_config()
    with create_engine(sqlalchemy_url(old_url), poolclass=NullPool).begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, RELEASE_0_1_0)
    with psycopg.connect(old_url) as old:
        assert old.execute("SELECT after FROM room_log ORDER BY log_id").fetchall() == [("paused",), ("open",)]
        assert old.execute("SELECT after FROM event_log").fetchall() == [("Nachtflug",)]
        assert old.execute("SELECT endpoint_id, after FROM webhook_log").fetchall() == [(7, "https://shop.example")]
        states = old.execute("SELECT endpoint_id, state FROM webhook_delivery ORDER BY outbox_id").fetchall()
    assert states == [(1, "delivered"), (1, "pending"), (1, "dead")]


def test_events_have_a_zone_that_says_it_is_unknown(old_url: str) -> None:
    """Also an event that a gateway of 0.1.0 makes after the upgrade, without naming one."""
    migrate(old_url)
    with psycopg.connect(old_url) as connection:
        connection.execute(
            "INSERT INTO event (event_id, name, venue, date, on_sale_at, currency)"
            " VALUES (2, '', '', now(), now(), 'EUR')"
        )
        assert connection.execute("SELECT event_id, time_zone FROM event ORDER BY event_id").fetchall() == [
            (1, UNKNOWN_ZONE),
            (2, UNKNOWN_ZONE),
        ]


def test_messages_by_language_begin_empty_and_are_bounded(old_url: str) -> None:
    """Also of a room that a gateway of 0.1.0 changes after the upgrade, without knowing of them."""
    migrate(old_url)
    with psycopg.connect(old_url, autocommit=True) as connection:
        connection.execute("UPDATE room SET message = 'Doors at eight', revision = revision + 1")
        assert connection.execute("SELECT messages FROM room").fetchall() == [({},)]
        change = "UPDATE room SET messages = jsonb_build_object('de', %s::jsonb)"
        connection.execute(change, (json.dumps("ü" * 279 + "\n"),))
        for wrong in ("x" * 281, "", 7, None, ["x"], {"x": "y"}):
            with pytest.raises(psycopg.errors.CheckViolation):
                connection.execute(change, (json.dumps(wrong),))
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute("UPDATE room SET messages = '[]'")


def test_holds_are_kept_and_may_be_in_payment(old_url: str) -> None:
    hold = (
        "INSERT INTO reservation (event_id, reservation_id, user_id, state, ticket_type_ids, row_numbers, seat_numbers,"
        " total_amount, created_at, expires_at, lifetime_ends_at)"
        " VALUES (1, gen_random_uuid(), 1, %s, '{}', '{}', '{}', 0, now(), now(), now())"
    )
    with psycopg.connect(old_url) as connection:
        for state in ("held", "purchased", "released", "lapsed"):
            connection.execute(hold, (state,))
    migrate(old_url)
    with psycopg.connect(old_url) as connection:
        connection.execute(hold, ("paying",))
        states = [row[0] for row in connection.execute("SELECT state FROM reservation ORDER BY state")]
        assert states == ["held", "lapsed", "paying", "purchased", "released"]
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute(hold, ("lost",))
