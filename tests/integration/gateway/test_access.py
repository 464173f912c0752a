"""Codes guessed many at a time: real Postgres, real Valkey."""

from __future__ import annotations

import asyncio

import psycopg

from booking_lane.clients import async_client
from db.codes.access_codes import issue_codes
from db.connections.engines import create_engine
from db.events.seed import RoomSeed, seed_demo
from gateway.identity.wrong_codes import FAN_WRONG_PER_MINUTE
from gateway.line.codes import REDEEMING_MAX, AccessCodes
from gateway.wire.problems import ProblemError
from tests.ending import dispose

FAN = 4 * 10**15
PREFIX = "127.0.0.0/24"
GUESSES = 10 * FAN_WRONG_PER_MINUTE


async def test_guesses_made_at_once_are_bounded_as_those_one_by_one(database_url: str, redis_url: str) -> None:
    event_id = seed_demo(database_url, room=RoomSeed())
    engine = create_engine(database_url, pool_max=REDEEMING_MAX)
    async with (
        async_client(redis_url, connections_max=8) as client,
        await psycopg.AsyncConnection.connect(database_url) as elsewhere,
    ):
        codes = AccessCodes(engine, client, "a secret of this test", wrong_per_minute=1000)
        async with engine.begin() as connection:
            await issue_codes(
                connection, event_id, [codes.hasher.hash(event_id, "SESAME")],
                label="named", uses_max=1000, starts_at=None, ends_at=None, operator="Ada", why="",
            )  # fmt: skip

        async def guess(code: str) -> str:
            try:
                await codes.redeem(event_id, FAN, PREFIX, code, await codes.allowance(FAN, PREFIX))
            except ProblemError as refused:
                return str(refused.document["code"])
            return "redeemed"

        # Nobody's guess is told wrong before all have been made.
        await elsewhere.execute("LOCK TABLE access_code IN ACCESS EXCLUSIVE MODE")
        made = [asyncio.create_task(guess(f"GUESS{number}")) for number in range(GUESSES)]
        made.append(asyncio.create_task(guess("SESAME")))
        await asyncio.sleep(0.5)
        await elsewhere.rollback()
        told = await asyncio.gather(*made)
        await client.connection_pool.disconnect()
    await dispose(engine)
    assert told.count("code_unknown") == FAN_WRONG_PER_MINUTE
    assert told[-1] == "too_many_codes", "the right one was one guess too many"
