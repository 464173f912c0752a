"""Notices that providers post: each is checked by its signature, and only names the payment of which there is news."""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from db.payments.states import TEST

TEST_SIGNATURE = "x-test-signature"


class Noticed(NamedTuple):
    """The payment that a notice is about."""

    event_id: int
    payment_id: uuid.UUID


class NoticeError(ValueError):
    """The notice is not signed by the provider, or has not its shape."""


class _TestNotice(msgspec.Struct, rename="camel"):
    event_id: int
    payment_id: uuid.UUID


def test_signature(secret: str, body: bytes) -> str:
    """The signature of a notice of the test provider."""
    return hmac.digest(secret.encode(), b"test notice " + body, "sha256").hex()


test_signature.__test__ = False  # type: ignore[attr-defined]


def read_test_notice(secret: str, headers: Mapping[str, str], body: bytes) -> Noticed:
    """What a notice of the test provider is about.

    Raises:
        NoticeError
    """
    if not hmac.compare_digest(headers.get(TEST_SIGNATURE, "").encode(), test_signature(secret, body).encode()):
        raise NoticeError(f"not signed by {TEST}")
    try:
        notice = msgspec.json.decode(body, type=_TestNotice)
    except msgspec.MsgspecError as error:
        raise NoticeError(str(error)) from None
    return Noticed(notice.event_id, notice.payment_id)
