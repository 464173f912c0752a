"""Operators' passwords: kept as hashes, replaced, and refused at the same price for whoever asks."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import psycopg
import pytest
from argon2 import PasswordHasher, Type
from sqlalchemy.ext.asyncio import AsyncEngine

from db.connections.engines import create_engine
from db.operators.accounts import add_operator, find_account, is_password
from tests import passwords


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(database_url, pool_max=2)
    yield engine
    await engine.dispose()


async def verify_operator(engine: AsyncEngine, name: str, password: str) -> bool:
    async with engine.connect() as connection:
        account = await find_account(connection, name, "127.0.0.0/24", 90)
    return is_password(account, password)


async def test_only_the_password_opens(database_url: str, engine: AsyncEngine) -> None:
    add_operator(database_url, "ada", "first password")
    assert await verify_operator(engine, "ada", "first password")
    assert not await verify_operator(engine, "ada", "First password")
    assert not await verify_operator(engine, "grace", "first password")
    assert not await verify_operator(engine, "ada", "x" * 100_000)


async def test_a_new_password_replaces_the_old(database_url: str, engine: AsyncEngine) -> None:
    add_operator(database_url, "ada", "first password")
    add_operator(database_url, "ada", "second password")
    assert await verify_operator(engine, "ada", "second password")
    assert not await verify_operator(engine, "ada", "first password")


def test_the_password_is_not_kept(database_url: str) -> None:
    add_operator(database_url, "ada", "first password")
    with psycopg.connect(database_url) as connection:
        ((password_hash,),) = connection.execute("SELECT password_hash FROM operator").fetchall()
    assert password_hash.startswith("$argon2id$")
    assert "first password" not in password_hash


async def test_a_broken_hash_opens_nothing(database_url: str, engine: AsyncEngine) -> None:
    add_operator(database_url, "ada", "first password")
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE operator SET password_hash = 'first password'")
    assert not await verify_operator(engine, "ada", "first password")


def test_a_password_is_hashed_with_the_work_that_its_function_promises() -> None:
    """All other tests hash with less (`tests.passwords`)."""
    hasher = passwords.OF_THE_PRODUCT
    assert hasher.memory_cost >= 64 * 1024
    assert hasher.time_cost >= 3
    assert hasher.type is Type.ID


async def test_an_unknown_name_costs_the_work_of_a_known_one(database_url: str, engine: AsyncEngine) -> None:
    passwords.hash_as_the_product()
    add_operator(database_url, "ada", "first password")

    async def fastest(name: str) -> float:
        times = []
        for _ in range(5):
            begun = time.perf_counter()
            await verify_operator(engine, name, "wrong password")
            times.append(time.perf_counter() - begun)
        return min(times)

    await fastest("ada")
    # Without the work an unknown name is answered in a small part of the time.
    assert await fastest("grace") > 0.5 * await fastest("ada")


async def test_name_and_password_are_the_same_however_they_are_composed(database_url: str, engine: AsyncEngine) -> None:
    assert add_operator(database_url, "Zoe\u0308 ", "mot de passe e\u0301") == "Zo\u00eb"
    for name in ("Zo\u00eb", "Zoe\u0308", " Zo\u00eb\u00a0"):
        for password in ("mot de passe \u00e9", "mot de passe e\u0301"):
            assert await verify_operator(engine, name, password)
    assert not await verify_operator(engine, "Zoe", "mot de passe \u00e9")


async def test_an_operator_of_an_earlier_release_may_still_sign_in(database_url: str, engine: AsyncEngine) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO operator (name, password_hash) VALUES (%s, %s)",
            ("Zoe\u0308", PasswordHasher().hash("mot de passe e\u0301")),
        )
    assert await verify_operator(engine, "Zoe\u0308", "mot de passe e\u0301")
    assert await verify_operator(engine, "Zo\u00eb", "mot de passe e\u0301")


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("", "long enough"),
        ("\u200b\u3164", "long enough"),
        ("ada\nroot", "long enough"),
        ("n" * 65, "long enough"),
        ("ada", "short"),
        ("ada", "p" * 1025),
    ],
)
def test_a_name_and_password_have_bounds(database_url: str, name: str, password: str) -> None:
    with pytest.raises(ValueError, match="characters"):
        add_operator(database_url, name, password)
