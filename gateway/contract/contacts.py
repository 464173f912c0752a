"""Bodies and answers about where fans are told."""

from __future__ import annotations

import uuid
from typing import Annotated, Literal

from msgspec import Meta, field

from db.messages.kinds import Followed
from db.texts import END, ONE_LINE
from gateway.contract.values import AnswerBody, EventId, Moment, RequestBody

Mail = Annotated[str, Meta(max_length=254, pattern=ONE_LINE, description="an e-mail address")]
Phone = Annotated[str, Meta(max_length=40, pattern=ONE_LINE, description="a phone number with its country")]
LanguageTag = Annotated[str, Meta(pattern="^[a-z]{2}" + END, description="the language to be told in")]


class ContactBody(RequestBody, kw_only=True):
    """Where to be told of one event. An empty address is forgotten, and one that is left out stays."""

    EXAMPLES = ({"mail": "ada@example.org", "language": "en"},)

    mail: Mail | None = None
    phone: Phone | None = None
    language: LanguageTag = "en"


class ContactAnswer(AnswerBody, kw_only=True):
    """A fan's addresses for an event, shortened: who looks over a shoulder need not read them."""

    mail: str | None
    phone: str | None


class FollowBody(RequestBody, kw_only=True):
    """Whose events to hear of: the artist or the venue of this event."""

    EXAMPLES = ({"eventId": 1, "what": "venue", "mail": "ada@example.org", "language": "en"},)

    event_id: EventId
    what: Followed
    mail: Mail
    language: LanguageTag = "en"


class ReportBody(RequestBody, kw_only=True):
    """What a provider, or a program beside one, says of a mail that it was given."""

    EXAMPLES = ({"type": "bounce", "address": "nobody@example.org", "detail": "550 5.1.1 no such user"},)

    type: Literal["bounce", "complaint"]
    address: Mail
    detail: Annotated[str, Meta(max_length=300)] = ""


class ReplyBody(RequestBody, kw_only=True):
    """What a reader answered to an SMS."""

    EXAMPLES = ({"from": "+4915112345678", "text": "STOP"},)

    sender: Annotated[Phone, Meta(description="the reader's number")] = field(name="from")
    text: Annotated[str, Meta(max_length=2000)]


class DeadLetter(AnswerBody, kw_only=True):
    """A message that was tried too often."""

    message_id: uuid.UUID
    event_id: int
    kind: str
    channel: str
    address: str
    tries: int
    error: str
    ended_at: Moment | None


class DeadLetterList(AnswerBody, kw_only=True):
    """How many messages were tried too often, and the newest of them."""

    count: int
    messages: tuple[DeadLetter, ...]


class ResendMessagesBody(RequestBody, kw_only=True):
    """Which message to try again; without an id all that were given up."""

    EXAMPLES = ({"messageId": "019a5b1e-7c1a-7b44-9d3e-5f0a2b6c8d10"},)

    message_id: uuid.UUID | None = None


class MessagesResent(AnswerBody, kw_only=True):
    """How many messages are tried again."""

    resent: int
