"""A dump shows no address, no ticket's code and no secret; older rows are sealed, and rows follow a new key."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import time
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import psycopg.sql
import pyotp
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from admitone.doctor import data_keys
from admitone.doctor.finding import Finding, Level
from admitone.doctor.site import Site as Examined
from admitone.keys import seal_authenticators
from admitone.settings import Settings
from db.accounts.accounts import keep_identity
from db.alarms.kinds import ReceiverChannel
from db.alarms.receivers import add_receiver, read_receivers
from db.booking.ticket_codes import beginnings_of, open_code
from db.connections.engines import transaction
from db.draws.draws import draw_row
from db.events.seed import RoomSeed
from db.help.fans import FIND_BY_ADDRESS, FIND_BY_TICKET, find_fans
from db.messages.addresses import hash_of, opened
from db.messages.contacts import contacts_of, follow, keep_contact, keep_quiet, suppress, unwanted
from db.messages.kinds import MAIL, SMS, Followed, MessageKind, SuppressionReason
from db.operators.factors import begin_totp, waiting_totp
from db.orders.answers import Answer, Attendee, Content, Hold, keep_answers, open_content, words_of
from db.push.subscriptions import keep_subscription
from db.sealing.keyring import SealError
from db.sealing.rows import TABLES, Sealed, seal_anew, seal_plain
from db.settings import DatabaseSettings, SiteSettings
from db.tables.metadata import METADATA
from db.webhooks.endpoints import add_endpoint
from gateway.identity.totp import Authenticators
from tests.factories import SECRET, make_event, plan_event
from tests.integration import on_citus
from tests.integration.db.world import World
from tests.keyrings import sealed_with
from waiting_room.key_ring import KeyGroup, ring_of

database_url = on_citus.database_url

IS_CITUS = bool(on_citus.CITUS_URL)
FAN = 7
ADA = "Augusta Lovelace"
OPERATOR = "Grace"
ADDRESS, PHONE = "ada.lovelace@example.org", "+4930123456"
ENDPOINT = "https://push.example.org/send/secret-of-a-browser"
KEY = "a-browsers-key"
CHAT = "https://chat.example.org/hooks/secret-of-a-chat"
NEWER = "a newer secret of the tests, of no use either"


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def event_id(database_url: str) -> int:
    return make_event(database_url, plan_event(on_sale_in=dt.timedelta(hours=1), room=RoomSeed(lobby_minutes=30)))


def fill(database_url: str, event_id: int) -> list[bytes]:
    """Writes one of everything that is sealed, as the site does; returns secrets that nobody may find."""

    async def write() -> list[bytes]:
        async with transaction(database_url, "test") as connection:
            await keep_contact(connection, event_id, FAN, MAIL, ADDRESS, "en")
            await keep_contact(connection, event_id, FAN, SMS, PHONE, "en")
            await follow(connection, event_id, Followed.VENUE, ADDRESS, "en")
            await suppress(connection, MAIL, ADDRESS, MessageKind.TURN, SuppressionReason.BOUNCE, f"550 <{ADDRESS}>")
            await keep_quiet(connection, MAIL, ADDRESS, (1, 2))
            await keep_subscription(
                connection,
                event_id,
                FAN,
                endpoint=ENDPOINT,
                p256dh="a-browsers-key",
                auth="a-browsers-auth",
                language="en",
            )
            await add_receiver(
                connection, channel=ReceiverChannel.CHAT, address=CHAT, name="", kinds=[], operator="ada"
            )
            await add_receiver(
                connection, channel=ReceiverChannel.MAIL, address=ADDRESS, name="", kinds=[], operator="ada"
            )
            _, secret = await add_endpoint(
                connection, url="https://x.example", kinds=["x"], event_id=None, description="", operator="ada"
            )
            await keep_identity(connection, "https://issuer.example", "ada", ADDRESS, "en")
            content = Content(ADA, (Attendee(1, 1, 1, ADA),), (Answer(1, "How?", ADA),))
            hold = Hold(event_id, uuid.UUID(int=1), FAN)
            await keep_answers(connection, hold, ADDRESS, content, terms_version=1, language="en")
            await connection.exec_driver_sql(
                "INSERT INTO operator (name, password_hash) VALUES (%s, 'none')", (OPERATOR,)
            )
            enrolment = Authenticators(SECRET, time.time).begin(OPERATOR)
            await begin_totp(connection, OPERATOR, enrolment.kept)
            draw = await draw_row(connection, event_id)
            assert draw is not None
            return [secret, draw.fan_key, enrolment.secret.encode()]

    return asyncio.run(write())


def dump(database_url: str) -> bytes:
    """All rows of all tables as text, bytes in hexadecimal."""
    rows = []
    with psycopg.connect(database_url) as connection:
        for table in METADATA.sorted_tables:
            query = psycopg.sql.SQL("SELECT t::text FROM {} AS t").format(psycopg.sql.Identifier(table.name))
            rows += [row[0].encode() for row in connection.execute(query)]
    return b"\n".join(rows)


def buy(connection: psycopg.Connection[Any], event_id: int) -> tuple[Any, list[str]]:
    world = World(connection, event_id)
    seats = [(1, 1, 1), (1, 1, 2)]
    purchase = world.checkout(FAN, world.reserve(FAN, seats, after_seconds=1), after_seconds=2)
    codes = [row[0] for row in connection.execute("SELECT ticket_code FROM purchase_detail")]
    return purchase, codes


def test_no_dump_shows_what_is_sealed(database_url: str, event_id: int) -> None:
    secrets = fill(database_url, event_id)
    shown = dump(database_url)
    for text in (b"lovelace", b"Augusta", PHONE.encode(), b"secret-of-a-browser", b"secret-of-a-chat", b"a-browsers-"):
        assert text not in shown
    for secret in secrets:
        assert secret.hex().encode() not in shown

    async def read() -> None:
        async with transaction(database_url, "test") as connection:
            assert await contacts_of(connection, event_id, FAN) == {"mail": ADDRESS, "sms": PHONE}
            assert {one.address for one in await read_receivers(connection)} == {CHAT, ADDRESS}
            (found,) = await find_fans(connection, FIND_BY_ADDRESS, hash_of(ADDRESS), None, None)
            assert found.user_id == FAN
            await suppress(connection, MAIL, ADDRESS, MessageKind.TURN, SuppressionReason.UNSUBSCRIBED)
            await suppress(connection, MAIL, ADDRESS, MessageKind.TURN_NEAR, SuppressionReason.UNSUBSCRIBED)
            assert MessageKind.TURN_NEAR in await unwanted(connection, MAIL, ADDRESS)

    asyncio.run(read())


def test_every_table_with_an_address_is_known(database_url: str) -> None:
    hashed = {table.name for table in METADATA.sorted_tables if "address_hash" in table.columns}
    assert hashed == {table.name for table in TABLES if table.address}
    for table in TABLES:
        model = METADATA.tables[table.name]
        assert set(table.keys) == {column.name for column in model.primary_key}


def test_plain_rows_of_an_older_release_are_sealed_and_their_messages_wait_for_it(
    connection: psycopg.Connection[Any], database_url: str, event_id: int
) -> None:
    connection.execute(
        "INSERT INTO contact (event_id, user_id, channel, address, language)"
        " SELECT %s, n, 'mail', 'fan-' || n || '@example.org', 'en' FROM generate_series(1, 25) AS n",
        (event_id,),
    )
    connection.execute(
        "INSERT INTO suppression (address, channel, kind, reason) VALUES (%s, 'mail', '', 'bounce')", (ADDRESS,)
    )
    connection.execute(
        "INSERT INTO message (event_id, message_id, kind, channel, address, user_id, language, dedup_key, payload,"
        "                     urgency, due_at, useful_until)"
        " VALUES (%s, gen_random_uuid(), 'turn', 'mail', %s, 7, 'en', 'turn:x:mail:' || %s, '{}', 1, now(), now())",
        (event_id, ADDRESS, ADDRESS),
    )
    connection.execute(
        "INSERT INTO webhook_endpoint (url, kinds, secret) VALUES ('https://x.example', '{x}', 'plain secret')"
    )
    done = seal_plain(connection, 10, 100, is_citus=IS_CITUS)
    assert {table: sealed.rows for table, sealed in done.items() if sealed.rows} == {
        "suppression": 1,
        "contact": 25,
        "message": 1,
        "webhook_endpoint": 1,
    }
    assert not [sealed for sealed in seal_plain(connection, 10, 100, is_citus=IS_CITUS).values() if sealed != Sealed()]
    assert {opened(row[0]) for row in connection.execute("SELECT address FROM contact")} == {
        f"fan-{n}@example.org" for n in range(1, 26)
    }
    assert connection.execute("SELECT dedup_key FROM message").fetchall() == [
        (f"turn:x:mail:{hash_of(ADDRESS).hex()}",)
    ]
    assert b"plain secret".hex().encode() not in dump(database_url)


def test_a_plain_row_beside_a_sealed_one_that_says_the_same_goes(connection: psycopg.Connection[Any]) -> None:
    insert = "INSERT INTO suppression (address, channel, kind, reason) VALUES (%s, 'mail', '', 'bounce')"
    connection.execute(insert, (ADDRESS,))
    seal_plain(connection, 10, 10, is_citus=IS_CITUS)
    connection.execute(insert, (ADDRESS,))
    connection.execute(insert, ("eve@example.org",))
    assert seal_plain(connection, 10, 10, is_citus=IS_CITUS)["suppression"] == Sealed(rows=1, twins=1)
    assert connection.execute("SELECT count(*) FROM suppression").fetchone() == (2,)


def test_rows_follow_a_new_key_and_keep_what_they_say(
    connection: psycopg.Connection[Any], database_url: str, event_id: int
) -> None:
    with sealed_with("an older secret of the tests", SECRET, site_secret=SECRET):
        secrets = fill(database_url, event_id)
    with sealed_with(NEWER, site_secret=SECRET):
        assert sum(step.lost for _, step in seal_anew(connection, 3, is_citus=IS_CITUS)) > 0, "the older key is missing"
    connection.execute(
        "INSERT INTO payment (event_id, payment_id, reservation_id, user_id, provider, amount, currency, created_at,"
        "                     expires_at, client_secret)"
        " VALUES (%s, gen_random_uuid(), gen_random_uuid(), 7, 'test', 1, 'EUR', now(), now(), 'a-browsers-secret')",
        (event_id,),
    )
    connection.execute("INSERT INTO invoice_series VALUES ('2026-', 1)")
    connection.execute(
        "INSERT INTO invoice (series, number, kind, event_id, purchase_id, made_at, currency, amount, tax, language,"
        "                     content, payer)"
        " VALUES ('2026-', 1, 'invoice', %s, gen_random_uuid(), now(), 'EUR', 1, 0, 'en', '{}', '{\"name\": \"Ada\"}')",
        (event_id,),
    )
    # A ticket of a release that sealed none.
    buy(connection, event_id)
    plain = "ABCDEFGHIJKLMNOP"
    connection.execute("UPDATE purchase_detail SET ticket_code = %s WHERE seat_number = 1", (plain,))
    with sealed_with(NEWER, "an older secret of the tests", SECRET, site_secret=SECRET):
        first = list(seal_anew(connection, 1, is_citus=IS_CITUS))
        assert sum(step.lost for _, step in first) == 0
        assert {table for table, _ in first} == {table.name for table in TABLES}
        assert not [step for _, step in seal_anew(connection, 3, is_citus=IS_CITUS) if step.rows], (
            "nothing is left to do"
        )
    with sealed_with(NEWER, site_secret=SECRET):
        codes = [row[0] for row in connection.execute("SELECT ticket_code FROM purchase_detail ORDER BY seat_number")]
        assert open_code(codes[0]) == plain
        assert all(plain not in code for code in codes)

        async def read() -> None:
            async with transaction(database_url, "test") as again:
                assert await contacts_of(again, event_id, FAN) == {"mail": ADDRESS, "sms": PHONE}
                draw = await draw_row(again, event_id)
                assert draw is not None
                assert draw.fan_key == secrets[1]
                (found,) = await find_fans(again, FIND_BY_TICKET, beginnings_of(plain), None, None)
                assert found.user_id == FAN
                row = (await again.exec_driver_sql("SELECT content, words FROM order_answers")).one()
                assert open_content(row.content).name == ADA
                assert set(words_of(["augusta"])) < {bytes(word) for word in row.words}

        asyncio.run(read())
    with sealed_with(SECRET, site_secret=SECRET), pytest.raises(SealError):
        open_code(codes[0])


def test_an_authenticator_of_an_earlier_release_is_sealed_by_the_rotation(
    connection: psycopg.Connection[Any], database_url: str
) -> None:
    secret, nonce = pyotp.random_base32(), os.urandom(12)
    key = ring_of(SECRET).derived(KeyGroup.OPERATORS, b"admitone totp v1")[0]
    kept = nonce + AESGCM(key.secret).encrypt(nonce, secret.encode(), OPERATOR.encode())
    for name, stored in ((OPERATOR, kept), ("Lost", b"no key of ours encrypted this")):
        connection.execute("INSERT INTO operator (name, password_hash) VALUES (%s, 'none')", (name,))
        connection.execute("INSERT INTO operator_totp (name, secret) VALUES (%s, %s)", (name, stored))
    settings = Settings(site=SiteSettings(secret=SECRET), db=DatabaseSettings(url=database_url))
    with sealed_with(NEWER, site_secret=SECRET):
        asyncio.run(seal_authenticators(settings))
        assert sum(step.lost for _, step in seal_anew(connection, 10, is_citus=IS_CITUS)) == 1

        async def read() -> None:
            async with transaction(database_url, "test") as again:
                sealed = await waiting_totp(again, OPERATOR)
                assert sealed is not None
                another = Authenticators("another secret of the site", time.time)
                assert another.step_of(OPERATOR, sealed, pyotp.TOTP(secret).now()) is not None
                assert await waiting_totp(again, "Lost") == b"no key of ours encrypted this"

        asyncio.run(read())


def test_the_doctor_sees_that_a_key_is_missing(
    connection: psycopg.Connection[Any], database_url: str, event_id: int
) -> None:
    with sealed_with("a-lost-key", SECRET, site_secret=SECRET):
        fill(database_url, event_id)
        buy(connection, event_id)
        assert sum(step.rows for _, step in seal_anew(connection, 100, is_citus=IS_CITUS))

    def found(*secrets: str) -> Finding:
        settings = SiteSettings(secret=SECRET, data_keys=" ".join(secrets))
        (one,) = data_keys.examine(Examined(Settings(site=settings), postgres=connection))
        return one

    assert found("a-key").level is Level.ERROR
    assert found("a-lost-key").level is Level.OK
    assert "2 of the address fields and 2 of the ticket code fields" in found("a-key").says
