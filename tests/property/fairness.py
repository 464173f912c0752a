"""One sale's line on real Valkey with a crowd, several gateways and faults between them; who came in when.

Everything random comes from one seed, but for what the gateways' connections race for. Time is the tests' own.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from redis import asyncio as aioredis

from tests.property.scripts import CLOCK_KEYS, START_MS
from tests.whole_line import WholeLine
from waiting_room.errors import Rebuilding, RoomError
from waiting_room.keys import room_channel, room_keys
from waiting_room.model import RoomConfig, Slot, Standing, read_news
from waiting_room.tokens import PlaceToken

T = TypeVar("T")

EVENT: Final = 42
ROUND_MS: Final = 1000
ROUNDS_MAX: Final = 400
GATEWAYS_MAX: Final = 4
RETRIED: Final = 0.2
"""So many answers get lost on their way, and the operation is tried again at another gateway."""
CUT: Final = 0.05
"""So many rounds cut every connection of a gateway."""
FORGET: Final = 0.03
"""So many rounds let Valkey forget the scripts, as a restart does."""
LOSING: Final = 0.3
"""So many sales lose the whole of Redis once."""


@dataclass
class Visitor:
    """A fan. Silent rounds and missed claims are what may cost one's turn; without them nothing may."""

    fan: int
    comes: int
    silent: range = range(0)
    misses: int = 0
    leaves: int = ROUNDS_MAX
    token: PlaceToken | None = None
    slot: Slot | None = None
    bought: bool = False


@dataclass
class Story:
    """What came of a sale: everything in the order in which Redis did it."""

    joined: list[int] = field(default_factory=list)
    called: list[int] = field(default_factory=list)
    admitted: list[int] = field(default_factory=list)
    in_turn_since: dict[int, int] = field(default_factory=dict)
    """fan → since which call (by its number in ``called``) the fan was in line, heard from, and prompt."""
    faithful: set[int] = field(default_factory=set)
    lost: bool = False

    def overtaken(self) -> list[tuple[str, int, int]]:
        """Each fan who was in turn, and who came later and yet was called or admitted first."""
        rank = {fan: at for at, fan in enumerate(self.joined)}
        found = []
        for fan, since in self.in_turn_since.items():
            own = next((at for at, other in enumerate(self.called) if other == fan and at >= since), len(self.called))
            found += [
                ("called", fan, other) for other in self.called[since:own] if rank[other] > rank[fan] and other != fan
            ]
        for fan in self.faithful:
            at = self.admitted.index(fan) if fan in self.admitted else len(self.admitted)
            found += [("admitted", fan, other) for other in self.admitted[:at] if rank[other] > rank[fan]]
        return found

    def left_out(self) -> set[int]:
        """Who did all that is asked of a fan and never came in."""
        return self.faithful - set(self.admitted)


class Sale:
    """`run` plays it to the end."""

    def __init__(self, url: str, seed: int) -> None:
        self.dice = random.Random(seed)
        self.clients: list[Any] = [
            aioredis.Redis.from_url(url, socket_timeout=10) for _ in range(self.dice.randint(2, GATEWAYS_MAX))
        ]
        self.ear: Any = aioredis.Redis.from_url(url, socket_timeout=10)
        self.lines = [WholeLine(client) for client in self.clients]
        self.config = RoomConfig(
            rate_per_minute=self.dice.choice([60, 300, 60_000]),
            capacity=self.dice.randint(1, 6),
            claim_window_seconds=3,
            absence_seconds=20,
            connected_seconds=5,
            pass_seconds=600,
        )
        self.visitors = {visitor.fan: visitor for visitor in self._crowd()}
        self.story = Story(faithful={one.fan for one in self.visitors.values() if _faithful(one)})
        self.loss = self.dice.randint(3, 12) if self.dice.random() < LOSING else ROUNDS_MAX
        self.round = 0
        self.now_ms = START_MS

    def _crowd(self) -> Iterable[Visitor]:
        dice = self.dice
        for _ in range(dice.randint(8, 16)):
            visitor = Visitor(dice.randrange(1, 2**52), dice.choice([0, 0, 0, dice.randint(1, 10)]))
            fate = dice.random()
            if fate < 0.15:
                begin = visitor.comes + dice.randint(1, 5)
                visitor.silent = range(begin, begin + dice.choice([6, 10, 60]))
            elif fate < 0.3:
                visitor.misses = dice.randint(1, 2)
            elif fate < 0.4:
                visitor.leaves = visitor.comes + dice.randint(1, 8)
            yield visitor

    # -- what gateways do

    async def ask(self, operation: Callable[[WholeLine], Awaitable[T]]) -> T:
        """By some gateway; if its answer is lost, again by some other."""
        if self.dice.random() < RETRIED:
            with contextlib.suppress(RoomError):
                await operation(self.dice.choice(self.lines))
        return await operation(self.dice.choice(self.lines))

    async def run(self) -> Story:
        try:
            async with self.ear.pubsub() as pubsub:
                await pubsub.subscribe(room_channel(EVENT, 0))
                await pubsub.get_message(timeout=5)
                await self._pass_time(0)
                await self.ask(lambda line: line.configure(EVENT, self.config))
                while self.round < ROUNDS_MAX and not await self._over():
                    await self._play(pubsub)
                    self.round += 1
        finally:
            for client in (self.ear, *self.clients):
                await client.aclose()
        return self.story

    async def _over(self) -> bool:
        counts = await self.lines[0].counts(EVENT)
        come = all(visitor.comes < self.round for visitor in self.visitors.values())
        return come and counts.waiting + counts.away + counts.called + counts.admitted == 0

    async def _pass_time(self, ms: int) -> None:
        self.now_ms += ms
        seconds, rest_ms = divmod(self.now_ms, 1000)
        await self.clients[0].mset(dict(zip(CLOCK_KEYS, (seconds, rest_ms * 1000), strict=True)))

    async def _play(self, pubsub: Any) -> None:
        dice = self.dice
        await self._pass_time(ROUND_MS)
        if self.round == self.loss:
            await self._lose()
        if dice.random() < CUT:
            await dice.choice(self.clients).connection_pool.disconnect()
        if dice.random() < FORGET:
            await self.clients[0].script_flush()
        for visitor in self.visitors.values():
            if visitor.silent and self.round == visitor.silent.start:
                self.story.in_turn_since.pop(visitor.fan, None)
        here = [one for one in self.visitors.values() if self._is_here(one)]
        for visitor in here:
            if visitor.comes == self.round:
                await self._join(visitor)
            elif visitor.leaves == self.round:
                await self.ask(lambda line, fan=visitor.fan: line.leave(EVENT, fan))  # type: ignore[misc]
                self.story.in_turn_since.pop(visitor.fan, None)
            else:
                await self._be_heard(visitor)
        await self._beat(here)
        await asyncio.gather(*(line.admit(EVENT) for line in self.lines for _ in range(dice.randint(0, 2))))
        await self._hear(pubsub)

    async def _beat(self, here: list[Visitor]) -> None:
        """The gateways' streams are written to: all who are here, some at two gateways."""
        shares = [{one.fan: 0 for one in here if self.dice.random() < 0.2} for _ in self.lines]
        for visitor in here:
            self.dice.choice(shares)[visitor.fan] = 0
        for share in shares:
            await self.ask(lambda line, share=share: line.heartbeat(EVENT, share))  # type: ignore[misc]

    def _is_here(self, visitor: Visitor) -> bool:
        gone = self.round > visitor.leaves or visitor.bought
        return visitor.comes <= self.round and self.round not in visitor.silent and not gone

    # -- what fans do

    async def _join(self, visitor: Visitor) -> None:
        """Twice at once, as an impatient fan in two tabs."""
        twice = 1 + (self.dice.random() < 0.5)
        try:
            standings = await asyncio.gather(
                *(self.ask(lambda line: line.join(EVENT, visitor.fan)) for _ in range(twice)),
            )
        except Rebuilding:
            visitor.comes += 1
            return
        self.story.joined.append(visitor.fan)
        if not visitor.misses:
            self.story.in_turn_since[visitor.fan] = len(self.story.called)
        if any(standing.state == "admitted" for standing in standings):
            self.story.called.append(visitor.fan)
        for standing in standings:
            self._keep(visitor, standing)

    async def _be_heard(self, visitor: Visitor) -> None:
        """Now and then a poll, a reconnect or a refresh beside the stream; and the choice of seats."""
        fan, dice = visitor.fan, self.dice
        if visitor.silent and self.round == visitor.silent.stop:
            standing = await self.ask(lambda line: line.standing(EVENT, fan))
            if standing.state == "none" and visitor.token is not None:
                standing = await self.ask(lambda line: line.join(EVENT, fan, visitor.token))
            if standing.state == "waiting":
                # Back in time: from now on the old place counts again.
                self.story.in_turn_since[fan] = len(self.story.called)
        if dice.random() < 0.2:
            standing = await self.ask(lambda line: line.standing(EVENT, fan, touch=False))
            if standing.state in ("waiting", "called", "admitted"):
                self._keep(visitor, await self.ask(lambda line: line.join(EVENT, fan, visitor.token)))
        if visitor.slot is not None and dice.random() < 0.5:
            await self.ask(lambda line: line.finish(EVENT, [fan]))
            visitor.bought = True

    def _keep(self, visitor: Visitor, standing: Standing) -> None:
        if standing.joined_at_ms is not None:
            visitor.token = PlaceToken(
                event=EVENT,
                fan=visitor.fan,
                epoch=standing.epoch,
                number=standing.number,
                joined_at_ms=standing.joined_at_ms,
                session="",
            )
        if standing.pass_until_ms is not None and visitor.slot is None:
            visitor.slot = Slot(visitor.fan, standing.pass_until_ms, self.now_ms)
            self.story.admitted.append(visitor.fan)

    async def _hear(self, pubsub: Any) -> None:
        """What Redis told, in its order: the called claim in that order, but for those who miss it."""
        await self.clients[0].publish(room_channel(EVENT, 0), b"")
        while (message := await pubsub.get_message(ignore_subscribe_messages=True, timeout=5)) is not None:
            if not message["data"]:
                break
            news = read_news(message["data"])
            for fan, _ in news.called:
                self.story.called.append(fan)
                await self._be_called(self.visitors[fan])
            for fan in news.waiting:
                if self.visitors[fan].misses == 0 and self._is_here(self.visitors[fan]):
                    self.story.in_turn_since[fan] = len(self.story.called)
            for fan, _ in news.ended:
                self.story.in_turn_since.pop(fan, None)
                self.visitors[fan].token = None

    async def _be_called(self, visitor: Visitor) -> None:
        if not self._is_here(visitor):
            return
        if visitor.misses:
            visitor.misses -= 1
            return
        self._keep(visitor, await self.ask(lambda line: line.claim(EVENT, visitor.fan)))

    # -- what Redis does

    async def _lose(self) -> None:
        """All is gone; the room is rebuilt from what the fans have, in whatever order they come back."""
        self.story.lost = True
        await self.clients[0].delete(*room_keys(EVENT))
        await self.ask(lambda line: line.configure(EVENT, self.config, after_epoch=1, rebuild_seconds=3))
        back = [one for one in self.visitors.values() if one.comes < self.round and self._is_here(one)]
        self.dice.shuffle(back)
        for visitor in back:
            if visitor.slot is not None:
                await self.ask(lambda line, slot=visitor.slot: line.retake(EVENT, [slot]))  # type: ignore[misc]
            elif visitor.token is not None and visitor.leaves > self.round:
                await self.ask(
                    lambda line, fan=visitor.fan, token=visitor.token: line.join(EVENT, fan, token)  # type: ignore[misc]
                )
        for visitor in self.visitors.values():
            if visitor not in back:
                self.story.in_turn_since.pop(visitor.fan, None)


def _faithful(visitor: Visitor) -> bool:
    return not (visitor.silent or visitor.misses or visitor.leaves < ROUNDS_MAX)
