"""The audit finds each breach of each invariant of payments, made by hand."""

from __future__ import annotations

import uuid
from typing import Any, LiteralString

import pytest

from db.audit.invariants import audit
from db.audit.payments import INVARIANTS
from tests.integration.engine.books import GRACE_SECONDS, Books, bodies, connect
from tests.integration.engine.test_payments import A1, A2, FAN, OTHER, SEAT_PRICE, Till, told
from tests.unit.booking_lane.asks import cancel

BREACHES: dict[str, tuple[LiteralString, set[str]]] = {
    "paid and forgotten": (
        "UPDATE payment SET state = 'open', purchase_id = NULL WHERE user_id = 1;"
        "DELETE FROM payment_job;"
        "UPDATE event SET payments = ''",
        {"paid_has_ticket_or_refund"},
    ),
    "paid back in part": (
        "UPDATE payment SET state = 'returned', purchase_id = NULL WHERE user_id = 1;UPDATE event SET payments = ''",
        {"paid_has_ticket_or_refund"},
    ),
    "a ticket for nothing": (
        "DELETE FROM payment_job WHERE user_id = 2; DELETE FROM payment WHERE user_id = 2",
        {"ticket_has_payment"},
    ),
    "a ticket for less": (
        "UPDATE payment SET captured_amount = captured_amount - 1 WHERE user_id = 2",
        {"ticket_has_payment"},
    ),
    "a cancelled seat that nobody pays back": ("DELETE FROM refund", {"refunds_equal_cancelled"}),
    "a refund of what nobody cancelled": (
        "INSERT INTO refund (event_id, refund_id, payment_id, amount, cause, created_at, due_at, state)"
        " SELECT event_id, gen_random_uuid(), payment_id, 1, 'cancelled', now(), now(), 'done' FROM payment"
        "  WHERE user_id = 2",
        {"refunds_equal_cancelled"},
    ),
    "a refund of more than was paid": (
        "UPDATE refund SET amount = 3 * amount",
        {"refunds_equal_cancelled", "refunds_within_payment"},
    ),
    "a refund that was given up": ("UPDATE refund SET state = 'dead'", {"refund_is_not_dead"}),
    "a bank that works for seats that are free": (
        "UPDATE payment SET state = 'open', purchase_id = NULL, captured_at = NULL, captured_amount = NULL,"
        "                   ended_at = NULL, processing_at = now(), expires_at = now() + interval '1 day'"
        " WHERE user_id = 2;"
        "UPDATE event SET payments = ''",
        {"bank_has_its_term"},
    ),
    "a payment that never ends": (
        "INSERT INTO payment (event_id, payment_id, reservation_id, user_id, provider, amount, currency, created_at,"
        "                     expires_at)"
        " SELECT event_id, gen_random_uuid(), gen_random_uuid(), 3, 'test', 1, 'EUR', now(), now() - interval '2 min'"
        "   FROM payment WHERE user_id = 2",
        {"payment_ends"},
    ),
}


@pytest.fixture
def till(database_url: str) -> Any:
    """One fan bought two seats and cancelled one of them, another bought one, all some minutes ago."""
    with connect(database_url) as connection:
        books = Books(database_url, connection, 0)
        books.event = books.event_new(payments="test")
        till = Till(books, books.engine())
        hold = till.hold(FAN, A1, A2)
        _, payment = till.check_out(FAN, hold)
        till.pay(payment, 2 * SEAT_PRICE)
        bought = told(till.confirm(payment, hold, A1, A2))["result"]
        gives_back = cancel(books.event, FAN, uuid.UUID(bought["purchaseId"]), A1)
        assert bodies(till.engine.apply([gives_back]), gives_back)[0]["refundAmount"] == SEAT_PRICE
        other = till.hold(OTHER, (1, 2, 1))
        _, second = till.check_out(OTHER, other)
        till.pay(second)
        told(till.confirm(second, other, (1, 2, 1), fan=OTHER))
        connection.execute("UPDATE payment SET captured_at = captured_at - interval '5 min'")
        yield till
        till.engine.close()


def broken(till: Till) -> set[str]:
    return {violation.invariant for violation in audit(till.books.database_url, grace_seconds=GRACE_SECONDS)}


@pytest.mark.parametrize("breach", BREACHES)
def test_each_breach_is_found(till: Till, breach: str) -> None:
    assert broken(till) == set()
    statements, found = BREACHES[breach]
    till.books.connection.execute(statements)
    assert broken(till) == found


def test_every_invariant_of_payments_has_a_breach() -> None:
    assert {name for _, names in BREACHES.values() for name in names} == set(INVARIANTS)
