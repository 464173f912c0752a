"""How a shop bears its fans: what we saw at its probe URL, and what it told us of itself.

Both are kept in Redis, where the autopilot of every gateway reads the same. Where there are both, the worse counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec
from redis import asyncio as aioredis

from .keys import shop_figures_key

LOOKS_MAX: Final = 20
"""So many of the last looks count."""
CHANCE_LOOKS_LEAST: Final = 6
"""Of so many looks and more, a single slow one is chance."""
REST_TIMES: Final = 4
"""After a look there is none for so many times as long as it took: a slow shop has its workers for its fans."""
REST_SECONDS_MAX: Final = 10.0
"""A shop that answers nobody is looked at so often all the same, so that its rest is over when it is well again."""
FRESH_SECONDS: Final = 60.0
"""Figures that are older say nothing of how the shop is now."""
KEPT_SECONDS: Final = 24 * 3600
"""So long it is remembered that a shop had figures, so that the autopilot does not take silence for ease."""
FAILED_SHARE: Final = 0.02
"""A lower share of failures is a shop's everyday."""
FAILED_LEAST: Final = 2
"""A single failure is chance."""
DOWN_LOOKS_LEAST: Final = 3


Source = Literal["probe", "pushed", "both"]


class Look(msgspec.Struct, frozen=True, array_like=True):
    """One look at a probe URL: when (Unix time, seconds), how long the answer took, and whether it was none or 5xx."""

    at_seconds: float
    ms: float
    is_failed: bool


class Pushed(msgspec.Struct, frozen=True, array_like=True):
    """What a shop told of itself: how many requests it served in the last ``seconds``, and how many of them failed."""

    at_seconds: float
    p95_ms: float
    requests: int
    failed: int
    seconds: float


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """How a shop bears its fans.

    Attributes:
        at_seconds: when the newest of it was measured (Unix time).
        is_fresh: whether it says how the shop is now. Otherwise the other fields but ``source`` say nothing.
        asked, failed: how many requests or looks there were, and how many of them failed.
        per_second: the requests that the shop says it serves; 0 where it says nothing.
        is_down: no look has succeeded lately.
    """

    at_seconds: float
    is_fresh: bool
    p95_ms: float
    asked: int
    failed: int
    per_second: float
    is_down: bool
    source: Source

    @property
    def troubles(self) -> int:
        """The failures, if they are more than a shop's everyday."""
        is_many = self.failed >= FAILED_LEAST and self.failed >= self.asked * FAILED_SHARE
        return self.failed if is_many else 0


def figures_of(looks: Sequence[Look], pushed: Pushed | None, now_seconds: float) -> Figures | None:
    """The figures that come of it; None where there never were any.

    Args:
        looks: the last `LOOKS_MAX`, in any order.
    """
    if not looks and pushed is None:
        return None
    told_at = 0.0 if pushed is None else pushed.at_seconds
    at = max(told_at, *(look.at_seconds for look in looks), 0.0)
    source: Source = "pushed" if not looks else "probe" if pushed is None else "both"
    seen = sorted((look for look in looks if now_seconds - look.at_seconds <= FRESH_SECONDS), key=lambda look: look.ms)
    told = pushed if pushed is not None and now_seconds - told_at <= FRESH_SECONDS else None
    p95_ms = seen[-2 if len(seen) >= CHANCE_LOOKS_LEAST else -1].ms if seen else 0.0
    failed_looks = sum(look.is_failed for look in seen)
    return Figures(
        at_seconds=at,
        is_fresh=bool(seen) or told is not None,
        p95_ms=max(p95_ms, 0.0 if told is None else told.p95_ms),
        asked=len(seen) + (0 if told is None else told.requests),
        failed=failed_looks + (0 if told is None else told.failed),
        per_second=0.0 if told is None else told.requests / told.seconds,
        is_down=len(seen) >= DOWN_LOOKS_LEAST and failed_looks == len(seen),
        source=source,
    )


def rest_seconds(look_ms: float, every_seconds: float) -> float:
    """How long after a look that took ``look_ms`` the next one is due.

    Args:
        every_seconds: between the beginnings of two looks at a shop that is quick.
    """
    took = look_ms / 1000
    return max(every_seconds - took, min(REST_SECONDS_MAX, REST_TIMES * took))


class ShopFigures:
    """Keeps the figures of shops.

    Every method raises `redis.RedisError` where Redis does not answer.
    """

    def __init__(self, client: aioredis.Redis) -> None:
        self._client = client

    async def may_look(self, event: int, seconds_max: float) -> bool:
        """Whether this process is the one that looks at the event's shop now; no other does until the look is noted and
        the shop has rested, or for ``seconds_max``.
        """
        key = shop_figures_key(event, "looking")
        return bool(await self._client.set(key, "1", nx=True, px=max(1, round(1000 * seconds_max))))

    async def note(self, event: int, look: Look, rest: float) -> None:
        """Keep a look, and let the shop rest for so many seconds."""
        key = shop_figures_key(event, "looks")
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.lpush(key, msgspec.json.encode(look))
            pipe.ltrim(key, 0, LOOKS_MAX - 1)
            pipe.expire(key, KEPT_SECONDS)
            pipe.set(shop_figures_key(event, "looking"), "1", px=max(1, round(1000 * rest)))
            await pipe.execute()

    async def take(self, event: int, pushed: Pushed) -> None:
        """Keep what a shop tells of itself, in place of what it told before."""
        await self._client.set(shop_figures_key(event, "pushed"), msgspec.json.encode(pushed), ex=KEPT_SECONDS)

    async def forget_looks(self, event: int) -> None:
        """Forget the looks, because they were at another address."""
        await self._client.delete(shop_figures_key(event, "looks"))

    async def of(self, event: int, now_seconds: float) -> Figures | None:
        """The shop's figures; None where there never were any."""
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.lrange(shop_figures_key(event, "looks"), 0, LOOKS_MAX - 1)
            pipe.get(shop_figures_key(event, "pushed"))
            looks, pushed = await pipe.execute()
        return figures_of([_look(one) for one in looks], None if pushed is None else _pushed(pushed), now_seconds)


_look: Final = msgspec.json.Decoder(Look).decode
_pushed: Final = msgspec.json.Decoder(Pushed).decode
