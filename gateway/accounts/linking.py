"""Links accounts with issuers: a fan who is signed in adds a way to sign in, or takes one away, but never the last.

A link is begun by who proves to be the account's fan, and ends with what the issuer says. The proof travels in the
address that goes to the issuer: another site can begin no link, and so cannot have its own person opened the account.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from db.accounts import identities as db
from db.accounts import passkeys
from db.accounts.identities import LinkedIssuer
from db.accounts.ways_in import LastWayInError
from gateway.accounts.issuer import Issuers
from gateway.wire.problems import ProblemError
from waiting_room.errors import TokenInvalid
from waiting_room.key_ring import KeyGroup, KeyRing
from waiting_room.signing import Signer

PROOF_SECONDS: Final = 600


class _Proof(msgspec.Struct, frozen=True):
    """That the fan of an account wants it to be linked with an issuer."""

    user_id: int
    issuer: str


class Linking:
    """Links accounts with the issuers that the settings name.

    Args:
        mails: whether the site mails links by which a password is set.
        now: the clock that ends proofs (Unix time, seconds).
    """

    def __init__(
        self, engine: AsyncEngine, ring: KeyRing, issuers: Issuers, *, mails: bool, now: Callable[[], float]
    ) -> None:
        self._engine = engine
        self._issuers = issuers
        self._mails = mails
        self._now = now
        self._proofs = Signer(ring, KeyGroup.FANS, "admitone issuer link v1", _Proof, now=now)

    def begin(self, user_id: int, issuer: str) -> str:
        """A token with which this account's fan goes to the issuer.

        Raises:
            ProblemError: ``not_found``: there is no such issuer.
        """
        self._issuers.of(issuer)
        return self._proofs.sign(_Proof(user_id, issuer), int(self._now()) + PROOF_SECONDS)

    def account_of(self, token: str, issuer: str) -> int:
        """The account that is to be linked with this issuer.

        Raises:
            ProblemError: ``issuer_refused``: the token is not ours, has ended, or is for another issuer.
        """
        try:
            proof, _ = self._proofs.verify(token)
        except TokenInvalid:
            raise ProblemError("issuer_refused") from None
        if proof.issuer != issuer:
            raise ProblemError("issuer_refused")
        return proof.user_id

    async def link(self, user_id: int, issuer: str, subject: str) -> int:
        """Let a person of an issuer sign in to the account; returns the person's account, which may be another one."""
        async with self._engine.begin() as connection:
            return await db.link(connection, user_id, issuer, subject)

    async def issuers_of(self, user_id: int) -> dict[str, LinkedIssuer]:
        """The issuers that the account is linked with, by their keys, of those that the site has now."""
        async with self._engine.connect() as connection:
            found = {one.issuer: one for one in await db.issuers_of(connection, user_id)}
        return {one.settings.key: found[one.settings.issuer] for one in self._issuers if one.settings.issuer in found}

    async def unlink(self, user_id: int, key: str) -> None:
        """Let the issuer sign nobody in to the account any more.

        Raises:
            ProblemError: ``not_found``, or ``last_way_in``.
        """
        issuer = self._issuers.of(key).settings.issuer
        others = [one.settings.issuer for one in self._issuers if one.settings.issuer != issuer]
        try:
            async with self._engine.begin() as connection:
                was_linked = await db.unlink(connection, user_id, issuer, others, mails=self._mails)
        except LastWayInError:
            raise ProblemError("last_way_in") from None
        if not was_linked:
            raise ProblemError("not_found", "Your account is not linked with this issuer.")

    async def forget_passkey(self, user_id: int, credential_id: bytes) -> None:
        """Forget one of the account's passkeys.

        Raises:
            ProblemError: ``not_found``, or ``last_way_in``.
        """
        issuers = [one.settings.issuer for one in self._issuers]
        try:
            async with self._engine.begin() as connection:
                was_there = await passkeys.remove_passkey(
                    connection, user_id, credential_id, issuers, mails=self._mails
                )
        except LastWayInError:
            raise ProblemError("last_way_in") from None
        if not was_there:
            raise ProblemError("not_found", "You have no such passkey.")
