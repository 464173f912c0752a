"""How far a moved or cancelled event has come: which fans were told, and which money went back.

Nothing here is written down beside the work itself: each figure is counted from the rows that the work leaves, so it is
true as well after a process died and another one went on.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final, LiteralString, NamedTuple

import psycopg

from db.messages.kinds import MessageKind
from db.outbox.channels import ChannelName
from db.outbox.kinds import OutboxKind
from db.payments.states import PaymentState, RefundCause, RefundState

_KINDS: Final = f"'{OutboxKind.EVENT_CHANGED}', '{OutboxKind.EVENT_CANCELLED}'"

_MESSAGES: Final[LiteralString] = f"""
WITH told AS (
    SELECT kind, split_part(dedup_key, ':', 2)::bigint AS revision, state, count(*) AS messages
      FROM message
     WHERE event_id = %(event_id)s
       AND kind IN ('{MessageKind.EVENT_MOVED}', '{MessageKind.EVENT_CANCELLED}')
     GROUP BY kind, revision, state
)
SELECT kind, sum(messages)::bigint,
       coalesce(sum(messages) FILTER (WHERE state = 'queued'), 0)::bigint,
       coalesce(sum(messages) FILTER (WHERE state = 'sent'), 0)::bigint,
       coalesce(sum(messages) FILTER (WHERE state IN ('failed', 'dead')), 0)::bigint,
       coalesce(sum(messages) FILTER (WHERE state = 'skipped'), 0)::bigint
  FROM told
 WHERE revision = (SELECT max(revision) FROM told)
 GROUP BY kind
"""  # noqa: S608 - of constants alone
"""Of the newest move or the cancellation. A message's dedup key names the event's revision (`workers.messages`)."""

_UNWRITTEN: Final[LiteralString] = f"""
SELECT EXISTS (SELECT 1
                 FROM outbox o
                WHERE o.sent_at IS NULL AND o.event_id = %(event_id)s AND o.kind IN ({_KINDS}))
    OR EXISTS (SELECT 1
                 FROM delivery d
                 JOIN outbox o USING (event_id, outbox_id)
                WHERE d.channel = '{ChannelName.MESSAGE}' AND d.recipient_id = 0 AND d.state = 'pending'
                  AND d.event_id = %(event_id)s AND o.kind IN ({_KINDS}))
"""  # noqa: S608 - of constants alone
"""Whether messages of a change are yet to be written. Citus takes no subquery without a column here."""

_CANCELLATION: Final[LiteralString] = """
SELECT c.cancelled_at, c.done_at,
       (SELECT count(*)
          FROM purchase p
         WHERE p.event_id = c.event_id AND p.status = 'confirmed'),
       (SELECT count(*)
          FROM purchase p
         WHERE p.event_id = c.event_id AND p.status = 'confirmed'
           AND (c.done_at IS NOT NULL OR p.purchase_id <= c.told_through))
  FROM event_cancellation c
 WHERE c.event_id = %(event_id)s
"""

_REFUNDS: Final[LiteralString] = f"""
SELECT e.currency, count(b.purchase_id), coalesce(sum(b.total_amount), 0)::bigint,
       count(*) FILTER (WHERE r.state = '{RefundState.DONE}'),
       coalesce(sum(r.amount) FILTER (WHERE r.state = '{RefundState.DONE}'), 0)::bigint,
       count(*) FILTER (WHERE r.state = '{RefundState.DEAD}')
  FROM event e
  JOIN payment p ON p.event_id = e.event_id AND p.state = '{PaymentState.BOOKED}'
  JOIN purchase b ON b.event_id = p.event_id AND b.purchase_id = p.purchase_id AND b.total_amount > 0
  LEFT JOIN refund r
    ON r.event_id = p.event_id AND r.payment_id = p.payment_id AND r.cause = '{RefundCause.EVENT_CANCELLED}'
 WHERE e.event_id = %(event_id)s
 GROUP BY e.currency
"""  # noqa: S608 - of constants alone


class Told(NamedTuple):
    """The messages of the newest move, or of the cancellation, by how they ended. ``failed`` ones reach nobody."""

    kind: str
    messages: int
    queued: int
    sent: int
    failed: int
    skipped: int


class PaidBack(NamedTuple):
    """What goes back for a cancelled event (minor units): ``purchases`` of ``amount`` in all, and what of it is done.
    The provider refuses what is ``given_up``, and an operator must see to it.
    """

    currency: str
    purchases: int
    amount: int
    done: int
    amount_done: int
    given_up: int


class Progress(NamedTuple):
    """How far an event has come. ``cancelled_at`` and what follows is there for a cancelled event alone, ``paid_back``
    only where something was paid. ``purchases_told``: of so many purchases webhooks were told.
    """

    told: Told | None
    is_written: bool
    cancelled_at: dt.datetime | None = None
    purchases: int = 0
    purchases_told: int = 0
    is_over: bool = True
    paid_back: PaidBack | None = None

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to do. What was given up is not done by waiting."""
        told, paid = self.told, self.paid_back
        return (
            self.is_written
            and self.is_over
            and (told is None or not told.queued)
            and (paid is None or paid.done + paid.given_up >= paid.purchases)
        )


def read_progress(connection: psycopg.Connection[Any], event_id: int) -> Progress:
    """How far an event that was moved or cancelled has come."""
    which = {"event_id": event_id}
    told = connection.execute(_MESSAGES, which).fetchone()
    unwritten = connection.execute(_UNWRITTEN, which).fetchone()
    cancellation = connection.execute(_CANCELLATION, which).fetchone()
    assert unwritten is not None
    progress = Progress(None if told is None else Told._make(told), is_written=not unwritten[0])
    if cancellation is None:
        return progress
    cancelled_at, done_at, purchases, purchases_told = cancellation
    paid_back = connection.execute(_REFUNDS, which).fetchone()
    return progress._replace(
        cancelled_at=cancelled_at,
        purchases=purchases,
        purchases_told=purchases_told,
        is_over=done_at is not None,
        paid_back=None if paid_back is None else PaidBack._make(paid_back),
    )
