"""The hub of news: one decoding a message, every subscriber served, and nothing lost unnoticed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import msgspec
import pytest
import redis.asyncio

from gateway.process.news import News, Topic


def test_a_message_is_decoded_once_for_all_subscribers() -> None:
    decoded: list[bytes] = []

    def decode(payload: bytes) -> int:
        decoded.append(payload)
        return int(payload)

    first: list[int] = []
    second: list[int] = []
    Topic(["numbers"], decode, [first.append, second.append]).publish(b"7")
    assert (first, second, decoded) == ([7], [7], [b"7"])


def test_a_subscriber_that_fails_is_logged_and_keeps_nothing_from_the_others(caplog: pytest.LogCaptureFixture) -> None:
    def broken(number: int) -> None:
        raise RuntimeError(f"no place for {number}")

    got: list[int] = []
    topic = Topic(["numbers"], int, [broken, got.append])
    with caplog.at_level(logging.ERROR):
        topic.publish(b"7")
        topic.publish(b"8")
    assert got == [7, 8]
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    assert "broken" in caplog.text
    assert "no place for 7" in caplog.text


def test_what_cannot_be_decoded_reaches_no_subscriber() -> None:
    got: list[int] = []
    topic = Topic(["numbers"], msgspec.json.Decoder(int).decode, [got.append])
    with pytest.raises(msgspec.DecodeError):
        topic.publish(b"{")
    assert got == []


def test_subscribers_are_called_within_the_messages_span() -> None:
    seen: list[str] = []

    @contextmanager
    def span(number: int) -> Iterator[None]:
        seen.append(f"begin {number}")
        yield
        seen.append("end")

    Topic(["numbers"], int, [lambda number: seen.append(str(number))], span=span).publish(b"7")
    assert seen == ["begin 7", "7", "end"]


async def await_true(what: str, check: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not check():
        assert time.monotonic() < until, what
        await asyncio.sleep(0.01)


async def test_each_channel_leads_to_its_topic_and_a_lost_connection_is_said(redis_url: str) -> None:
    numbers: list[int] = []
    words: list[str] = []
    gaps: list[str] = []
    listener = redis.asyncio.Redis.from_url(redis_url, socket_timeout=10, client_name="hub")
    topics: list[Topic[int] | Topic[str]] = [
        Topic(["one", "two"], int, [numbers.append]),
        Topic(["words"], bytes.decode, [words.append]),
    ]
    news = News(listener, topics, lambda: gaps.append("gap"))
    task = asyncio.create_task(news.listen())
    async with redis.asyncio.Redis.from_url(redis_url, socket_timeout=10) as client:
        await asyncio.wait_for(news.connected.wait(), 10)
        for channel, payload in (("one", "1"), ("one", "not a number"), ("two", "2"), ("words", "three")):
            await client.publish(channel, payload)
        await await_true("all are heard", lambda: numbers == [1, 2] and words == ["three"])
        assert gaps == ["gap"]
        for one in await client.client_list():
            if one["name"] == "hub":
                await client.client_kill_filter(_id=one["id"])
        await await_true("it listens again", lambda: gaps == ["gap", "gap"])
        await client.publish("two", "4")
        await await_true("what came after is heard", lambda: numbers == [1, 2, 4])
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await listener.aclose()
