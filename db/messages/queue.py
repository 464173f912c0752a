"""Messages on their way: written once for each cause and address, taken for a try, and noted when the try ended."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final, LiteralString, NamedTuple

import msgspec

from db.booking.order_codes import code_of
from db.booking.ticket_codes import open_code
from db.messages.addresses import opened, stored
from db.messages.kinds import MessageChannel, MessageKind, SuppressionReason
from db.push.keys import open_push_key
from db.sealing.keyring import SealError

NO_EVENT_ID: Final = 0
"""The event of a message that is about none."""

WRITE: Final[LiteralString] = """
INSERT INTO message (event_id, message_id, kind, channel, address, address_hash, user_id, language, dedup_key, payload,
                     urgency, due_at, useful_until)
SELECT k.event_id, gen_random_uuid(), k.kind, k.channel, k.address, k.address_hash, k.user_id, k.language, k.dedup_key,
       k.payload, k.urgency, clock_timestamp(), clock_timestamp() + make_interval(secs => k.useful_seconds)
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, kind text, channel text, address text, address_hash bytea, user_id bigint, language text,
             dedup_key text, payload jsonb, urgency smallint, useful_seconds int)
 WHERE k.event_id = 0
    OR k.event_id IN (SELECT event_id
                        FROM event
                       WHERE event_id IN (SELECT event_id FROM json_to_recordset(%(rows)s) AS r (event_id bigint))
                         AND rehearsal_of IS NULL)
    ON CONFLICT DO NOTHING
"""
"""Writes messages that are not written yet; of a rehearsal none."""


def message_row(
    kind: MessageKind,
    *,
    event_id: int,
    channel: str,
    address: str,
    user_id: int,
    language: str,
    cause: str,
    payload: Mapping[str, Any],
) -> dict[str, Any]:
    """A row of `WRITE`. ``cause`` names what happened: of one cause each address is told once."""
    to_store = stored(address)
    return {
        "event_id": event_id,
        "kind": kind,
        "channel": channel,
        "address": to_store.sealed,
        "address_hash": "\\x" + to_store.hash.hex(),
        "user_id": user_id,
        "language": language,
        "dedup_key": dedup_key(kind, cause, channel, to_store.hash),
        "payload": payload,
        "urgency": kind.urgency,
        "useful_seconds": kind.useful_seconds,
    }


def dedup_key(kind: MessageKind, cause: str, channel: str, address_hash: bytes) -> str:
    """What a message is about and whom it reaches; `db.messages.fan_out` makes the same text in SQL."""
    return f"{kind}:{cause}:{channel}:{address_hash.hex()}"


def rows_of(rows: list[dict[str, Any]]) -> dict[str, str]:
    """The parameters of `WRITE`."""
    return {"rows": msgspec.json.encode(rows).decode()}


TAKE: Final[LiteralString] = """
WITH due AS (
    SELECT d.event_id, d.message_id
      FROM json_to_recordset(%(lanes)s) AS l (channel text, urgency_min int, urgency_max int, messages_max int)
     CROSS JOIN LATERAL (
           SELECT event_id, message_id
             FROM message
            WHERE state = 'queued' AND due_at <= now() AND address_hash IS NOT NULL
              AND channel = l.channel AND urgency BETWEEN l.urgency_min AND l.urgency_max
            ORDER BY urgency, due_at
            LIMIT l.messages_max
              FOR UPDATE SKIP LOCKED) AS d
), taken AS (
    UPDATE message m
       SET tries = m.tries + 1, due_at = now() + make_interval(secs => %(lease_seconds)s)
      FROM due
     WHERE m.message_id = due.message_id AND m.event_id = due.event_id
    RETURNING m.*
)
SELECT t.event_id, t.message_id, t.kind, t.channel, t.address, t.user_id, t.language, t.payload, t.tries,
       t.useful_until <= now(),
       EXISTS (SELECT
                 FROM suppression s
                WHERE s.address_hash = t.address_hash AND s.channel = t.channel AND s.kind IN ('', t.kind)),
       p.p256dh, p.auth, q.from_hour, q.until_hour,
       e.name, e.artist, e.venue, e.date, e.time_zone, e.doors_at, e.on_sale_at, e.currency, e.notice, e.state,
       e.revision
  FROM taken t
  LEFT JOIN event e ON e.event_id = t.event_id
  LEFT JOIN quiet_hours q ON q.address_hash = t.address_hash AND q.channel = t.channel
  LEFT JOIN push_subscription p
    ON t.channel = 'push' AND p.event_id = t.event_id AND p.user_id = t.user_id AND p.address_hash = t.address_hash
 ORDER BY t.urgency, t.created_at
"""
"""Takes the messages that are due, so many of each lane and its most urgent first, each for one try. A message is due
again once that try must be over, for the process that took it may have died on the way. A message of an older release
waits until housekeeping has sealed its address: only then can it be seen whether the address wants it."""


class EventFacts(NamedTuple):
    """What messages say of an event."""

    name: str
    artist: str
    venue: str
    date: dt.datetime
    time_zone: str
    doors_at: dt.datetime | None
    on_sale_at: dt.datetime
    currency: str
    notice: str
    state: str
    revision: int


_LONG_AGO: Final = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
NO_EVENT: Final = EventFacts(
    name="",
    artist="",
    venue="",
    date=_LONG_AGO,
    time_zone="UTC",
    doors_at=None,
    on_sale_at=_LONG_AGO,
    currency="EUR",
    notice="",
    state="",
    revision=0,
)
"""What stands in the place of an event's facts where a message is about none."""


class Taken(NamedTuple):
    """A message that was taken for its ``tries``-th try. ``keys`` are those of a browser that takes web push; ``quiet``
    are the hours from which and until which its reader wants to be left alone. The address is empty where no key of
    this site opens it.
    """

    event_id: int
    message_id: uuid.UUID
    kind: MessageKind
    channel: MessageChannel
    address: str
    user_id: int
    language: str
    payload: dict[str, Any]
    tries: int
    is_late: bool
    is_suppressed: bool
    keys: tuple[str, str] | None
    quiet: tuple[int, int] | None
    event: EventFacts


def taken(row: tuple[Any, ...]) -> Taken:
    """A row of `TAKE`."""
    p256dh, auth, quiet_from, quiet_until = row[11:15]
    kind, channel = msgspec.convert(row[2], MessageKind), MessageChannel(row[3])
    try:
        address = opened(row[4])
        keys = (open_push_key(p256dh), open_push_key(auth)) if p256dh and auth else None
    except SealError:
        address, keys = "", None
    quiet = None if quiet_from is None else (quiet_from, quiet_until)
    event = NO_EVENT if row[0] == NO_EVENT_ID else EventFacts(*row[15:])
    return Taken._make((*row[:2], kind, channel, address, *row[5:11], keys, quiet, event))


ANY_DUE: Final[LiteralString] = """
SELECT EXISTS (SELECT
                 FROM message
                WHERE state = 'queued' AND due_at <= statement_timestamp() AND address_hash IS NOT NULL)
"""

COUNT_DUE: Final[LiteralString] = """
SELECT count(*)
  FROM (SELECT
          FROM message
         WHERE state = 'queued' AND due_at <= now() AND address_hash IS NOT NULL AND channel = %(channel)s
         LIMIT %(messages_max)s) AS due
"""
"""How many messages of a channel are due; no more than so many are counted."""

NOTE: Final[LiteralString] = """
UPDATE message m
   SET state = k.state, error = k.error, provider = k.provider, provider_id = k.provider_id,
       copy = coalesce(k.copy, m.copy),
       due_at = clock_timestamp() + make_interval(secs => k.wait_seconds),
       ended_at = CASE WHEN k.state <> 'queued' THEN clock_timestamp() END
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, message_id uuid, tries int, state text, error text, provider text, provider_id text,
             copy text, wait_seconds float)
 WHERE m.message_id = k.message_id AND m.event_id = k.event_id
   AND m.ended_at IS NULL
   AND (k.state = 'sent' OR m.tries = k.tries)
"""
"""Writes down how tries ended. That a message was sent counts even where another process has taken it meanwhile; a
failure counts only where it is the latest try's.

That it has not ended is asked by ``ended_at``, which no index has for this. By ``state = 'queued'`` a planner without
statistics found everything that was queued, and compared it with each row (ADR 145).
"""

FORGET: Final[LiteralString] = """
DELETE FROM message m
 USING (SELECT event_id, message_id
          FROM message
         WHERE ended_at < now() - make_interval(hours => %(keep_hours)s)
         LIMIT %(rows_max)s) AS old
 WHERE m.message_id = old.message_id AND m.event_id = old.event_id
"""

FORGET_CONTACTS: Final[LiteralString] = """
DELETE FROM contact c
 USING (SELECT c.event_id, c.user_id, c.channel
          FROM event e
          JOIN contact c USING (event_id)
         WHERE e.date < clock_timestamp() - make_interval(hours => %(keep_hours)s)
         LIMIT %(rows_max)s) AS old
 WHERE c.event_id = old.event_id AND c.user_id = old.user_id AND c.channel = old.channel
"""
"""Forgets the addresses of fans some time after the event: nobody is told of it any more."""

FORGET_UNCONFIRMED: Final[LiteralString] = """
DELETE FROM follower
 WHERE follower_id IN (SELECT follower_id
                         FROM follower
                        WHERE confirmed_at IS NULL
                          AND made_at < clock_timestamp() - make_interval(hours => %(keep_hours)s)
                        LIMIT %(rows_max)s)
"""

SUPPRESS: Final[LiteralString] = """
INSERT INTO suppression (address, address_hash, channel, kind, reason, detail)
VALUES (%(sealed)s, %(hash)s, %(channel)s, %(kind)s, %(reason)s, %(detail)s)
    ON CONFLICT DO NOTHING
"""


def suppression_row(channel: str, address: str, kind: str, reason: SuppressionReason, detail: str) -> dict[str, Any]:
    """The parameters of `SUPPRESS`. Servers name the address in what they say, so it is taken out of ``detail``."""
    return {
        **stored(address)._asdict(),
        "channel": channel,
        "kind": kind,
        "reason": reason,
        "detail": without_address(detail, address),
    }


def without_address(text: str, address: str) -> str:
    """What a provider said, without the address of the message."""
    return text.replace(address, "<address>") if address else text


ADDRESS_OF: Final[LiteralString] = """
SELECT address FROM message WHERE message_id = %(message_id)s AND channel = 'mail'
"""
"""Whom a mail was for of which a report came."""

CAME_BACK: Final[LiteralString] = """
UPDATE message SET state = 'failed', error = %(error)s
 WHERE %(is_failed)s AND message_id = %(message_id)s AND channel = 'mail' AND state = 'sent'
"""
"""Notes with a mail that it did not arrive."""

DROP_SUBSCRIPTION: Final[LiteralString] = """
DELETE FROM push_subscription WHERE address_hash = %(hash)s AND event_id = %(event_id)s AND user_id = %(user_id)s
"""

TICKETS: Final[LiteralString] = """
SELECT p.total_amount, p.currency, t.ticket_type, coalesce(s.section, ''), coalesce(s.row_label, d.row_number::text),
       coalesce(s.seat_label, d.seat_number::text), d.amount, d.ticket_code, t.entrance, d.event_id, d.purchase_id,
       d.ticket_type_id, d.row_number, d.seat_number, d.issue_number, p.order_number
  FROM purchase p
  JOIN purchase_detail d ON d.purchase_id = p.purchase_id AND d.event_id = p.event_id
  JOIN ticket t ON t.event_id = d.event_id AND t.ticket_type_id = d.ticket_type_id
  LEFT JOIN seat s
    ON s.event_id = d.event_id AND s.ticket_type_id = d.ticket_type_id AND s.row_number = d.row_number
   AND s.seat_number = d.seat_number
 WHERE p.purchase_id = %(purchase_id)s AND p.event_id = %(event_id)s AND d.cancelled_at IS NULL
   AND d.holder_user_id IS NULL AND p.status = 'confirmed'
 ORDER BY d.ticket_type_id, d.row_number, d.seat_number
"""


class TicketFacts(NamedTuple):
    """One ticket of a purchase, with what the purchase cost in all. ``ticket`` is the signed ticket; where it is empty
    the QR code says the ticket's code. ``order_code`` is the purchase's.
    """

    total_amount: int
    currency: str
    ticket_type: str
    section: str
    row: str
    seat: str
    amount: int
    ticket_code: str
    entrance: str = ""
    ticket: str = ""
    order_code: str = ""

    @property
    def qr(self) -> str:
        return self.ticket or self.ticket_code


class Issued(NamedTuple):
    """Which ticket it is: what its signature vouches for."""

    event_id: int
    purchase_id: uuid.UUID
    ticket_type_id: int
    row_number: int
    seat_number: int
    issue_number: int


def ticket_facts(row: Sequence[Any]) -> tuple[TicketFacts, Issued]:
    """A row of `TICKETS`. The ticket is not signed yet.

    Raises:
        SealError: no key of this site opens the ticket's code.
    """
    facts, issued = TicketFacts(*row[:9]), Issued._make(row[9:15])
    return facts._replace(ticket_code=open_code(facts.ticket_code), order_code=code_of(row[15])), issued
