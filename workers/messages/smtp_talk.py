"""Hands mails over on a connection to an SMTP server, each in as few turns as the server takes it.

aiosmtplib opens the connection, with TLS and the login. It sends one command at a time and takes each address apart
several times, which was more than half of what a mail cost us and its server. A server that says PIPELINING (RFC 2920)
gets the three commands before a mail's content at once (ADR 138).
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from typing import Final, NamedTuple, Self, cast

import aiosmtplib

REPLY_BYTES_MAX: Final = 32_768
_has_unsafe: Final = re.compile(r"[\x00-\x20\x7f<>]").search
_TAKEN: Final = 250
_GO_ON: Final = 354
_GOOD: Final = ((_TAKEN,), (_TAKEN, 251), (_GO_ON,))
"""The replies by which MAIL, RCPT and DATA go on. 251: the server sends the mail on to somewhere else."""


class Reply(NamedTuple):
    """What the server said: its code, and the words of all its lines."""

    code: int
    words: str


class Talk(asyncio.Protocol):
    """One connection, which is used for one mail at a time.

    Args:
        pipelines: the server takes several commands at once.
        takes_size: the server wants to know how large a mail will be (RFC 1870).
    """

    def __init__(
        self, transport: asyncio.Transport, *, pipelines: bool, takes_size: bool, timeout_seconds: float
    ) -> None:
        self._transport = transport
        self._pipelines = pipelines
        self._takes_size = takes_size
        self._timeout_seconds = timeout_seconds
        self._buffer = bytearray()
        self._lines: list[bytes] = []
        self._replies: deque[Reply] = deque()
        self._awaited = 0
        """Commands that the server has not answered yet."""
        self._waiter: asyncio.Future[None] | None = None
        self._lost: Exception | None = None

    @classmethod
    async def begun(cls, connection: aiosmtplib.SMTP, timeout_seconds: float) -> Self:
        """Go on with a connection that was opened, and that nobody else uses from now on.

        Raises:
            aiosmtplib.SMTPException: the server is gone, or does not greet us.
        """
        if connection.is_ehlo_or_helo_needed:
            try:
                await connection.ehlo()
            except aiosmtplib.SMTPHeloError:
                await connection.helo()
        if not connection.is_connected:
            raise aiosmtplib.SMTPServerDisconnected("Connection lost")
        # uvloop's transports are no subclasses of asyncio's.
        transport = cast("asyncio.Transport", connection.transport)
        talk = cls(
            transport,
            pipelines=connection.supports_extension("pipelining"),
            takes_size=connection.supports_extension("size"),
            timeout_seconds=timeout_seconds,
        )
        transport.set_protocol(talk)
        return talk

    @property
    def is_open(self) -> bool:
        return self._lost is None and not self._transport.is_closing()

    async def hand_over(self, sender: str, recipient: str, content: bytes) -> str:
        """Hand one mail over, whose lines end with CRLF; returns what the server said when it took it.

        Raises:
            aiosmtplib.SMTPResponseException: the server refused it, and takes another one if the connection is open.
            aiosmtplib.SMTPException: the server is gone, or did not answer in time. Close the connection.
            ValueError: an address or the content cannot be sent safely. Nothing was sent.
        """
        commands = self._commands(sender, recipient, content)
        replies = await self._ask(commands)
        refusal = _refusal(replies, sender, recipient)
        if refusal is None:
            end = b".\r\n" if content.endswith(b"\r\n") else b"\r\n.\r\n"
            # Content cannot end the mail: a point at the beginning of a line is doubled (RFC 5321, 4.5.2).
            reply = await self._say(content.replace(b"\r\n.", b"\r\n.."), end)
            if reply.code == _TAKEN:
                return reply.words
            refusal = aiosmtplib.SMTPDataError(reply.code, reply.words)
        elif len(replies) == len(commands) and replies[-1].code == _GO_ON:
            # It waits for content although it refused the address. What has no end is no mail to anybody.
            self.close()
        await self.reset()
        raise refusal

    def _commands(self, sender: str, recipient: str, content: bytes) -> list[bytes]:
        if _has_unsafe(sender) or _has_unsafe(recipient) or not recipient:
            raise ValueError("an address has characters that no command may have")
        if content.startswith(b".") or not content.count(b"\r\n") == content.count(b"\n") == content.count(b"\r"):
            raise ValueError("a line of the mail does not end with CRLF")
        size = f" SIZE={len(content)}" if self._takes_size else ""
        commands = (f"MAIL FROM:<{sender}>{size}", f"RCPT TO:<{recipient}>", "DATA")
        return [f"{command}\r\n".encode("ascii") for command in commands]

    async def _ask(self, commands: list[bytes]) -> list[Reply]:
        """The replies to commands; without PIPELINING none is sent after the first that was refused."""
        replies: list[Reply] = []
        if self._pipelines:
            self._write(b"".join(commands), len(commands))
            try:
                while len(replies) < len(commands):
                    replies.append(await self._reply())
            except aiosmtplib.SMTPException:
                # It may hang up on whom it refused.
                if all(reply.code in good for reply, good in zip(replies, _GOOD, strict=False)):
                    raise
            return replies
        for command, good in zip(commands, _GOOD, strict=True):
            replies.append(await self._say(command))
            if replies[-1].code not in good:
                break
        return replies

    async def reset(self) -> None:
        """Begin anew after a mail that was refused; the connection is closed where the server does not take that."""
        try:
            if (await self._say(b"RSET\r\n")).code == _TAKEN:
                return
        except (aiosmtplib.SMTPException, OSError):
            pass
        self.close()

    async def quit(self) -> None:
        """End the talk as the server expects it.

        Raises:
            aiosmtplib.SMTPException: the server is gone, or did not answer in time.
        """
        await self._say(b"QUIT\r\n")
        self.close()

    def close(self) -> None:
        self._transport.close()

    async def _say(self, *parts: bytes) -> Reply:
        self._write(b"".join(parts), 1)
        return await self._reply()

    def _write(self, content: bytes, replies: int) -> None:
        if not self.is_open:
            raise self._lost or aiosmtplib.SMTPServerDisconnected("Connection lost")
        self._awaited += replies
        self._transport.write(content)

    async def _reply(self) -> Reply:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                while not self._replies:
                    if self._lost is not None:
                        raise self._lost
                    self._waiter = asyncio.get_running_loop().create_future()
                    await self._waiter
        except TimeoutError:
            raise aiosmtplib.SMTPReadTimeoutError("Timed out waiting for server response") from None
        return self._replies.popleft()

    # -- called by the transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[:end]).rstrip(b"\r")
            del self._buffer[: end + 1]
            self._on_line(line)
        if len(self._buffer) + sum(map(len, self._lines)) > REPLY_BYTES_MAX:
            self._fail("Response too long")

    def _on_line(self, line: bytes) -> None:
        code = line[:3]
        if not self._awaited or len(code) < 3 or not code.isdigit():
            # What it says unasked is its farewell; else it speaks no SMTP.
            self._fail(f"Unexpected response: {_words(line)[:200]}")
            return
        self._lines.append(line[4:].strip())
        if line[3:4] == b"-":
            return
        self._replies.append(Reply(int(code), _words(b"\n".join(self._lines))))
        self._lines.clear()
        self._awaited -= 1
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._lost is None:
            self._lost = aiosmtplib.SMTPServerDisconnected(str(exc) if exc else "Connection lost")
        self._wake()

    def _fail(self, why: str) -> None:
        if self._lost is None:
            self._lost = aiosmtplib.SMTPServerDisconnected(why)
        self._transport.abort()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _refusal(replies: list[Reply], sender: str, recipient: str) -> aiosmtplib.SMTPResponseException | None:
    """The first refusal among the replies to MAIL, RCPT and DATA."""
    for number, (reply, good) in enumerate(zip(replies, _GOOD, strict=False)):
        if reply.code not in good:
            if number == 0:
                return aiosmtplib.SMTPSenderRefused(reply.code, reply.words, sender)
            if number == 1:
                return aiosmtplib.SMTPRecipientRefused(reply.code, reply.words, recipient)
            return aiosmtplib.SMTPDataError(reply.code, reply.words)
    return None


def _words(said: bytes) -> str:
    """What a server said, as Postgres takes it."""
    return said.decode("utf-8", "replace").replace("\0", "")
