"""The public audit of all bookings: each invariant is one SQL statement that finds the rows that break it.

All statements see one snapshot, so the audit can run while tickets are sold, on a standby too. `db.audit.ledger` adds
the answers that clients got, for which it needs the primary.
"""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, LiteralString, NamedTuple

import psycopg
from psycopg.rows import dict_row

from db.audit.invoices import INVARIANTS as INVOICE_INVARIANTS
from db.audit.invoices import INVOICE_SECONDS_MAX
from db.audit.ledger import INVARIANTS as LEDGER_INVARIANTS
from db.audit.ledger import load_ledger
from db.audit.payments import AT_BANKS, SETTLE_SECONDS_MAX
from db.audit.payments import INVARIANTS as PAYMENT_INVARIANTS
from db.booking.holds import OPEN, keeps_seats, live
from db.connections import primary, replica
from db.invoices.settings import NO_SELLER, InvoiceSettings

logger = logging.getLogger(__name__)

ROWS_MAX: Final = 20
SWEEP_SECONDS_MAX: Final = 5
"""A lapsed hold is still shown as held for this long at most: the sweep comes every second or two."""


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that is broken, with at most `ROWS_MAX` of the rows that break it."""

    invariant: str
    sentence: str
    rows: tuple[dict[str, object], ...]


def audit(
    database_url: str,
    *,
    replica_url: str = "",
    grace_seconds: int = 15,
    command_keep_hours: int = 24,
    ledger: Path | None = None,
    invoices: InvoiceSettings = NO_SELLER,
) -> list[Violation]:
    """Check every invariant; an empty list means that all hold.

    Args:
        replica_url: a standby to be read in place of the primary, as long as it has caught up.
        grace_seconds: how long past its end a hold keeps its seats for its owner's checkout.
        command_keep_hours: how long rows of ``booking_command`` are kept; older purchases need no command.
        ledger: JSON Lines with the answers that clients got, to be compared with Postgres.
        invoices: whether the site has a seller, and since when; events with a seller of their own say so themselves.

    Raises:
        db.audit.ledger.LedgerError: a line of the ledger is malformed.
        psycopg.OperationalError: the database is out of reach.
    """
    parameters: dict[str, object] = {
        "grace_seconds": grace_seconds,
        "sweep_seconds_max": SWEEP_SECONDS_MAX,
        "command_keep_hours": command_keep_hours,
        "settle_seconds_max": SETTLE_SECONDS_MAX,
        "invoice_seconds_max": INVOICE_SECONDS_MAX,
        "invoices_of_site": bool(invoices.seller),
        "invoices_since": invoices.since_at,
        "rows_max": ROWS_MAX,
    }
    if replica_url and ledger is None:
        try:
            with replica.connect(database_url, "admitone-audit", replica_url=replica_url) as connection:
                return _violations(connection, parameters, None)
        except psycopg.OperationalError as error:
            # A standby cancels what reads for so long that it is in the way of what is replayed.
            logger.warning("the audit of the replica failed, the primary is audited: %s", error)
    with primary.connect(database_url, "admitone-audit", autocommit=False) as connection:
        return _violations(connection, parameters, ledger)


class AtBanks(NamedTuple):
    """Payments that banks take days for, the seats that are kept for them, and until when the last one is."""

    payments: int
    seats: int
    until: dt.datetime


def at_banks(database_url: str) -> AtBanks | None:
    """What is neither paid nor failed for days, and is no fault; None where there is nothing of the kind."""
    with primary.connect(database_url, "admitone-audit") as connection:
        row = connection.execute(AT_BANKS).fetchone()
    return AtBanks._make(row) if row is not None and row[0] else None


def _violations(
    connection: psycopg.Connection[Any], parameters: dict[str, object], ledger: Path | None
) -> list[Violation]:
    invariants = dict(INVARIANTS)
    # What is in the ledger before the snapshot had been committed by then.
    ledger_bytes = 0 if ledger is None else ledger.stat().st_size
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    with connection.transaction(force_rollback=True):
        if ledger is not None:
            load_ledger(connection, ledger, ledger_bytes)
            invariants |= LEDGER_INVARIANTS
        connection.execute("SET TRANSACTION READ ONLY")
        # Whole tables are compared by several columns, which only a hash join does in linear time; the LIMIT
        # and stale statistics make the others look cheaper.
        connection.execute("SET LOCAL enable_nestloop = off")
        connection.execute("SET LOCAL enable_mergejoin = off")
        # The snapshot comes first and the clock second: no decision in the snapshot is younger than `now`.
        connection.execute("SELECT 1 FROM event LIMIT 1")
        now = connection.execute(_NOW).fetchone()
        assert now is not None
        violations = []
        with connection.cursor(row_factory=dict_row) as cursor:
            for invariant, (sentence, sql) in invariants.items():
                rows = tuple(cursor.execute(sql, {**parameters, "now": now[0]}).fetchall())
                if rows:
                    violations.append(Violation(invariant, sentence, rows))
    return violations


_MADE_BY: Final = "coalesce(r.merged_from[1], r.user_id)"
"""SQL: the fan who got the seats of the reservation ``r``. What joined accounts got apart counts apart, and is nobody's
breach; what is bought after that counts with it in the engine.
"""

_NOW: Final[LiteralString] = """
SELECT CASE WHEN pg_is_in_recovery() THEN coalesce(pg_last_xact_replay_timestamp(), clock_timestamp())
            ELSE clock_timestamp() END
"""
"""A standby shows the moment of what it replayed last, which may be a while ago."""

INVARIANTS: Final[dict[str, tuple[str, LiteralString]]] = {
    "seat_sold_once": (
        "No seat stands in two live purchase details.",
        """
        SELECT event_id, ticket_type_id, row_number, seat_number, array_agg(purchase_id) AS purchase_ids
          FROM purchase_detail
         WHERE cancelled_at IS NULL
         GROUP BY event_id, ticket_type_id, row_number, seat_number
        HAVING count(*) > 1
         LIMIT %(rows_max)s
        """,
    ),
    "booked_seat_has_detail": (
        "Every booked seat stands in a live purchase detail.",
        """
        SELECT event_id, ticket_type_id, row_number, seat_number
          FROM seat s
         WHERE status = 'booked'
           AND NOT EXISTS (
               SELECT FROM purchase_detail d
                WHERE (d.event_id, d.ticket_type_id, d.row_number, d.seat_number)
                    = (s.event_id, s.ticket_type_id, s.row_number, s.seat_number)
                  AND d.cancelled_at IS NULL)
         LIMIT %(rows_max)s
        """,
    ),
    "live_detail_has_booked_seat": (
        "Every live purchase detail is of a seat that is booked.",
        """
        SELECT d.event_id, d.ticket_type_id, d.row_number, d.seat_number, d.purchase_id, s.status
          FROM purchase_detail d
          LEFT JOIN seat s USING (event_id, ticket_type_id, row_number, seat_number)
         WHERE d.cancelled_at IS NULL
           AND s.status IS DISTINCT FROM 'booked'
         LIMIT %(rows_max)s
        """,
    ),
    "reserved_seat_has_hold": (
        "Every reserved seat belongs to an open hold that lists it.",
        f"""
        SELECT s.event_id, s.ticket_type_id, s.row_number, s.seat_number, s.reservation_id, r.state
          FROM seat s
          LEFT JOIN reservation r USING (event_id, reservation_id)
         WHERE s.status = 'reserved'
           AND (r.{OPEN} IS NOT TRUE
                OR NOT EXISTS (
                   SELECT FROM unnest(r.ticket_type_ids, r.row_numbers, r.seat_numbers)
                               AS l (ticket_type_id, row_number, seat_number)
                    WHERE (l.ticket_type_id, l.row_number, l.seat_number)
                        = (s.ticket_type_id, s.row_number, s.seat_number)))
         LIMIT %(rows_max)s
        """,  # noqa: S608 - of constants alone
    ),
    "hold_has_its_seats": (
        "Every seat that an open hold lists is reserved by it, until the hold and its grace are over.",
        f"""
        SELECT r.event_id, r.reservation_id, l.ticket_type_id, l.row_number, l.seat_number, s.status,
               s.reservation_id AS reserved_by
          FROM reservation r
          LEFT JOIN LATERAL unnest(r.ticket_type_ids, r.row_numbers, r.seat_numbers)
                            AS l (ticket_type_id, row_number, seat_number) ON true
          LEFT JOIN seat s
            ON (s.event_id, s.ticket_type_id, s.row_number, s.seat_number)
             = (r.event_id, l.ticket_type_id, l.row_number, l.seat_number)
         WHERE {keeps_seats("r", "%(now)s")}
           AND (s.status IS DISTINCT FROM 'reserved' OR s.reservation_id IS DISTINCT FROM r.reservation_id)
         LIMIT %(rows_max)s
        """,  # noqa: S608 - of constants alone
    ),
    "counts_equal_seats": (
        "A ticket type's available, held and booked counts, and its quantity, equal its seats by status.",
        """
        SELECT t.event_id, t.ticket_type_id, t.quantity, t.available_count, t.held_count,
               s.total AS seats, s.available AS seats_available, s.reserved AS seats_reserved,
               s.booked AS seats_booked
          FROM ticket t
          LEFT JOIN (SELECT event_id, ticket_type_id, count(*) AS total,
                            count(*) FILTER (WHERE status = 'available') AS available,
                            count(*) FILTER (WHERE status = 'reserved') AS reserved,
                            count(*) FILTER (WHERE status = 'booked') AS booked
                       FROM seat
                      GROUP BY event_id, ticket_type_id) s USING (event_id, ticket_type_id)
         WHERE (t.quantity, t.available_count, t.held_count, t.quantity - t.available_count - t.held_count)
               IS DISTINCT FROM (coalesce(s.total, 0), coalesce(s.available, 0), coalesce(s.reserved, 0),
                                 coalesce(s.booked, 0))
         LIMIT %(rows_max)s
        """,
    ),
    "total_equals_details": (
        "A purchase's total is the sum of its live details' amounts.",
        """
        SELECT p.event_id, p.purchase_id, p.total_amount, d.live_amount
          FROM purchase p
          LEFT JOIN (SELECT event_id, purchase_id, sum(amount) AS live_amount
                       FROM purchase_detail
                      WHERE cancelled_at IS NULL
                      GROUP BY event_id, purchase_id) d USING (event_id, purchase_id)
         WHERE p.total_amount <> coalesce(d.live_amount, 0)
         LIMIT %(rows_max)s
        """,
    ),
    "detail_is_charged": (
        "Every purchase detail's amount is price, fee and tax without the discount, as they were charged for its hold.",
        """
        SELECT d.event_id, d.purchase_id, d.ticket_type_id, d.row_number, d.seat_number, d.amount, d.price, d.discount,
               d.fee, d.tax, h.amount AS held_amount, h.price AS held_price, h.fee AS held_fee
          FROM purchase_detail d
          JOIN purchase p USING (event_id, purchase_id)
          LEFT JOIN (SELECT r.event_id, r.reservation_id, s.ticket_type_id, s.row_number, s.seat_number, s.amount,
                            coalesce(r.charges[s.place::int][1], s.amount) AS price,
                            coalesce(r.charges[s.place::int][2], 0) AS fee
                       FROM reservation r
                      CROSS JOIN LATERAL unnest(r.ticket_type_ids, r.row_numbers, r.seat_numbers, r.amounts)
                                         WITH ORDINALITY
                                         AS s (ticket_type_id, row_number, seat_number, amount, place)
                      WHERE r.state = 'purchased' AND r.amounts <> '{}') h
            ON (h.event_id, h.reservation_id, h.ticket_type_id, h.row_number, h.seat_number)
             = (d.event_id, p.reservation_id, d.ticket_type_id, d.row_number, d.seat_number)
         WHERE d.amount NOT IN (coalesce(d.price, d.amount) - d.discount + d.fee,
                                coalesce(d.price, d.amount) - d.discount + d.fee + d.tax)
            OR d.discount = 0 AND d.amount <> h.amount
            OR d.price IS NOT NULL AND (d.price, d.fee) <> (h.price, h.fee)
         LIMIT %(rows_max)s
        """,
    ),
    "voucher_uses_equal_purchases": (
        "A voucher has as many uses as purchases were made or are being paid with it, and no more than it may have.",
        """
        SELECT event_id, encode(code_hash, 'hex') AS code_hash, v.uses, v.uses_max, p.purchases
          FROM voucher v
          FULL JOIN (SELECT event_id, voucher_hash AS code_hash, count(*) AS purchases
                       FROM (SELECT event_id, voucher_hash
                               FROM purchase
                              UNION ALL
                             SELECT event_id, voucher_hash
                               FROM payment
                              WHERE state IN ('new', 'open')) AS used
                      WHERE voucher_hash IS NOT NULL
                      GROUP BY event_id, voucher_hash) p USING (event_id, code_hash)
         WHERE v.uses IS DISTINCT FROM coalesce(p.purchases, 0)
            OR v.uses > v.uses_max
         LIMIT %(rows_max)s
        """,
    ),
    "fan_within_type_limit": (
        "No fan got more seats of a ticket type, in live holds and bought, than its seats_per_fan_max.",
        f"""
        SELECT f.event_id, f.user_id, f.ticket_type_id, f.seats, t.seats_per_fan_max
          FROM (SELECT event_id, user_id, ticket_type_id, count(*) AS seats
                  FROM (SELECT r.event_id, {_MADE_BY} AS user_id, s.ticket_type_id
                          FROM reservation r
                         CROSS JOIN LATERAL unnest(r.ticket_type_ids) AS s (ticket_type_id)
                         WHERE {live("r", "%(now)s")}
                         UNION ALL
                        SELECT p.event_id, {_MADE_BY}, d.ticket_type_id
                          FROM purchase p
                          JOIN reservation r USING (event_id, reservation_id)
                          JOIN purchase_detail d USING (event_id, purchase_id)
                         WHERE d.cancelled_at IS NULL AND p.given_by IS NULL) AS had
                 GROUP BY event_id, user_id, ticket_type_id) f
          JOIN ticket t USING (event_id, ticket_type_id)
         WHERE f.seats > t.seats_per_fan_max
         LIMIT %(rows_max)s
        """,  # noqa: S608 - of constants alone
    ),
    "cancelled_event_is_recorded": (
        "An event is cancelled if and only if its cancellation is recorded.",
        """
        SELECT event_id, e.state, c.cancelled_at
          FROM event e
          FULL JOIN event_cancellation c USING (event_id)
         WHERE (e.state IS NOT DISTINCT FROM 'cancelled') <> (c.event_id IS NOT NULL)
         LIMIT %(rows_max)s
        """,
    ),
    "cancelled_event_holds_nothing": (
        "No hold is left open more than 5 s past the cancellation of its event.",
        f"""
        SELECT r.event_id, r.reservation_id, r.created_at, r.expires_at, c.cancelled_at
          FROM event_cancellation c
          JOIN reservation r USING (event_id)
         WHERE r.{OPEN}
           AND c.cancelled_at + make_interval(secs => %(sweep_seconds_max)s) < %(now)s
         LIMIT %(rows_max)s
        """,  # noqa: S608 - of constants alone
    ),
    "cancelled_event_sells_nothing": (
        "Nothing is held, bought or given back of an event once it is cancelled.",
        """
        SELECT event_id, c.cancelled_at, b.what, b.id, b.at
          FROM event_cancellation c
          JOIN (SELECT event_id, 'hold' AS what, reservation_id AS id, created_at AS at FROM reservation
                 UNION ALL
                SELECT event_id, 'purchase', purchase_id, purchase_at FROM purchase
                 UNION ALL
                SELECT event_id, 'seat given back', purchase_id, cancelled_at FROM purchase_detail) AS b
         USING (event_id)
         WHERE b.at > c.cancelled_at
         LIMIT %(rows_max)s
        """,
    ),
    "hold_ends": (
        "No hold is left open more than 5 s past its end and grace.",
        f"""
        SELECT event_id, reservation_id, expires_at
          FROM reservation
         WHERE {OPEN}
           AND expires_at + make_interval(secs => %(grace_seconds)s + %(sweep_seconds_max)s) < %(now)s
         LIMIT %(rows_max)s
        """,  # noqa: S608 - of constants alone
    ),
    "seat_hold_ends": (
        "No seat is counted as reserved more than 5 s past the end of its hold.",
        """
        SELECT event_id, ticket_type_id, row_number, seat_number, reservation_id, held_until
          FROM seat
         WHERE status = 'reserved'
           AND held_until + make_interval(secs => %(sweep_seconds_max)s) < %(now)s
         LIMIT %(rows_max)s
        """,
    ),
    "purchase_has_detail": (
        "Every purchase has a detail, and every confirmed one a live detail.",
        """
        SELECT p.event_id, p.purchase_id, p.status
          FROM purchase p
         WHERE NOT EXISTS (
               SELECT FROM purchase_detail d
                WHERE (d.event_id, d.purchase_id) = (p.event_id, p.purchase_id)
                  AND (d.cancelled_at IS NULL OR p.status = 'cancelled'))
         LIMIT %(rows_max)s
        """,
    ),
    "purchase_has_its_hold": (
        "Every purchase is of a reservation of the same fan, which is purchased and lists the same seats.",
        """
        SELECT p.event_id, p.purchase_id, p.user_id, p.reservation_id, r.state, r.user_id AS held_by
          FROM purchase p
          LEFT JOIN reservation r USING (event_id, reservation_id)
         WHERE r.state IS DISTINCT FROM 'purchased'
            OR r.user_id <> p.user_id
            OR (SELECT array_agg((l.ticket_type_id, l.row_number, l.seat_number)::text
                                 ORDER BY l.ticket_type_id, l.row_number, l.seat_number)
                  FROM unnest(r.ticket_type_ids, r.row_numbers, r.seat_numbers)
                       AS l (ticket_type_id, row_number, seat_number))
               IS DISTINCT FROM
               (SELECT array_agg((d.ticket_type_id, d.row_number, d.seat_number)::text
                                 ORDER BY d.ticket_type_id, d.row_number, d.seat_number)
                  FROM purchase_detail d
                 WHERE (d.event_id, d.purchase_id) = (p.event_id, p.purchase_id))
         LIMIT %(rows_max)s
        """,
    ),
    "purchased_hold_has_purchase": (
        "Every reservation that is purchased has exactly one purchase.",
        """
        SELECT r.event_id, r.reservation_id, r.user_id, p.purchases
          FROM reservation r
          LEFT JOIN (SELECT event_id, reservation_id, count(*) AS purchases
                       FROM purchase
                      GROUP BY event_id, reservation_id) p USING (event_id, reservation_id)
         WHERE r.state = 'purchased'
           AND p.purchases IS DISTINCT FROM 1
         LIMIT %(rows_max)s
        """,
    ),
    "fan_within_limit": (
        "No fan got more seats of an event, in live holds and bought, than seats_per_fan_max.",
        f"""
        SELECT f.event_id, f.user_id, f.seats, e.seats_per_fan_max
          FROM (SELECT event_id, user_id, sum(seats) AS seats
                  FROM (SELECT r.event_id, {_MADE_BY} AS user_id, cardinality(r.seat_numbers) AS seats
                          FROM reservation r
                         WHERE {live("r", "%(now)s")}
                         UNION ALL
                        SELECT p.event_id, {_MADE_BY}, 1
                          FROM purchase p
                          JOIN reservation r USING (event_id, reservation_id)
                          JOIN purchase_detail d USING (event_id, purchase_id)
                         WHERE d.cancelled_at IS NULL AND p.given_by IS NULL) AS had
                 GROUP BY event_id, user_id) f
          JOIN event e USING (event_id)
         WHERE f.seats > e.seats_per_fan_max
         LIMIT %(rows_max)s
        """,  # noqa: S608 - of constants alone
    ),
    "merged_account_has_nothing": (
        "An account that was joined to another has no hold, purchase, ticket or entry any more once that is done.",
        """
        SELECT a.user_id, a.merged_into, h.event_id
          FROM account a
          JOIN (SELECT event_id, user_id FROM reservation
                 UNION ALL
                SELECT event_id, user_id FROM purchase
                 UNION ALL
                SELECT event_id, holder_user_id FROM purchase_detail
                 UNION ALL
                SELECT event_id, user_id FROM waiting_entry) h USING (user_id)
         WHERE a.merge_done_at IS NOT NULL
         LIMIT %(rows_max)s
        """,
    ),
    "checkout_has_purchase": (
        "Every checkout recorded as succeeded has its purchase, of the same fan.",
        """
        SELECT c.event_id, c.command_id, c.user_id, c.outcome #>> '{result,purchaseId}' AS purchase_id
          FROM booking_command c
          LEFT JOIN purchase p
            ON (p.event_id, p.purchase_id::text) = (c.event_id, c.outcome #>> '{result,purchaseId}')
          LEFT JOIN reservation r ON (r.event_id, r.reservation_id) = (p.event_id, p.reservation_id)
         WHERE c.kind = 'checkout'
           AND c.outcome ->> 'status' = 'succeeded'
           AND (c.user_id = ANY (p.user_id || r.merged_from)) IS NOT TRUE
         LIMIT %(rows_max)s
        """,
    ),
    "purchase_has_checkout": (
        "Every purchase has a checkout, or its gift, recorded as succeeded, for as long as commands are remembered.",
        """
        SELECT p.event_id, p.purchase_id, p.user_id, p.purchase_at
          FROM purchase p
         WHERE p.purchase_at > %(now)s - make_interval(hours => %(command_keep_hours)s)
           AND NOT EXISTS (
               SELECT FROM booking_command c
                WHERE c.event_id = p.event_id
                  AND c.kind = CASE WHEN p.given_by IS NULL THEN 'checkout' ELSE 'give' END
                  AND c.outcome ->> 'status' = 'succeeded'
                  AND c.outcome #>> '{result,purchaseId}' = p.purchase_id::text)
         LIMIT %(rows_max)s
        """,
    ),
    "entry_has_valid_ticket": (
        "Nobody is let in by a ticket that was cancelled before.",
        """
        SELECT e.event_id, e.entry_id, e.purchase_id, e.ticket_type_id, e.row_number, e.seat_number, e.entered_at,
               d.cancelled_at
          FROM entry e
          LEFT JOIN purchase_detail d USING (event_id, purchase_id, ticket_type_id, row_number, seat_number)
         WHERE e.undone_at IS NULL
           AND (d.purchase_id IS NULL OR d.cancelled_at <= e.entered_at)
         LIMIT %(rows_max)s
        """,
    ),
    "ticket_entered_once": (
        "No ticket has two entries that are not undone.",
        """
        SELECT event_id, purchase_id, ticket_type_id, row_number, seat_number, array_agg(entry_id) AS entry_ids
          FROM entry
         WHERE undone_at IS NULL
         GROUP BY event_id, purchase_id, ticket_type_id, row_number, seat_number
        HAVING count(*) > 1
         LIMIT %(rows_max)s
        """,
    ),
    "cancel_has_its_seats": (
        "Each seat of a succeeded cancel is a cancelled one of that fan's purchase, refund and fee are their sum.",
        """
        WITH told AS (
            SELECT c.event_id, c.command_id, c.user_id, c.outcome #>> '{result,purchaseId}' AS purchase_id,
                   (c.outcome #>> '{result,refundAmount}')::bigint
                   + coalesce((c.outcome #>> '{result,feeAmount}')::bigint, 0) AS refund_amount,
                   sum(s.amount) OVER (PARTITION BY c.event_id, c.command_id) AS amount_of_seats,
                   s."ticketTypeId" AS ticket_type_id, s."rowNumber" AS row_number, s."seatNumber" AS seat_number,
                   s.amount
              FROM booking_command c,
                   jsonb_to_recordset(c.outcome #> '{result,details}')
                       AS s ("ticketTypeId" int, "rowNumber" int, "seatNumber" int, amount bigint)
             WHERE c.kind = 'cancel'
               AND c.outcome ->> 'status' = 'succeeded')
        SELECT t.event_id, t.command_id, t.user_id, t.purchase_id, t.ticket_type_id, t.row_number, t.seat_number,
               t.amount AS told_amount, d.amount, d.cancelled_at, t.refund_amount, t.amount_of_seats
          FROM told t
          LEFT JOIN purchase p ON (p.event_id, p.purchase_id::text) = (t.event_id, t.purchase_id)
          LEFT JOIN purchase_detail d
            ON (d.event_id, d.purchase_id::text, d.ticket_type_id, d.row_number, d.seat_number)
             = (t.event_id, t.purchase_id, t.ticket_type_id, t.row_number, t.seat_number)
          LEFT JOIN reservation r ON (r.event_id, r.reservation_id) = (p.event_id, p.reservation_id)
         WHERE (t.user_id = ANY (p.user_id || r.merged_from)) IS NOT TRUE
            OR d.cancelled_at IS NULL
            OR d.amount IS DISTINCT FROM t.amount
            OR t.refund_amount IS DISTINCT FROM t.amount_of_seats
         LIMIT %(rows_max)s
        """,
    ),
    **PAYMENT_INVARIANTS,
    **INVOICE_INVARIANTS,
    "cancelled_seat_has_cancel": (
        "Every cancelled seat of a purchase is told by exactly one cancel, for as long as commands are remembered.",
        """
        SELECT d.event_id, d.purchase_id, d.ticket_type_id, d.row_number, d.seat_number, d.cancelled_at,
               count(t.event_id) AS cancels
          FROM purchase_detail d
          LEFT JOIN (SELECT c.event_id, c.outcome #>> '{result,purchaseId}' AS purchase_id,
                            s."ticketTypeId" AS ticket_type_id, s."rowNumber" AS row_number,
                            s."seatNumber" AS seat_number
                       FROM booking_command c,
                            jsonb_to_recordset(c.outcome #> '{result,details}')
                                AS s ("ticketTypeId" int, "rowNumber" int, "seatNumber" int)
                      WHERE c.kind = 'cancel'
                        AND c.outcome ->> 'status' = 'succeeded') t
            ON (t.event_id, t.purchase_id, t.ticket_type_id, t.row_number, t.seat_number)
             = (d.event_id, d.purchase_id::text, d.ticket_type_id, d.row_number, d.seat_number)
         WHERE d.cancelled_at > %(now)s - make_interval(hours => %(command_keep_hours)s)
         GROUP BY d.event_id, d.purchase_id, d.ticket_type_id, d.row_number, d.seat_number, d.cancelled_at
        HAVING count(t.event_id) <> 1
         LIMIT %(rows_max)s
        """,
    ),
    "offer_is_a_hold": (
        "What was offered to an entry of the waiting list is a hold of its fan, of its ticket type and its size.",
        """
        SELECT w.event_id, w.number, w.user_id, w.ticket_type_id, w.quantity, w.reservation_id, h.user_id AS held_by,
               h.ticket_type_ids
          FROM waiting_entry w
          LEFT JOIN reservation h ON h.event_id = w.event_id AND h.reservation_id = w.reservation_id
         WHERE w.state = 'offered'
           AND (h.reservation_id IS NULL
                OR h.user_id <> w.user_id
                OR h.ticket_type_ids <> array_fill(w.ticket_type_id, ARRAY[w.quantity::int]))
         LIMIT %(rows_max)s
        """,
    ),
    "nobody_is_overtaken": (
        "No entry was offered seats while an earlier one of its ticket type, of its size or a smaller one, waited.",
        """
        SELECT w.event_id, w.ticket_type_id, w.number, w.quantity, w.ended_at AS offered_at, w.first_waiting
          FROM (SELECT b.*,
                       (SELECT min(a.number)
                          FROM waiting_entry a
                         WHERE a.event_id = b.event_id AND a.ticket_type_id = b.ticket_type_id
                           AND a.number < b.number AND a.quantity <= b.quantity
                           AND (a.ended_at IS NULL OR a.ended_at > b.ended_at)) AS first_waiting
                  FROM waiting_entry b
                 WHERE b.state = 'offered') AS w
         WHERE w.first_waiting IS NOT NULL
         LIMIT %(rows_max)s
        """,
    ),
    "waiting_list_is_a_chain": (
        "A waiting list's numbers have no gap, and each entry's link is the hash of it and of the link before.",
        """
        SELECT w.event_id, w.number, encode(w.link, 'hex') AS link
          FROM (SELECT e.*, lag(e.number, 1, 0) OVER of_event AS number_before,
                       coalesce(lag(e.link) OVER of_event, ''::bytea) AS link_before
                  FROM waiting_entry e
                WINDOW of_event AS (PARTITION BY e.event_id ORDER BY e.number)) AS w
         WHERE w.number <> w.number_before + 1
            OR w.link <> sha256(w.link_before || convert_to(
                   concat_ws(':', w.event_id, w.number, w.ticket_type_id, w.quantity,
                             floor(extract(epoch FROM w.entered_at) * 1000)::bigint), 'UTF8'))
         LIMIT %(rows_max)s
        """,
    ),
}
