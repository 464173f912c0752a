"""The answer about how far a moved or cancelled event has come."""

from __future__ import annotations

from typing import Literal

from gateway.contract.values import AnswerBody, Moment


class ToldAnswer(AnswerBody, kw_only=True):
    """The messages of the newest move, or of the cancellation, to fans whose addresses we have. ``queued`` ones are yet
    to be sent. ``failed`` ones reach nobody: the address refused them, or they were tried too often. ``skipped`` ones
    came too late, or their fan does not want them.
    """

    kind: Literal["event_moved", "event_cancelled"]
    messages: int
    queued: int
    sent: int
    failed: int
    skipped: int


class PaidBackAnswer(AnswerBody, kw_only=True):
    """What goes back for a cancelled event, in minor units: of ``purchases`` that were paid, ``done`` are paid back.
    The provider refused what is ``givenUp``; `admitone payments reconcile --resend` tries it again.
    """

    currency: str
    purchases: int
    amount: int
    done: int
    amount_done: int
    given_up: int


class EventProgress(AnswerBody, kw_only=True):
    """How far an event has come that was moved or cancelled. ``complete``: nothing is left to do.

    ``told`` is null while nobody was written to. Webhooks were told of ``purchasesTold`` of the ``purchases`` of a
    cancelled event. ``paidBack`` is null where nothing was paid.
    """

    event_id: int
    complete: bool
    cancelled_at: Moment | None
    told: ToldAnswer | None
    purchases: int
    purchases_told: int
    paid_back: PaidBackAnswer | None
