"""What a Citus cluster would make of the product's SQL: which statements run on one node, and why the others do not."""

from __future__ import annotations

from itertools import chain

import pytest

from db.citus.at_node import AtNode
from db.citus.one_event import of_one_event
from db.citus.spread import SPREAD, WALKED
from db.citus.tables import DISTRIBUTED, LOCAL
from db.tables.metadata import METADATA
from tests.sql_statements import asks_for_no_column, hot_statements, statements, tables_named, unbound_tables

WITH_REASON = set(chain.from_iterable(SPREAD.values()))


def test_every_table_of_an_event_is_distributed_or_stays_for_a_reason() -> None:
    of_events = {name for name, table in METADATA.tables.items() if "event_id" in table.columns}
    assert of_events == {*DISTRIBUTED, *LOCAL}
    assert not set(DISTRIBUTED) & set(LOCAL)
    for place, name in enumerate(DISTRIBUTED):
        assert {key.referred_table.name for key in METADATA.tables[name].foreign_key_constraints} <= set(
            DISTRIBUTED[:place]
        )


@pytest.mark.parametrize("name", sorted(hot_statements()))
def test_a_batch_names_no_table_but_those_of_its_events_node(name: str) -> None:
    there = AtNode("node", 5432, 1, {table: f"{table}_1" for table in DISTRIBUTED})
    before, after = tables_named(hot_statements()[name]), tables_named(there.form(hot_statements()[name]))
    assert after == [f"{table}_1" if table in DISTRIBUTED else table for table in before]


@pytest.mark.parametrize(
    ("statement", "form"),
    [
        ("SELECT seat.status FROM seat WHERE TRUE", "SELECT seat.status FROM seat_1 AS seat WHERE TRUE"),
        ("UPDATE seat s SET status = 'booked'", "UPDATE seat_1 s SET status = 'booked'"),
        (
            "SELECT FROM room AS r JOIN\n event USING (event_id)",
            "SELECT FROM room_1 AS r JOIN\n event_1 AS event USING (event_id)",
        ),
        ("INSERT INTO entry (event_id) VALUES (1)", "INSERT INTO entry_1 AS entry (event_id) VALUES (1)"),
        ("SELECT extract(day FROM event.date) FROM seats", "SELECT extract(day FROM event.date) FROM seats"),
    ],
)
def test_the_form_at_a_node_names_its_tables_and_keeps_their_names_in_the_statement(statement: str, form: str) -> None:
    assert AtNode("node", 5432, 1, {table: f"{table}_1" for table in DISTRIBUTED}).form(statement) == form


def test_every_other_statement_asks_one_node_or_says_why_not() -> None:
    hot = set(hot_statements().values())
    others = {name: sql for name, sql in statements().items() if sql not in hot and name not in WALKED}
    spread = {name for name, sql in others.items() if unbound_tables(sql)}
    assert spread - WITH_REASON == set(), "bind event_id to a parameter, or give db.citus.spread a reason"
    assert WITH_REASON - spread == set(), "these are about one event by now, or are gone"
    assert len(WITH_REASON) == len(list(chain.from_iterable(SPREAD.values())))
    assert len(statements()) > 150


def test_a_question_whether_there_are_rows_names_a_column() -> None:
    """Beside a table of the coordinator Citus asks such a question first, and then fails where it has no column."""
    hot = set(hot_statements().values())
    bare = {name for name, sql in statements().items() if sql not in hot and asks_for_no_column(sql)}
    assert bare == set()
    assert asks_for_no_column("SELECT EXISTS (SELECT FROM seat WHERE event_id = %(event_id)s)")


@pytest.mark.parametrize("name", WALKED)
def test_work_of_any_event_has_a_form_that_asks_one_node(name: str) -> None:
    statement = statements()[name]
    assert unbound_tables(statement) != []
    assert unbound_tables(of_one_event(statement)) == []
    assert "of one event" not in of_one_event(statement)
    assert "clock_timestamp" not in statement, "each node would read its own clock, so that Citus refuses it"


def test_a_purchase_read_by_an_id_that_says_its_event_asks_one_node() -> None:
    assert unbound_tables(of_one_event(statements()["db.booking.reading_sql.PURCHASES_NAMED"])) == []


@pytest.mark.parametrize(
    ("statement", "unbound"),
    [
        ("SELECT FROM seat WHERE event_id = %(event_id)s", []),
        ("SELECT FROM seat WHERE row_number = %(event_id)s", ["seat"]),
        ("SELECT FROM seat WHERE event_id = ANY (%(event_ids)s::bigint[])", ["seat"]),
        ("SELECT FROM seat s JOIN ticket t USING (event_id) WHERE s.event_id = %(event_id)s", []),
        ("SELECT FROM seat s JOIN ticket t USING (ticket_type_id) WHERE s.event_id = %(event_id)s", ["ticket"]),
        ("SELECT FROM seat s WHERE event_id = %(event_id)s OR row_number = 1", ["seat"]),
        ("SELECT (SELECT 1 FROM room r WHERE r.event_id = e.event_id) FROM event e WHERE e.event_id = %(e)s", ["room"]),
        (
            "WITH d AS (SELECT event_id FROM room) UPDATE event e SET version = 1 FROM d WHERE e.event_id = %(e)s",
            ["room"],
        ),
        ("UPDATE room SET state = 'off'", ["room"]),
        ("DELETE FROM outbox o USING room r WHERE o.event_id = r.event_id AND r.event_id = %(e)s", []),
        ("INSERT INTO room (event_id) SELECT event_id FROM event", ["event"]),
        ("SELECT FROM account", []),
    ],
)
def test_a_statement_that_asks_every_node_is_found(statement: str, unbound: list[str]) -> None:
    assert unbound_tables(statement) == unbound


def test_the_form_for_one_event_has_the_event_as_a_parameter() -> None:
    rows = "SELECT FROM json_to_recordset(%(rows)s) AS k (event_id bigint, user_id bigint) JOIN seat s USING (event_id)"
    assert unbound_tables(rows) == ["seat"]
    assert unbound_tables(of_one_event(rows)) == []
    comment = "SELECT FROM seat s WHERE s.event_id = k.event_id /* of one event: AND s.event_id = @ */"
    assert (
        of_one_event(comment)
        == "SELECT FROM seat s WHERE s.event_id = k.event_id AND s.event_id = %(event_id)s::bigint"
    )
