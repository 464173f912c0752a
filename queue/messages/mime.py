"""Mails as bytes: text and HTML, pictures and files, the headers by which a reader unsubscribes, and DKIM."""

from __future__ import annotations

import binascii
import datetime as dt
import email.policy
import hashlib
import re
import time
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from email.encoders import encode_base64
from email.header import Header
from email.mime.base import MIMEBase
from email.mime.image import MIMEImage
from email.mime.multipart import MIMEMultipart
from email.utils import format_datetime, formataddr, parseaddr
from pathlib import Path
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from messages.letters import Letter
from messages.returned import MESSAGE_HEADER
from messages.settings import MailSettings

# A link to unsubscribe stays on one line.
_POLICY: Final = email.policy.compat32.clone(linesep="\r\n", max_line_length=0)
_SOFT_BREAK: Final = b"=\r\n"
_QP_CHARS: Final = 72
"""Characters of a line of quoted-printable, of which 76 are allowed."""
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
"""RFC 8058 wants the headers of one-click unsubscribing signed. One that a mail has not is signed as missing."""
_B64_CHARS: Final = 72
_spaces: Final = re.compile(rb"[ \t]+").sub
_fold: Final = re.compile(rb"\r\n(?=[ \t])").sub


class DkimKey:
    """Signs mails of a domain (RFC 6376), relaxed in head and body, by OpenSSL: in Python alone, as `dkimpy` has it,
    a signature takes longer than all the rest of a mail (ADR 63).

    Raises:
        ValueError: this is no RSA key in PEM.
    """

    def __init__(self, domain: str, selector: str, pem: bytes) -> None:
        key = load_pem_private_key(pem, None)
        if not isinstance(key, RSAPrivateKey):
            raise ValueError("the DKIM key is no RSA key")
        self._key = key
        self._tags = (
            f"v=1; a=rsa-sha256; c=relaxed/relaxed; d={domain}; s={selector};\r\n "
            f"h={':'.join(name.decode() for name in SIGNED_HEADERS)};\r\n "
        ).encode()

    @classmethod
    def of(cls, settings: MailSettings) -> Self | None:
        """The key that the settings name; None without one.

        Raises:
            OSError: the file cannot be read.
            ValueError: it has no RSA key in PEM.
        """
        if not settings.dkim_key:
            return None
        domain = parseaddr(settings.sender)[1].rpartition("@")[2]
        return cls(domain, settings.dkim_selector, Path(settings.dkim_key).read_bytes())

    def sign(self, mail: bytes) -> bytes:
        """The mail with its signature before it. Its lines end with CRLF, and it has each header once."""
        head, _, body = mail.partition(b"\r\n\r\n")
        headers: dict[bytes, bytes] = {}
        for line in _fold(b"", head).split(b"\r\n"):
            name, _, value = line.partition(b":")
            headers[name.strip().lower()] = _relaxed(value)
        relaxed = _spaces(b" ", body).replace(b" \r\n", b"\r\n").rstrip(b"\r\n ") + b"\r\n"
        body_hash = b64encode(hashlib.sha256(relaxed).digest())
        tags = b"%st=%d; bh=%s;\r\n b=" % (self._tags, time.time(), body_hash)
        signed = [name + b":" + headers[name] for name in SIGNED_HEADERS if name in headers]
        signed.append(b"dkim-signature:" + _relaxed(_fold(b"", tags)))
        signature = b64encode(self._key.sign(b"\r\n".join(signed), PKCS1v15(), SHA256()))
        lines = [signature[at : at + _B64_CHARS] for at in range(0, len(signature), _B64_CHARS)]
        return b"DKIM-Signature: " + tags + b"\r\n ".join(lines) + b"\r\n" + mail


def _relaxed(value: bytes) -> bytes:
    """A header's value in DKIM's relaxed form."""
    return _spaces(b" ", value).strip(b" ")


@dataclass(frozen=True, slots=True)
class Mime:
    """A mail without the headers that are its reader's own, and with marks in the place of what else is."""

    head: bytes
    body: bytes

    def mail(
        self, own: Iterable[tuple[str, str]], address: str, sender: str, sender_name: str, message_id: str
    ) -> bytes:
        """The mail to one reader. ``message_id`` is its name at every try, so that a mailbox that gets it twice can
        tell.

        Raises:
            ValueError: a header would have more than one line, or an address is not of ASCII.
        """
        if any(sign in text for text in (address, sender, sender_name) for sign in "\r\n"):
            raise ValueError("a header of a mail may not contain a linefeed")
        headers = (
            f"From: {formataddr((sender_name, sender))}\r\n"
            f"To: {address}\r\n"
            f"Date: {format_datetime(dt.datetime.now(dt.UTC))}\r\n"
            f"Message-ID: <{message_id}@{sender.rpartition('@')[2]}>\r\n"
            f"{MESSAGE_HEADER}: {message_id}\r\n"
        )
        head, body = self.head, self.body
        for mark, value in own:
            content = value.encode("ascii")
            head = head.replace(mark.encode(), content)
            lines = [content[at : at + _QP_CHARS] for at in range(0, len(content), _QP_CHARS)]
            body = body.replace(mark.encode(), _SOFT_BREAK.join(lines))
        return b"".join((headers.encode("ascii"), head, b"\r\n\r\n", body))


def mime_of(letter: Letter, marks: Sequence[str] = ()) -> Mime:
    """The letter as a mail in which ``marks`` can be replaced, which are of letters, digits and dots.

    The email package's older classes write it: its newer headers take four times as long.

    Raises:
        ValueError: the subject has more than one line.
    """
    if any(sign in letter.subject for sign in "\r\n"):
        raise ValueError("a header of a mail may not contain a linefeed")
    page: MIMEBase = _text_part(letter.html, "html", marks)
    if letter.images:
        related = MIMEMultipart("related", _subparts=[page])
        for image in letter.images:
            part = MIMEImage(image.content, "png")
            part["Content-ID"] = f"<{image.name}>"
            part.add_header("Content-Disposition", "inline", filename=f"{image.name}.png")
            related.attach(part)
        page = related
    mail: MIMEBase = MIMEMultipart("alternative", _subparts=[_text_part(letter.text, "plain", marks), page])
    if letter.files:
        mail = MIMEMultipart("mixed", _subparts=[mail])
        for file in letter.files:
            main, _, sub = file.media_type.partition("/")
            attached = MIMEBase(main, sub)
            attached.set_payload(file.content)
            encode_base64(attached)
            attached.add_header("Content-Disposition", "attachment", filename=file.name)
            mail.attach(attached)
    mail["Subject"] = Header(letter.subject, None if letter.subject.isascii() else "utf-8", maxlinelen=900).encode()
    mail["Content-Language"] = letter.language
    mail["Auto-Submitted"] = "auto-generated"
    if letter.unsubscribe:
        mail["List-Unsubscribe"] = f"<{letter.unsubscribe}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    head, _, body = mail.as_bytes(policy=_POLICY).partition(b"\r\n\r\n")
    return Mime(head, body)


def _text_part(text: str, kind: str, marks: Sequence[str]) -> MIMEBase:
    """A part in quoted-printable, in which each mark begins a line and is followed by one: what replaces a mark may be
    of any length then.
    """
    part = MIMEBase("text", kind, charset="utf-8")
    part["Content-Transfer-Encoding"] = "quoted-printable"
    encoded = []
    for piece in re.split("|".join(f"({re.escape(mark)})" for mark in marks), text) if marks else [text]:
        if piece is None:
            continue
        content = piece.replace("\r\n", "\n").encode()
        encoded.append(content if piece in marks else binascii.b2a_qp(content))
    payload = _SOFT_BREAK.join(encoded).replace(b"\r\n", b"\n")
    part.set_payload(payload.decode("ascii"))
    return part


def mail_of(letter: Letter, address: str, sender: str, sender_name: str, message_id: str) -> bytes:
    """The letter as a mail to one reader.

    Raises:
        ValueError: a header would have more than one line, or an address is not of ASCII.
    """
    return mime_of(letter).mail((), address, sender, sender_name, message_id)
