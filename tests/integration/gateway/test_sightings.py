"""What networks did, counted by two gateways together and read by the minute."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter

import pytest
from redis import asyncio as aioredis
from sqlalchemy.ext.asyncio import create_async_engine

from booking_lane.commands import UNSTAMPED, Extend
from db.booking.conduct import PictureRow
from db.networks.rules import Rule
from gateway.booking.permits import Permits
from gateway.captcha.altcha import Altcha, solved
from gateway.identity import sightings
from gateway.identity.limits import RateLimits
from gateway.identity.networks import NetworkIndex, Networks
from gateway.identity.pictures import pictures_of
from gateway.identity.sightings import JOIN, PROOF, SESSION, Sightings
from gateway.wire.problems import ProblemError
from gateway.wire.settings import LimitSettings

HERE, THERE = "198.51.100.0/24", "203.0.113.0/24"
SECRET = "a secret of the tests, which is long enough"
RULE = "00000000-0000-0000-0000-000000000001"


class Clock:
    def __init__(self) -> None:
        self.now = 1_900_000_000.0

    def __call__(self) -> float:
        return self.now


async def test_gateways_count_together_and_ten_minutes_back(redis_url: str) -> None:
    clock = Clock()
    async with aioredis.Redis.from_url(redis_url) as client:
        first, second = Sightings(client, clock), Sightings(client, clock)
        limits = RateLimits(client, first)
        for _ in range(3):
            await limits.count("session", HERE, 100)
        await limits.take("join", HERE, 100)
        await limits.give_back("join", HERE)
        with pytest.raises(ProblemError):
            await limits.count("page", HERE, 0)
        await limits.count("draw", HERE, 100)
        await limits.take("join", "rehearsal:7", 100)
        second.note(HERE, JOIN)
        second.note(THERE, "captcha_required", 2)
        await first.flush()
        await second.flush()
        expected = {HERE: {SESSION: 3, JOIN: 1, "rate_limited": 1}, THERE: {"captcha_required": 2}}
        assert {network: dict(found) for network, found in (await first.lately()).items()} == expected
        clock.now += 9 * 60
        second.note(THERE, JOIN)
        await second.flush()
        assert (await second.lately())[THERE] == Counter({"captcha_required": 2, JOIN: 1})
        clock.now += 60
        assert await first.lately() == {THERE: Counter({JOIN: 1})}


async def test_a_flood_of_networks_is_bounded(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sightings, "WAITING_MAX", 50)
    monkeypatch.setattr(sightings, "KEPT_MAX", 10)
    async with aioredis.Redis.from_url(redis_url) as client:
        seen = Sightings(client, Clock())
        for number in range(100):
            seen.note(f"10.0.{number}.0/24", JOIN, 1 + number)
        seen.note("10.0.7.0/24", JOIN, 1000)
        await seen.flush()
        found = await seen.lately()
    assert len(found) == 10
    assert found["10.0.7.0/24"][JOIN] == 1008, "the ones that do most are kept"
    assert "10.0.99.0/24" not in found, "there was no room in memory"


def rules(seen: Sightings) -> Networks:
    """No rule yet; nothing is read from Postgres."""
    engine = create_async_engine("postgresql+psycopg://nobody@localhost:1/none")
    return Networks(engine, lambda: dt.datetime(2030, 1, 1, tzinfo=dt.UTC), seen)


async def test_a_network_that_is_turned_away_is_seen(redis_url: str) -> None:
    async with aioredis.Redis.from_url(redis_url) as client:
        seen = Sightings(client, Clock())
        networks = rules(seen)
        made = dt.datetime(2029, 1, 1, tzinfo=dt.UTC)
        networks.index = NetworkIndex(
            [Rule(rule_id=RULE, network=HERE, verdict="deny", until=None, reason="r", made_by="Ada", made_at=made)]  # type: ignore[arg-type]
        )
        with pytest.raises(ProblemError):
            networks.refuse("198.51.100.7")
        networks.refuse("203.0.113.7")
        await seen.flush()
        assert await seen.lately() == {HERE: Counter({"network_denied": 1})}


async def test_proofs_and_commands_that_are_too_many_are_seen_and_a_rehearsals_are_not(redis_url: str) -> None:
    command = Extend(**UNSTAMPED, event_id=1, user_id=7, reservation_id=uuid.uuid4(), seconds=60)
    async with aioredis.Redis.from_url(redis_url) as client:
        seen = Sightings(client, Clock())
        captcha = Altcha(client, secret=SECRET, work_max=10, ttl_seconds=60)
        permits = Permits(client, captcha, LimitSettings(commands_per_minute=2), rules(seen), seen)

        async def permit(token: str, *, is_counted: bool = True) -> None:
            await permits.permit(
                command,
                "198.51.100.7",
                uuid.uuid4(),
                action="reserve",
                token=token,
                counting=permits.counting(command, "198.51.100.7") if is_counted else None,
            )

        await permit(solved(SECRET, work_max=10, ttl_seconds=60))
        for code in ("captcha_failed", "rate_limited"):
            with pytest.raises(ProblemError) as refused:
                await permit(solved("another site's secret", work_max=10, ttl_seconds=60))
            assert refused.value.document["code"] == code
        await permit(solved(SECRET, work_max=10, ttl_seconds=60), is_counted=False)
        await seen.flush()
        assert await seen.lately() == {HERE: Counter({PROOF: 1, "captcha_failed": 1, "rate_limited": 1})}


def test_a_network_that_only_joins_is_in_the_picture() -> None:
    lately = {THERE: Counter({JOIN: 250, "captcha_required": 100}), HERE: Counter({JOIN: 1})}
    held = PictureRow(HERE, 1, 0, 2, 2, 0.0, 0)
    first, second = pictures_of([held], 20, 3, lately)
    assert (first.network, first.bought, first.lately.joins) == (HERE, 2, 1)
    assert (second.network, second.sessions, second.lately.joins) == (THERE, 0, 250)
    assert second.refused_lately == {"captcha_required": 100}
