"""Two sites in one Valkey, each in a database of its own: neither hears the other's news."""

from __future__ import annotations

import asyncio
import re
import uuid

import redis
from redis import asyncio as aioredis

from booking_lane.results import BatchNews, decode_news, origin_channel, publish
from db.channels import database_of
from db.rooms.states import RoomState
from waiting_room.keys import news_channel
from waiting_room.line import Line
from waiting_room.model import RoomConfig, read_news

HEARD_SECONDS = 0.5


async def heard(subscribed: aioredis.client.PubSub) -> list[bytes]:
    """What came within a moment."""
    found = []
    deadline = asyncio.get_running_loop().time() + HEARD_SECONDS
    while (left := deadline - asyncio.get_running_loop().time()) > 0:
        message = await subscribed.get_message(ignore_subscribe_messages=True, timeout=left)
        if message is not None:
            found.append(message["data"])
    return found


def in_database(url: str, number: int) -> str:
    """The URL of another database of the same server."""
    return re.sub(r"(?<=db=)\d+$|(?<=/)\d+$", str(number), url)


async def test_a_site_hears_its_own_rooms_and_lanes_alone(redis_url: str) -> None:
    async with (
        aioredis.Redis.from_url(redis_url) as first,
        aioredis.Redis.from_url(in_database(redis_url, 1)) as second,
        first.pubsub() as of_first,
        second.pubsub() as of_second,
    ):
        assert (database_of(first), database_of(second)) == (0, 1)
        for client, subscribed in ((first, of_first), (second, of_second)):
            await subscribed.subscribe(news_channel(database_of(client)), origin_channel("here", database_of(client)))
        lines = {0: Line(first), 1: Line(second)}
        for line in lines.values():
            await line.configure(7, RoomConfig(state=RoomState.OPEN, capacity=5))
        await heard(of_first)
        await heard(of_second)

        await lines[1].configure(7, RoomConfig(state=RoomState.PAUSED, revision=2))
        assert [read_news(news).event for news in await heard(of_second)] == [7]
        assert await heard(of_first) == [], "the first site hears that the second one paused a room"

        batch = uuid.uuid4()
        with redis.Redis.from_url(redis_url) as jobs:
            publish(jobs, BatchNews(batch, "here", 0, (), ()), ttl_seconds=60)
        assert [decode_news(news).batch_id for news in await heard(of_first)] == [batch]
        assert await heard(of_second) == []
