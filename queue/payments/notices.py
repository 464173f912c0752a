"""Notices that providers post: each is checked by its signature, and only names the payment of which there is news."""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from db.payments.states import MOLLIE, STRIPE, TEST
from payments.settings import StripeSettings

TEST_SIGNATURE: Final = "x-test-signature"
PAID: Final = "paid"
STRIPE_SIGNATURE: Final = "stripe-signature"
STRIPE_SECONDS_MAX: Final = 300
"""A notice of Stripe that was signed earlier is not taken: it may be an old one that somebody sends again."""
STRIPE_EVENT: Final = "admitone_event"
STRIPE_PAYMENT: Final = "admitone_payment"
"""What our payments are called in Stripe's metadata."""


class Noticed(NamedTuple):
    """The payment that a notice is about."""

    event_id: int
    payment_id: uuid.UUID


class NoticeError(ValueError):
    """The notice is not signed by the provider, or has not its shape."""


class Posted(NamedTuple):
    """A request that a provider made: its headers by their names in lower case, the parameters of its address, and its
    body.
    """

    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes


class _TestNotice(msgspec.Struct, rename="camel"):
    event_id: int
    payment_id: uuid.UUID


def test_signature(secret: str, body: bytes) -> str:
    """The signature of a notice of the test provider."""
    return hmac.digest(secret.encode(), b"test notice " + body, "sha256").hex()


def test_notice(secret: str, event_id: int, payment_id: uuid.UUID, what: str) -> Posted:
    """A notice that the test provider posts. ``what`` happened is said for people: nobody acts on it."""
    body = msgspec.json.encode({"eventId": event_id, "paymentId": payment_id, "what": what})
    return Posted({TEST_SIGNATURE: test_signature(secret, body)}, {}, body)


test_signature.__test__ = test_notice.__test__ = False  # type: ignore[attr-defined]


def read_test_notice(secret: str, posted: Posted) -> Noticed:
    """What a notice of the test provider is about.

    Raises:
        NoticeError
    """
    signature = posted.headers.get(TEST_SIGNATURE, "")
    if not hmac.compare_digest(signature.encode(), test_signature(secret, posted.body).encode()):
        raise NoticeError(f"not signed by {TEST}")
    try:
        notice = msgspec.json.decode(posted.body, type=_TestNotice)
    except msgspec.MsgspecError as error:
        raise NoticeError(str(error)) from None
    return Noticed(notice.event_id, notice.payment_id)


class _StripeObject(msgspec.Struct):
    metadata: dict[str, str] | None = None


class _StripeData(msgspec.Struct):
    object: _StripeObject


class _StripeEvent(msgspec.Struct):
    data: _StripeData
    livemode: bool
    account: str | None = None


def read_stripe_notice(settings: StripeSettings, posted: Posted) -> Noticed | None:
    """What a notice of Stripe's is about; None if it is about no payment of ours.

    Raises:
        NoticeError
    """
    # The library is large, and a site without Stripe does not load it.
    from stripe import SignatureVerificationError, WebhookSignature

    try:
        WebhookSignature.verify_header(
            posted.body.decode(),
            posted.headers.get(STRIPE_SIGNATURE, ""),
            settings.webhook_secret,
            STRIPE_SECONDS_MAX,
        )
        event = msgspec.json.decode(posted.body, type=_StripeEvent)
    except (SignatureVerificationError, msgspec.MsgspecError, UnicodeDecodeError):
        raise NoticeError(f"not signed by {STRIPE}") from None
    if (event.account or "") != settings.account or event.livemode != settings.is_live:
        raise NoticeError("of another account")
    named = event.data.object.metadata or {}
    try:
        return Noticed(int(named[STRIPE_EVENT]), uuid.UUID(named[STRIPE_PAYMENT]))
    except (KeyError, ValueError):
        return None


def mollie_signature(secret: str, event_id: int, payment_id: uuid.UUID) -> str:
    """What the address of a payment's notices is signed by, because Mollie signs none of these itself."""
    return hmac.digest(secret.encode(), f"mollie notice {event_id} {payment_id}".encode(), "sha256").hex()


def read_mollie_notice(secret: str, posted: Posted) -> Noticed:
    """What a notice of Mollie's is about: the address that it is posted to names the payment.

    Raises:
        NoticeError
    """
    try:
        event_id, payment_id = int(posted.query["event"]), uuid.UUID(posted.query["payment"])
    except (KeyError, ValueError):
        raise NoticeError(f"no address of {MOLLIE}'s notices") from None
    signature = mollie_signature(secret, event_id, payment_id)
    if not hmac.compare_digest(posted.query.get("key", "").encode(), signature.encode()):
        raise NoticeError(f"no address that {MOLLIE} was given")
    return Noticed(event_id, payment_id)
