"""Fans' accounts: how one is made, signed in to, and left.

An account owns one user id. To sign in gives the browser a session of that id, so places, holds, limits and purchases
count by the account on whichever device, and nothing below the gateway's door knows of accounts (ADR 73).

A mail with a link makes an account and sets a password anew; there is no other way to either. So who asks for a link is
answered the same, in the same time, whether or not there is an account.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

from redis import asyncio as aioredis
from sqlalchemy.ext.asyncio import AsyncEngine

from db.accounts import accounts as db
from db.accounts import sessions as db_sessions
from db.accounts.accounts import AccountRow
from db.accounts.sessions import AccountSessionRow, EndedSession, JoinedAccountError
from db.ids import new_session_id
from db.passwords import hash_password
from gateway.accounts.bringing import Bringing
from gateway.accounts.settings import AccountSettings
from gateway.contacts.contacts import Contacts, tidy_mail
from gateway.identity.account_sessions import EndedSessions
from gateway.identity.limits import RateLimits
from gateway.identity.password_tries import PasswordTries
from gateway.identity.sessions import Session
from gateway.wire.problems import ProblemError
from messages.languages import known
from messages.links import AccountLink, LinkTokens
from waiting_room.errors import TokenInvalid
from waiting_room.key_ring import KeyGroup, Secret

logger = logging.getLogger(__name__)

DAY_SECONDS: Final = 86_400
FRESH_SECONDS: Final = 600
LINKS: Final = "contact"
"""Links count with the other addresses that a network gives."""
PREFIX_LIMIT: Final = "account"


class Visitor(NamedTuple):
    """Who signs in: from which network, with which browser (``device`` is its token, or empty), and in which session
    without an account, which may be None. ``leaves`` is whether what that session cannot take along may stay behind.
    """

    network: str
    agent: str
    device: str = ""
    session: Session | None = None
    leaves: bool = False


class SignedIn(NamedTuple):
    """A new session: its token, its fan, and a token for the browser to keep. ``moved`` are the events whose places
    came along.
    """

    token: str
    user_id: int
    device: str
    moved: list[int]


class Accounts:
    """Makes accounts, and begins and ends their sessions.

    Args:
        account_token: signs a session's token, of its id, its fan and its end (Unix time, seconds).
        now: the clock that ends sessions (Unix time, seconds).
    """

    def __init__(
        self,
        engine: AsyncEngine,
        line_redis: aioredis.Redis,
        secret: Secret,
        settings: AccountSettings,
        *,
        limits: RateLimits,
        contacts: Contacts,
        bringing: Bringing,
        ended: EndedSessions,
        tokens: LinkTokens,
        account_token: Callable[[str, int, int], str],
        links_per_minute: int,
        now: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._limits = limits
        self._bringing = bringing
        self._ended = ended
        self._tokens = tokens
        self._account_token = account_token
        self._links_per_minute = links_per_minute
        self._session_seconds = settings.session_days * DAY_SECONDS
        self._now = now
        self.is_offered = settings.offered == "yes"
        self.has_passwords = self.is_offered and contacts.takes_mail
        self.outcomes: Counter[str] = Counter()
        self._tries = PasswordTries(
            line_redis,
            secret,
            group=KeyGroup.FANS,
            kind="account",
            limit=PREFIX_LIMIT,
            wrong_per_minute=settings.wrong_per_minute,
            now=now,
            outcomes=self.outcomes,
            waiting_max=settings.hashes_waiting_max,
        )

    async def ask_link(self, mail: str, language: str, network: str) -> None:
        """Send the owner of an address a link, by which an account is made or its password is set anew.

        Raises:
            ProblemError: ``accounts_off``, ``invalid_request`` or ``rate_limited``.
        """
        self._require_passwords()
        address = account_mail(mail)
        await self._limits.count(LINKS, network, self._links_per_minute)
        async with self._engine.begin() as connection:
            await db.write_link(connection, address, known(language), self._moment())

    def link(self, token: str) -> AccountLink | None:
        """Whose link it is; None for one that is not ours, or has ended."""
        try:
            return self._tokens.verify_account_link(token)
        except TokenInvalid:
            return None

    async def set_by_link(self, token: str, password: str, language: str, visitor: Visitor) -> SignedIn:
        """Set the password of the account of the link's address, or make the account, and sign in. All other sessions
        end.

        Raises:
            ProblemError: ``accounts_off``, ``link_spent``, ``account_joined``, ``sign_in_busy``, or ``unfinished``.
        """
        self._require_passwords()
        link = self.link(token)
        if link is None:
            raise ProblemError("link_spent")
        await self.require_finished(visitor)
        password_hash = await self._tries.hashed(lambda: hash_password(password), visitor.network)
        async with self._engine.begin() as connection:
            user_id = await db.keep_password(connection, link.mail, password_hash, _issued_at(link), known(language))
            if user_id is None:
                account = await db.find_by_mail(connection, link.mail, visitor.network)
                is_joined = account is not None and account.merged_into is not None
                raise ProblemError("account_joined" if is_joined else "link_spent")
            await db_sessions.end_sessions(connection, user_id, "password")
        await self._ended.refresh()
        return await self.begin(user_id, visitor)

    async def sign_in(self, mail: str, password: str, visitor: Visitor) -> SignedIn:
        """Begin a session for an address and a password.

        Raises:
            ProblemError: ``unfinished``, or what `whose` raises.
        """
        account = await self.whose(mail, password, visitor)
        await self.require_finished(visitor)
        return await self.begin(account.user_id, visitor, name=_name(account.mail or ""))

    async def whose(self, mail: str, password: str, visitor: Visitor) -> AccountRow:
        """The account that an address and a password prove.

        Raises:
            ProblemError: ``accounts_off``, ``unauthenticated``, ``rate_limited``, ``sign_in_busy``, or
                ``account_joined``.
        """
        self._require_passwords()
        try:
            address = account_mail(mail)
        except ProblemError:
            # What is no address is told so no sooner than an unknown one.
            address = mail.strip().lower()
        device = self._tries.device_of(_name(address), visitor.device)
        with self._tries.counted(bool(device), visitor.network):
            async with self._engine.connect() as connection:
                account = await db.find_by_mail(connection, address, visitor.network)
            is_known = bool(device) or (account is not None and account.is_known_network)
            right = await self._tries.prove(
                address,
                password,
                None if account is None else account.password_hash,
                network=visitor.network,
                device=device,
                is_known=is_known,
            )
            if right is None:
                logger.warning("a wrong sign-in of a fan from %s", visitor.network)
                raise ProblemError("unauthenticated", "The address or the password is wrong.")
            await self._tries.forgive(right)
        assert account is not None
        if account.merged_into is not None:
            raise ProblemError("account_joined")
        return account

    async def of_link(self, token: str, network: str) -> AccountRow:
        """The account of a mail's link, which was sent after the password was set.

        Raises:
            ProblemError: ``accounts_off``, ``link_spent`` or ``account_joined``.
        """
        self._require_passwords()
        link = self.link(token)
        if link is None:
            raise ProblemError("link_spent")
        async with self._engine.connect() as connection:
            account = await db.find_by_mail(connection, link.mail, network)
        if account is None or (account.password_at is not None and account.password_at >= _issued_at(link)):
            raise ProblemError("link_spent")
        if account.merged_into is not None:
            raise ProblemError("account_joined")
        return account

    async def by_identity(
        self, issuer: str, subject: str, mail: str | None, language: str, visitor: Visitor
    ) -> SignedIn:
        """Begin a session of the person whom an issuer names, with an account that is made where there is none.

        Args:
            mail: an address that the issuer says it has verified.

        Raises:
            ProblemError: ``unfinished``.
        """
        await self.require_finished(visitor)
        try:
            address = None if mail is None else account_mail(mail)
        except ProblemError:
            address = None
        async with self._engine.begin() as connection:
            user_id = await db.keep_identity(connection, issuer, subject, address, known(language))
        return await self.begin(user_id, visitor)

    async def begin(self, user_id: int, visitor: Visitor, *, name: str = "") -> SignedIn:
        """Begin a session of an account whose fan has proved to be the one, and bring along what the browser's fan
        without an account has.

        Raises:
            ProblemError: ``account_joined``: it was joined to another one meanwhile.
        """
        session_id = new_session_id()
        earlier = self._earlier(visitor, user_id)
        moved = [] if earlier is None else await self._bringing.bring(user_id, earlier.user_id, earlier.jti)
        try:
            async with self._engine.begin() as connection:
                await db_sessions.begin_session(
                    connection,
                    session_id,
                    user_id,
                    network=visitor.network,
                    agent=visitor.agent,
                    seconds=self._session_seconds,
                )
        except JoinedAccountError:
            raise ProblemError("account_joined") from None
        self.outcomes["signed_in"] += 1
        token = self._account_token(session_id, user_id, int(self._now()) + self._session_seconds)
        return SignedIn(token, user_id, self._tries.device_token(name) if name else "", moved)

    async def end(self, session: Session, why: str = "signed out") -> None:
        """End a session: its token is good nowhere any more."""
        async with self._engine.begin() as connection:
            await db_sessions.end_session(connection, session.jti, session.user_id, why)
        self._ended.note(EndedSession(session.jti, session.user_id, session.account_until))

    async def end_others(self, session: Session, why: str = "signed out") -> None:
        """Sign out everywhere else."""
        async with self._engine.begin() as connection:
            await db_sessions.end_sessions(connection, session.user_id, why, but=session.jti)
        await self._ended.refresh()

    async def change_password(self, session: Session, password: str, new_password: str, network: str) -> None:
        """Change the password of the account, which ends its other sessions. An account without one gets it by a link.

        Raises:
            ProblemError: ``wrong_password``, ``rate_limited`` or ``sign_in_busy``.
        """
        account = await self.of(session)
        if not await self._tries.is_own(account.mail or "", password, account.password_hash, network):
            raise ProblemError("wrong_password")
        password_hash = await self._tries.hashed(lambda: hash_password(new_password), network)
        async with self._engine.begin() as connection:
            await db.set_password(connection, session.user_id, password_hash)
            await db_sessions.end_sessions(connection, session.user_id, "password", but=session.jti)
        await self._ended.refresh()

    async def prove(self, session: Session, password: str, network: str) -> AccountRow:
        """The account of a session, whose fan proves once more to be the one: by the password, or in an account without
        one by having signed in minutes ago.

        Raises:
            ProblemError: ``account_required``, ``wrong_password``, ``rate_limited`` or ``sign_in_busy``.
        """
        account = await self.of(session)
        if account.password_hash is None:
            begun_at = session.account_until - self._session_seconds
            if self._now() - begun_at > FRESH_SECONDS:
                raise ProblemError("wrong_password", "Sign in anew, and do this within ten minutes.")
        elif not await self._tries.is_own(account.mail or "", password, account.password_hash, network):
            raise ProblemError("wrong_password")
        return account

    async def of(self, session: Session) -> AccountRow:
        """The account of a session.

        Raises:
            ProblemError: ``account_required`` for a session without one.
        """
        if session.is_account:
            async with self._engine.connect() as connection:
                account = await db.account_of(connection, session.user_id)
            if account is not None:
                return account
        raise ProblemError("account_required")

    async def unmerged(self, user_id: int) -> AccountRow:
        """The account that owns this user id.

        Raises:
            ProblemError: ``account_joined``: there is none any more.
        """
        async with self._engine.connect() as connection:
            account = await db.account_of(connection, user_id)
        if account is None or account.merged_into is not None:
            raise ProblemError("account_joined")
        return account

    async def sessions(self, session: Session) -> list[AccountSessionRow]:
        """The live sessions of the account, the newest first."""
        async with self._engine.connect() as connection:
            return await db_sessions.sessions_of(connection, session.user_id)

    async def fans_of(self, session: Session) -> list[int]:
        """The user ids whose purchases a session shows: its own, and as an account's those of before. Whom a purchase's
        own link names may be another account's by now.
        """
        if not session.is_account:
            return [session.user_id] if session.jti else await self.fans_named(session.user_id)
        async with self._engine.connect() as connection:
            return [session.user_id, *await db.earlier_of(connection, session.user_id)]

    async def fans_named(self, user_id: int) -> list[int]:
        """This fan, and the account that it was joined to."""
        async with self._engine.connect() as connection:
            account = await db.account_of(connection, user_id)
        merged_into = None if account is None else account.merged_into
        return [user_id] if merged_into is None else [user_id, merged_into]

    def close(self) -> None:
        """Take no more sign-ins."""
        self._tries.close()

    def _require_passwords(self) -> None:
        if not self.has_passwords:
            raise ProblemError("accounts_off")

    async def require_finished(self, visitor: Visitor) -> None:
        """Return unless the browser's fan without an account has what cannot come along, and does not leave it.

        Raises:
            ProblemError: ``unfinished``.
        """
        earlier = self._earlier(visitor, 0)
        if earlier is None or visitor.leaves:
            return
        unfinished = await self._bringing.unfinished(earlier.user_id)
        if unfinished:
            raise ProblemError("unfinished", eventIds=unfinished)

    @staticmethod
    def _earlier(visitor: Visitor, user_id: int) -> Session | None:
        """The browser's session without an account, if it has one."""
        session = visitor.session
        if session is None or session.role != "fan" or session.is_account or session.rehearses:
            return None
        return None if session.user_id == user_id else session

    def _moment(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self._now(), dt.UTC)


def account_mail(text: str) -> str:
    """An address as an account has it: in small letters, since nobody remembers how the own address was typed.

    Raises:
        ProblemError: ``invalid_request``.
    """
    return tidy_mail(text).lower()


def _issued_at(link: AccountLink) -> dt.datetime:
    return dt.datetime.fromtimestamp(link.at_ms / 1000, dt.UTC)


def _name(address: str) -> str:
    """What the browser's device token calls an account: no cookie tells an address."""
    return hashlib.sha256(address.encode()).hexdigest()[:32]
