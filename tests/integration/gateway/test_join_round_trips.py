"""How often a join, a poll and a stream's opening ask Redis: real Postgres, real Valkey, a client that counts."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any, Final

import pytest
import redis.asyncio
from sqlalchemy.ext.asyncio import AsyncEngine

from booking_lane.gathering import GatheringRedis
from db.codes.access_codes import issue_codes
from db.connections.engines import create_engine
from db.events.seed import RoomSeed, seed_demo
from gateway.captcha.altcha import Altcha, solved
from gateway.hall.halls import Halls
from gateway.identity.limits import RateLimits
from gateway.identity.networks import Networks
from gateway.identity.sessions import Session
from gateway.identity.sightings import Sightings
from gateway.line.codes import AccessCodes
from gateway.line.counts import Counts
from gateway.line.finding import Finding
from gateway.line.joining import JoinAsk, Joining
from gateway.line.moving import Moving
from gateway.line.patience import Patience
from gateway.line.registry import RoomRegistry
from gateway.line.restoring import Restoring
from gateway.wire.problems import ProblemError
from gateway.wire.settings import LimitSettings
from waiting_room.keys import room_key, room_keys
from waiting_room.limits import Paces
from waiting_room.line import Line
from waiting_room.model import Standing
from waiting_room.scripts import script
from waiting_room.settings import LineSettings
from waiting_room.tokens import AdmissionPass, PlaceToken

TRIPS_MAX: Final = 3
LIMITS: Final = LimitSettings()
FAN: Final = Session(7, "fan", "session of fan 7")
SECRET: Final = "a secret of this test"
ADDRESS: Final = "192.0.2.1"
SCRIPTS: Final = ("allow", "configure", "counts", "join", "forecast", "retake", "standing")


class CountingRedis(GatheringRedis):
    """Counts how often commands leave for Redis, however many leave together."""

    trips = 0

    async def ask_all(self, calls: Any) -> list[Any]:
        self.trips += 1
        return await super().ask_all(calls)


@dataclass
class Site:
    """One gateway's line, and an event's room that nobody has looked at yet."""

    engine: AsyncEngine
    client: CountingRedis
    event_id: int
    limits: LimitSettings

    def __post_init__(self) -> None:
        self.line = Line(self.client)
        self.rooms = RoomRegistry(self.engine, self.line, LineSettings(rebuild_seconds=0))
        self.codes = AccessCodes(self.engine, self.client, SECRET, wrong_per_minute=1000)
        counts = Counts(self.engine, self.line, self.rooms, 15)
        restoring = Restoring(self.engine, self.line, self.rooms, 600)
        seen = Sightings(self.client, time.time)
        limits = RateLimits(self.client, seen)
        moving = Moving(self.line, restoring, limits, self.limits.moves_per_minute)
        self.finding = Finding(self.line, self.rooms, counts, restoring, moving, Halls(self.engine))
        captcha = Altcha(self.client, secret=SECRET.encode(), work_max=100, ttl_seconds=60)
        networks = Networks(self.engine, lambda: dt.datetime.now(dt.UTC), seen)
        patience = Patience(SECRET, time.time)
        self.joining = Joining(self.finding, restoring, limits, self.codes, captcha, self.limits, patience, networks)
        self.ask = JoinAsk(event_id=self.event_id, fan=FAN, address=ADDRESS)

    async def join(self, **brought: Any) -> Standing:
        """The standing after a join that takes no more than `TRIPS_MAX` round trips."""
        before = self.client.trips
        standing, _ = await self.joining.join(replace(self.ask, **brought))
        assert self.client.trips - before <= TRIPS_MAX
        return standing

    def place(self, standing: Standing) -> PlaceToken:
        assert standing.joined_at_ms is not None
        return PlaceToken(
            event=self.event_id, fan=FAN.user_id, epoch=standing.epoch, number=standing.number,
            joined_at_ms=standing.joined_at_ms, session=FAN.jti,
        )  # fmt: skip

    async def forget_fan(self) -> None:
        """Redis loses the fan, and knows that it lost the room."""
        await self.client.delete(*(key for key in room_keys(self.event_id) if not key.endswith(":config")))
        await self.client.hset(room_key(self.event_id, "config"), "rebuilt_at", 1)


@contextlib.asynccontextmanager
async def site(database_url: str, redis_url: str, limits: LimitSettings = LIMITS, **room: Any) -> AsyncIterator[Site]:
    event_id = seed_demo(database_url, room=RoomSeed(**room))
    engine = create_engine(database_url, pool_max=2)
    pool = redis.asyncio.BlockingConnectionPool.from_url(redis_url, max_connections=4, socket_timeout=60)
    client = CountingRedis(connection_pool=pool)
    for name in SCRIPTS:
        await client.script_load(script(name).text)
    made = Site(engine, client, event_id, limits)
    await made.rooms.refresh()
    try:
        yield made
    finally:
        await client.aclose()
        await pool.disconnect()
        await engine.dispose()


async def test_a_commands_count_leaves_with_the_rooms_question(database_url: str, redis_url: str) -> None:
    async with site(database_url, redis_url) as here:
        await here.client.script_load(script("pace").text)
        await here.client.script_load(script("act").text)
        before = here.client.trips
        counting = Paces(here.client, fan_per_minute=9, network_per_minute=9).count(here.event_id, FAN.user_id, ADDRESS)
        assert (await here.line.act(here.event_id, FAN.user_id, tries=True)).pass_until_ms is None
        assert not (await counting).over
        assert here.client.trips - before == 1


async def test_a_plain_join(database_url: str, redis_url: str) -> None:
    async with site(database_url, redis_url) as here:
        assert (await here.join()).joined == "new"
        assert (await here.join()).joined == "known"


async def test_a_join_with_the_token_of_the_place_held(database_url: str, redis_url: str) -> None:
    async with site(database_url, redis_url, state="paused") as here:
        first = await here.join()
        again = await here.join(place=here.place(first))
        assert (again.joined, again.number) == ("known", first.number)


async def test_a_join_with_the_token_of_a_place_that_redis_lost(database_url: str, redis_url: str) -> None:
    async with site(database_url, redis_url, state="paused") as here:
        first = await here.join()
        await here.forget_fan()
        back = await here.join(place=here.place(first))
        assert (back.joined, back.epoch, back.number) == ("restored", first.epoch, first.number)


async def test_a_join_with_a_pass_that_redis_lost(database_url: str, redis_url: str) -> None:
    async with site(database_url, redis_url) as here:
        first = await here.join()
        assert first.state == "admitted"
        assert first.pass_until_ms is not None
        await here.forget_fan()
        admission = AdmissionPass(event=here.event_id, fan=FAN.user_id, until_ms=first.pass_until_ms)
        back = await here.join(admission=admission)
        assert (back.joined, back.state, back.pass_until_ms) == ("known", "admitted", first.pass_until_ms)


async def test_a_join_with_an_access_code(database_url: str, redis_url: str) -> None:
    async with site(database_url, redis_url, state="paused") as here:
        async with here.engine.begin() as connection:
            await issue_codes(
                connection, here.event_id, [here.codes.hasher.hash(here.event_id, "SESAME")],
                label="named", uses_max=1000, starts_at=None, ends_at=None, operator="Ada", why="",
            )  # fmt: skip
        assert (await here.join(access_code="SESAME")).priority
        ordinary = replace(here.ask, fan=Session(8, "fan", "session of fan 8"))
        standing, _ = await here.joining.join(ordinary)
        assert not standing.priority
        assert (await here.join(fan=ordinary.fan, access_code="SESAME")).priority, "a place already held"
        before = here.client.trips
        with pytest.raises(ProblemError) as refused:
            await here.joining.join(replace(here.ask, fan=Session(9, "fan", "session of fan 9"), access_code="WRONG"))
        assert refused.value.document["code"] == "code_unknown"
        assert here.client.trips - before <= TRIPS_MAX


async def test_a_join_over_the_free_rate(database_url: str, redis_url: str) -> None:
    limits = LimitSettings(joins_free_per_minute=1)
    async with site(database_url, redis_url, limits, state="paused") as here:
        first = await here.join()
        again = await here.join()
        assert (again.joined, again.number) == ("known", first.number), "a place held needs no captcha"
        other = Session(8, "fan", "session of fan 8")
        with pytest.raises(ProblemError) as refused:
            await here.join(fan=other)
        assert refused.value.document["code"] == "captcha_required"
        token = solved(SECRET.encode(), work_max=100, ttl_seconds=60)
        assert (await here.join(fan=other, captcha_token=token)).joined == "new"


async def test_a_join_where_the_line_takes_nobody(database_url: str, redis_url: str) -> None:
    async with site(database_url, redis_url, state="closed") as here:
        assert (await here.join()).room_state == "closed"
        standing = await here.join(captcha_token="of no use here")
        assert (standing.state, standing.room_state) == ("none", "closed")


async def test_a_join_beyond_the_limit_of_the_network_costs_one_trip(database_url: str, redis_url: str) -> None:
    limits = LimitSettings(joins_per_minute=1)
    async with site(database_url, redis_url, limits) as here:
        await here.join()
        assert (await here.join()).joined == "known", "who has a place may ask for it as often as the page likes"
        before = here.client.trips
        other = Session(8, "fan", "session of fan 8")
        with pytest.raises(ProblemError) as refused:
            await here.joining.join(replace(here.ask, fan=other, captcha_token="of no use here", access_code="WRONG"))
        assert refused.value.document["code"] == "rate_limited"
        await asyncio.sleep(0)
        assert here.client.trips - before == 1


async def test_a_fan_found_costs_one_trip(database_url: str, redis_url: str) -> None:
    async with site(database_url, redis_url, state="paused") as here:
        await here.join()
        await here.finding.counts(here.event_id)
        before = here.client.trips
        standing, _ = await here.finding.find(here.event_id, FAN, None, None, ADDRESS)
        assert (standing.state, here.client.trips - before) == ("waiting", 1)
        here.rooms.mark_stale(here.event_id)
        before = here.client.trips
        await here.finding.find(here.event_id, FAN, None, None, ADDRESS)
        assert here.client.trips - before == 1, "the room is counted in the same trip"


async def test_a_room_that_redis_lost_is_there_again_for_the_same_request(database_url: str, redis_url: str) -> None:
    async with site(database_url, redis_url, state="paused") as here:
        first = await here.join()
        token = here.place(first)
        await here.client.flushall()
        back, _ = await here.finding.find(here.event_id, FAN, token, None, ADDRESS)
        assert (back.joined, back.number) == ("restored", first.number)
        await here.client.flushall()
        back, _ = await here.joining.join(replace(here.ask, place=token))
        assert (back.joined, back.number) == ("restored", first.number)
        await here.client.flushall()
        back, _ = await here.joining.join(here.ask)
        assert back.joined == "new"
