"""Notices of providers: signed, of this account, lately, and never believed beyond the payment that they name."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from payments.notices import (
    Noticed,
    NoticeError,
    Posted,
    mollie_signature,
    read_mollie_notice,
    read_stripe_notice,
)
from payments.settings import StripeSettings
from tests.tills.stripe_server import KEY, WEBHOOK_SECRET, notice

PAYMENT = uuid.UUID("019a5b1e-8d30-7c21-a5b6-1e2f3a4b5c6d")
NAMED = {"admitone_event": "7", "admitone_payment": str(PAYMENT)}
SETTINGS = StripeSettings(secret_key=KEY, public_key="pk_test", webhook_secret=WEBHOOK_SECRET)


def posted(metadata: dict[str, str] = NAMED, **changes: Any) -> Posted:
    body, headers = notice(metadata, **changes)
    return Posted({name.lower(): value for name, value in headers.items()}, {}, body)


def test_a_notice_of_stripe_names_its_payment() -> None:
    assert read_stripe_notice(SETTINGS, posted()) == Noticed(7, PAYMENT)
    assert read_stripe_notice(SETTINGS, posted(age_seconds=290)) == Noticed(7, PAYMENT)
    of_other = StripeSettings(secret_key=KEY, webhook_secret=WEBHOOK_SECRET, account="acct_1")
    assert read_stripe_notice(of_other, posted(account="acct_1")) == Noticed(7, PAYMENT)


@pytest.mark.parametrize("metadata", [{}, {"admitone_event": "x", "admitone_payment": "y"}, {"order": "4711"}])
def test_a_notice_about_something_else_is_taken_and_forgotten(metadata: dict[str, str]) -> None:
    assert read_stripe_notice(SETTINGS, posted(metadata)) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"secret": "whsec_of_somebody_else"},
        {"age_seconds": 310},
        {"account": "acct_of_somebody_else"},
        {"livemode": True},
        {"data": "nothing"},
    ],
)
def test_a_notice_that_is_forged_old_or_of_another_account_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(NoticeError):
        read_stripe_notice(SETTINGS, posted(**changes))


def test_a_body_that_is_not_what_was_signed_is_refused() -> None:
    signed = posted()
    for body in (signed.body + b" ", signed.body.replace(b"pi_1", b"pi_2"), b"\xff"):
        with pytest.raises(NoticeError):
            read_stripe_notice(SETTINGS, signed._replace(body=body))
    with pytest.raises(NoticeError):
        read_stripe_notice(SETTINGS, signed._replace(headers={}))


def test_a_notice_of_mollie_names_the_payment_by_an_address_that_only_we_can_make() -> None:
    query = {"event": "7", "payment": str(PAYMENT), "key": mollie_signature("secret", 7, PAYMENT)}
    assert read_mollie_notice("secret", Posted({}, query, b"id=tr_1")) == Noticed(7, PAYMENT)
    for forged in (
        {},
        {**query, "event": "8"},
        {**query, "payment": str(uuid.uuid4())},
        {**query, "key": ""},
        {**query, "payment": "tr_1"},
    ):
        with pytest.raises(NoticeError):
            read_mollie_notice("secret", Posted({}, forged, b"id=tr_1"))
