"""Fees, taxes, sale windows, limits by ticket type and vouchers, as batches charge and count them on real Postgres."""

from __future__ import annotations

import threading
import uuid
from typing import Any

import psycopg
import pytest

from booking_lane.commands import Checkout, Command
from db.audit.invariants import audit
from tests.integration.engine.books import Books, bodies, codes
from tests.unit.booking_lane.asks import best, cancel, checkout, reserve

A1, A2, A3, A4 = (1, 1, 1), (1, 1, 2), (1, 1, 3), (1, 1, 4)
VIP1 = (2, 1, 1)
HALF, UNKNOWN = b"half", b"unknown"


def held(books: Books, fan: int, *seats: tuple[int, int, int]) -> dict[str, Any]:
    command = reserve(books.event, fan, *seats)
    (hold,) = bodies(books.engine().apply([command]), command)
    assert "code" not in hold, hold
    return hold


def terms(books: Books, ticket_type_id: int, **columns: object) -> None:
    for name, value in columns.items():
        books.connection.execute(
            psycopg.sql.SQL("UPDATE ticket SET {} = %s WHERE event_id = %s AND ticket_type_id = %s").format(
                psycopg.sql.Identifier(name)
            ),
            (value, books.event, ticket_type_id),
        )


def issued(books: Books, code_hash: bytes, *, uses_max: int = 1, **columns: object) -> None:
    row = {"basis_points": 5000, "amount": 0, "ticket_type_ids": None, "ends_at": None, "revoked_at": None} | columns
    issue_id = uuid.uuid4()
    books.connection.execute(
        "INSERT INTO voucher_issue (event_id, issue_id, label, vouchers, uses_max, basis_points, amount,"
        " ticket_type_ids, ends_at, issued_by, revoked_at, revoked_by)"
        " VALUES (%s, %s, 'Friends', 1, %s, %s, %s, %s, %s, 'ops', %s, %s)",
        (books.event, issue_id, uses_max, *row.values(), row["revoked_at"] and "ops"),
    )
    books.connection.execute(
        "INSERT INTO voucher (event_id, code_hash, issue_id, uses_max) VALUES (%s, %s, %s, %s)",
        (books.event, code_hash, issue_id, uses_max),
    )


def test_a_seat_without_terms_is_charged_and_told_as_ever(books: Books) -> None:
    hold = held(books, 1, A1)
    assert hold.keys() == {"reservationId", "eventId", "expiresAt", "totalAmount", "currency", "seats", "version"}
    assert hold["seats"] == [{"ticketTypeId": 1, "rowNumber": 1, "seatNumber": 1, "amount": 4900}]
    command = checkout(books.event, 1, hold=hold["reservationId"])
    (bought,) = bodies(books.engine().apply([command]), command)
    assert bought["totalAmount"] == 4900
    assert not {"breakdown", "charge"} & (bought.keys() | bought["details"][0].keys())
    assert books.rows("SELECT price, fee, tax, discount FROM purchase_detail") == [
        {"price": None, "fee": 0, "tax": 0, "discount": 0}
    ]


def test_fee_and_tax_are_charged_as_they_were_when_the_seats_were_held(books: Books) -> None:
    terms(books, 1, fee_amount=250, tax_basis_points=1900)
    terms(books, 2, fee_basis_points=1000, tax_basis_points=825, tax_included=False)
    hold = held(books, 1, A1, VIP1)
    assert [seat["amount"] for seat in hold["seats"]] == [5150, 15361]
    assert hold["totalAmount"] == 20511
    assert hold["seats"][0]["charge"] == {"price": 4900, "fee": 250, "tax": 822, "taxBasisPoints": 1900}
    assert hold["breakdown"] == {
        "prices": 17800,
        "fees": 1540,
        "taxes": [
            {"basisPoints": 825, "included": False, "tax": 1171},
            {"basisPoints": 1900, "included": True, "tax": 822},
        ],
    }
    again = held(books, 1, A1, VIP1)
    assert (again["reservationId"], again["breakdown"]) == (hold["reservationId"], hold["breakdown"])
    terms(books, 1, fee_amount=999, price=1)
    command = checkout(books.event, 1, hold=hold["reservationId"])
    (bought,) = bodies(books.engine().apply([command]), command)
    assert (bought["totalAmount"], bought["breakdown"]) == (20511, hold["breakdown"])
    (row, _) = books.rows("SELECT * FROM purchase_detail ORDER BY ticket_type_id")
    written = [row[name] for name in ("amount", "price", "fee", "tax", "tax_basis_points")]
    assert written == [5150, 4900, 250, 822, 1900]
    part = cancel(books.event, 1, bought["purchaseId"], VIP1)
    (cancelled,) = bodies(books.engine().apply([part]), part)
    assert (cancelled["refundAmount"], cancelled["totalAmount"]) == (15361, 5150)


def test_no_code_can_write_a_seat_that_is_charged_otherwise(books: Books) -> None:
    terms(books, 1, fee_amount=250)
    hold = held(books, 1, A1)
    books.engine().apply([checkout(books.event, 1, hold=hold["reservationId"])])
    for wrong in ("fee = 0", "amount = amount - 1", "discount = 10", "tax = 6000"):
        with pytest.raises(psycopg.errors.CheckViolation):
            books.connection.execute(f"UPDATE purchase_detail SET {wrong}")


def test_a_ticket_type_is_sold_in_its_own_window(books: Books) -> None:
    engine = books.engine()
    books.connection.execute("UPDATE ticket SET sold_from = now() + interval '1 h' WHERE ticket_type_id = 1")
    books.connection.execute("UPDATE ticket SET sold_until = now() - interval '1 s' WHERE ticket_type_id = 2")
    commands: list[Command] = [
        reserve(books.event, 1, A1),
        best(books.event, 2, 1, 2),
        reserve(books.event, 3, VIP1),
        best(books.event, 4, 2, 1),
    ]
    early, early_best, late, late_best = bodies(engine.apply(commands), *commands)
    assert (early["code"], early["status"], early["ticketTypeId"]) == ("type_not_on_sale", 403, 1)
    assert "soldFrom" in early
    assert (late["code"], late["ticketTypeId"]) == ("type_sale_over", 2)
    assert [early_best["code"], late_best["code"]] == ["type_not_on_sale", "type_sale_over"]
    assert books.statuses() == {}
    books.connection.execute("UPDATE ticket SET sold_from = NULL, sold_until = now() + interval '1 h'")
    hold = held(books, 1, A1)
    books.connection.execute("UPDATE ticket SET sold_until = now() - interval '1 s'")
    command = checkout(books.event, 1, hold=hold["reservationId"])
    assert codes(engine.apply([command]), command) == ["ok"], "what is held before the end is bought"


def test_one_fan_has_so_many_seats_of_a_ticket_type_and_no_more(books: Books) -> None:
    engine = books.engine()
    terms(books, 1, seats_per_fan_max=2)
    first = held(books, 1, A1)
    paid = checkout(books.event, 1, hold=first["reservationId"])
    commands: list[Command] = [
        paid,
        reserve(books.event, 1, A2, A3),
        reserve(books.event, 1, VIP1),
        reserve(books.event, 1, A2),
        best(books.event, 1, 1, 1),
        reserve(books.event, 2, A3, A4),
    ]
    answers = bodies(engine.apply(commands), *commands)
    assert [one.get("code", "ok") for one in answers] == [
        "ok",
        "type_limit_exceeded",
        "ok",
        "ok",
        "type_limit_exceeded",
        "ok",
    ]
    assert (answers[1]["ticketTypeId"], answers[1]["seatsPerFanMax"]) == (1, 2)
    back = cancel(books.event, 1, answers[0]["purchaseId"])
    more = best(books.event, 1, 1, 1)
    assert codes(engine.apply([back, more]), back, more) == ["ok", "ok"]


def test_a_voucher_lowers_the_price_and_the_tax_of_it(books: Books) -> None:
    terms(books, 1, fee_amount=100, tax_basis_points=1000, tax_included=False)
    issued(books, HALF, ticket_type_ids=[1])
    hold = held(books, 1, A1, VIP1)
    command = checkout(books.event, 1, hold=hold["reservationId"], vouchers=(UNKNOWN, HALF))
    (bought,) = bodies(books.engine().apply([command]), command)
    first, second = bought["details"]
    assert first["charge"] == {"price": 4900, "fee": 100, "tax": 255, "taxBasisPoints": 1000, "discount": 2450}
    assert (first["amount"], second["amount"], bought["totalAmount"]) == (2805, 12900, 15705)
    assert bought["breakdown"]["discounts"] == 2450
    assert books.rows("SELECT uses FROM voucher") == [{"uses": 1}]
    assert books.rows("SELECT voucher_hash FROM purchase") == [{"voucher_hash": HALF}]
    again = checkout(books.event, 1, hold=hold["reservationId"])
    (told,) = bodies(books.engine().apply([again]), again)
    assert {name: told[name] for name in ("purchaseId", "totalAmount", "breakdown")} == {
        name: bought[name] for name in ("purchaseId", "totalAmount", "breakdown")
    }
    assert books.number("SELECT uses FROM voucher") == 1, "a purchase told again is not counted again"


def test_a_voucher_that_is_no_good_leaves_the_hold(books: Books) -> None:
    past = books.rows("SELECT now() - interval '1 s' AS at")[0]["at"]
    issued(books, b"over", ends_at=past)
    issued(books, b"revoked", revoked_at=past)
    issued(books, b"boxes", ticket_type_ids=[2])
    hold = held(books, 1, A1)
    asked = [(UNKNOWN,), (b"over",), (b"revoked",), (b"boxes",), ()]
    commands = [checkout(books.event, 1, hold=hold["reservationId"], vouchers=one) for one in asked]
    assert codes(books.engine().apply(commands), *commands) == [
        "voucher_unknown",
        "voucher_expired",
        "voucher_unknown",
        "voucher_not_for_these",
        "ok",
    ]
    assert books.number("SELECT sum(uses) FROM voucher") == 0


def buy_at_once(books: Books, fans: int, uses_max: int) -> list[str]:
    """What becomes of so many fans who buy with one voucher in four engines at the same time."""
    issued(books, HALF, uses_max=uses_max)
    holds = [held(books, fan, (1, 2, fan)) for fan in range(1, fans + 1)]
    commands = [
        checkout(books.event, fan, hold=hold["reservationId"], vouchers=(HALF,)) for fan, hold in enumerate(holds, 1)
    ]
    batches = [commands[number::4] for number in range(4)]
    engines = [books.engine() for _ in batches]
    ends: list[str] = []
    gate = threading.Barrier(4)

    def run(number: int, batch: list[Checkout]) -> None:
        gate.wait(10)
        ends.extend(codes(engines[number].apply(batch), *batch))

    threads = [threading.Thread(target=run, args=(number, batch)) for number, batch in enumerate(batches)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return ends


def test_a_voucher_is_never_used_more_often_than_it_may_be(books: Books) -> None:
    ends = buy_at_once(books, fans=16, uses_max=5)
    assert sorted(ends) == ["ok"] * 5 + ["voucher_used"] * 11
    assert books.number("SELECT uses FROM voucher") == 5
    assert books.number("SELECT count(*) FROM purchase WHERE voucher_hash IS NOT NULL") == 5


def test_a_use_that_is_not_counted_is_found(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    # The counting is what the test above relies on: without it every fan pays half, and the audit says so.
    never = "UPDATE voucher v SET uses = v.uses FROM json_to_recordset(%(rows)s) AS k (event_id bigint) WHERE false"
    monkeypatch.setattr("workers.engine.commands.checkout.WRITE_VOUCHER_USES", never)
    ends = buy_at_once(books, fans=8, uses_max=1)
    assert ends.count("ok") > 1
    assert {found.invariant for found in audit(books.database_url)} == {"voucher_uses_equal_purchases"}
    books.connection.execute("UPDATE purchase SET voucher_hash = NULL")
