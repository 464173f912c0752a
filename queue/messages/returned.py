"""Mails that came back: delivery status notifications (RFC 3464) and complaints (RFC 5965), as mail servers write them.

Nothing is believed that anybody could write. A report counts where it names one of our messages by its id, which only
the reader and the servers on the way have seen: in the address that the report was sent to, or in the headers of the
mail that it brings back. Whose address it was stands in our own table. The sentences for people are not read.
"""

from __future__ import annotations

import email
import email.policy
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from enum import StrEnum
from typing import Final

REPORT_BYTES_MAX: Final = 262_144
"""What is read of a mail; the parts for machines come first."""
PARTS_MAX: Final = 50
DETAIL_CHARS_MAX: Final = 300
MESSAGE_HEADER: Final = "X-Admit-One-Message"
_UUID: Final = r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}"
_id: Final = re.compile(rf"<?({_UUID})(?:@[^>\s]*)?>?\s*", re.IGNORECASE).fullmatch
_tagged: Final = re.compile(rf"\+({_UUID})@", re.IGNORECASE).search
_status: Final = re.compile(r"\s*([245])\.(\d{1,3})\.(\d{1,3})\b").match
_said: Final = re.compile(
    r"\s*smtp\s*;\s*[245]\d\d[ -](?:\s*#?\s*)([245])\.(\d{1,3})\.(\d{1,3})\b", re.IGNORECASE
).match
_GONE: Final = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"})
"""There is no such mailbox or domain (RFC 3463, RFC 7505), it moved, or it is switched off."""
_UNDEFINED: Final = "5.0.0"
_COMPLAINTS: Final = ("abuse", "fraud", "other")
"""Kinds of feedback by which a reader complains; ``not-spam`` is the opposite."""


class ReturnedKind(StrEnum):
    """What a report says: the address is ``gone``, this mail was ``refused``, it is ``late`` and tried further, or its
    reader made a ``complaint``.
    """

    GONE = "gone"
    REFUSED = "refused"
    LATE = "late"
    COMPLAINT = "complaint"


@dataclass(frozen=True, slots=True)
class Returned:
    """A report about one of our messages. ``detail`` is for operators."""

    message_id: uuid.UUID
    kind: ReturnedKind
    detail: str


def read_report(content: bytes) -> Returned | None:
    """What a mail reports about one of our messages; None where it is no report, or names none of them."""
    mail = email.message_from_bytes(content[:REPORT_BYTES_MAX], policy=email.policy.compat32)
    if mail.get_content_type() != "multipart/report":
        return None
    parts = [part for part, _ in zip(_parts(mail), range(PARTS_MAX), strict=False)]
    found = _kind_of(parts)
    message_id = _message_id(mail, parts)
    if found is None or message_id is None:
        return None
    kind, detail = found
    return Returned(message_id, kind, detail)


def _parts(mail: Message) -> Iterator[Message]:
    """The parts of the report itself, and not those of the mail that it brings back."""
    payload = mail.get_payload()
    if not isinstance(payload, list):
        return
    for part in payload:
        if isinstance(part, Message):
            if part.get_content_maintype() == "multipart":
                yield from _parts(part)
            else:
                yield part


def _kind_of(parts: list[Message]) -> tuple[ReturnedKind, str] | None:
    for part in parts:
        if part.get_content_type() in ("message/delivery-status", "message/global-delivery-status"):
            return _delivery(part)
        if part.get_content_type() == "message/feedback-report":
            (fields,) = _blocks(part)[:1] or [Message()]
            feedback = _field(fields, "Feedback-Type").lower()
            return (ReturnedKind.COMPLAINT, f"feedback: {feedback}") if feedback in _COMPLAINTS else None
    return None


def _blocks(part: Message) -> list[Message]:
    """The groups of fields of a part for machines."""
    payload = part.get_payload()
    if isinstance(payload, list):
        return [block for block in payload if isinstance(block, Message)]
    return [email.message_from_string(block) for block in str(payload).replace("\r\n", "\n").split("\n\n")[:PARTS_MAX]]


def _delivery(part: Message) -> tuple[ReturnedKind, str] | None:
    """A mail has one reader, so the first group with an action is about that one."""
    for block in _blocks(part)[:PARTS_MAX]:
        action = _field(block, "Action").lower()
        if action not in ("failed", "delayed"):
            continue
        diagnostic = " ".join(_field(block, "Diagnostic-Code").split())
        status = _code(_status(_field(block, "Status")))
        if status in ("", _UNDEFINED):
            # Exim always writes 5.0.0, and says with the answer of the other server what it was.
            status = _code(_said(diagnostic)) or status
        detail = f"{status} {diagnostic}".strip()[:DETAIL_CHARS_MAX]
        if action == "delayed":
            return ReturnedKind.LATE, detail
        return (ReturnedKind.GONE if status in _GONE else ReturnedKind.REFUSED), detail
    return None


def _code(match: re.Match[str] | None) -> str:
    return "" if match is None else ".".join(match.groups())


def _field(block: Message, name: str) -> str:
    return str(block.get(name, "")).strip()


def _message_id(mail: Message, parts: list[Message]) -> uuid.UUID | None:
    for name in ("To", "Delivered-To", "X-Original-To", "Envelope-To"):
        for value in mail.get_all(name, []):
            if match := _tagged(str(value)):
                return uuid.UUID(match[1])
    for part in parts:
        returned = _returned_headers(part)
        if returned is None:
            continue
        for name in (MESSAGE_HEADER, "Message-ID"):
            if match := _id(_field(returned, name)):
                return uuid.UUID(match[1])
    return None


def _returned_headers(part: Message) -> Message | None:
    kind, payload = part.get_content_type(), part.get_payload()
    if kind in ("message/rfc822", "message/global") and isinstance(payload, list) and payload:
        return payload[0] if isinstance(payload[0], Message) else None
    if kind in ("text/rfc822-headers", "message/global-headers"):
        content = part.get_payload(decode=True)
        return email.message_from_bytes(content) if isinstance(content, bytes) else None
    return None
