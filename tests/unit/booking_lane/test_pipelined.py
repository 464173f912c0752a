"""One connection carries all trips: what comes of answers in pieces, late, wrong, or none."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import hiredis
import pytest
import redis

from booking_lane.clients import async_client
from booking_lane.gathering import GatheringRedis

Answer = Callable[[int, list[bytes], asyncio.StreamWriter], None]
"""Answers a command; it knows the how-manieth connection brings it."""
GREETING = {b"HELLO": b"%1\r\n+proto\r\n:3\r\n", b"CLIENT": b"+OK\r\n", b"PING": b"+PONG\r\n"}
ANSWER_SECONDS_MAX = 10


@contextlib.asynccontextmanager
async def served(answer: Answer) -> AsyncIterator[GatheringRedis]:
    """A client of a server that lets everybody in, as Redis does, and answers as the test wants."""
    connections = 0
    serving: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        serving.add(asyncio.current_task())
        number, commands = connections, hiredis.Reader()
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1000):
                commands.feed(data)
                while command := commands.gets():
                    if command[0] in GREETING:
                        writer.write(GREETING[command[0]])
                    else:
                        answer(number, command, writer)
                await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    client = async_client(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    client.connection_pool.connection_kwargs["socket_timeout"] = ANSWER_SECONDS_MAX
    try:
        yield client
    finally:
        await client.aclose()
        await asyncio.gather(*filter(None, serving))
        server.close()
        await server.wait_closed()


async def test_trips_follow_each_other_and_answers_come_in_pieces() -> None:
    """Two trips are under way at most; what is asked meanwhile goes with the next one."""
    happened: list[bytes] = []
    pieces = {
        b"zero": [b"$4\r\nzero\r\n"],
        b"two": [b"$3\r\non", b"e\r\n$3\r\ntwo\r", b"\n"],
        b"four": [b"", b"", b"", b"$5\r\nthree\r\n$4\r\nfour\r\n"],
    }

    def answer(_: int, command: list[bytes], writer: asyncio.StreamWriter) -> None:
        def write(piece: bytes) -> None:
            happened.append(piece)
            writer.write(piece)

        happened.append(command[1])
        for number, piece in enumerate(pieces.get(command[1], ())):
            asyncio.get_running_loop().call_later(0.02 * number, write, piece)

    async with served(answer) as client:
        assert await client.execute_command("ECHO", "zero") == b"zero", "the connection is open"
        answers = []
        for text in ("one", "two", "three", "four"):
            answers.append(asyncio.ensure_future(client.execute_command("ECHO", text)))
            await asyncio.sleep(0)
        assert await asyncio.gather(*answers) == [b"one", b"two", b"three", b"four"]
    first_answered = happened.index(pieces[b"two"][1])
    assert happened.index(b"two") < first_answered < happened.index(b"three")


async def test_a_server_that_does_not_answer_is_given_up_and_asked_anew() -> None:
    def answer(connection: int, _: list[bytes], writer: asyncio.StreamWriter) -> None:
        if connection == 2:
            writer.write(b"$5\r\nthere\r\n")

    async with served(answer) as client:
        of_connections = client.connection_pool.connection_kwargs
        of_connections["socket_timeout"] = 0.2
        with pytest.raises(redis.TimeoutError):
            await client.execute_command("ECHO", "there")
        of_connections["socket_timeout"] = ANSWER_SECONDS_MAX
        assert await client.execute_command("ECHO", "there") == b"there"


async def test_a_server_that_closes_tells_who_waits_and_is_asked_anew() -> None:
    def answer(_: int, command: list[bytes], writer: asyncio.StreamWriter) -> None:
        if command[1] == b"gone":
            writer.close()
        else:
            writer.write(b"$5\r\nthere\r\n")

    async with served(answer) as client:
        assert await client.execute_command("ECHO", "there") == b"there"
        with pytest.raises(redis.ConnectionError):
            await client.execute_command("ECHO", "gone")
        assert await client.execute_command("ECHO", "there") == b"there"


@pytest.mark.parametrize("wrong", [b"?what\r\n", b"$3\r\none\r\n$3\r\ntwo\r\n"], ids=["no answer", "one too many"])
async def test_what_nobody_asked_for_ends_the_connection(wrong: bytes) -> None:
    """Answers would else be given to the wrong questions."""

    def answer(connection: int, _: list[bytes], writer: asyncio.StreamWriter) -> None:
        writer.write(wrong if connection == 1 else b"$6\r\nsecond\r\n")

    async with served(answer) as client:
        with contextlib.suppress(redis.ConnectionError):
            await client.execute_command("ECHO", "one")
        assert await client.execute_command("ECHO", "one") == b"second"


async def test_what_redis_has_no_form_for_fails_before_it_leaves(redis_url: str) -> None:
    client = async_client(redis_url)
    with pytest.raises(redis.DataError):
        await client.set("key", {"no": "form"})  # type: ignore[arg-type]
    assert await client.get("key") is None
    await client.aclose()
    await client.connection_pool.disconnect()
