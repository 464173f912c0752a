"""Providers of messages for tests: an SMTP server with TLS and faults, a push service that decrypts, and one of SMS."""

from __future__ import annotations

import asyncio
import base64
import email
import email.policy
import os
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import http_ece  # type: ignore[import-untyped]
import msgspec
import trustme
from aiohttp import web
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.services import free_port


@dataclass
class SmtpServer:
    """A real SMTP server, which keeps what it was given.

    Attributes:
        refusal: called with the address of each recipient; what it returns is the answer, None to take the mail.
        drops: so many talks are cut off in the middle of a mail.
    """

    url: str = ""
    ca_file: str = ""
    mails: list[EmailMessage] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    talks: set[object] = field(default_factory=set)
    refusal: Callable[[str], str | None] = lambda address: None
    drops: int = 0

    def to(self, address: str) -> list[EmailMessage]:
        return [mail for mail, to in zip(self.mails, self.recipients, strict=True) if to == address]

    transports: list[asyncio.Transport] = field(default_factory=list)

    # -- called by aiosmtpd

    async def handle_EHLO(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        assert isinstance(server.transport, asyncio.Transport)
        self.transports.append(server.transport)
        return [responses[0], "250-PIPELINING", *responses[1:]]

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.talks.add(session.peer)
        refusal = self.refusal(address)
        if refusal is None:
            envelope.rcpt_tos.append(address)
        return refusal or "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.drops:
            self.drops -= 1
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
            return "421 gone"
        content = envelope.original_content or b""
        self.raw.append(content)
        mail = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(mail, EmailMessage)
        self.recipients.append(envelope.rcpt_tos[0])
        self.mails.append(mail)
        return f"250 taken as {len(self.mails)}"


@contextmanager
def smtp_server(folder: Path, *, starttls: bool = True, password: str = "") -> Iterator[SmtpServer]:
    """A server on this machine that wants STARTTLS, and a password where one is given."""
    server = SmtpServer()
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)

    def authenticate(smtp: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=data.password.decode() == password)

    port = free_port()
    tls: dict[str, Any] = {"tls_context": context, "require_starttls": True} if starttls else {}
    login: dict[str, Any] = {"authenticator": authenticate, "auth_required": True} if password else {}
    controller = Controller(
        server,
        hostname="localhost",
        port=port,
        **tls,
        **login,
    )
    controller.start()
    user = f"ada:{password}@" if password else ""
    server.url = f"{'smtp' if starttls else 'smtp+plain'}://{user}localhost:{port}"
    server.ca_file = str(folder / "ca.pem")
    try:
        yield server
    finally:
        # It leaves its side of talks open when it stops.
        for transport in server.transports:
            controller.loop.call_soon_threadsafe(transport.abort)
        controller.stop()


@dataclass
class Browser:
    """A browser that takes web push."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    secret: bytes = field(default_factory=lambda: os.urandom(16))

    @property
    def p256dh(self) -> str:
        return b64(self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))

    @property
    def auth(self) -> str:
        return b64(self.secret)

    def read(self, body: bytes) -> dict[str, str]:
        """What was pushed (RFC 8291). It raises where it was not encrypted for this browser."""
        content = http_ece.decrypt(body, private_key=self.key, auth_secret=self.secret, version="aes128gcm")
        read: dict[str, str] = msgspec.json.decode(content)
        return read


def b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@dataclass
class HttpServer:
    """Takes POSTs and keeps them. ``statuses`` and ``bodies`` are answered in turn, and then 201; each is answered once
    ``may_answer`` says so.
    """

    url: str = ""
    asked: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    may_answer: Callable[[], object] = lambda: True

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append((request.path, dict(request.headers), await request.read()))
        while not self.may_answer():  # noqa: ASYNC110 - the test's own threads change what it looks at
            await asyncio.sleep(0.01)
        status = self.statuses.pop(0) if self.statuses else 201
        return web.json_response(self.bodies.pop(0) if self.bodies else {"id": f"n{len(self.asked)}"}, status=status)


@contextmanager
def http_server() -> Iterator[HttpServer]:
    """A server of providers that speak HTTP, on this machine."""
    server, loop, started = HttpServer(), asyncio.new_event_loop(), threading.Event()
    end = asyncio.Event()

    async def serve() -> None:
        app = web.Application()
        app.router.add_post("/{path:.*}", server.handle)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        server.url = f"http://127.0.0.1:{port}"
        started.set()
        await end.wait()
        await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join(10)
        loop.close()
