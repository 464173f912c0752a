"""Remembers the captcha tokens that were used, so that one solved captcha serves one command."""

from __future__ import annotations

import hashlib

from redis.asyncio import Redis
from redis.exceptions import RedisError

from .captcha import CaptchaFailed, CaptchaUnavailable


class UsedTokens:
    """The used tokens in Redis: ``captcha:{sha256 of the token's identity}`` holds the command that it served."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def serves(self, identity: str, command_id: str) -> bool:
        """Whether the token has already served this very command.

        Raises:
            CaptchaFailed: ``already_used``, it served another one.
            CaptchaUnavailable: Redis does not answer.
        """
        try:
            owner = await self._redis.get(_key(identity))
        except RedisError as error:
            raise CaptchaUnavailable from error
        return _is_ours(owner, command_id)

    async def take(self, identity: str, command_id: str, expires_at: int) -> None:
        """Record that the token serves this command until ``expires_at`` (Unix seconds).

        Raises:
            CaptchaFailed: ``already_used``, another command was first.
            CaptchaUnavailable: Redis does not answer.
        """
        try:
            owner = await self._redis.set(_key(identity), command_id, nx=True, get=True, exat=expires_at)
        except RedisError as error:
            raise CaptchaUnavailable from error
        _is_ours(owner, command_id)


def _key(identity: str) -> str:
    return f"captcha:{hashlib.sha256(identity.encode()).hexdigest()}"


def _is_ours(owner: bytes | str | bool | None, command_id: str) -> bool:
    if owner is None:
        return False
    if (owner.decode() if isinstance(owner, bytes) else owner) != command_id:
        raise CaptchaFailed("already_used")
    return True
