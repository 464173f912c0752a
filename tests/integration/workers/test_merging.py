"""Accounts that were joined: the lanes move what they have, and housekeeping ends the join, whoever dies meanwhile."""

from __future__ import annotations

import os
import signal
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from db.accounts.merging import SETTLE_SECONDS
from db.audit.invariants import audit
from db.booking.merging import MERGE_AFTER_SECONDS
from tests.integration.engine.books import bodies
from tests.integration.workers import test_housekeeping
from tests.integration.workers.lanes import Lanes
from tests.integration.workers.test_housekeeping import House
from tests.unit.booking_lane.asks import checkout, reserve
from tests.waiting import await_that

house = test_housekeeping.house
STAYS, GOES = 7, 8
A, B = (1, 1, 1), (1, 1, 2)


def joined(connection: psycopg.Connection[Any], seconds_ago: float) -> None:
    """Two accounts, of which the one was joined to the other so long ago."""
    for fan in (STAYS, GOES):
        connection.execute("INSERT INTO account (user_id, language) VALUES (%s, 'en') ON CONFLICT DO NOTHING", (fan,))
    connection.execute(
        "UPDATE account SET merged_into = %s, merged_at = now() - make_interval(secs => %s) WHERE user_id = %s",
        (STAYS, seconds_ago, GOES),
    )


def is_done(connection: psycopg.Connection[Any]) -> bool:
    row = connection.execute("SELECT merge_done_at FROM account WHERE user_id = %s", (GOES,)).fetchone()
    assert row is not None
    return row["merge_done_at"] is not None


async def test_sweep_and_housekeeping_leave_nothing_of_the_account(house: House) -> None:
    connection, booking = house.books.connection, house.booking()
    asks = reserve(house.event, GOES, A), checkout(house.event, GOES, A), reserve(house.event, GOES, B)
    bodies(house.engine.apply(asks), *asks)
    for fan, address in ((GOES, "\\x01"), (STAYS, "\\x02")):
        connection.execute(
            "INSERT INTO contact (event_id, user_id, channel, address, address_hash, language)"
            " VALUES (%s, %s, 'mail', 'sealed', %s, 'en')",
            (house.event, fan, address),
        )
    connection.execute(
        "INSERT INTO push_subscription (event_id, user_id, endpoint, p256dh, auth, language, address_hash)"
        " VALUES (%s, %s, 'sealed', '', '', 'en', '\\x03')",
        (house.event, GOES),
    )
    await house.admit(GOES)
    joined(connection, MERGE_AFTER_SECONDS - 1)
    booking.sweep(0)
    house.housekeeping.merge()
    assert house.books.number("SELECT count(*) FROM purchase WHERE user_id = %s", GOES) == 1, "its news is on its way"
    joined(connection, MERGE_AFTER_SECONDS + 1)
    house.housekeeping.merge()
    assert set(await house.passes()) == {STAYS}, "the slot is the person's"
    booking.sweep(0)
    assert house.books.number("SELECT count(*) FROM reservation WHERE user_id = %s", STAYS) == 2
    rows = house.books.rows("SELECT user_id, address_hash FROM contact")
    assert [tuple(row.values()) for row in rows] == [(STAYS, b"\x02")], "one address a channel, the account's own"
    assert [row["user_id"] for row in house.books.rows("SELECT user_id FROM push_subscription")] == [STAYS]
    assert not is_done(connection), "a command may still be on its way"
    late = reserve(house.event, GOES, (1, 2, 1))
    bodies(house.engine.apply([late]), late)
    joined(connection, SETTLE_SECONDS + 1)
    house.housekeeping.merge()
    assert not is_done(connection), "something is left"
    booking.sweep(0)
    house.housekeeping.merge()
    assert is_done(connection)
    assert house.books.number("SELECT count(*) FROM reservation WHERE user_id = %s", GOES) == 0
    booking.sweep(0)
    house.housekeeping.merge()


async def test_the_audit_sees_what_a_joined_account_has_left(house: House) -> None:
    ask = reserve(house.event, GOES, A)
    bodies(house.engine.apply([ask]), ask)
    joined(house.books.connection, SETTLE_SECONDS)
    house.books.connection.execute("UPDATE account SET merge_done_at = now() WHERE user_id = %s", (GOES,))
    (broken,) = audit(house.books.database_url)
    assert broken.invariant == "merged_account_has_nothing"
    house.books.connection.execute("UPDATE reservation SET user_id = %s", (STAYS,))


@pytest.mark.parametrize("point", ["taken", "locked", "decided", "written", "committed", "published"])
def test_a_worker_that_is_killed_leaves_the_rest_to_the_next(lanes: Lanes, point: str) -> None:
    lanes.pool()
    lanes.await_workers()
    events = [lanes.event_in_lane(0), lanes.event_in_lane(0)]
    for event in events:
        asks = reserve(event, GOES, A), checkout(event, GOES, A), reserve(event, GOES, B)
        lanes.enqueue(0, *asks)
        assert lanes.await_answers(*asks)[1] == ["ok"] * 3
    with psycopg.connect(lanes.database_url, autocommit=True, row_factory=dict_row) as connection:
        lanes.stop_at(point)
        joined(connection, MERGE_AFTER_SECONDS)
        os.kill(lanes.reached(), signal.SIGKILL)
        lanes.go_on(point)

        def owners() -> list[Any]:
            return [
                row["user_id"]
                for table in ("reservation", "purchase")
                for row in connection.execute(f"SELECT user_id FROM {table}").fetchall()
            ]

        await_that(lambda: owners() == [STAYS] * 6, 30, what="what both events have of the account")
