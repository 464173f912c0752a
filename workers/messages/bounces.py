"""Takes reports of mails that came back: from a mailbox by IMAP, or one by one from a mail server's pipe.

What a report leads to is the same in both ways, and the same as at `POST /api/messages/reports`: an address that is
gone, or whose reader complained, is written to no more. A mail that was refused for another reason is noted with its
message alone.
"""

from __future__ import annotations

import imaplib
import logging
import re
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final
from urllib.parse import unquote

import psycopg

from db.connections import primary
from db.connections.alone import locked
from db.messages.addresses import opened
from db.messages.kinds import MAIL, SuppressionReason
from db.messages.queue import ADDRESS_OF, CAME_BACK, SUPPRESS, suppression_row, without_address
from messages.returned import REPORT_BYTES_MAX, Returned, ReturnedKind, read_report
from messages.settings import IMAP_SCHEMES, MailSettings, Provider, provider_of

logger = logging.getLogger(__name__)

MAILS_IN_ONE_TURN_MAX: Final = 200
STEP_SECONDS: Final = 15
TURN_SECONDS_MAX: Final = 60
_LOCK: Final = 0x424F554E4345
"""An advisory lock of Postgres: one process at a time reads the mailbox."""
_REASONS: Final = {
    ReturnedKind.GONE: SuppressionReason.BOUNCE,
    ReturnedKind.COMPLAINT: SuppressionReason.COMPLAINT,
}
_FAILURES: Final = (imaplib.IMAP4.error, OSError, psycopg.OperationalError)
_is_folder: Final = re.compile(r'[^\x00-\x1f"\\\x7f-\U0010ffff]{1,200}').fullmatch


def record(connection: psycopg.Connection[Any], returned: Returned) -> str | None:
    """Note what a report says; returns the address, or None where we know of no such message (any more)."""
    is_failed = returned.kind in (ReturnedKind.GONE, ReturnedKind.REFUSED)
    with connection.transaction():
        row = connection.execute(ADDRESS_OF, {"message_id": returned.message_id}).fetchone()
        if row is None:
            return None
        address = opened(row[0])
        error = f"it came back: {without_address(returned.detail, address)}"
        connection.execute(CAME_BACK, {"message_id": returned.message_id, "error": error, "is_failed": is_failed})
        if reason := _REASONS.get(returned.kind):
            connection.execute(SUPPRESS, suppression_row(MAIL, address, "", reason, returned.detail))
    return address


def take(connection: psycopg.Connection[Any], content: bytes) -> tuple[Returned, str] | None:
    """Note what a mail reports of one of our messages, and return the report and the address; None for any other
    mail.
    """
    returned = read_report(content)
    address = None if returned is None else record(connection, returned)
    return None if returned is None or address is None else (returned, address)


def read_mailbox(database_url: str, settings: MailSettings) -> list[tuple[Returned, str]]:
    """Take the reports in the mailbox that the settings name, a bounded number. They are deleted there; any other mail
    is marked as read and left to people. Where another process reads the mailbox, nothing is done.

    Raises:
        imaplib.IMAP4.error, OSError, psycopg.OperationalError: the mailbox or Postgres cannot be reached.
        ValueError: the address of the mailbox cannot be used.
    """
    found = []
    until = time.monotonic() + TURN_SECONDS_MAX
    with locked(database_url, "admitone-bounces", _LOCK) as is_ours:
        if not is_ours:
            return []
        with primary.connect(database_url, "admitone-bounces") as connection, _mailbox(settings) as box:
            for uid in _unseen(box):
                taken = take(connection, _content(box, uid))
                box.uid("STORE", uid, "+FLAGS.SILENT", r"(\Seen)" if taken is None else r"(\Seen \Deleted)")
                if taken is not None:
                    found.append(taken)
                    if "UIDPLUS" in box.capabilities:
                        box.uid("EXPUNGE", uid)
                if time.monotonic() > until:
                    break
    return found


@contextmanager
def _mailbox(settings: MailSettings) -> Iterator[imaplib.IMAP4]:
    """The selected folder of the mailbox."""
    server = provider_of(settings.bounces_url, tuple(IMAP_SCHEMES), IMAP_SCHEMES)
    folder = unquote(server.path.strip("/")) or "INBOX"
    if not _is_folder(folder):
        raise ValueError("the folder of the mailbox has letters that cannot be used")
    box = _connected(server, ssl.create_default_context(cafile=settings.ca_file or None))
    try:
        box.login(server.user, server.password)
        status, answer = box.select(f'"{folder}"')
        if status != "OK":
            raise imaplib.IMAP4.error(f"the folder cannot be opened: {answer!r}"[:200])
        yield box
    finally:
        with suppress(imaplib.IMAP4.error, OSError):
            box.logout()


def _connected(server: Provider, context: ssl.SSLContext) -> imaplib.IMAP4:
    if server.scheme == "imaps":
        return imaplib.IMAP4_SSL(server.host, server.port, ssl_context=context, timeout=STEP_SECONDS)
    box = imaplib.IMAP4(server.host, server.port, timeout=STEP_SECONDS)
    if server.scheme == "imap":
        try:
            box.starttls(context)
        except BaseException:
            with suppress(OSError):
                box.shutdown()
            raise
    return box


def _unseen(box: imaplib.IMAP4) -> list[str]:
    status, answer = box.uid("SEARCH", "UNSEEN", "UNDELETED")
    if status != "OK":
        raise imaplib.IMAP4.error(f"the mailbox cannot be searched: {answer!r}"[:200])
    return [uid.decode() for uid in (answer[0] or b"").split()[:MAILS_IN_ONE_TURN_MAX]]


def _content(box: imaplib.IMAP4, uid: str) -> bytes:
    """The beginning of a mail; empty where it is gone meanwhile."""
    _, answer = box.uid("FETCH", uid, f"(BODY.PEEK[]<0.{REPORT_BYTES_MAX}>)")
    return next((part[1] for part in answer if isinstance(part, tuple)), b"")


class MailboxReader:
    """Reads the mailbox again and again, in a thread of its own, so that no message waits for it."""

    def __init__(self, database_url: str, settings: MailSettings) -> None:
        self._database_url = database_url
        self._settings = settings
        self._thread: threading.Thread | None = None
        self._next = 0.0

    def look(self) -> None:
        """Begin to read where it is time to, and return at once."""
        now = time.monotonic()
        if not self._settings.bounces_url or now < self._next or (self._thread and self._thread.is_alive()):
            return
        self._next = now + self._settings.bounces_every_seconds
        # A report that was half taken when the process ends is taken again.
        self._thread = threading.Thread(target=self._read, name="bounces", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            found = read_mailbox(self._database_url, self._settings)
        except (*_FAILURES, ValueError) as error:
            logger.warning("the mailbox of mails that came back is not read: %s", error)
        else:
            if found:
                logger.info("%d mails came back", len(found))
