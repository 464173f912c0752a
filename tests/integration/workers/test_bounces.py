"""Mails that come back, and complaints, end the mails to an address: from a real mailbox, and from a pipe."""

from __future__ import annotations

import imaplib
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import trustme

from db.events.seed import RoomSeed, seed_demo
from db.messages.addresses import opened
from messages.settings import MailSettings
from tests.services import free_port
from tests.unit.messages.test_returned import sample
from tests.waiting import await_that
from workers.messages.bounces import MAILS_IN_ONE_TURN_MAX, MailboxReader, read_mailbox

SECONDS_MAX = 20
SENT = """
INSERT INTO message (event_id, message_id, kind, channel, address, user_id, language, dedup_key, payload, urgency,
                     due_at, useful_until, state, ended_at)
VALUES (%(event_id)s, %(message_id)s, 'purchase', 'mail', %(address)s, 1, 'en', %(address)s, '{}', 1, now(),
        now() + interval '1 day', 'sent', now())
"""


@dataclass
class Box:
    """A mailbox on this machine, which speaks TLS."""

    port: int
    ca_file: str

    def connect(self) -> imaplib.IMAP4:
        context = ssl.create_default_context(cafile=self.ca_file)
        box = imaplib.IMAP4("localhost", self.port, timeout=5)
        box.starttls(context)
        box.login("ada", "hush")
        return box

    def put(self, *mails: bytes) -> None:
        box = self.connect()
        for mail in mails:
            assert box.append("INBOX", "", "", mail)[0] == "OK"
        box.logout()

    def left(self) -> list[bytes]:
        """The subjects of what is still there."""
        box = self.connect()
        box.select("INBOX", readonly=True)
        uids = box.uid("SEARCH", "UNDELETED")[1][0].split()
        found = [box.uid("FETCH", uid.decode(), "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1][0][1] for uid in uids]
        box.logout()
        return [subject.strip() for subject in found]

    def settings(self) -> MailSettings:
        return MailSettings(bounces_url=f"imap://ada:hush@localhost:{self.port}/INBOX", ca_file=self.ca_file)


@contextmanager
def pymap(folder: Path, *tls: str) -> Iterator[int]:
    """pymap, an IMAP server in Python, which wants TLS before a password unless it has none; gives its port."""
    port = free_port()
    options = ["--host", "127.0.0.1", "--port", str(port), *tls]
    options += ["dict", "--demo-user", "ada", "--demo-password", "hush"]
    with (folder / f"{port}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", "from pymap.main import main; main()", *options], stdout=log, stderr=log
        )
    try:
        await_that(lambda: answers(process, port), SECONDS_MAX, what="the IMAP server listens")
        yield port
    finally:
        process.terminate()
        process.wait(SECONDS_MAX)


def answers(process: subprocess.Popen[bytes], port: int) -> bool:
    assert process.poll() is None
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    folder = tmp_path_factory.mktemp("imap")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    certificate = str(folder / "server.pem")
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(certificate)
    with pymap(folder, "--cert", certificate, "--key", certificate) as port:
        yield Box(port, str(folder / "ca.pem"))


@pytest.fixture
def box(server: Box) -> Iterator[Box]:
    yield server
    connection = server.connect()
    connection.select("INBOX")
    connection.uid("STORE", "1:*", "+FLAGS.SILENT", r"(\Deleted)")
    connection.expunge()
    connection.logout()


class Site:
    """A database in which mails were sent."""

    def __init__(self, url: str, connection: psycopg.Connection) -> None:
        self.url = url
        self.db = connection
        self.event_id = seed_demo(url, room=RoomSeed())

    def sent(self, address: str) -> uuid.UUID:
        message_id = uuid.uuid4()
        self.db.execute(SENT, {"event_id": self.event_id, "message_id": message_id, "address": address})
        return message_id

    def suppressed(self) -> list[tuple[str, str]]:
        found = self.db.execute("SELECT address, reason FROM suppression").fetchall()
        return sorted((opened(address), reason) for address, reason in found)

    def states(self) -> dict[str, str]:
        return {opened(address): state for address, state in self.db.execute("SELECT address, state FROM message")}


@pytest.fixture
def site(admitone_env: dict[str, str]) -> Iterator[Site]:
    with psycopg.connect(admitone_env["DATABASE_URL"], autocommit=True) as connection:
        yield Site(admitone_env["DATABASE_URL"], connection)


def test_reports_in_a_mailbox_end_the_mails_to_an_address_and_other_mail_stays(site: Site, box: Box) -> None:
    ids = {name: site.sent(f"{name}@example.org") for name in ("postfix", "exim", "exchange", "complaint")}
    full = site.sent("full@example.org")
    box.put(
        *(sample(name, message_id) for name, message_id in ids.items()),
        sample("postfix", full).replace(b"Status: 5.1.1", b"Status: 5.2.2"),
        sample("postfix", uuid.uuid4()).replace(b"Undelivered Mail Returned", b"Of another site"),
        b"Subject: On holiday\r\n\r\nI am back on Monday.\r\n",
    )
    assert len(read_mailbox(site.url, box.settings())) == 5
    assert site.suppressed() == [
        ("complaint@example.org", "complaint"),
        ("exchange@example.org", "bounce"),
        ("exim@example.org", "bounce"),
        ("postfix@example.org", "bounce"),
    ]
    assert site.states() == {
        "postfix@example.org": "failed",
        "exim@example.org": "failed",
        "exchange@example.org": "failed",
        "full@example.org": "failed",
        "complaint@example.org": "sent",
    }
    left = box.left()
    assert len(left) == 2
    assert b"Subject: On holiday" in left
    assert read_mailbox(site.url, box.settings()) == [], "what was read once is not read again"


def test_a_mail_that_is_tried_further_changes_nothing(site: Site, box: Box) -> None:
    box.put(sample("postfix", site.sent("ada@example.org")).replace(b"Action: failed", b"Action: delayed"))
    assert len(read_mailbox(site.url, box.settings())) == 1
    assert site.suppressed() == []
    assert site.states() == {"ada@example.org": "sent"}
    assert box.left() == []


def test_one_turn_is_bounded_in_mails_and_bytes(site: Site, box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAILS_IN_ONE_TURN_MAX <= 1000
    monkeypatch.setattr("workers.messages.bounces.MAILS_IN_ONE_TURN_MAX", 2)
    first, second = site.sent("ada@example.org"), site.sent("bob@example.org")
    picture = b"\r\n" + b"A" * 76
    box.put(
        sample("postfix", first),
        sample("exim", second).replace(b"\r\nDanke.\r\n", b"\r\n" + picture * 10_000),
        sample("exim", second),
    )
    assert len(read_mailbox(site.url, box.settings())) == 2
    assert len(box.left()) == 1


def test_the_mailbox_is_read_by_one_process_at_a_time(site: Site, box: Box) -> None:
    box.put(sample("postfix", site.sent("ada@example.org")))
    site.db.execute("SELECT pg_advisory_lock(%s)", (0x424F554E4345,))
    assert read_mailbox(site.url, box.settings()) == []
    site.db.execute("SELECT pg_advisory_unlock(%s)", (0x424F554E4345,))
    reader = MailboxReader(site.url, box.settings())
    reader.look()
    reader.look()
    until = time.monotonic() + SECONDS_MAX
    while not site.suppressed() and time.monotonic() < until:
        time.sleep(0.05)
    assert site.suppressed() == [("ada@example.org", "bounce")]


def test_a_mailbox_that_speaks_tls_from_its_first_byte_is_read(
    site: Site, server: Box, authority: trustme.CA, tmp_path: Path
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with pymap(tmp_path, "--no-tls") as plain, before(plain, context) as port:
        with imaplib.IMAP4("127.0.0.1", plain, timeout=5) as box:
            box.login("ada", "hush")
            box.append("INBOX", "", "", sample("postfix", site.sent("ada@example.org")))
        settings = MailSettings(bounces_url=f"imaps://ada:hush@localhost:{port}/INBOX", ca_file=server.ca_file)
        assert len(read_mailbox(site.url, settings)) == 1
        with pytest.raises(ssl.SSLError):
            read_mailbox(site.url, MailSettings(bounces_url=settings.bounces_url))
    assert site.suppressed() == [("ada@example.org", "bounce")]


@contextmanager
def before(plain: int, context: ssl.SSLContext) -> Iterator[int]:
    """The end of TLS before a plain server, which speaks first; gives its port."""

    class Relay(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with (
                suppress(OSError),
                context.wrap_socket(self.request, server_side=True) as outer,
                socket.create_connection(("127.0.0.1", plain), timeout=SECONDS_MAX) as inner,
            ):
                back = threading.Thread(target=carry, args=(inner, outer), daemon=True)
                back.start()
                carry(outer, inner)
                back.join(SECONDS_MAX)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Relay) as front:
        thread = threading.Thread(target=front.serve_forever, daemon=True)
        thread.start()
        yield front.server_address[1]
        front.shutdown()
        thread.join(SECONDS_MAX)


def carry(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while content := source.recv(65_536):
            target.sendall(content)
        target.shutdown(socket.SHUT_WR)


def test_a_password_is_not_sent_without_tls(site: Site, box: Box) -> None:
    wrong = MailSettings(bounces_url=box.settings().bounces_url)
    with pytest.raises(ssl.SSLError):
        read_mailbox(site.url, wrong)


def test_a_mail_server_pipes_a_report_to_the_command(site: Site, admitone_env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "report.eml").write_bytes(sample("exim", site.sent("bob@example.org")))
    command = [sys.executable, "-m", "admitone", "bounces", "--stdin", str(tmp_path / "report.eml")]
    done = subprocess.run(
        command,
        input=sample("postfix", site.sent("ada@example.org")),
        env={**admitone_env, "PATH": ""},
        capture_output=True,
        check=True,
    )
    assert [line.split()[:2] for line in done.stdout.decode().splitlines()] == [
        ["gone", "bob@example.org"],
        ["gone", "ada@example.org"],
    ]
    assert site.suppressed() == [("ada@example.org", "bounce"), ("bob@example.org", "bounce")]
