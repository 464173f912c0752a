"""No way by which an account's fan signs in is taken away that is the last, whoever asks at the same moment."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from db.accounts.identities import unlink
from db.accounts.passkeys import remove_passkey
from db.accounts.ways_in import LastWayInError
from db.connections.engines import create_engine

FAN = 7
ISSUER = "https://issuer.example"


@pytest.fixture
def account(database_url: str) -> str:
    """An account without password and address, with two passkeys and an issuer."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO account (user_id, language) VALUES (%s, 'en')", (FAN,))
        for passkey in (b"first", b"second"):
            connection.execute(
                "INSERT INTO account_passkey (credential_id, user_id, label, public_key, sign_count)"
                " VALUES (%s, %s, 'Phone', 'key', 0)",
                (passkey, FAN),
            )
        connection.execute(
            "INSERT INTO account_identity (issuer, subject, user_id) VALUES (%s, 'ada', %s)", (ISSUER, FAN)
        )
    return database_url


async def test_the_last_passkey_stays_unless_a_password_an_address_or_an_issuer_does(account: str) -> None:
    engine = create_engine(account, pool_max=2)

    async def remove(passkey: bytes, issuers: tuple[str, ...] = (), *, mails: bool = False) -> bool:
        async with engine.begin() as connection:
            return await remove_passkey(connection, FAN, passkey, issuers, mails=mails)

    assert not await remove(b"another's")
    assert await remove(b"first"), "the second one is left"
    with pytest.raises(LastWayInError):
        await remove(b"second")
    assert not await remove(b"another's"), "which takes nothing away"
    async with engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE account SET mail = 'ada@example.org'")
    with pytest.raises(LastWayInError):
        await remove(b"second")
    async with engine.begin() as connection:
        assert await unlink(connection, FAN, ISSUER, [], mails=False), "the passkey is left"
    with pytest.raises(LastWayInError):
        await remove(b"second", (ISSUER,))
    assert await remove(b"second", mails=True), "a link by mail is left"
    await engine.dispose()


async def test_two_who_remove_at_once_leave_one_way_in(account: str) -> None:
    engine = create_engine(account, pool_max=2)

    async def remove(passkey: bytes) -> bool:
        async with engine.begin() as connection:
            return await remove_passkey(connection, FAN, passkey, (), mails=False)

    done = await asyncio.gather(remove(b"first"), remove(b"second"), return_exceptions=True)
    assert sorted(map(repr, done)) == ["LastWayInError()", "True"]
    await engine.dispose()
