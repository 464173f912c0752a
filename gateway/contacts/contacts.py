"""Keeps fans' addresses, and what they want: the same for the API and for the forms of pages."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from db.messages import contacts as db
from db.messages.kinds import MAIL, SMS, Followed, MessageChannel, MessageKind, SuppressionReason
from gateway.identity.limits import RateLimits
from gateway.wire.problems import ProblemError, invalid
from messages.languages import known
from messages.links import LinkTokens, Reader
from messages.settings import MailSettings, SmsSettings
from waiting_room.errors import TokenInvalid

ADDRESS_MAX: Final = 254
_is_mail: Final = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}"
).fullmatch
_is_phone: Final = re.compile(r"\+[1-9][0-9]{6,14}").fullmatch
CONTACTS: Final = "contact"
STOP_WORDS: Final = frozenset(
    {
        *("stop", "stopall", "unsubscribe", "end", "quit", "cancel", "revoke", "optout"),
        *("stopp", "abmelden", "arret", "arrêt", "desabonner", "désabonner", "alto", "parar", "baja"),
        *("停止", "ストップ", "توقف", "إيقاف", "ايقاف"),
    }
)
"""Answers that end SMS: those of American providers, and those of our languages."""
START_WORDS: Final = frozenset({"start", "unstop"})


def tidy_mail(text: str) -> str:
    """The address as it is kept, with its domain in small letters.

    Raises:
        ProblemError: ``invalid_request``.
    """
    name, _, domain = text.strip().rpartition("@")
    address = f"{name}@{domain.lower()}"
    if len(address) > ADDRESS_MAX or not _is_mail(address):
        raise invalid("this is no e-mail address", "$.mail")
    return address


def tidy_phone(text: str) -> str:
    """The number as it is kept (E.164), without blanks and signs between its digits.

    Raises:
        ProblemError: ``invalid_request``.
    """
    number = re.sub(r"[\s()./-]", "", text)
    number = "+" + number[2:] if number.startswith("00") else number
    if not _is_phone(number):
        raise invalid("write the number with its country, e.g. +49 30 1234567", "$.phone")
    return number


class Contacts:
    """Addresses of fans and followers.

    Args:
        in_development: messages go to the mailbox page where no provider is set.
        per_minute: how many addresses one network may give in a minute.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        limits: RateLimits,
        tokens: LinkTokens,
        mail: MailSettings,
        sms: SmsSettings,
        *,
        in_development: bool,
        per_minute: int,
    ) -> None:
        self._engine = engine
        self._limits = limits
        self._tokens = tokens
        self._per_minute = per_minute
        self.takes_mail = bool(mail.url) or in_development
        self.takes_phone = bool(sms.url)

    async def give(
        self, event_id: int, user_id: int, network: str, *, mail: str | None, phone: str | None, language: str
    ) -> None:
        """Tell the fan at these addresses from now on; an empty one is forgotten, and None left as it is.

        Raises:
            ProblemError: ``messages_off``, ``unknown_event``, ``invalid_request`` or ``rate_limited``.
        """
        given: dict[MessageChannel, str] = {}
        if mail is not None:
            given[MAIL] = tidy_mail(mail) if mail.strip() else ""
        if phone is not None:
            given[SMS] = tidy_phone(phone) if phone.strip() else ""
        if (given.get(MAIL) and not self.takes_mail) or (given.get(SMS) and not self.takes_phone):
            raise ProblemError("messages_off")
        await self._limits.count(CONTACTS, network, self._per_minute)
        async with self._engine.begin() as connection:
            for channel, address in given.items():
                if not address:
                    await db.remove_contact(connection, event_id, user_id, channel)
                elif not await db.keep_contact(connection, event_id, user_id, channel, address, known(language)):
                    raise ProblemError("unknown_event")

    async def of(self, event_id: int, user_id: int) -> dict[str, str]:
        """The fan's addresses for an event, by channel."""
        async with self._engine.connect() as connection:
            return await db.contacts_of(connection, event_id, user_id)

    async def follow(self, event_id: int, what: Followed, network: str, *, mail: str, language: str) -> None:
        """Ask the owner of an address to confirm that it follows an event's artist or venue.

        Raises:
            ProblemError: ``messages_off``, ``unknown_event``, ``invalid_request`` or ``rate_limited``.
        """
        address = tidy_mail(mail)
        if not self.takes_mail:
            raise ProblemError("messages_off")
        await self._limits.count(CONTACTS, network, self._per_minute)
        async with self._engine.begin() as connection:
            if not await db.follow(connection, event_id, what, address, known(language)):
                raise ProblemError("unknown_event")

    async def confirm(self, token: str) -> str | None:
        """Confirm a follower's address; returns the name that is followed, None for a token that has ended."""
        try:
            follower_id = self._tokens.verify_confirmation(token)
        except (TokenInvalid, ValueError):
            return None
        async with self._engine.begin() as connection:
            return await db.confirm(connection, follower_id)

    def reader(self, token: str) -> Reader | None:
        """Whose link it is; None for a token that is not ours."""
        try:
            return self._tokens.verify_reader(token)
        except TokenInvalid:
            return None

    async def choices(self, reader: Reader) -> tuple[set[MessageKind], list[tuple[uuid.UUID, str, str]]]:
        """What an address does not want, and what it follows."""
        async with self._engine.connect() as connection:
            unwanted = await db.unwanted(connection, reader.channel, reader.address)
            return unwanted, await db.followed_by(connection, reader.address)

    async def quiet_hours(self, reader: Reader) -> tuple[int, int] | None:
        """The hours from which and until which an address is left alone."""
        async with self._engine.connect() as connection:
            return await db.quiet_hours(connection, reader.channel, reader.address)

    async def choose(
        self,
        reader: Reader,
        unwanted: Iterable[MessageKind],
        followed: Iterable[uuid.UUID],
        quiet: tuple[int, int] | None,
    ) -> None:
        """Note what an address wants from now on, and when it is left alone."""
        async with self._engine.begin() as connection:
            await db.keep_quiet(connection, reader.channel, reader.address, quiet)
            await db.choose(connection, reader.channel, reader.address, unwanted, followed)

    async def unsubscribe(self, reader: Reader) -> None:
        """Send an address no more messages of the kind in which its link stands."""
        async with self._engine.begin() as connection:
            await db.suppress(connection, reader.channel, reader.address, reader.kind, SuppressionReason.UNSUBSCRIBED)

    async def replied(self, number: str, words: str) -> bool | None:
        """A reader answered an SMS: STOP ends all SMS to the number, START takes that back. Returns whether SMS are
        sent from now on; None where the answer says neither.
        """
        word = words.strip().strip(".!").casefold()
        if word not in STOP_WORDS | START_WORDS:
            return None
        wants = word in START_WORDS
        async with self._engine.begin() as connection:
            if wants:
                await db.want_all(connection, SMS, number)
            else:
                await db.suppress(connection, SMS, number, "", SuppressionReason.UNSUBSCRIBED)
        return wants

    async def report(self, address: str, reason: SuppressionReason, detail: str) -> None:
        """A provider says that mail to an address came back, or that its owner complained."""
        async with self._engine.begin() as connection:
            await db.suppress(connection, MAIL, address, "", reason, detail)
