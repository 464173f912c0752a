"""Answers about the payments of an event."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Annotated

from msgspec import Meta

from gateway.contract.values import AnswerBody


class PaymentCounts(AnswerBody, kw_only=True):
    """How many payments are in which state. ``opening``: the provider has not opened them yet. ``open``: the fan can
    pay. ``atTheBank``: the bank works on them, or only the provider can end them. ``captured``: paid, and about to be
    booked or paid back. ``booked``, ``failed`` and ``returned`` are over; the last were paid, and bought nothing.
    ``stuck`` are past their end for longer than the site's ``ADMITONE_PAYMENT_STUCK_MINUTES``.
    """

    opening: int
    open: int
    at_the_bank: int
    captured: int
    booked: int
    failed: int
    returned: int
    stuck: int


class RefundCounts(AnswerBody, kw_only=True):
    """How many refunds are under way, done, and given up (``dead``); ``stuck`` are tried for long. ``owedAmount`` is
    what those that are not done come to, in minor units.
    """

    pending: int
    done: int
    dead: int
    stuck: int
    done_amount: int
    owed_amount: int


class PaymentDifference(AnswerBody, kw_only=True):
    """What a provider's books say otherwise than ours. ``mended``: the payment process looks at it by itself."""

    payment_id: uuid.UUID
    sentence: str
    mended: bool


class EventPayments(AnswerBody, kw_only=True):
    """The payments of an event. ``provider`` is empty where it takes none. ``errors`` are examples of what the provider
    or the network said. ``differences`` are those of the last comparison with the provider's books, at ``comparedAt``.
    """

    event_id: int
    provider: str
    currency: str
    captured_amount: int
    payments: PaymentCounts
    refunds: RefundCounts
    errors: Annotated[tuple[str, ...], Meta(max_length=2)]
    compared_at: dt.datetime | None
    differences: tuple[PaymentDifference, ...]
