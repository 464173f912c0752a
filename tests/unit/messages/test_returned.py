"""Reports of mails that came back are read as servers write them, and nothing that anybody can write is believed."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from messages.returned import ReturnedKind, read_report

FOLDER = Path(__file__).parent / "returned"
MESSAGE = uuid.UUID("3f0c8a52-6f5d-4f1e-9a3b-2f7f3d1c5e88")


def sample(name: str, message_id: uuid.UUID = MESSAGE) -> bytes:
    """A report about a message, as a mail server wrote it."""
    text = (FOLDER / f"{name}.eml").read_text(encoding="utf-8")
    return text.replace("MESSAGE", str(message_id)).replace("COMPACT", message_id.hex).replace("\n", "\r\n").encode()


@pytest.mark.parametrize(
    ("name", "kind", "detail"),
    [
        ("postfix", ReturnedKind.GONE, "5.1.1 smtp; 550 5.1.1 <ada@example.org>: Recipient address rejected"),
        ("exim", ReturnedKind.GONE, "5.1.1 smtp; 550-5.1.1 The email account"),
        ("exchange", ReturnedKind.GONE, "5.1.10 smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound"),
        ("complaint", ReturnedKind.COMPLAINT, "feedback: abuse"),
    ],
)
@pytest.mark.parametrize("ending", [b"\r\n", b"\n"])
def test_a_report_names_its_message_and_what_became_of_it(
    name: str, kind: ReturnedKind, detail: str, ending: bytes
) -> None:
    returned = read_report(sample(name).replace(b"\r\n", ending))
    assert returned is not None
    assert (returned.message_id, returned.kind) == (MESSAGE, kind)
    assert returned.detail.startswith(detail)


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        ("5.1.1", "550 5.1.1 no such user", ReturnedKind.GONE),
        ("5.2.2", "552 5.2.2 mailbox full", ReturnedKind.REFUSED),
        ("5.7.1", "550 5.7.1 this looks like spam", ReturnedKind.REFUSED),
        ("5.0.0", "550 no such user", ReturnedKind.REFUSED),
        ("5.0.0", "550 5.2.1 switched off", ReturnedKind.GONE),
        ("4.4.7", "451 4.1.1 come back later", ReturnedKind.REFUSED),
        ("", "", ReturnedKind.REFUSED),
    ],
)
def test_only_an_address_that_does_not_exist_is_gone(status: str, said: str, kind: ReturnedKind) -> None:
    text = sample("postfix").decode()
    begins, ends = text.index("Status: 5.1.1"), text.index("\r\n\r\n--4Yb2Qk2sKHz9sTp", text.index("Status: 5.1.1"))
    returned = read_report(f"{text[:begins]}Status: {status}\r\nDiagnostic-Code: smtp; {said}{text[ends:]}".encode())
    assert returned is not None
    assert returned.kind is kind


def test_a_mail_that_is_tried_further_is_late() -> None:
    returned = read_report(sample("postfix").replace(b"Action: failed", b"Action: delayed"))
    assert returned is not None
    assert returned.kind is ReturnedKind.LATE


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(
            sample("complaint").replace(b"Feedback-Type: abuse", b"Feedback-Type: not-spam"), id="no complaint"
        ),
        pytest.param(sample("postfix").replace(b"Action: failed", b"Action: delivered"), id="delivered"),
        pytest.param(sample("postfix").replace(str(MESSAGE).encode(), b"mail-of-somebody"), id="of somebody else"),
        pytest.param(sample("exchange").replace(b"multipart/report", b"multipart/mixed"), id="no report"),
        pytest.param(b"Subject: On holiday\r\n\r\nX-Admit-One-Message: " + str(MESSAGE).encode(), id="holiday"),
        pytest.param(
            sample("postfix").replace(b"text/rfc822-headers", b"text/plain"), id="the id in a sentence for people"
        ),
        pytest.param(b"", id="nothing"),
        pytest.param(b"Content-Type: multipart/report; boundary=x\r\n\r\n" + b"--x\r\n\r\n" * 9000, id="many parts"),
    ],
)
def test_any_other_mail_reports_nothing(content: bytes) -> None:
    assert read_report(content) is None
