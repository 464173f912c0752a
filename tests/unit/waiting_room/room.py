"""A room on a real Valkey, and a way to let time pass in it without waiting."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from tests.whole_line import WholeLine
from waiting_room.keys import NEWS_CHANNEL, ROOM_KEYS, room_channel, room_keys
from waiting_room.model import News, RoomConfig, read_news

FAST = RoomConfig(rate_per_minute=60_000, capacity=1000)
"""Calls whoever is next at once: a thousand a second."""

END = b"the end of what a test hears"
PACE_BUCKET_SECONDS = 10
PACE_BUCKETS = 60


@dataclass
class Room:
    client: Any  # redis-py says str | bytes of every reply
    event: int = 42
    config: RoomConfig = FAST

    def __post_init__(self) -> None:
        self.line = WholeLine(self.client)
        self.keys = dict(zip(ROOM_KEYS, room_keys(self.event), strict=True))

    async def open(self, **changes: object) -> None:
        """Open the room, or change its configuration."""
        self.config = replace(self.config, revision=self.config.revision + 1, **changes)  # type: ignore[arg-type]
        await self.line.configure(self.event, self.config)

    async def fill(self, *fans: int, **changes: object) -> None:
        """Let the fans join in this order while the door is shut, then open it."""
        await self.open(state="paused")
        for fan in fans:
            await self.line.join(self.event, fan)
        await self.open(state="open", **changes)

    async def tick(self) -> None:
        while (await self.line.admit(self.event)).more:
            pass

    async def state(self, fan: int) -> str:
        return (await self.line.standing(self.event, fan, touch=False)).state

    async def states(self, *fans: int) -> list[str]:
        return [await self.state(fan) for fan in fans]

    async def heard_from(self, *fans: int) -> None:
        await self.line.heartbeat(self.event, dict.fromkeys(fans, 0))

    async def called(self, fan: int) -> None:
        """Bring the fan, who is first in line, to the claim."""
        await self.tick()
        assert await self.state(fan) == "called"

    async def admitted(self, *fans: int) -> None:
        """Bring these fans in."""
        await self.fill(*fans)
        await self.tick()
        for fan in fans:
            await self.line.claim(self.event, fan)

    async def pass_time(self, seconds: float, *, ticking: bool = True) -> None:
        """Make every time that is kept ``seconds`` older; not ``ticking``: as if no tick had come."""
        older_ms = round(seconds * 1000)
        seen = await self.client.hgetall(self.keys["seen"])
        if seen:
            await self.client.hset(
                self.keys["seen"], mapping={fan: int(at_ms) - older_ms for fan, at_ms in seen.items()}
            )
        leases = await self.client.hgetall(self.keys["leases"])
        for name, lease in leases.items():
            at_ms, _, told = lease.partition(b":")
            await self.client.hset(self.keys["leases"], name, b"%d:%s" % (int(at_ms) - older_ms, told))
        for name in ("away", "called", "admitted", "acted", "idle"):
            times = await self.client.zrange(self.keys[name], 0, -1, withscores=True)
            if times:
                await self.client.zadd(self.keys[name], {fan: at_ms - older_ms for fan, at_ms in times})
        if await self.client.hexists(self.keys["bucket"], "at"):
            await self.client.hincrby(self.keys["bucket"], "at", -older_ms)
        kept = ["resumed_at", "scarce_since", "crowded_since"]
        for field in kept if ticking else [*kept, "ticked_at"]:
            if int(await self.client.hget(self.keys["config"], field) or 0):
                await self.client.hincrby(self.keys["config"], field, -older_ms)
        await self.client.hincrby(self.keys["config"], "paced_from", -round(seconds))
        buckets = await self.client.hvals(self.keys["pace"])
        await self.client.delete(self.keys["pace"])
        for bucket in buckets:
            index, _, counted = bucket.decode().partition(":")
            older = int(index) - round(seconds / PACE_BUCKET_SECONDS)
            await self.client.hset(self.keys["pace"], str(older % PACE_BUCKETS), f"{older}:{counted}")

    async def next_ms(self) -> None:
        """Let the millisecond end: by when its fan joined, a place is told from a later one, and lobby from line."""
        began_ms = (await self.line.counts(self.event)).now_ms
        while (await self.line.counts(self.event)).now_ms == began_ms:
            pass

    async def lose(self) -> None:
        """Redis loses the room."""
        await self.client.delete(*self.keys.values())

    @asynccontextmanager
    async def news(self) -> AsyncIterator[list[News]]:
        """The messages that gateways hear of what happens inside."""
        heard: list[News] = []
        async with self.client.pubsub() as pubsub:
            for channel in (NEWS_CHANNEL, room_channel(self.event, 0)):
                await pubsub.subscribe(channel)
                await pubsub.get_message(timeout=5)
            yield heard
            # What was published before the end comes before it, however long it takes.
            await self.client.publish(NEWS_CHANNEL, END)
            while (message := await pubsub.get_message(timeout=10)) is not None and message["data"] != END:
                heard.append(read_news(message["data"]))
            assert message is not None, "the end was not heard"
