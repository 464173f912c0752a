"""ALTCHA v1: a proof of work that the gateway itself sets and verifies, without a server of another company."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from typing import Annotated, Literal

import msgspec
from altcha.v1 import ChallengeOptions, Payload, create_challenge, verify_solution
from msgspec import Meta
from redis.asyncio import Redis

from gateway.wire.addresses import below

from .captcha import REQUIRED_FOR, TOKEN_BYTES_MAX, CaptchaFailed, CaptchaOffer
from .settings import Provider
from .used import UsedTokens

CHALLENGE_PATH = "/api/captcha/challenge"
KEY_LABEL = b"admitone/captcha/altcha/v1"
CLOCK_SLACK_SECONDS = 60
"""A used challenge is remembered this long past its end, for gateways whose clocks differ."""


class _Solution(msgspec.Struct, frozen=True):
    algorithm: Literal["SHA-256"]
    challenge: Annotated[str, Meta(max_length=64)]
    number: Annotated[int, Meta(ge=0)]
    salt: Annotated[str, Meta(max_length=256)]
    signature: Annotated[str, Meta(max_length=64)]


class Altcha:
    """Signs challenges with a key that is used for nothing else, and accepts each solution for one command.

    Args:
        redis: remembers the used challenges.
        secret: the process's secret; every gateway must have the same.
        work_max: largest number a client has to try; half of it is the mean.
        ttl_seconds: how long a challenge is good.
        now: the clock that ends challenges (Unix time, seconds), the same in every gateway.
    """

    provider: Provider = "altcha"

    def __init__(
        self, redis: Redis, *, secret: bytes, work_max: int, ttl_seconds: int, now: Callable[[], float] = time.time
    ) -> None:
        self._key = hmac.digest(secret, KEY_LABEL, hashlib.sha256)
        self._work_max = work_max
        self._ttl_seconds = ttl_seconds
        self._now = now
        self._used = UsedTokens(redis)

    def describe(self) -> CaptchaOffer:
        return CaptchaOffer(provider=self.provider, required_for=REQUIRED_FOR, challenge_href=below(CHALLENGE_PATH))

    def challenge(self) -> dict[str, str | int]:
        """A fresh challenge as ALTCHA's widget reads it: algorithm, challenge, maxnumber, salt, signature."""
        expires = dt.datetime.fromtimestamp(self._now() + self._ttl_seconds, dt.UTC)
        made = create_challenge(ChallengeOptions(max_number=self._work_max, hmac_key=self._key, expires=expires))
        return {
            "algorithm": made.algorithm,
            "challenge": made.challenge,
            "maxnumber": made.max_number,
            "salt": made.salt,
            "signature": made.signature,
        }

    async def verify(self, token: str, *, action: str, remote_ip: str, command_id: str) -> None:
        """See `Captcha.verify`; ``action`` and ``remote_ip`` are not part of an ALTCHA solution."""
        solution = _read(token)
        payload = Payload(solution.algorithm, solution.challenge, solution.number, solution.salt, solution.signature)
        # The library would check the expiry by this process's clock, so it is checked below by ours.
        good, _ = verify_solution(payload, self._key, check_expires=False)
        _, expires_at, _ = payload.parse_salt()
        if not good or expires_at is None:
            raise CaptchaFailed("wrong")
        if expires_at < self._now():
            raise CaptchaFailed("expired")
        await self._used.take(solution.challenge, command_id, int(expires_at) + CLOCK_SLACK_SECONDS)

    async def close(self) -> None:
        """Do nothing: this provider keeps no connection."""


def solved(secret: bytes, *, work_max: int, ttl_seconds: int) -> str:
    """A solved challenge as a client sends it, made without the search, because the site's secret gives the number.

    A rehearsal sends such solutions: its simulated fans would else spend the machine's time on the search. They are
    verified like all others.
    """
    number = 1 + secrets.randbelow(work_max)
    expires = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=ttl_seconds)
    key = hmac.digest(secret, KEY_LABEL, hashlib.sha256)
    made = create_challenge(ChallengeOptions(max_number=work_max, number=number, hmac_key=key, expires=expires))
    solution = _Solution("SHA-256", made.challenge, number, made.salt, made.signature)
    return base64.b64encode(msgspec.json.encode(solution)).decode()


def _read(token: str) -> _Solution:
    if len(token) > TOKEN_BYTES_MAX:
        raise CaptchaFailed("malformed")
    try:
        return msgspec.json.decode(base64.b64decode(token, validate=True), type=_Solution)
    except (msgspec.MsgspecError, ValueError):
        raise CaptchaFailed("malformed") from None
