"""What Postgres has of a person: found by the fan's number or by an address, exported, and erased.

A person is a number (`user_id`), which a session has, and the addresses that were given. Names stand in the orders of
events that ask for them, and nowhere else. An address was typed by somebody and proves nothing: whoever asks for data
must show that the address is theirs.
"""

from __future__ import annotations

import datetime as dt
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, LiteralString

import psycopg
from psycopg.rows import dict_row

from db.booking.events import ADVISORY_SPACE
from db.booking.holds import OPEN
from db.booking.ticket_codes import open_code
from db.change_log.changes import Change, Subject, insert_changes
from db.events.editing import LOCKS, SESSION
from db.invoices.model import open_payer
from db.messages.addresses import hash_of, opened
from db.orders.answers import open_text
from db.sealing.keyring import SealError

NUMBER_MAX: Final = 2**53 - 1
BY: Final = "command line"

_FANS_OF_ADDRESS: Final[LiteralString] = """
SELECT DISTINCT user_id FROM contact WHERE address_hash = %(hash)s
 UNION
SELECT DISTINCT user_id FROM message WHERE address_hash = %(hash)s AND user_id <> 0
 UNION
SELECT DISTINCT user_id FROM order_answers WHERE address_hash = %(hash)s
 UNION
SELECT user_id FROM account WHERE address_hash = %(hash)s
 UNION
SELECT f.earlier_user_id
  FROM account a
  JOIN account_fan f ON f.user_id = coalesce(a.merged_into, a.user_id)
 WHERE a.address_hash = %(hash)s
"""

_JOINED: Final[LiteralString] = """
SELECT coalesce(merged_into, user_id) FROM account WHERE user_id = ANY (%(fans)s)
 UNION
SELECT user_id FROM account WHERE merged_into IN (SELECT coalesce(merged_into, user_id)
                                                    FROM account
                                                   WHERE user_id = ANY (%(fans)s))
"""
"""The accounts of these fans, with those that were joined to them and to which they were joined."""

_MERGED: Final[LiteralString] = """
SELECT user_id, merged_into, merge_done_at IS NULL
  FROM account
 WHERE user_id = ANY (%(fans)s) AND merged_into IS NOT NULL
"""

OF_FAN: Final[dict[str, LiteralString]] = {
    "contact": "SELECT event_id, channel, address, language, made_at FROM contact WHERE user_id = ANY (%(fans)s)",
    "push_subscription": """
        SELECT event_id, endpoint AS address, language, made_at
          FROM push_subscription
         WHERE user_id = ANY (%(fans)s)""",
    "message": """
        SELECT event_id, message_id, kind, channel, address, language, state, created_at, ended_at
          FROM message
         WHERE user_id = ANY (%(fans)s)
         ORDER BY created_at""",
    "reservation": """
        SELECT event_id, reservation_id, state, ticket_type_ids, row_numbers, seat_numbers, total_amount, created_at,
               expires_at, network, merged_from
          FROM reservation
         WHERE user_id = ANY (%(fans)s)
         ORDER BY created_at""",
    "waiting_entry": """
        SELECT event_id, number, ticket_type_id, quantity, state, entered_at, ended_at, network
          FROM waiting_entry
         WHERE user_id = ANY (%(fans)s)
         ORDER BY entered_at""",
    "purchase": """
        SELECT event_id, purchase_id, order_number, status, total_amount, currency, purchase_at, cancel_until
          FROM purchase
         WHERE user_id = ANY (%(fans)s)
         ORDER BY purchase_at""",
    "order_answers": """
        SELECT event_id, reservation_id, address, content, terms_version, language, made_at
          FROM order_answers
         WHERE user_id = ANY (%(fans)s)
         ORDER BY made_at""",
    "purchase_detail": """
        SELECT d.event_id, d.purchase_id, d.ticket_type_id, d.row_number, d.seat_number, d.amount, d.ticket_code,
               d.cancelled_at
          FROM purchase p
          JOIN purchase_detail d USING (event_id, purchase_id)
         WHERE p.user_id = ANY (%(fans)s)""",
    "ticket_issue": """
        SELECT event_id, purchase_id, ticket_type_id, row_number, seat_number, issue_number, issued_at
          FROM ticket_issue
         WHERE user_id = ANY (%(fans)s)
         ORDER BY issued_at""",
    "payment": """
        SELECT event_id, payment_id, provider, state, amount, currency, created_at, captured_amount, captured_at
          FROM payment
         WHERE user_id = ANY (%(fans)s)
         ORDER BY created_at""",
    "invoice": """
        SELECT i.event_id, i.series, i.number, i.kind, i.made_at, i.amount, i.tax, i.currency, i.payer,
               i.mail AS address
          FROM purchase p
          JOIN invoice i ON i.purchase_id = p.purchase_id AND i.event_id = p.event_id
         WHERE p.user_id = ANY (%(fans)s)
         ORDER BY i.made_at""",
    "payment_job": "SELECT event_id, command_id, payment_id FROM payment_job WHERE user_id = ANY (%(fans)s)",
    "booking_command": """
        SELECT event_id, command_id, kind, recorded_at FROM booking_command WHERE user_id = ANY (%(fans)s)""",
    "departed_place": """
        SELECT event_id, state, epoch, number, departed_at FROM departed_place WHERE user_id = ANY (%(fans)s)""",
    "draw_entry": "SELECT event_id, number FROM draw_entry WHERE user_id = ANY (%(fans)s)",
    "account": """
        SELECT user_id, mail AS address, language, made_at, merged_into, merged_at
          FROM account
         WHERE user_id = ANY (%(fans)s)""",
    "account_session": """
        SELECT network, agent, made_at, ends_at, ended_at, ended_why
          FROM account_session
         WHERE user_id = ANY (%(fans)s)
         ORDER BY made_at""",
    "account_identity": "SELECT issuer, subject, made_at FROM account_identity WHERE user_id = ANY (%(fans)s)",
    "account_passkey": "SELECT label, made_at, used_at FROM account_passkey WHERE user_id = ANY (%(fans)s)",
    "account_fan": "SELECT earlier_user_id, made_at FROM account_fan WHERE user_id = ANY (%(fans)s)",
    "code_redemption": "SELECT event_id, redeemed_at FROM code_redemption WHERE user_id = ANY (%(fans)s)",
}
"""What each table has of a fan, by the table's name."""

OF_ADDRESS: Final[dict[str, LiteralString]] = {
    "follower": "SELECT what, name, language, made_at, confirmed_at FROM follower WHERE address_hash = %(hash)s",
    "suppression": "SELECT channel, kind, reason, at FROM suppression WHERE address_hash = %(hash)s",
    "quiet_hours": "SELECT channel, from_hour, until_hour FROM quiet_hours WHERE address_hash = %(hash)s",
    "message": """
        SELECT event_id, message_id, kind, channel, state, created_at, ended_at FROM message
         WHERE address_hash = %(hash)s AND user_id = 0""",
}
"""What each table has of an address that belongs to no fan of an event."""

_EVENTS_OF_FAN: Final[LiteralString] = """
SELECT event_id FROM reservation WHERE user_id = %(fan)s
 UNION
SELECT event_id FROM waiting_entry WHERE user_id = %(fan)s
 UNION
SELECT event_id FROM purchase WHERE user_id = %(fan)s
 UNION
SELECT event_id FROM ticket_issue WHERE user_id = %(fan)s
 UNION
SELECT event_id FROM contact WHERE user_id = %(fan)s
 UNION
SELECT event_id FROM push_subscription WHERE user_id = %(fan)s
 UNION
SELECT event_id FROM message WHERE user_id = %(fan)s
 UNION
SELECT event_id FROM order_answers WHERE user_id = %(fan)s
 UNION
SELECT event_id FROM booking_command WHERE user_id = %(fan)s
 ORDER BY event_id
"""

_HAS_OPEN_HOLD: Final[LiteralString] = f"""
SELECT EXISTS (SELECT 1 FROM reservation WHERE event_id = %(event_id)s AND user_id = %(fan)s AND {OPEN})
"""  # noqa: S608 - of constants alone

_ERASE: Final[tuple[LiteralString, ...]] = (
    "DELETE FROM contact WHERE event_id = %(event_id)s AND user_id = %(fan)s",
    "DELETE FROM push_subscription WHERE event_id = %(event_id)s AND user_id = %(fan)s",
    "DELETE FROM message WHERE event_id = %(event_id)s AND user_id = %(fan)s",
    "DELETE FROM order_answers WHERE event_id = %(event_id)s AND user_id = %(fan)s",
    """UPDATE booking_command
          SET user_id = %(nobody)s,
              outcome = CASE WHEN outcome #> '{result,userId}' IS NULL THEN outcome
                             ELSE jsonb_set(outcome, '{result,userId}', to_jsonb(%(nobody)s::bigint)) END
        WHERE event_id = %(event_id)s AND user_id = %(fan)s""",
    """UPDATE reservation
          SET user_id = %(nobody)s, network = '',
              merged_from = ARRAY (SELECT (random() * %(nobody)s)::bigint
                                     FROM generate_series(1, cardinality(merged_from)))
        WHERE event_id = %(event_id)s AND user_id = %(fan)s""",
    """UPDATE waiting_entry
          SET user_id = %(nobody)s, network = '',
              state = CASE state WHEN 'waiting' THEN 'left' ELSE state END,
              ended_at = coalesce(ended_at, clock_timestamp())
        WHERE event_id = %(event_id)s AND user_id = %(fan)s""",
    "UPDATE payment SET user_id = %(nobody)s WHERE event_id = %(event_id)s AND user_id = %(fan)s",
    "UPDATE payment_job SET user_id = %(nobody)s WHERE event_id = %(event_id)s AND user_id = %(fan)s",
    """UPDATE invoice i SET mail = NULL
         FROM purchase p
        WHERE p.purchase_id = i.purchase_id AND p.event_id = i.event_id
          AND p.event_id = %(event_id)s AND p.user_id = %(fan)s""",
    "UPDATE purchase SET user_id = %(nobody)s WHERE event_id = %(event_id)s AND user_id = %(fan)s",
    "UPDATE ticket_issue SET user_id = %(nobody)s WHERE event_id = %(event_id)s AND user_id = %(fan)s",
    """UPDATE purchase_detail SET holder_user_id = %(nobody)s
        WHERE event_id = %(event_id)s AND holder_user_id = %(fan)s""",
    """UPDATE outbox SET payload = payload || jsonb_build_object('userId', %(nobody)s::bigint)
        WHERE event_id = %(event_id)s AND payload->>'userId' = %(fan)s::text""",
)

_ERASE_ACCOUNT: Final[tuple[LiteralString, ...]] = (
    """UPDATE account_session SET ended_at = coalesce(ended_at, clock_timestamp()), network = '', agent = ''
        WHERE user_id = %(fan)s""",
    "DELETE FROM account WHERE user_id = %(fan)s",
    "DELETE FROM account_fan WHERE earlier_user_id = %(fan)s",
)
"""Its sessions stay as ended ones, because a token is refused for as long as a row says that its session was ended."""

_ERASE_ADDRESS: Final[tuple[LiteralString, ...]] = (
    "DELETE FROM follower WHERE address_hash = %(hash)s",
    "DELETE FROM quiet_hours WHERE address_hash = %(hash)s",
    "DELETE FROM contact WHERE address_hash = %(hash)s",
    "DELETE FROM order_answers WHERE address_hash = %(hash)s",
    "DELETE FROM message WHERE address_hash = %(hash)s",
)


class AccountsBeingJoinedError(Exception):
    """Two accounts of the fan are being joined, and a worker moves what they have. Erase in some minutes."""


class FanHoldsSeatsError(Exception):
    """The fan holds seats, which a worker may book at any moment. Erase once the hold has ended."""


@dataclass(frozen=True, slots=True)
class Person:
    """Whose data is meant: the numbers of a fan's sessions, and the hash of an address."""

    fans: tuple[int, ...] = ()
    address_hash: bytes | None = None

    def __bool__(self) -> bool:
        return bool(self.fans) or self.address_hash is not None


Connection = psycopg.Connection[Any]


def of_address(connection: Connection, address: str) -> Person:
    """The address, and the fans who gave it for an event or were written to there, and accounts joined with theirs."""
    found = connection.execute(_FANS_OF_ADDRESS, {"hash": hash_of(address)}).fetchall()
    return of_fans(connection, [row[0] for row in found], hash_of(address))


def of_fans(connection: Connection, fans: Sequence[int], address_hash: bytes | None = None) -> Person:
    """These fans, and where they have accounts, those that were joined with them."""
    joined = [row[0] for row in connection.execute(_JOINED, {"fans": list(fans)})]
    return Person(tuple(sorted({*fans, *joined})), address_hash)


def exported(connection: Connection, person: Person) -> dict[str, list[dict[str, Any]]]:
    """All that Postgres has of a person, by table; addresses and ticket codes are opened."""
    which = {"fans": list(person.fans), "hash": person.address_hash}
    found: dict[str, list[dict[str, Any]]] = {}
    statements = [*OF_FAN.items(), *(OF_ADDRESS.items() if person.address_hash is not None else ())]
    with connection.cursor(row_factory=dict_row) as cursor:
        for table, statement in statements:
            found.setdefault(table, []).extend(_legible(row) for row in cursor.execute(statement, which).fetchall())
    return found


def _legible(row: dict[str, Any]) -> dict[str, Any]:
    legible = {name: _plain(value) for name, value in row.items()}
    for name, open_it in (
        ("address", opened),
        ("ticket_code", open_code),
        ("content", open_text),
        ("payer", open_payer),
    ):
        if row.get(name) is not None:
            try:
                legible[name] = open_it(row[name])
            except SealError:
                legible[name] = None
    return legible


def _plain(value: object) -> object:
    match value:
        case dt.datetime():
            return value.astimezone(dt.UTC).isoformat()
        case uuid.UUID():
            return str(value)
        case _:
            return value


def erase(connection: Connection, person: Person, why: str) -> Sequence[int]:
    """Delete the person's account, addresses and messages, and give holds and purchases to nobody. Returns the events.

    What was sold stays: seats, amounts, and the tickets' codes, which are good at the door. An invoice keeps the
    payer's name and address, which the law wants, until housekeeping takes them (`db.invoices.keeping`). The fan's
    session and the purchase's own link open it no more. That an address is not to be written to is kept, sealed,
    because to forget it would be to write again. Each event is a transaction of its own, between two booking batches.

    Raises:
        AccountsBeingJoinedError: see there.
        FanHoldsSeatsError: the fan holds seats; what was done for other events stays done.
    """
    done = []
    merged = connection.execute(_MERGED, {"fans": list(person.fans)}).fetchall()
    if any(is_under_way for _, _, is_under_way in merged):
        raise AccountsBeingJoinedError(AccountsBeingJoinedError.__doc__)
    merged_into = {fan: into for fan, into, _ in merged}
    # What a joined account asked for belongs to what the other one has now, and so they become the same nobody.
    nobodies: dict[tuple[int, int], int] = {}
    for fan in person.fans:
        for (event_id,) in connection.execute(_EVENTS_OF_FAN, {"fan": fan}).fetchall():
            whose = event_id, merged_into.get(fan, fan)
            nobody = nobodies.setdefault(whose, 1 + secrets.randbelow(NUMBER_MAX))
            with connection.transaction():
                _erase_at(connection, event_id, fan, nobody, why)
            done.append(event_id)
        with connection.transaction():
            for statement in _ERASE_ACCOUNT:
                connection.execute(statement, {"fan": fan})
    if person.address_hash is not None:
        with connection.transaction():
            for statement in _ERASE_ADDRESS:
                connection.execute(statement, {"hash": person.address_hash})
    return sorted(set(done))


def _erase_at(connection: Connection, event_id: int, fan: int, nobody: int, why: str) -> None:
    which = {"event_id": event_id, "fan": fan, "nobody": nobody}
    connection.execute(SESSION)
    for lock in LOCKS:
        connection.execute(lock, {"space": ADVISORY_SPACE, "event_id": event_id})
    row = connection.execute(_HAS_OPEN_HOLD, which).fetchone()
    if row is not None and row[0]:
        raise FanHoldsSeatsError(FanHoldsSeatsError.__doc__)
    for statement in _ERASE:
        connection.execute(statement, which)
    # The log says that it was done, and not to whom.
    line = Change("data of a fan", "", "erased")
    connection.execute(*insert_changes(Subject.DESK, event_id, [line], BY, why=why))
