"""The kinds of messages to fans. This is the one place where a kind, and what holds for it, is written down."""

from __future__ import annotations

from enum import StrEnum


class MessageChannel(StrEnum):
    """The ways by which a message reaches a person."""

    MAIL = "mail"
    SMS = "sms"
    PUSH = "push"


MAIL, SMS, PUSH = MessageChannel.MAIL, MessageChannel.SMS, MessageChannel.PUSH

URGENT, SOON, BULK = 0, 1, 2
"""What is more urgent leaves first: nobody's turn waits behind the mails of a whole event."""
DAY_SECONDS = 86_400


class MessageKind(StrEnum):
    """The kinds of messages. A kind's word is the name of its template, too.

    ``transactional``: it belongs to what the fan is doing here and needs no double opt-in. ``channels``: the ways that
    it may take. ``useful_seconds``: a message that is later than this is not sent any more. ``has_quiet_hours``: it
    waits for the end of the night. ``headline`` says to operators what it is.
    """

    transactional: bool
    channels: tuple[MessageChannel, ...]
    urgency: int
    useful_seconds: int
    has_quiet_hours: bool
    headline: str

    def __new__(
        cls,
        word: str,
        transactional: bool,
        channels: tuple[MessageChannel, ...],
        urgency: int,
        useful_seconds: int,
        has_quiet_hours: bool,
        headline: str,
    ) -> MessageKind:
        kind = str.__new__(cls, word)
        kind._value_ = word
        kind.transactional = transactional
        kind.channels = channels
        kind.urgency = urgency
        kind.useful_seconds = useful_seconds
        kind.has_quiet_hours = has_quiet_hours
        kind.headline = headline
        return kind

    TURN_NEAR = "turn_near", True, (MAIL, SMS, PUSH), URGENT, 600, False, "Your turn is near"
    TURN = "turn", True, (MAIL, SMS, PUSH), URGENT, 600, False, "It is your turn"
    HOLD_ENDING = "hold_ending", True, (MAIL, SMS, PUSH), URGENT, 180, False, "Your seats are about to be released"
    PURCHASE = "purchase", True, (MAIL,), SOON, 7 * DAY_SECONDS, False, "Your tickets"
    PAYMENT_FAILED = "payment_failed", True, (MAIL, PUSH), SOON, DAY_SECONDS, False, "A payment failed"
    REFUND = "refund", True, (MAIL,), SOON, 7 * DAY_SECONDS, False, "Money is paid back"
    EVENT_CHANGED = "event_changed", True, (MAIL, PUSH), BULK, 7 * DAY_SECONDS, False, "An event was changed"
    EVENT_MOVED = "event_moved", True, (MAIL, SMS, PUSH), BULK, 7 * DAY_SECONDS, False, "An event was moved"
    EVENT_CANCELLED = "event_cancelled", True, (MAIL, SMS, PUSH), BULK, 7 * DAY_SECONDS, False, "An event was cancelled"
    OFFER = "offer", True, (MAIL, SMS, PUSH), URGENT, 3600, False, "Seats from the waiting list"
    SALE_TOMORROW = "sale_tomorrow", False, (MAIL,), BULK, DAY_SECONDS, True, "A sale opens tomorrow"
    NEW_EVENT = "new_event", False, (MAIL,), BULK, 7 * DAY_SECONDS, True, "A new event"
    RETURNED_TICKETS = "returned_tickets", False, (MAIL,), BULK, DAY_SECONDS, True, "Returned tickets"
    CONFIRM = "confirm", True, (MAIL,), SOON, DAY_SECONDS, False, "Confirm your address"
    ACCOUNT_LINK = "account_link", True, (MAIL,), URGENT, 3600, False, "Make an account, or set a new password"
    ACCOUNT_JOINED = "account_joined", True, (MAIL,), SOON, 7 * DAY_SECONDS, False, "Two accounts were joined"
    TICKETS_LINK = "tickets_link", True, (MAIL,), URGENT, 3600, False, "Find your tickets"
    ALARM = "alarm", True, (MAIL, PUSH), URGENT, 3600, False, "An alarm for operators"


SIGNED_LINKS = (MessageKind.ACCOUNT_LINK, MessageKind.TICKETS_LINK)
"""The kinds whose link is signed for the address that reads it."""

_NOT_CHOOSABLE = (MessageKind.CONFIRM, *SIGNED_LINKS, MessageKind.ACCOUNT_JOINED, MessageKind.ALARM)
CHOOSABLE = tuple(kind for kind in MessageKind if kind not in _NOT_CHOOSABLE)
"""The kinds that a person may switch off for an address. A confirmation or a signed link is only sent because it was
asked for, and that accounts were joined is told in any case."""


class MessageState(StrEnum):
    """Where a message stands: ``failed`` was refused for good, ``dead`` was tried too often, ``skipped`` was not sent:
    it came too late, or its person does not want it any more."""

    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"
    DEAD = "dead"
    SKIPPED = "skipped"


class SuppressionReason(StrEnum):
    """Why an address is not written to."""

    UNSUBSCRIBED = "unsubscribed"
    BOUNCE = "bounce"
    COMPLAINT = "complaint"


class Followed(StrEnum):
    """What a person follows, by its name."""

    ARTIST = "artist"
    VENUE = "venue"
