"""The part of the audit that compares the answers that clients got with Postgres.

A ledger is JSON Lines: one `LedgerLine` for each answer that a client got.
"""

from __future__ import annotations

import datetime as dt
import uuid
from pathlib import Path
from typing import Any, Final, Literal, LiteralString

import msgspec
import psycopg
from psycopg.types.json import Jsonb

from db.booking.results import RESULTS


class LedgerError(ValueError):
    """A line of the ledger is malformed; the message names its number."""


class LedgerLine(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """One answer to a command.

    ``result`` is the API's result if the job succeeded: the struct of `db.booking.results.RESULTS` for its kind.
    ``code`` is the problem's code if it failed. ``at`` is the client's clock at the answer; ``job_id`` is null if there
    was no job.
    """

    at: dt.datetime
    user_id: int
    event_id: int
    kind: str
    job_id: uuid.UUID | None
    status: Literal["succeeded", "failed"]
    result: dict[str, Any] | None = None
    code: str | None = None


def load_ledger(connection: psycopg.Connection, path: Path, bytes_max: int) -> None:
    """Copy the file into the temporary tables that `INVARIANTS` read. They last as long as the transaction, so that
    nothing is left in a pooler's connection.

    Args:
        bytes_max: lines beyond are left out.

    Raises:
        LedgerError: a line is no `LedgerLine`, or its result is not of its kind's shape.
    """
    connection.execute(_TABLES)
    decoder = msgspec.json.Decoder(LedgerLine)
    with (
        path.open("rb") as lines,
        connection.cursor() as cursor,
        cursor.copy("COPY ledger (line, at, user_id, event_id, kind, job_id, status, result, code) FROM STDIN") as copy,
    ):
        for number, text in enumerate(lines, 1):
            bytes_max -= len(text)
            if bytes_max < 0:
                break
            try:
                line = decoder.decode(text)
                if line.kind not in RESULTS:
                    raise LedgerError(f"{path.name}, line {number}: no command's kind is {line.kind!r}")
                if line.status == "succeeded":
                    msgspec.convert(line.result, RESULTS[line.kind])
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise LedgerError(f"{path.name}, line {number}: {error}") from None
            if line.at.tzinfo is None:
                raise LedgerError(f"{path.name}, line {number}: `at` names no zone")
            result = None if line.result is None else Jsonb(line.result)
            copy.write_row(
                (
                    number,
                    line.at,
                    line.user_id,
                    line.event_id,
                    line.kind,
                    line.job_id,
                    line.status,
                    result,
                    line.code,
                )
            )
    connection.execute(_DERIVED)


_TABLES: Final[LiteralString] = """
CREATE TEMP TABLE ledger (
    line bigint PRIMARY KEY, at timestamptz NOT NULL, user_id bigint NOT NULL, event_id bigint NOT NULL,
    kind text NOT NULL, job_id uuid, status text NOT NULL, result jsonb, code text)
"""

_DERIVED: Final[LiteralString] = """
CREATE TEMP TABLE told_hold AS
SELECT line, at, job_id, event_id, user_id, result ->> 'reservationId' AS reservation_id,
       (result ->> 'expiresAt')::timestamptz AS expires_at, (result ->> 'totalAmount')::bigint AS total_amount
  FROM ledger
 WHERE kind = 'reserve' AND status = 'succeeded';

CREATE TEMP TABLE told_hold_seat AS
SELECT l.line, s."ticketTypeId" AS ticket_type_id, s."rowNumber" AS row_number, s."seatNumber" AS seat_number
  FROM ledger l,
       jsonb_to_recordset(l.result -> 'seats') AS s ("ticketTypeId" int, "rowNumber" int, "seatNumber" int)
 WHERE kind = 'reserve' AND status = 'succeeded';

CREATE TEMP TABLE told_purchase AS
SELECT line, event_id, user_id, result ->> 'purchaseId' AS purchase_id,
       (result ->> 'totalAmount')::bigint AS total_amount
  FROM ledger
 WHERE kind = 'checkout' AND status = 'succeeded';

CREATE TEMP TABLE told_purchase_seat AS
SELECT l.line, l.event_id, l.result ->> 'purchaseId' AS purchase_id,
       s."ticketTypeId" AS ticket_type_id, s."rowNumber" AS row_number, s."seatNumber" AS seat_number,
       s.amount
  FROM ledger l,
       jsonb_to_recordset(l.result -> 'details')
           AS s ("ticketTypeId" int, "rowNumber" int, "seatNumber" int, amount bigint)
 WHERE kind = 'checkout' AND status = 'succeeded';

ANALYZE ledger, told_hold, told_hold_seat, told_purchase, told_purchase_seat;

-- When a hold was released or a purchase cancelled, by Postgres' clock. A client hears of it later, so where
-- only the ledger tells of it, it may have been any time.
CREATE TEMP VIEW given_back AS
WITH done AS (
    SELECT event_id, outcome -> 'result' AS result, recorded_at AS at
      FROM booking_command
     WHERE kind IN ('release', 'cancel') AND outcome ->> 'status' = 'succeeded'
     UNION ALL
    SELECT l.event_id, l.result, timestamptz '-infinity'
      FROM ledger l
      LEFT JOIN booking_command c ON (c.event_id, c.command_id) = (l.event_id, l.job_id)
     WHERE l.kind IN ('release', 'cancel') AND l.status = 'succeeded' AND c.command_id IS NULL)
SELECT done.event_id, coalesce(p.reservation_id::text, done.result ->> 'reservationId') AS reservation_id,
       p.purchase_id::text AS purchase_id, min(done.at) AS at
  FROM done
  LEFT JOIN purchase p ON (p.event_id, p.purchase_id::text) = (done.event_id, done.result ->> 'purchaseId')
 GROUP BY 1, 2, 3;
"""

INVARIANTS: Final[dict[str, tuple[str, LiteralString]]] = {
    "told_as_recorded": (
        "What a client was told of a job is what was recorded: kind, fan, success or the problem's code.",
        """
        SELECT l.line, l.event_id, l.job_id, l.kind, l.user_id, l.status, l.code, c.outcome
          FROM ledger l
          LEFT JOIN booking_command c ON (c.event_id, c.command_id) = (l.event_id, l.job_id)
         WHERE l.job_id IS NOT NULL
           AND CASE WHEN c.command_id IS NULL
                    THEN l.status = 'succeeded'
                         AND l.at > %(now)s - make_interval(hours => %(command_keep_hours)s)
                    ELSE (c.kind, c.user_id, c.outcome ->> 'status', c.outcome #>> '{problem,code}')
                         IS DISTINCT FROM (l.kind, l.user_id, l.status, l.code)
               END
         LIMIT %(rows_max)s
        """,
    ),
    "told_hold_kept": (
        "Every hold that a client was told of is a reservation of that fan, of those seats and total.",
        """
        SELECT t.line, t.event_id, t.user_id, t.reservation_id, t.total_amount AS told_amount,
               r.user_id AS held_by, r.total_amount
          FROM told_hold t
          LEFT JOIN reservation r
            ON (r.event_id, r.reservation_id::text) = (t.event_id, t.reservation_id)
          LEFT JOIN (SELECT line, array_agg((ticket_type_id, row_number, seat_number)::text
                                            ORDER BY ticket_type_id, row_number, seat_number) AS seats
                       FROM told_hold_seat
                      GROUP BY line) s USING (line)
         WHERE (t.user_id = ANY (r.user_id || r.merged_from)) IS NOT TRUE
            OR r.total_amount IS DISTINCT FROM t.total_amount
            OR s.seats IS DISTINCT FROM
               (SELECT array_agg((l.ticket_type_id, l.row_number, l.seat_number)::text
                                 ORDER BY l.ticket_type_id, l.row_number, l.seat_number)
                  FROM unnest(r.ticket_type_ids, r.row_numbers, r.seat_numbers)
                       AS l (ticket_type_id, row_number, seat_number))
         LIMIT %(rows_max)s
        """,
    ),
    "told_purchase_kept": (
        "Every purchase that a client was told of is one of that fan, its total that of the told seats.",
        """
        SELECT t.line, t.event_id, t.user_id, t.purchase_id, p.user_id AS bought_by,
               t.total_amount AS told_amount, s.amount AS told_amount_of_seats
          FROM told_purchase t
          LEFT JOIN purchase p ON (p.event_id, p.purchase_id::text) = (t.event_id, t.purchase_id)
          LEFT JOIN reservation r ON (r.event_id, r.reservation_id) = (p.event_id, p.reservation_id)
          LEFT JOIN (SELECT line, sum(amount) AS amount FROM told_purchase_seat GROUP BY line) s USING (line)
         WHERE (t.user_id = ANY (p.user_id || r.merged_from)) IS NOT TRUE
            OR s.amount IS DISTINCT FROM t.total_amount
         LIMIT %(rows_max)s
        """,
    ),
    "told_seats_kept": (
        "A told purchase has exactly the told seats at the told amounts, live unless it was cancelled.",
        """
        SELECT t.line, coalesce(t.event_id, d.event_id) AS event_id,
               coalesce(t.purchase_id, d.purchase_id::text) AS purchase_id,
               coalesce(t.ticket_type_id, d.ticket_type_id) AS ticket_type_id,
               coalesce(t.row_number, d.row_number) AS row_number,
               coalesce(t.seat_number, d.seat_number) AS seat_number,
               t.amount AS told_amount, d.amount, d.cancelled_at
          FROM told_purchase_seat t
          FULL JOIN (SELECT d.*
                       FROM purchase_detail d
                      WHERE (d.event_id, d.purchase_id::text)
                            IN (SELECT event_id, purchase_id FROM told_purchase)) d
            ON t.event_id = d.event_id AND t.purchase_id = d.purchase_id::text
           AND t.ticket_type_id = d.ticket_type_id AND t.row_number = d.row_number
           AND t.seat_number = d.seat_number
         WHERE d.purchase_id IS NULL
            OR t.purchase_id IS NULL AND d.cancelled_at IS NULL
            OR t.amount IS DISTINCT FROM d.amount AND t.purchase_id IS NOT NULL
            OR d.cancelled_at IS NOT NULL
               AND NOT EXISTS (SELECT FROM given_back g
                                WHERE (g.event_id, g.purchase_id) = (d.event_id, d.purchase_id::text))
         LIMIT %(rows_max)s
        """,
    ),
    "told_seat_sold_once": (
        "No seat stands in two told purchases, unless one of them was cancelled.",
        """
        SELECT event_id, ticket_type_id, row_number, seat_number,
               array_agg(DISTINCT purchase_id) AS purchase_ids, array_agg(line ORDER BY line) AS lines
          FROM told_purchase_seat t
         WHERE NOT EXISTS (SELECT FROM given_back g
                            WHERE (g.event_id, g.purchase_id) = (t.event_id, t.purchase_id))
         GROUP BY event_id, ticket_type_id, row_number, seat_number
        HAVING count(DISTINCT purchase_id) > 1
         LIMIT %(rows_max)s
        """,
    ),
    "told_holds_apart": (
        "No two told holds of a seat overlap in time: one lasts until its end, its release or, once bought, "
        "its cancellation.",
        """
        WITH hold AS (
            SELECT t.event_id, t.reservation_id, s.ticket_type_id, s.row_number, s.seat_number,
                   min(t.line) AS line,
                   min(coalesce(c.recorded_at, t.at)) AS held_from,
                   min(least(CASE WHEN p.purchase_id IS NULL THEN t.expires_at END, g.at)) AS held_to
              FROM told_hold t
              JOIN told_hold_seat s USING (line)
              LEFT JOIN booking_command c ON (c.event_id, c.command_id) = (t.event_id, t.job_id)
              LEFT JOIN purchase p
                ON (p.event_id, p.reservation_id::text) = (t.event_id, t.reservation_id)
              LEFT JOIN given_back g
                ON (g.event_id, g.reservation_id) = (t.event_id, t.reservation_id)
             GROUP BY t.event_id, t.reservation_id, s.ticket_type_id, s.row_number, s.seat_number)
        SELECT a.event_id, a.ticket_type_id, a.row_number, a.seat_number, a.line, b.line AS other_line,
               a.reservation_id, b.reservation_id AS other_reservation_id, a.held_from, a.held_to,
               b.held_from AS other_held_from, b.held_to AS other_held_to
          FROM hold a
          JOIN hold b USING (event_id, ticket_type_id, row_number, seat_number)
         WHERE a.reservation_id < b.reservation_id
           AND a.held_from < coalesce(b.held_to, 'infinity')
           AND b.held_from < coalesce(a.held_to, 'infinity')
         LIMIT %(rows_max)s
        """,
    ),
}
