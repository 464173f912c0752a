"""Operators' sign-in: the password, who may try it how often, and the session that follows.

Wrong tries alone are limited: by account, with a delay that doubles, and by address prefix. An attacker must not be
able to lock an operator out. So a browser or a network from which the operator has signed in before has tries of its
own, and the right password from there is taken whatever the neighbours do. An unknown name meets the same limits, the
same work and the same answers as a known one.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import msgspec
from redis import asyncio as aioredis
from sqlalchemy.ext.asyncio import AsyncEngine

from db.operators.accounts import Account, find_account, is_password
from db.operators.factors import use_recovery_code, use_step
from db.operators.sessions import KEPT_DAYS, begin_session
from db.texts import tidy
from gateway.identity.hashing import BUSY_RETRY_SECONDS, HashQueue
from gateway.identity.limits import over
from gateway.identity.sessions import OPERATOR_SECONDS
from gateway.identity.totp import Authenticators
from gateway.wire.problems import ProblemError, limited
from waiting_room.errors import TokenInvalid
from waiting_room.key_ring import KeyGroup, Secret
from waiting_room.limits import allow
from waiting_room.signing import Signer
from waiting_room.tries import FREE_TRIES, forgive, take_try

logger = logging.getLogger(__name__)

DEVICE_SECONDS: Final = 180 * 24 * 3600
AT_ONCE_MAX: Final = 32
"""Sign-ins under way at a time, of browsers that are known; and as many of all others."""
PREFIX_LIMIT: Final = "operator"
OUTCOMES: Final = ("signed_in", "wrong", "delayed", "prefix_limited", "busy", "factor_missing", "factor_wrong")
"""What becomes of a sign-in, for the metrics."""


class _Device(msgspec.Struct, frozen=True):
    name: str
    device: str


class Attempt(NamedTuple):
    """Who wants to sign in. ``device`` is the token that the browser was given at an earlier sign-in, or empty."""

    name: str
    password: str
    code: str
    network: str
    agent: str
    device: str


class SignedIn(NamedTuple):
    """A new session's id and its operator; ``device`` is a token for the browser to keep."""

    session_id: str
    name: str
    device: str


class SignIn:
    """Proves operators by their passwords.

    Args:
        wrong_per_minute: how many wrong tries an address prefix has in a minute.
        outcomes: counts what became of sign-ins, by `OUTCOMES`.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        line_redis: aioredis.Redis,
        secret: Secret,
        wrong_per_minute: int,
        authenticators: Authenticators,
        now: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._redis = line_redis
        self._wrong_per_minute = wrong_per_minute
        self._authenticators = authenticators
        self._devices = Signer(secret, KeyGroup.OPERATORS, "admitone operator device v1", _Device, now=now)
        self._now = now
        self._known_queue, self._others_queue = HashQueue(), HashQueue()
        self._under_way: Counter[bool] = Counter()
        self.outcomes: Counter[str] = Counter()

    async def with_password(self, attempt: Attempt) -> SignedIn:
        """Begin a session.

        Raises:
            ProblemError: ``unauthenticated``, ``second_factor_required``, ``second_factor_wrong``, ``rate_limited`` or
                ``sign_in_busy``.
            redis.RedisError, sqlalchemy.exc.SQLAlchemyError: Redis or Postgres does not answer.
        """
        device = self._device_of(attempt)
        with self._counted(bool(device)):
            async with self._engine.connect() as connection:
                account = await find_account(connection, attempt.name, attempt.network, KEPT_DAYS)
            is_known = bool(device) or (account is not None and account.is_known_network)
            try:
                await self._prove(attempt, account, device, is_known=is_known)
            except ProblemError as refused:
                self.outcomes["busy"] += refused.document["code"] == "sign_in_busy"
                raise
            assert account is not None
            return await self.begin(account.name, network=attempt.network, agent=attempt.agent)

    async def begin(self, name: str, *, network: str, agent: str) -> SignedIn:
        """Begin a session of an operator who has proved to be the one."""
        session_id = secrets.token_urlsafe(12)
        async with self._engine.begin() as connection:
            await begin_session(connection, session_id, name, network=network, agent=agent, seconds=OPERATOR_SECONDS)
        self.outcomes["signed_in"] += 1
        logger.info("operator %s signed in from %s", name, network)
        device = _Device(name, secrets.token_urlsafe(9))
        return SignedIn(session_id, name, self._devices.sign(device, int(self._now()) + DEVICE_SECONDS))

    async def is_own_password(self, name: str, password: str, network: str) -> bool:
        """Whether a signed-in operator's password is this one; a wrong one counts as at the sign-in.

        Raises:
            ProblemError: ``rate_limited`` or ``sign_in_busy``.
        """
        async with self._engine.connect() as connection:
            account = await find_account(connection, name, network, KEPT_DAYS)
        whose = f"{name}\n{network}"
        async with self._known_queue.turn():
            await self._take_try(whose)
            is_right = await self._known_queue.run(lambda: is_password(account, password))
        if is_right:
            await forgive(self._redis, whose)
        return is_right

    async def hashed(self, work: Callable[[], str]) -> str:
        """Make a hash in the operators' own queue.

        Raises:
            ProblemError: ``sign_in_busy``.
        """
        async with self._known_queue.turn():
            return await self._known_queue.run(work)

    def close(self) -> None:
        """Take no more sign-ins."""
        self._known_queue.close()
        self._others_queue.close()

    async def _prove(self, attempt: Attempt, account: Account | None, device: str, *, is_known: bool) -> None:
        name, network = tidy(attempt.name), attempt.network
        # A browser or network that is known has tries of its own, which no stranger can use up.
        whose = f"{name}\n{device or network}" if is_known else name
        queue = self._known_queue if is_known else self._others_queue
        async with queue.turn():
            await self._take_try(whose)
            prefix = await allow(self._redis, PREFIX_LIMIT, network, self._wrong_per_minute, count=False)
            is_right = await queue.run(lambda: is_password(account, attempt.password))
        # The hash is made even beyond the prefix' limit: what is refused sooner would tell which names are known.
        if is_right and (is_known or prefix.allowed):
            assert account is not None
            await self._prove_factor(account, attempt)
            await forgive(self._redis, whose)
            return
        self.outcomes["wrong"] += 1
        logger.warning("a wrong sign-in as operator %r from %s", name, network)
        await allow(self._redis, PREFIX_LIMIT, network, self._wrong_per_minute)
        if not prefix.allowed:
            self.outcomes["prefix_limited"] += 1
            raise over("rate_limited", prefix, "Too many wrong sign-ins from this network; wait and try again.")
        raise ProblemError("unauthenticated", "The name or the password is wrong.")

    async def _prove_factor(self, account: Account, attempt: Attempt) -> None:
        """Ask for the authenticator's code, or for a recovery code, of an operator whose password was right. The try
        stays counted until the code is right, so that a code cannot be guessed.

        Raises:
            ProblemError: ``second_factor_required`` or ``second_factor_wrong``.
        """
        kept = account.totp_secret
        if kept is None:
            return
        if not attempt.code:
            self.outcomes["factor_missing"] += 1
            raise ProblemError("second_factor_required")
        step = self._authenticators.step_of(account.name, bytes(kept), attempt.code)
        async with self._engine.begin() as connection:
            if step is not None:
                is_right = await use_step(connection, account.name, step)
            else:
                code_hashes = self._authenticators.hashes_of(account.name, attempt.code)
                is_right = await use_recovery_code(connection, account.name, code_hashes)
        if not is_right:
            self.outcomes["factor_wrong"] += 1
            logger.warning("a wrong second factor of operator %s from %s", account.name, attempt.network)
            raise ProblemError("second_factor_wrong")

    async def _take_try(self, whose: str) -> None:
        taken = await take_try(self._redis, whose)
        if not taken.allowed:
            self.outcomes["delayed"] += 1
            raise limited(
                "rate_limited",
                "Too many wrong passwords for this name; wait and try again.",
                policy="passwords",
                most=FREE_TRIES,
                retry_after_seconds=taken.retry_after_seconds,
            )

    def _device_of(self, attempt: Attempt) -> str:
        """The id of the browser's device, if it was given to this operator; else nothing."""
        with contextlib.suppress(TokenInvalid):
            claims, _ = self._devices.verify(attempt.device)
            if claims.name == tidy(attempt.name):
                return claims.device
        return ""

    @contextlib.contextmanager
    def _counted(self, is_known: bool) -> Iterator[None]:
        if self._under_way[is_known] >= AT_ONCE_MAX:
            self.outcomes["busy"] += 1
            raise ProblemError("sign_in_busy", retry_after_seconds=BUSY_RETRY_SECONDS)
        self._under_way[is_known] += 1
        try:
            yield
        finally:
            self._under_way[is_known] -= 1
