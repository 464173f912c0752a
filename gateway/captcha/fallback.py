"""ALTCHA in place of another company's captcha while that company does not answer: no fan is lost for its outage."""

from __future__ import annotations

import time
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from .altcha import Altcha, is_solution
from .captcha import Captcha, CaptchaFailed, CaptchaOffer, CaptchaUnavailable, Solver
from .settings import Provider

OFFERED_SECONDS: Final = 60.0
"""After a failure ALTCHA is offered for so long; then the provider is tried again."""
ACCEPTED_SECONDS: Final = 600
"""All gateways take ALTCHA's solutions for so long after one of them met a failure."""
_KEY: Final = "captcha:down"


class WithFallback:
    """A provider, and ALTCHA for its outages. Outside of them ALTCHA's solutions are refused, as they are cheaper."""

    def __init__(self, provider: Captcha, altcha: Altcha, redis: Redis) -> None:
        self._provider = provider
        self.altcha = altcha
        self._redis = redis
        self._down_until = 0.0

    @property
    def provider(self) -> Provider:
        return self._provider.provider

    def describe(self) -> CaptchaOffer:
        return (self.altcha if time.monotonic() < self._down_until else self._provider).describe()

    async def verify(self, token: str, solver: Solver, *, command_id: str) -> bool:
        """See `Captcha.verify`. Where the provider does not answer, the token is refused, and the next offer is
        ALTCHA's.
        """
        if is_solution(token) and await self._is_down():
            self._down_until = max(self._down_until, time.monotonic() + OFFERED_SECONDS)
            return await self.altcha.verify(token, solver, command_id=command_id)
        try:
            return await self._provider.verify(token, solver, command_id=command_id)
        except CaptchaUnavailable:
            await self._note_down()
            raise CaptchaFailed("provider_down") from None

    async def _is_down(self) -> bool:
        try:
            return bool(await self._redis.exists(_KEY))
        except RedisError as error:
            raise CaptchaUnavailable from error

    async def _note_down(self) -> None:
        """Have every gateway take ALTCHA's solutions.

        Raises:
            CaptchaUnavailable: it is Redis that does not answer.
        """
        try:
            await self._redis.set(_KEY, "1", ex=ACCEPTED_SECONDS)
        except RedisError as error:
            raise CaptchaUnavailable from error
        self._down_until = time.monotonic() + OFFERED_SECONDS

    async def close(self) -> None:
        await self._provider.close()
        await self.altcha.close()
