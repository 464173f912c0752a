"""What suspicious fans do is known to all gateways, and a device has one name in a sale."""

from __future__ import annotations

import datetime as dt

from redis import asyncio as aioredis
from sqlalchemy.ext.asyncio import create_async_engine

from gateway.identity.answers import Answer, Step
from gateway.identity.devices import SALT_SECONDS, Devices
from gateway.identity.networks import Networks
from gateway.identity.settings import GuardSettings
from gateway.identity.sightings import JOIN, Sightings
from gateway.identity.suspicions import Suspicions
from waiting_room.keys import device_salt_key, suspects_key

ADDRESS, NETWORK = "198.51.100.7", "198.51.100.0/24"
FAN = 7


class Clock:
    now = 1_900_000_000.0

    def __call__(self) -> float:
        return self.now


def gateway(client: aioredis.Redis, clock: Clock) -> tuple[Suspicions, Sightings]:
    engine = create_async_engine("postgresql+psycopg://nobody@localhost:1/none")
    seen = Sightings(client, clock)
    networks = Networks(engine, lambda: dt.datetime(2030, 1, 1, tzinfo=dt.UTC), seen)
    suspects = Sightings(client, clock, suspects_key)
    devices = Devices(client, clock)
    return Suspicions(seen, suspects, networks, devices, GuardSettings(), hold_seconds=60, now=clock), seen


async def test_what_one_gateway_saw_the_other_answers_and_operators_see(redis_url: str) -> None:
    clock = Clock()
    async with aioredis.Redis.from_url(redis_url) as client:
        (first, _), (second, _) = gateway(client, clock), gateway(client, clock)
        first.note_device(1, FAN, ADDRESS, "", 3)
        for _ in range(5):
            first.refused(FAN, "captcha_failed", Step.RESERVE)
        assert second.verdict(FAN, None, ADDRESS).answer is Answer.NOTHING
        await first.refresh()
        await second.refresh()
        assert second.verdict(FAN, None, ADDRESS).answer is Answer.BEHIND
        (suspect,) = second.suspects()
        assert (suspect.user_id, suspect.network, suspect.verdict.points) == (FAN, NETWORK, 80)
        assert [reason.sentence for reason in suspect.verdict.reasons] == [
            "5 proofs were wrong",
            "the browser says that a program steers it",
        ]
        second.pardon(FAN)
        await second.refresh()
        await first.refresh()
        assert first.verdict(FAN, None, ADDRESS).answer is Answer.NOTHING
        clock.now += 600
        await first.refresh()
        assert first.suspects() == (), "ten minutes later nothing is known any more"


async def test_the_latest_is_what_all_gateways_saw(redis_url: str) -> None:
    clock = Clock()
    async with aioredis.Redis.from_url(redis_url) as client:
        (_, first), (_, second) = gateway(client, clock), gateway(client, clock)
        for seen in (first, second):
            seen.note(NETWORK, JOIN, 3)
            await seen.flush()
        await first.refresh()
        assert first.latest[NETWORK][JOIN] == 6
        clock.now += 60
        second.note(NETWORK, JOIN)
        await second.flush()
        await first.refresh()
        assert first.latest[NETWORK][JOIN] == 7
        assert first.latest == await first.lately()


async def test_a_device_has_one_name_in_a_sale_and_another_in_the_next(redis_url: str) -> None:
    clock = Clock()
    async with aioredis.Redis.from_url(redis_url) as client:
        first, second = Devices(client, clock), Devices(client, clock)
        fingerprint = "0123456789abcdef0123456789abcdef"
        for devices in (first, second):
            assert devices.name(1, fingerprint) is None, "no request waits for the salt"
            assert devices.name(2, fingerprint) is None
            await devices.refresh()
        name = first.name(1, fingerprint)
        assert name is not None
        assert name == second.name(1, fingerprint)
        assert name != first.name(2, fingerprint)
        assert name not in fingerprint
        assert 0 < await client.ttl(device_salt_key(1)) <= SALT_SECONDS
        await client.delete(device_salt_key(1))
        clock.now += 3600
        await first.refresh()
        assert first.name(1, fingerprint) is None
        await first.refresh()
        assert first.name(1, fingerprint) not in (None, name), "what the salt was nobody knows"
