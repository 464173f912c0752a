"""A fan's data can be exported and erased, and what was sold stays sold."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import psycopg
import psycopg.sql
import pytest

from db.audit.invariants import audit
from db.connections.engines import transaction
from db.events.seed import RoomSeed, seed_demo
from db.messages.addresses import stored
from db.messages.contacts import follow, keep_contact, suppress
from db.messages.kinds import MAIL, Followed, SuppressionReason
from db.privacy import fans
from db.sealing.rows import seal_anew
from db.tables.metadata import METADATA
from tests.integration.db.world import World
from tests.services import Services

FAN, OTHER = 7, 8
ADDRESS = "ada@example.org"
PERSONAL = {"user_id", "address_hash"}
STAYS = {
    "account_session": "a token is refused for as long as a row says that its session ended; network and browser go",
    "departed_place": "ends within the time of ADMITONE_KEEP_PLACE_HOURS, and has a number alone",
    "draw_entry": "the draw can only be checked with everybody in it, and has a number alone",
    "code_redemption": "a code stays used, and has a number alone",
    "suppression": "an address that is not to be written to must be known",
}


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield World(connection, seed_demo(database_url, room=RoomSeed()))
    assert audit(database_url) == []


def give(database_url: str, event_id: int) -> None:
    async def write() -> None:
        async with transaction(database_url, "test") as connection:
            await keep_contact(connection, event_id, FAN, MAIL, ADDRESS, "en")
            await keep_contact(connection, event_id, OTHER, MAIL, "eve@example.org", "en")
            await follow(connection, event_id, Followed.VENUE, ADDRESS, "en")
            await suppress(connection, MAIL, ADDRESS, "turn", SuppressionReason.UNSUBSCRIBED)
            mail, address_hash = stored(ADDRESS)
            which = {"fan": FAN, "mail": mail, "address_hash": address_hash}
            for statement in (
                "INSERT INTO account (user_id, mail, address_hash, language)"
                " VALUES (%(fan)s, %(mail)s, %(address_hash)s, 'en')",
                "INSERT INTO account_identity (issuer, subject, user_id) VALUES ('https://issuer', 'ada', %(fan)s)",
                "INSERT INTO account_fan (user_id, earlier_user_id) VALUES (%(fan)s, 9)",
                "INSERT INTO account_passkey (credential_id, user_id, label, public_key)"
                " VALUES ('\\x01', %(fan)s, 'phone', '\\x02')",
                "INSERT INTO account_session (session_id, user_id, network, agent, ends_at)"
                " VALUES ('one', %(fan)s, '192.0.2.0/24', 'Firefox', now() + interval '1 day')",
            ):
                await connection.exec_driver_sql(statement, which)

    asyncio.run(write())


def counted(connection: psycopg.Connection[Any], fan: int) -> dict[str, int]:
    found = {}
    for table in METADATA.sorted_tables:
        if "user_id" in table.columns:
            query = psycopg.sql.SQL("SELECT count(*) FROM {} WHERE user_id = %s").format(
                psycopg.sql.Identifier(table.name)
            )
            row = connection.execute(query, (fan,)).fetchone()
            assert row is not None
            found[table.name] = int(row[0])
    return found


def test_every_table_with_a_persons_data_is_exported_and_erased_or_says_why_not() -> None:
    personal = {table.name for table in METADATA.sorted_tables if PERSONAL & set(table.columns.keys())}
    exported = set(fans.OF_FAN) | set(fans.OF_ADDRESS)
    assert personal <= exported
    gone_with_it = {
        table.name
        for table in METADATA.sorted_tables
        for key in table.foreign_keys
        if key.column.table.name == "account" and key.ondelete == "CASCADE"
    }
    written = " ".join((*fans._ERASE, *fans._ERASE_ACCOUNT, *fans._ERASE_ADDRESS))
    erased = {table for table in personal if re.search(rf"\b{table}\b", written)} | gone_with_it
    assert personal - set(STAYS) == erased - set(STAYS)


def test_an_erased_fan_is_in_no_table_and_the_purchase_stands(world: World, database_url: str) -> None:
    connection = world.connection
    for fan in (FAN, OTHER):
        hold = world.reserve(fan, [(1, fan, 1), (1, fan, 2)], after_seconds=1)
        world.checkout(fan, hold, after_seconds=2)
    give(database_url, world.event_id)
    plain = {row[0] for row in connection.execute("SELECT ticket_code FROM purchase_detail WHERE row_number = 7")}
    assert sum(step.rows for _, step in seal_anew(connection, 100)) > 0
    code = "SELECT ticket_code FROM purchase_detail ORDER BY purchase_id, seat_number"
    before, sold = connection.execute(code).fetchall(), counted(connection, OTHER)

    person = fans.of_address(connection, ADDRESS)
    assert person.fans == (FAN, 9)
    found = json.loads(json.dumps(fans.exported(connection, person)))
    assert found["contact"][0]["address"] == ADDRESS
    assert {one["ticket_code"] for one in found["purchase_detail"]} == plain
    assert {one["name"] for one in found["follower"]}
    assert found["suppression"][0]["kind"] == "turn"
    assert "eve@" not in json.dumps(found)

    assert fans.erase(connection, person, "asked") == [world.event_id]
    left = counted(connection, FAN)
    assert {table for table, rows in left.items() if rows} == {"account_session"}
    session = connection.execute("SELECT network, agent, ended_at <= now() FROM account_session").fetchall()
    assert session == [("", "", True)]
    assert counted(connection, OTHER) == sold
    assert connection.execute(code).fetchall() == before
    assert connection.execute("SELECT count(*) FROM purchase").fetchone() == (2,)
    remains = fans.exported(connection, person)
    assert [table for table, rows in remains.items() if rows] == ["account_session", "suppression"]
    logged = connection.execute("SELECT field, after, why FROM change_log WHERE subject = 'desk'").fetchall()
    assert logged == [("data of a fan", "erased", "asked")]
    said = connection.execute("SELECT outcome #>> '{result,userId}', user_id FROM booking_command").fetchall()
    assert str(FAN) not in {user for user, _ in said}
    assert all(user in (None, str(number)) for user, number in said)


def test_accounts_that_were_joined_are_one_person(world: World, database_url: str) -> None:
    connection, gone = world.connection, 10
    give(database_url, world.event_id)
    for fan, row in ((FAN, 1), (gone, 2)):
        seats = [(1, row, number) for number in range(1, 11)]
        world.checkout(fan, world.reserve(fan, seats, after_seconds=1), after_seconds=2)
    connection.execute(
        "INSERT INTO account (user_id, address_hash, mail, language, merged_into, merged_at)"
        " VALUES (%s, %s, %s, 'en', %s, now())",
        (gone, *reversed(stored("old@example.org")), FAN),
    )
    for address in (ADDRESS, "old@example.org"):
        assert fans.of_address(connection, address).fans == (FAN, 9, gone), "whichever address it was"
    person = fans.of_fans(connection, [gone])
    assert person.fans == (FAN, gone)
    with pytest.raises(fans.AccountsBeingJoinedError):
        fans.erase(connection, person, "asked")
    for statement in (
        "UPDATE reservation SET user_id = %s, merged_from = ARRAY[%s::bigint] WHERE user_id = %s",
        "UPDATE purchase SET user_id = %s WHERE user_id = %s",
    ):
        connection.execute(statement, (FAN, gone, gone) if "merged_from" in statement else (FAN, gone))
    connection.execute("UPDATE account SET merge_done_at = now() WHERE user_id = %s", (gone,))
    assert audit(database_url) == [], "each of the two got no more than the limit"
    assert {one["user_id"] for one in fans.exported(connection, person)["account"]} == {FAN, gone}
    assert fans.erase(connection, person, "asked") == [world.event_id]
    for fan in person.fans:
        assert {table for table, rows in counted(connection, fan).items() if rows} <= {"account_session"}
    left = connection.execute("SELECT merged_from FROM reservation").fetchall()
    assert str(gone) not in {str(one) for (fans_of,) in left for one in fans_of}


def test_a_fan_who_holds_seats_is_not_erased(world: World) -> None:
    hold = world.reserve(FAN, [(1, 1, 1)], after_seconds=1)
    before = counted(world.connection, FAN)
    with pytest.raises(fans.FanHoldsSeatsError):
        fans.erase(world.connection, fans.Person((FAN,)), "asked")
    assert counted(world.connection, FAN) == before
    world.release(FAN, hold, after_seconds=2)
    assert fans.erase(world.connection, fans.Person((FAN,)), "asked") == [world.event_id]


def test_the_commands_rotate_export_and_erase(world: World, database_url: str, services: Services) -> None:
    world.checkout(FAN, world.reserve(FAN, [(1, 1, 1)], after_seconds=1), after_seconds=2)
    give(database_url, world.event_id)
    newer = "a-newer-key-of-the-tests"
    refused = services.run("data", "export", "--fan", str(FAN), "--address", ADDRESS)
    assert (refused.returncode, refused.stderr) == (1, "Name either --fan or --address.\n")
    rotated = services.run("data", "rotate", ADMITONE_DATA_KEYS=newer)
    assert rotated.returncode == 0, rotated.stderr
    assert "purchase_detail: 1 rows sealed anew" in rotated.stdout
    lost = services.run("data", "rotate", ADMITONE_DATA_KEYS="another-key")
    assert lost.returncode == 1
    assert "that no key opens" in lost.stdout
    exported = json.loads(services.run("data", "export", "--address", ADDRESS, ADMITONE_DATA_KEYS=newer).stdout)
    assert exported["fans"] == [FAN, 9]
    assert exported["account"][0]["address"] == ADDRESS
    assert exported["contact"][0]["address"] == ADDRESS
    erased = services.run("data", "erase", "--address", ADDRESS, "--yes", ADMITONE_DATA_KEYS=newer)
    assert erased.returncode == 0, erased.stderr
    assert not counted(world.connection, FAN)["account"]
    roles = services.run("migrate", "--gateway-role", "nobody-of-this-server")
    assert roles.returncode == 1
    assert "The server has no such role" in roles.stderr
