"""Two accounts are joined in one transaction, and nobody begins a session of the one that goes, at whatever moment."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db.accounts.accounts import earlier_of, find_by_mail, keep_identity, keep_password
from db.accounts.merging import AlreadyMergedError, merge, merged_into
from db.accounts.sessions import JoinedAccountError, begin_session, sessions_of
from db.connections.engines import create_engine
from tests.ending import dispose

ISSUER = "https://issuer.example"
HASH = "an Argon2id hash"


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(database_url, pool_max=4)
    yield engine
    await dispose(engine)


async def by_mail(engine: AsyncEngine, mail: str) -> int:
    async with engine.begin() as connection:
        found = await keep_password(connection, mail, HASH, dt.datetime.now(dt.UTC), "en")
    assert found is not None
    return found


async def by_issuer(engine: AsyncEngine, subject: str, mail: str | None = None) -> int:
    async with engine.begin() as connection:
        return await keep_identity(connection, ISSUER, subject, mail, "en")


async def begin(engine: AsyncEngine, user_id: int, session_id: str) -> None:
    async with engine.begin() as connection:
        await begin_session(connection, session_id, user_id, network="", agent="", seconds=60)


async def join(engine: AsyncEngine, stays: int, goes: int) -> None:
    async with engine.begin() as connection:
        await merge(connection, stays, goes)


async def test_of_two_joins_at_once_one_is_done(engine: AsyncEngine) -> None:
    one, other = await by_mail(engine, "ada@example.org"), await by_mail(engine, "ada@example.com")
    done = await asyncio.gather(join(engine, one, other), join(engine, other, one), return_exceptions=True)
    assert sorted(map(repr, done)) == ["AlreadyMergedError()", "None"]
    with pytest.raises(AlreadyMergedError):
        await join(engine, one, one)


async def test_a_session_that_begins_while_accounts_are_joined_waits_and_is_refused(engine: AsyncEngine) -> None:
    stays, goes = await by_mail(engine, "ada@example.org"), await by_mail(engine, "ada@example.com")
    await begin(engine, goes, "before")
    async with engine.begin() as connection:
        await merge(connection, stays, goes)
        beginning = asyncio.create_task(begin(engine, goes, "meanwhile"))
        await asyncio.sleep(0.3)
        assert not beginning.done()
    with pytest.raises(JoinedAccountError):
        await beginning
    async with engine.connect() as connection:
        assert await sessions_of(connection, goes) == []


async def test_the_address_goes_where_there_is_none_and_else_is_kept(engine: AsyncEngine) -> None:
    stays, goes = await by_issuer(engine, "ada"), await by_mail(engine, "ada@example.org")
    await join(engine, stays, goes)
    async with engine.connect() as connection:
        found = await find_by_mail(connection, "ada@example.org", "")
        assert found is not None
        assert (found.user_id, found.password_hash, found.merged_into) == (stays, HASH, None)
    another = await by_mail(engine, "ada@example.com")
    await join(engine, stays, another)
    async with engine.connect() as connection:
        found = await find_by_mail(connection, "ada@example.com", "")
        assert found is not None
        assert (found.user_id, found.merged_into) == (another, stays)
        assert [row.mail for row in await merged_into(connection, stays)] == [None, "ada@example.com"]
        assert await earlier_of(connection, stays) == [another, goes], "until all that they had is moved"
    async with engine.begin() as connection:
        later = dt.datetime.now(dt.UTC)
        assert await keep_password(connection, "ada@example.com", "another", later, "en") is None


async def test_who_comes_by_the_issuer_of_an_account_that_went_is_in_the_one_that_stays(engine: AsyncEngine) -> None:
    stays, goes = await by_mail(engine, "ada@example.org"), await by_issuer(engine, "ada", "ada@example.com")
    await join(engine, stays, goes)
    assert await by_issuer(engine, "ada") == stays
    assert await by_issuer(engine, "a second one", "ada@example.com") == stays, "the address is still the person's"


async def test_a_chain_of_joins_leads_to_its_end(engine: AsyncEngine) -> None:
    first, second, third = [await by_mail(engine, f"{name}@example.org") for name in ("ada", "bea", "cora")]
    await join(engine, second, first)
    await join(engine, third, second)
    async with engine.connect() as connection:
        assert await earlier_of(connection, third) == [second, first]
        assert await merged_into(connection, second) == []
