"""Mail by SMTP, with TLS and with every step bounded; and the mailbox of a development site, which sends nothing."""

from __future__ import annotations

import ssl
import time
from contextlib import suppress
from email.utils import parseaddr
from typing import Final

import aiosmtplib
import msgspec

from db.messages.queue import Taken
from messages.mime import DkimKey
from messages.settings import SMTP_SCHEMES, MailSettings, provider_of
from messages.writer import Written
from workers.messages.pace import Pace
from workers.messages.provider import Failure, Tried
from workers.messages.smtp_talk import Talk
from workers.messages.waiting import AtOnce

ERROR_CHARS_MAX: Final = 300
IDLE_SECONDS: Final = 5.0
GONE_CODES: Final = (550, 551, 553)
"""With an enhanced code that begins with 5.1 these say that the address does not exist (RFC 3463)."""


class Smtp:
    """One SMTP server, and a few connections to it, which are kept between mails."""

    def __init__(self, name: str, url: str, settings: MailSettings, sender_name: str, pace: Pace) -> None:
        self.name = name
        self._server = provider_of(url, tuple(SMTP_SCHEMES))
        self._settings = settings
        self._sender_name = sender_name
        self._sender = parseaddr(settings.sender)[1] or settings.sender
        self._dkim = DkimKey.of(settings)
        self._pace = pace
        self._free: list[tuple[float, Talk]] = []
        self._talks = AtOnce(settings.connections)

    async def send(self, message: Taken, letter: Written) -> Tried:
        content = letter.mail(message.address, self._settings.sender, self._sender_name, str(message.message_id))
        if self._dkim is not None:
            content = self._dkim.sign(content)
        await self._pace.wait(message.kind.urgency)
        try:
            async with self._talks.one(message.kind.urgency):
                return await self._hand_over(self._return_path(message), message.address, content)
        except aiosmtplib.SMTPResponseException as error:
            return _refused(error)
        except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError) as error:
            return Tried(Failure.AWAY, (str(error) or type(error).__name__)[:ERROR_CHARS_MAX])

    def _return_path(self, message: Taken) -> str:
        """Where the mail comes back to. It names the message, for some servers bring back no headers."""
        name, at, domain = self._settings.return_path.rpartition("@")
        return f"{name}+{message.message_id.hex}@{domain}" if at else self._sender

    async def _hand_over(self, sender: str, address: str, content: bytes) -> Tried:
        while self._free:
            used_at, talk = self._free.pop()
            if talk.is_open and time.monotonic() - used_at > IDLE_SECONDS:
                # A server may have closed a connection that nobody used; it says so at the first word.
                await talk.reset()
            if talk.is_open:
                return await self._through(talk, sender, address, content)
        return await self._through(await self._connected(), sender, address, content)

    async def _through(self, talk: Talk, sender: str, address: str, content: bytes) -> Tried:
        try:
            answer = await talk.hand_over(sender, address, content)
        except (aiosmtplib.SMTPResponseException, ValueError):
            self._free.append((time.monotonic(), talk))
            raise
        except BaseException:
            talk.close()
            raise
        self._free.append((time.monotonic(), talk))
        return Tried(provider_id=answer[:ERROR_CHARS_MAX])

    async def _connected(self) -> Talk:
        server, context = self._server, None
        if self._settings.ca_file:
            context = ssl.create_default_context(cafile=self._settings.ca_file)
        connection = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=server.user or None,
            password=server.password or None,
            timeout=self._settings.timeout_seconds,
            use_tls=server.scheme == "smtps",
            # Without STARTTLS a mail with tickets would travel in the open: then it waits.
            start_tls=server.scheme == "smtp",
            tls_context=context,
        )
        try:
            await connection.connect()
            return await Talk.begun(connection, self._settings.timeout_seconds)
        except BaseException:
            connection.close()
            raise

    async def close(self) -> None:
        while self._free:
            _, talk = self._free.pop()
            with suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
                await talk.quit()
            talk.close()


def _refused(error: aiosmtplib.SMTPResponseException) -> Tried:
    said = f"{error.code} {error.message}"[:ERROR_CHARS_MAX]
    if isinstance(error, aiosmtplib.SMTPAuthenticationError) or error.code < 500:
        return Tried(Failure.AWAY, said)
    is_recipient = isinstance(error, aiosmtplib.SMTPRecipientRefused)
    is_gone = is_recipient and error.code in GONE_CODES and "5.1." in str(error.message)
    return Tried(Failure.GONE if is_gone else Failure.REFUSED, said)


class Copy(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A message as its reader sees it, for the mailbox of a development site."""

    subject: str
    text: str
    html: str = ""
    images: dict[str, bytes] = {}
    files: tuple[str, ...] = ()


class Mailbox:
    """Takes every message and sends none: a development site without providers shows them on a page."""

    name = "mailbox"

    async def send(self, message: Taken, letter: Written) -> Tried:
        seen = letter.letter
        copy = Copy(
            subject=seen.subject,
            text=seen.text if message.channel == "mail" else letter.sms,
            html=seen.html,
            images={image.name: image.content for image in seen.images},
            files=tuple(file.name for file in seen.files),
        )
        return Tried(copy=msgspec.json.encode(copy).decode(), provider_id="mailbox")

    async def close(self) -> None:
        """Nothing is open."""
