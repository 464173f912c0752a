"""Mails as bytes: text and HTML, pictures and files, the headers by which a reader unsubscribes, and DKIM."""

from __future__ import annotations

import datetime as dt
import email.policy
from dataclasses import dataclass
from email.encoders import encode_base64
from email.header import Header
from email.mime.base import MIMEBase
from email.mime.image import MIMEImage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import format_datetime, formataddr, parseaddr
from pathlib import Path
from typing import Final, Self

import dkim

from messages.letters import Letter
from messages.settings import MailSettings

# A link to unsubscribe stays on one line.
_POLICY: Final = email.policy.compat32.clone(linesep="\r\n", max_line_length=0)
SIGNED_HEADERS: Final = (
    b"from",
    b"to",
    b"subject",
    b"date",
    b"message-id",
    b"mime-version",
    b"content-type",
    b"list-unsubscribe",
    b"list-unsubscribe-post",
)
"""RFC 8058 wants the headers of one-click unsubscribing signed."""


@dataclass(frozen=True, slots=True)
class DkimKey:
    """Signs mails of a domain (RFC 6376)."""

    domain: str
    selector: str
    pem: bytes

    @classmethod
    def of(cls, settings: MailSettings) -> Self | None:
        """The key that the settings name; None without one.

        Raises:
            OSError: the file cannot be read.
        """
        if not settings.dkim_key:
            return None
        domain = parseaddr(settings.sender)[1].rpartition("@")[2]
        return cls(domain, settings.dkim_selector, Path(settings.dkim_key).read_bytes())

    def sign(self, mail: bytes) -> bytes:
        """The mail with its signature before it."""
        header: bytes = dkim.sign(
            mail,
            self.selector.encode(),
            self.domain.encode(),
            self.pem,
            canonicalize=(b"relaxed", b"relaxed"),
            include_headers=list(SIGNED_HEADERS),
        )
        return header + mail


def mail_of(letter: Letter, address: str, sender: str, sender_name: str, message_id: str) -> bytes:
    """The letter as a mail. ``message_id`` is its name at every try, so that a mailbox that gets it twice can tell.

    The email package's older classes write it: its newer headers take four times as long, and a whole arena is told at
    once.

    Raises:
        ValueError: a header would have more than one line.
    """
    if any(sign in text for text in (letter.subject, address, sender, sender_name) for sign in "\r\n"):
        raise ValueError("a header of a mail may not contain a linefeed")
    page: MIMEBase = MIMEText(letter.html, "html", "utf-8")
    if letter.images:
        related = MIMEMultipart("related", _subparts=[page])
        for image in letter.images:
            part = MIMEImage(image.content, "png")
            part["Content-ID"] = f"<{image.name}>"
            part.add_header("Content-Disposition", "inline", filename=f"{image.name}.png")
            related.attach(part)
        page = related
    mail: MIMEBase = MIMEMultipart("alternative", _subparts=[MIMEText(letter.text, "plain", "utf-8"), page])
    if letter.files:
        mail = MIMEMultipart("mixed", _subparts=[mail])
        for file in letter.files:
            main, _, sub = file.media_type.partition("/")
            attached = MIMEBase(main, sub)
            attached.set_payload(file.content)
            encode_base64(attached)
            attached.add_header("Content-Disposition", "attachment", filename=file.name)
            mail.attach(attached)
    headers = {
        "From": formataddr((sender_name, sender)),
        "To": address,
        "Subject": Header(letter.subject, None if letter.subject.isascii() else "utf-8", maxlinelen=900).encode(),
        "Date": format_datetime(dt.datetime.now(dt.UTC)),
        "Message-ID": f"<{message_id}@{sender.rpartition('@')[2]}>",
        "Content-Language": letter.language,
        "Auto-Submitted": "auto-generated",
        "X-Admit-One-Message": message_id,
    }
    if letter.unsubscribe:
        headers["List-Unsubscribe"] = f"<{letter.unsubscribe}>"
        headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    for name, value in headers.items():
        mail[name] = value
    return mail.as_bytes(policy=_POLICY)
