"""Payments of an event in figures, for its operators; and of the whole site, for `admitone doctor` and alarms."""

from __future__ import annotations

from typing import Final, LiteralString, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

AT_THE_BANK: Final = "the provider or a bank works on it"
"""What the payment process notes of a payment that can be neither closed nor counted as paid now."""

_PAYMENTS: Final[LiteralString] = """
SELECT count(*) FILTER (WHERE state = 'new'),
       count(*) FILTER (WHERE state = 'open' AND captured_at IS NULL AND error <> %(at_the_bank)s),
       count(*) FILTER (WHERE state = 'open' AND captured_at IS NULL AND error = %(at_the_bank)s),
       count(*) FILTER (WHERE state IN ('new', 'open', 'failed') AND captured_at IS NOT NULL),
       count(*) FILTER (WHERE state = 'booked'),
       count(*) FILTER (WHERE state = 'failed' AND captured_at IS NULL),
       count(*) FILTER (WHERE state = 'returned'),
       count(*) FILTER (WHERE state IN ('new', 'open') AND error <> %(at_the_bank)s
                          AND expires_at < clock_timestamp() - make_interval(mins => %(stuck_minutes)s)),
       coalesce(sum(captured_amount), 0)::bigint,
       coalesce(max(error) FILTER (WHERE state IN ('new', 'open') AND error NOT IN ('', %(at_the_bank)s)), '')
  FROM payment
 WHERE event_id = %(event_id)s
"""

_REFUNDS: Final[LiteralString] = """
SELECT count(*) FILTER (WHERE state = 'pending'), count(*) FILTER (WHERE state = 'done'),
       count(*) FILTER (WHERE state = 'dead'),
       count(*) FILTER (WHERE state = 'pending'
                          AND created_at < clock_timestamp() - make_interval(mins => %(stuck_minutes)s)),
       coalesce(sum(amount) FILTER (WHERE state = 'done'), 0)::bigint,
       coalesce(sum(amount) FILTER (WHERE state <> 'done'), 0)::bigint,
       coalesce(max(error) FILTER (WHERE state <> 'done'), '')
  FROM refund
 WHERE event_id = %(event_id)s
"""


class PaymentFigures(NamedTuple):
    """How many payments of an event are in which state; amounts are in its currency's minor units. ``stuck``: past
    their end for long, though no bank works on them. ``error`` is one of those that payments under way have.
    """

    opening: int
    open: int
    at_the_bank: int
    captured: int
    booked: int
    failed: int
    returned: int
    stuck: int
    captured_amount: int
    error: str


class RefundFigures(NamedTuple):
    """The same of what goes back. ``dead`` were given up, and ``stuck`` are tried for long; ``owed_amount`` is what all
    that are not done come to.
    """

    pending: int
    done: int
    dead: int
    stuck: int
    done_amount: int
    owed_amount: int
    error: str


async def read_figures(
    connection: AsyncConnection, event_id: int, *, stuck_minutes: int
) -> tuple[PaymentFigures, RefundFigures]:
    """The figures of an event. What is tried for longer than ``stuck_minutes`` is stuck."""
    which = {"event_id": event_id, "stuck_minutes": stuck_minutes, "at_the_bank": AT_THE_BANK}
    payments = (await connection.exec_driver_sql(_PAYMENTS, which)).one()
    refunds = (await connection.exec_driver_sql(_REFUNDS, which)).one()
    return PaymentFigures._make(payments), RefundFigures._make(refunds)


SITE: Final[LiteralString] = """
SELECT (SELECT count(*) FROM event WHERE payments <> ''),
       (SELECT count(*)
          FROM payment
         WHERE state IN ('new', 'open') AND error <> %(at_the_bank)s
           AND expires_at < clock_timestamp() - make_interval(mins => %(stuck_minutes)s)),
       (SELECT count(*) FROM payment WHERE state = 'new' AND error <> ''),
       (SELECT coalesce(max(error), '') FROM payment WHERE state IN ('new', 'open') AND error <> %(at_the_bank)s),
       (SELECT count(*) FROM refund WHERE state = 'dead'),
       (SELECT count(*)
          FROM refund
         WHERE state = 'pending' AND created_at < clock_timestamp() - make_interval(mins => %(stuck_minutes)s)),
       (SELECT coalesce(max(error), '') FROM refund WHERE state <> 'done')
"""


class SiteFigures(NamedTuple):
    """Payments of the whole site that want attention: ``unopened`` ones wait for the provider to answer."""

    events: int
    stuck: int
    unopened: int
    error: str
    refunds_dead: int
    refunds_stuck: int
    refund_error: str


WATCHED: Final[LiteralString] = """
SELECT e.event_id, e.name, e.time_zone,
       (SELECT coalesce(extract(epoch FROM clock_timestamp() - min(p.created_at)), 0)::float
          FROM payment p
         WHERE p.event_id = e.event_id AND p.state = 'new' AND p.error <> ''),
       (SELECT coalesce(extract(epoch FROM clock_timestamp() - min(r.created_at)), 0)::float
          FROM refund r
         WHERE r.event_id = e.event_id AND r.state <> 'done'),
       (SELECT count(*)
          FROM jsonb_array_elements(latest.differences) AS one
         WHERE (one ->> 'eventId')::bigint = e.event_id AND NOT (one ->> 'mended')::boolean)
  FROM event e
  LEFT JOIN (SELECT differences
               FROM reconciliation
              WHERE ended_at IS NOT NULL
              ORDER BY began_at DESC
              LIMIT 1) AS latest ON true
 WHERE e.payments <> '' AND e.rehearsal_of IS NULL AND e.date > clock_timestamp() - interval '90 days'
 ORDER BY e.on_sale_at DESC, e.event_id
 LIMIT %(events_max)s
"""


class WatchedMoney(NamedTuple):
    """An event that takes payments, also once its sale is over: for how long the oldest payment could not be opened,
    and the oldest refund is not done, and in how many payments the providers' books differ.
    """

    event_id: int
    name: str
    time_zone: str
    unopened_seconds: float
    refund_seconds: float
    differences: int
