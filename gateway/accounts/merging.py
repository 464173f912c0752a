"""Joins two accounts of one person (ADR 157): the account that goes becomes part of the one that stays.

The fan is signed in to the account that stays, and proves the other one as a sign-in does. The proof travels in a token
that is good for that session alone and for minutes, so that the fan sees first what moves; the join itself asks for the
proof of the account that stays. What batches decide of is moved by the lanes, in the seconds after that.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from db.accounts import merging as db
from db.accounts.accounts import AccountRow
from db.accounts.merging import AlreadyMergedError, Had, MergedRow
from gateway.accounts.accounts import Accounts, Visitor
from gateway.accounts.bringing import Bringing
from gateway.identity.account_sessions import EndedSessions
from gateway.identity.sessions import Session
from gateway.wire.problems import ProblemError
from waiting_room.errors import TokenInvalid
from waiting_room.key_ring import KeyGroup, KeyRing
from waiting_room.signing import Signer

logger = logging.getLogger(__name__)

PROOF_SECONDS: Final = 600


class _Proof(msgspec.Struct, frozen=True):
    """That the fan of the session ``session_id`` is the fan of the account ``goes``, too."""

    session_id: str
    stays: int
    goes: int


class Preview(NamedTuple):
    """What a join would do: the ``account`` that goes, what it has, and in how many lines it has a place."""

    proof: str
    account: AccountRow
    had: Had
    places: int


class Merging:
    """Joins accounts.

    Args:
        now: the clock that ends proofs (Unix time, seconds).
    """

    def __init__(
        self,
        engine: AsyncEngine,
        ring: KeyRing,
        accounts: Accounts,
        bringing: Bringing,
        ended: EndedSessions,
        *,
        now: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._accounts = accounts
        self._bringing = bringing
        self._ended = ended
        self._now = now
        self._proofs = Signer(ring, KeyGroup.FANS, "admitone account join v1", _Proof, now=now)

    def proof(self, session: Session, goes: int) -> str:
        """A token for the fan of a session who has just proved to be the fan of another account.

        Raises:
            ProblemError: ``join_refused``: it is the same account.
        """
        if session.user_id == goes:
            raise ProblemError("join_refused")
        return self._proofs.sign(_Proof(session.jti, session.user_id, goes), int(self._now()) + PROOF_SECONDS)

    async def preview(self, session: Session, proof: str) -> Preview:
        """What the join would do.

        Raises:
            ProblemError: ``account_required``, ``join_refused`` or ``account_joined``.
            redis.exceptions.RedisError: Redis does not answer.
        """
        await self._accounts.of(session)
        goes = self._proved(session, proof)
        account = await self._accounts.unmerged(goes)
        async with self._engine.connect() as connection:
            had = await db.had(connection, goes)
        return Preview(proof, account, had, len(await self._bringing.lines_of(goes)))

    async def merge(self, session: Session, proof: str, password: str, visitor: Visitor) -> None:
        """Join the proved account to the session's own, whose fan proves once more to be the one.

        Raises:
            ProblemError: ``account_required``, ``wrong_password``, ``rate_limited``, ``sign_in_busy``,
                ``join_refused`` or ``account_joined``.
        """
        await self._accounts.prove(session, password, visitor.network)
        goes = self._proved(session, proof)
        try:
            async with self._engine.begin() as connection:
                await db.merge(connection, session.user_id, goes)
        except AlreadyMergedError:
            raise ProblemError("account_joined") from None
        await self._ended.refresh()
        self._accounts.outcomes["joined"] += 1
        logger.info("account %d is joined to account %d", goes, session.user_id)

    async def merged_into(self, session: Session) -> list[MergedRow]:
        """The accounts that were joined to the session's own.

        Raises:
            ProblemError: ``account_required``.
        """
        await self._accounts.of(session)
        async with self._engine.connect() as connection:
            return await db.merged_into(connection, session.user_id)

    def _proved(self, session: Session, token: str) -> int:
        try:
            proof, _ = self._proofs.verify(token)
        except TokenInvalid:
            raise ProblemError("join_refused") from None
        if (proof.session_id, proof.stays) != (session.jti, session.user_id):
            raise ProblemError("join_refused")
        return proof.goes
