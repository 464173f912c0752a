"""Mails are handed over in as few turns as the server takes them, and no content can end or forge one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiosmtplib
import pytest

from tests.waiting import await_that
from workers.messages.smtp_talk import Talk

MAIL = b"Subject: hallo\r\n\r\nA line.\r\n"
TAKEN = {"MAIL": b"250 2.1.0 ok", "RCPT": b"250 2.1.5 ok", "DATA": b"354 go on", ".": b"250 2.0.0 taken as 7"}


@dataclass
class Server:
    """Answers by the first word of a command. Where it ``gathers`` it answers nothing before it has a whole group."""

    answers: dict[str, bytes] = field(default_factory=lambda: dict(TAKEN))
    extensions: tuple[str, ...] = ("PIPELINING", "SIZE 50000000")
    gathers: bool = False
    hangs_up_after: str = ""
    commands: list[str] = field(default_factory=list)
    mails: list[bytes] = field(default_factory=list)
    came_early: list[str] = field(default_factory=list)
    """Commands that came before the one before them was answered."""
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        writer.write(b"220 hallo\r\n")
        held = b""
        while line := await reader.readline():
            verb = line[:4].decode().strip().upper()
            self.commands.append(line.decode().rstrip())
            if verb == "EHLO":
                lines = ("here", *self.extensions)
                marks = ["-"] * len(self.extensions) + [" "]
                writer.write("".join(f"250{m}{w}\r\n" for m, w in zip(marks, lines, strict=True)).encode())
                continue
            if reader._buffer:  # type: ignore[attr-defined]
                self.came_early.append(verb)
            answer = self.answers.get(verb, b"250 ok") + b"\r\n"
            if self.gathers and verb in ("MAIL", "RCPT"):
                held += answer
                continue
            writer.write(held + answer)
            held = b""
            if verb == self.hangs_up_after:
                break
            if verb == "DATA" and answer.startswith(b"354"):
                try:
                    self.mails.append(await reader.readuntil(b"\r\n.\r\n"))
                except asyncio.IncompleteReadError:
                    break
                writer.write(self.answers["."] + b"\r\n")
        writer.close()


@asynccontextmanager
async def talking(server: Server, timeout_seconds: float = 20) -> AsyncIterator[Talk]:
    listening = await asyncio.start_server(server.talk, "127.0.0.1", 0)
    host, port = listening.sockets[0].getsockname()
    connection = aiosmtplib.SMTP(hostname=host, port=port, timeout=20, use_tls=False, start_tls=False)
    await connection.connect()
    talk = await Talk.begun(connection, timeout_seconds)
    try:
        yield talk
    finally:
        talk.close()
        for writer in server.writers:
            writer.close()
        listening.close()
        await listening.wait_closed()


async def test_the_commands_of_a_mail_leave_together_where_the_server_takes_them() -> None:
    server = Server(gathers=True)
    async with talking(server) as talk:
        for _ in range(2):
            assert await talk.hand_over("a@venue.example", "b@example.org", MAIL) == "2.0.0 taken as 7"
    group = [f"MAIL FROM:<a@venue.example> SIZE={len(MAIL)}", "RCPT TO:<b@example.org>", "DATA"]
    assert server.commands[1:] == group * 2
    assert server.mails == [MAIL + b".\r\n"] * 2


async def test_a_server_that_takes_one_command_at_a_time_gets_one() -> None:
    server = Server(extensions=())
    async with talking(server) as talk:
        await talk.hand_over("a@venue.example", "b@example.org", MAIL)
        server.answers["MAIL"] = b"451 not now"
        with pytest.raises(aiosmtplib.SMTPSenderRefused):
            await talk.hand_over("a@venue.example", "b@example.org", MAIL)
    assert server.commands[1:] == [
        *("MAIL FROM:<a@venue.example>", "RCPT TO:<b@example.org>", "DATA"),
        *("MAIL FROM:<a@venue.example>", "RSET"),
    ]
    assert server.came_early == []


async def test_a_refused_address_leaves_the_connection_for_the_next_mail() -> None:
    no_data = b"503 5.5.1 no recipients"
    server = Server(answers={**TAKEN, "RCPT": b"550-5.1.1 no\r\n550 5.1.1 such user", "DATA": no_data})
    async with talking(server) as talk:
        with pytest.raises(aiosmtplib.SMTPRecipientRefused) as refused:
            await talk.hand_over("a@venue.example", "b@example.org", MAIL)
        assert (refused.value.code, refused.value.message) == (550, "5.1.1 no\n5.1.1 such user")
        server.answers = dict(TAKEN)
        assert talk.is_open
        await talk.hand_over("a@venue.example", "c@example.org", MAIL)
    assert server.mails == [MAIL + b".\r\n"]


async def test_a_server_that_wants_the_content_for_an_address_that_it_refused_gets_none() -> None:
    server = Server(answers={**TAKEN, "RCPT": b"550 5.1.1 no such user"})
    async with talking(server) as talk:
        with pytest.raises(aiosmtplib.SMTPRecipientRefused):
            await talk.hand_over("a@venue.example", "b@example.org", MAIL)
        assert not talk.is_open
    assert server.mails == []


async def test_a_refused_content_is_a_refusal_of_the_mail() -> None:
    server = Server(answers={**TAKEN, ".": b"554 5.7.1 spam \xff\x00"})
    async with talking(server) as talk:
        with pytest.raises(aiosmtplib.SMTPDataError) as refused:
            await talk.hand_over("a@venue.example", "b@example.org", MAIL)
        assert refused.value.message == "5.7.1 spam \ufffd", "Postgres takes what is noted of it"
        assert server.commands[-1] == "RSET"
        assert talk.is_open


async def test_a_server_that_hangs_up_on_whom_it_refuses_has_refused() -> None:
    server = Server(answers={**TAKEN, "MAIL": b"554 5.7.1 go away"}, hangs_up_after="MAIL")
    async with talking(server) as talk:
        with pytest.raises(aiosmtplib.SMTPSenderRefused):
            await talk.hand_over("a@venue.example", "b@example.org", MAIL)
        assert not talk.is_open


async def test_a_mail_whose_server_goes_away_is_not_handed_over() -> None:
    server = Server(hangs_up_after="DATA")
    async with talking(server) as talk:
        with pytest.raises(aiosmtplib.SMTPServerDisconnected):
            await talk.hand_over("a@venue.example", "b@example.org", MAIL)


async def test_a_server_that_says_nothing_is_waited_for_so_long() -> None:
    server = Server(gathers=True, extensions=())
    async with talking(server, timeout_seconds=0.05) as talk:
        with pytest.raises(aiosmtplib.SMTPReadTimeoutError):
            await talk.hand_over("a@venue.example", "b@example.org", MAIL)


async def test_a_farewell_ends_the_connection() -> None:
    server = Server()
    async with talking(server) as talk:
        server.writers[0].write(b"421 idle for too long\r\n")
        await asyncio.to_thread(await_that, lambda: not talk.is_open, what="the connection is used no more")


async def test_content_cannot_end_its_mail() -> None:
    server = Server()
    async with talking(server) as talk:
        await talk.hand_over("a@venue.example", "b@example.org", b"A: b\r\n\r\n.\r\n..\r\nMAIL FROM:<evil>\r\nend")
    assert server.mails == [b"A: b\r\n\r\n..\r\n...\r\nMAIL FROM:<evil>\r\nend\r\n.\r\n"]


@pytest.mark.parametrize(
    ("recipient", "content"),
    [
        ("b@example.org>\r\nDATA", MAIL),
        ("b@example.org> NOTIFY=NEVER", MAIL),
        ("", MAIL),
        ("jörg@example.org", MAIL),
        ("b@example.org", b"A: b\n.\r\nMAIL FROM:<evil>\r\n"),
        ("b@example.org", b"A: b\r.\r\n"),
        ("b@example.org", b".\r\nMAIL FROM:<evil>\r\n"),
    ],
)
async def test_what_could_forge_a_command_is_not_sent(recipient: str, content: bytes) -> None:
    server = Server()
    async with talking(server) as talk:
        with pytest.raises(ValueError, match=r"address|line|ascii"):
            await talk.hand_over("a@venue.example", recipient, content)
        await talk.hand_over("a@venue.example", "b@example.org", MAIL)
    assert server.mails == [MAIL + b".\r\n"]
