from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis
from redis import asyncio as aioredis

from booking_lane.clients import async_client
from booking_lane.gathering import GatheringRedis
from db.gathering import GATHERED_MAX
from tests.services import free_port


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[GatheringRedis]:
    client = async_client(redis_url)
    yield client
    await client.aclose()
    await client.connection_pool.disconnect()


async def test_commands_of_one_turn_share_a_connection(client: aioredis.Redis, jobs: redis.Redis) -> None:
    await client.ping()
    before = jobs.info("stats")["total_connections_received"]
    count = GATHERED_MAX
    await asyncio.gather(*[client.set(f"key:{number}", number) for number in range(count)])
    answers = await asyncio.gather(*[client.get(f"key:{number}") for number in range(count)])
    assert answers == [str(number).encode() for number in range(count)], "each its own answer"
    assert jobs.info("stats")["total_connections_received"] == before


async def test_more_than_fits_leaves_in_several_trips(client: aioredis.Redis) -> None:
    count = 2 * GATHERED_MAX + 1
    answers = await asyncio.gather(*[client.echo(str(number)) for number in range(count)])
    assert answers == [str(number).encode() for number in range(count)]


async def test_a_command_that_fails_fails_alone(client: aioredis.Redis) -> None:
    await client.set("text", "no number")
    first, wrong, last = await asyncio.gather(
        client.echo("first"), client.incr("text"), client.echo("last"), return_exceptions=True
    )
    assert (first, last) == (b"first", b"last")
    assert isinstance(wrong, redis.ResponseError)


async def test_a_pipeline_of_nothing_takes_no_answers_of_others(client: aioredis.Redis) -> None:
    await client.set("a", "1")
    async with asyncio.timeout(3):
        nothing, found = await asyncio.gather(client.pipeline(transaction=False).execute(), client.get("a"))
        assert (nothing, found) == ([], b"1")
        assert await client.get("a") == b"1"


async def test_a_transaction_shares_the_connection_and_is_refused_alone(client: GatheringRedis) -> None:
    await client.set("text", "no number")
    asked: list[asyncio.Future[Any]] = []
    for number in range(20):
        wrong = ("NO-SUCH-COMMAND",) if number % 2 else ("INCR", "counted")
        asked.append(client.ask_in_multi([("SET", f"of:{number}", number), wrong, ("GET", f"of:{number}")], list))
        asked.append(client.gathering.ask((("ECHO", str(number)), {})))
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert answers[1::2] == [str(number).encode() for number in range(20)]
    for number, answer in enumerate(answers[::2]):
        if number % 2:
            assert isinstance(answer, redis.ResponseError)
            assert await client.get(f"of:{number}") is None, "nothing of it is done"
        else:
            assert answer == [b"OK", number // 2 + 1, str(number).encode()]


async def test_what_reads_an_answer_may_raise(client: GatheringRedis) -> None:
    def read(replies: list[bytes]) -> None:
        raise ValueError(replies)

    with pytest.raises(ValueError, match="said"):
        await client.ask_in_multi([("ECHO", "said")], read)
    assert await client.echo("later") == b"later"


async def test_a_transaction_without_redis_fails() -> None:
    client = async_client(f"redis://127.0.0.1:{free_port()}/0")
    with pytest.raises(redis.ConnectionError):
        await client.ask_in_multi([("PING",)], list)
    await client.aclose()


async def test_a_pipeline_shares_the_connection(client: aioredis.Redis, jobs: redis.Redis) -> None:
    await client.set("text", "no number")
    before = jobs.info("stats")["total_connections_received"]
    async with client.pipeline(transaction=False) as pipe:
        pipe.zadd("scored", {"one": 1})
        pipe.zrange("scored", 0, -1, withscores=True)
        assert await pipe.execute() == [1, [(b"one", 1.0)]], "as redis-py reads them"
        pipe.incr("text")
        with pytest.raises(redis.ResponseError):
            await pipe.execute()
    assert jobs.info("stats")["total_connections_received"] == before


async def test_what_redis_has_no_form_for_fails_alone(client: aioredis.Redis) -> None:
    assert isinstance(client, GatheringRedis)
    await client.set("key", bytearray(b"value"))
    assert await client.get("key") == b"value", "a type that redis-py knows and hiredis does not"
    with pytest.raises(redis.DataError):
        await client.execute_command("SET", "key", None)
    assert await client.get("key") == b"value"


async def test_who_leaves_takes_nobody_with_it(client: aioredis.Redis) -> None:
    leaves = asyncio.ensure_future(client.echo("leaves"))
    stays = asyncio.ensure_future(client.echo("stays"))
    await asyncio.sleep(0)
    leaves.cancel()
    assert await asyncio.wait_for(stays, 2) == b"stays"


@pytest.mark.parametrize("turns", [1, 2, 3])
async def test_who_gives_up_the_sending_tells_everybody(client: aioredis.Redis, turns: int) -> None:
    """As a loop that is shut down does, before the sending begins or in its midst: no caller may wait for ever."""
    assert isinstance(client, GatheringRedis)
    asked = [asyncio.ensure_future(client.echo(text)) for text in ("one", "two")]
    for _ in range(turns + 1):
        await asyncio.sleep(0)
    assert client.gathering.sending
    for sending in client.gathering.sending:
        sending.cancel()
    answers = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 2)
    assert [isinstance(answer, redis.ConnectionError) for answer in answers] == [True, True]


async def test_redis_away_is_told_to_everybody() -> None:
    away = async_client(f"redis://127.0.0.1:{free_port()}")
    answers = await asyncio.gather(*[away.get("key") for _ in range(3)], return_exceptions=True)
    assert [isinstance(answer, redis.ConnectionError) for answer in answers] == [True] * 3
    await away.aclose()


async def test_a_client_that_is_closed_while_it_connects_leaves_nothing_open(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = async_client(redis_url)
    assert isinstance(client, GatheringRedis)
    make: Callable[[], aioredis.Connection] = client.connection_pool.make_connection
    made: list[aioredis.Connection] = []

    def note() -> aioredis.Connection:
        made.append(make())
        return made[-1]

    monkeypatch.setattr(client.connection_pool, "make_connection", note)
    asked = asyncio.ensure_future(client.echo("late"))
    while not made:  # noqa: ASYNC110 - it takes some turns of the loop, and Redis' greeting some more
        await asyncio.sleep(0)
    await client.aclose()
    with pytest.raises(redis.ConnectionError):
        await asked
    assert not made[0].is_connected
    assert client._pipelined is None
    await client.connection_pool.disconnect()
