"""Operators' sign-in: the password, the second factor, and the session that follows."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

from redis import asyncio as aioredis
from sqlalchemy.ext.asyncio import AsyncEngine

from db.ids import new_session_id
from db.operators.accounts import Account, find_account
from db.operators.factors import use_recovery_code, use_step
from db.operators.sessions import KEPT_DAYS, begin_session
from db.texts import tidy
from gateway.identity.password_tries import OUTCOMES as PASSWORD_OUTCOMES
from gateway.identity.password_tries import PasswordTries, TakenTry
from gateway.identity.sessions import OPERATOR_SECONDS
from gateway.identity.totp import Authenticators
from gateway.wire.problems import ProblemError
from waiting_room.key_ring import KeyGroup, Secret

logger = logging.getLogger(__name__)

PREFIX_LIMIT: Final = "operator"
OUTCOMES: Final = (*PASSWORD_OUTCOMES, "factor_missing", "factor_wrong")
"""What becomes of a sign-in, for the metrics."""


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
        self._authenticators = authenticators
        self.outcomes: Counter[str] = Counter()
        self._tries = PasswordTries(
            line_redis,
            secret,
            kind="operator",
            group=KeyGroup.OPERATORS,
            limit=PREFIX_LIMIT,
            wrong_per_minute=wrong_per_minute,
            now=now,
            outcomes=self.outcomes,
        )

    async def with_password(self, attempt: Attempt) -> SignedIn:
        """Begin a session.

        Raises:
            ProblemError: ``unauthenticated``, ``second_factor_required``, ``second_factor_wrong``, ``rate_limited`` or
                ``sign_in_busy``.
            redis.RedisError, sqlalchemy.exc.SQLAlchemyError: Redis or Postgres does not answer.
        """
        device = self._tries.device_of(tidy(attempt.name), attempt.device)
        with self._tries.counted(bool(device), attempt.network):
            async with self._engine.connect() as connection:
                account = await find_account(connection, attempt.name, attempt.network, KEPT_DAYS)
            is_known = bool(device) or (account is not None and account.is_known_network)
            await self._prove(attempt, account, device, is_known=is_known)
            assert account is not None
            return await self.begin(account.name, network=attempt.network, agent=attempt.agent)

    async def begin(self, name: str, *, network: str, agent: str) -> SignedIn:
        """Begin a session of an operator who has proved to be the one."""
        session_id = new_session_id()
        async with self._engine.begin() as connection:
            await begin_session(connection, session_id, name, network=network, agent=agent, seconds=OPERATOR_SECONDS)
        self.outcomes["signed_in"] += 1
        logger.info("operator %s signed in from %s", name, network)
        return SignedIn(session_id, name, self._tries.device_token(name))

    async def is_own_password(self, name: str, password: str, network: str) -> bool:
        """Whether a signed-in operator's password is this one; a wrong one counts as at the sign-in.

        Raises:
            ProblemError: ``rate_limited`` or ``sign_in_busy``.
        """
        async with self._engine.connect() as connection:
            account = await find_account(connection, name, network, KEPT_DAYS)
        password_hash = None if account is None else account.password_hash
        return await self._tries.is_own(name, password, password_hash, network)

    async def hashed(self, work: Callable[[], str], network: str) -> str:
        """Make a hash in the operators' own queue.

        Raises:
            ProblemError: ``sign_in_busy``.
        """
        return await self._tries.hashed(work, network)

    def close(self) -> None:
        """Take no more sign-ins."""
        self._tries.close()

    async def _prove(self, attempt: Attempt, account: Account | None, device: str, *, is_known: bool) -> None:
        name, network = tidy(attempt.name), attempt.network
        password_hash = None if account is None else account.password_hash
        right = await self._tries.prove(
            name, attempt.password, password_hash, network=network, device=device, is_known=is_known
        )
        if right is None:
            logger.warning("a wrong sign-in as operator %r from %s", name, network)
            raise ProblemError("unauthenticated", "The name or the password is wrong.")
        assert account is not None
        await self._prove_factor(account, attempt, right)
        await self._tries.forgive(right)

    async def _prove_factor(self, account: Account, attempt: Attempt, right: TakenTry) -> None:
        """Ask for the authenticator's code, or for a recovery code, of an operator whose password was right. The try
        stays counted until the code is right, so that a code cannot be guessed. A network's first try alone is given
        back where a code was not brought yet, because it has no second one to bring it with.

        Raises:
            ProblemError: ``second_factor_required`` or ``second_factor_wrong``.
        """
        kept = account.totp_secret
        if kept is None:
            return
        if not attempt.code:
            self.outcomes["factor_missing"] += 1
            if right.first_of:
                await self._tries.forgive(right)
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
