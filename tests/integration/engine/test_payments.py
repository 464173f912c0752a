"""Payments in the engine: one payment a hold, booked once, or paid back; never a charge without a ticket."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Any

import pytest

from booking_lane.commands import Command
from db.audit.invariants import audit
from tests.integration.engine.books import GRACE_SECONDS, HOLD_SECONDS, Books, bodies, body
from tests.integration.engine.test_prices import issued
from tests.unit.booking_lane.asks import cancel, checkout, confirm, fail, keep, release, reserve, sweep
from workers.engine.engine import Applied, Engine

A1, A2, A3 = (1, 1, 1), (1, 1, 2), (1, 1, 3)
VOUCHER = b"v" * 32
FAN, OTHER = 1, 2
SEAT_PRICE = 4900


@dataclass
class Till:
    """The engine of an event with payments, and what a cashier would note of them."""

    books: Books
    engine: Engine

    @property
    def event(self) -> int:
        return self.books.event

    def hold(self, fan: int, *seats: tuple[int, int, int]) -> uuid.UUID:
        asked = reserve(self.event, fan, *seats)
        return uuid.UUID(bodies(self.engine.apply([asked]), asked)[0]["reservationId"])

    def check_out(self, fan: int, hold: uuid.UUID, **fields: Any) -> tuple[Command, uuid.UUID]:
        asked = checkout(self.event, fan, hold=hold, **fields)
        applied = self.engine.apply([asked])
        assert applied.outcomes == ()
        (one,) = applied.awaiting
        assert one.command_id == asked.command_id
        return asked, one.payment_id

    def pay(self, payment: uuid.UUID, amount: int = SEAT_PRICE, currency: str = "EUR") -> None:
        self.books.connection.execute(
            "UPDATE payment SET state = CASE WHEN state = 'new' THEN 'open' ELSE state END, provider_ref = 'x',"
            "       captured_amount = %s, captured_currency = %s, captured_at = now()"
            " WHERE payment_id = %s",
            (amount, currency, payment),
        )

    def confirm(self, payment: uuid.UUID, hold: uuid.UUID, *seats: tuple[int, int, int], fan: int = FAN) -> Applied:
        return self.engine.apply([confirm(self.event, fan, payment, hold, *seats)])

    def row(self, payment: uuid.UUID) -> dict[str, Any]:
        (row,) = self.books.rows("SELECT * FROM payment WHERE payment_id = %s", payment)
        return row

    def hold_row(self, hold: uuid.UUID) -> dict[str, Any]:
        (row,) = self.books.rows("SELECT * FROM reservation WHERE reservation_id = %s", hold)
        return row

    def refunds(self) -> list[tuple[int, str]]:
        rows = self.books.rows("SELECT amount, cause FROM refund ORDER BY refund_id")
        return [(row["amount"], row["cause"]) for row in rows]


@pytest.fixture
def till(books: Books) -> Till:
    books.event = books.event_new(payments="test")
    return Till(books, books.engine())


def uses(till: Till) -> int:
    return till.books.number("SELECT uses FROM voucher")


def told(applied: Applied) -> dict[str, Any]:
    (outcome,) = applied.outcomes
    return body(outcome)


def test_a_checkout_waits_for_its_payment_and_is_booked_once(till: Till) -> None:
    hold = till.hold(FAN, A1)
    asked, payment = till.check_out(FAN, hold)
    assert till.books.statuses() == {A1: "reserved"}
    assert till.books.number("SELECT count(*) FROM booking_command WHERE kind = 'checkout'") == 0
    till.pay(payment)
    applied = till.confirm(payment, hold, A1)
    answer = told(applied)
    assert answer["status"] == "succeeded"
    assert applied.outcomes[0].command_id == asked.command_id
    assert till.books.statuses() == {A1: "booked"}
    before = till.books.everything()
    again = till.confirm(payment, hold, A1)
    assert told(again) == answer, "a second confirmation tells the same"
    (repeated,) = bodies(till.engine.apply([asked]), asked)
    assert repeated == answer["result"], "and so does the checkout that runs once more"
    assert till.books.everything() == before


def test_an_event_without_payments_knows_nothing_of_them(till: Till) -> None:
    till.books.event = till.books.event_new()
    hold = till.hold(FAN, A1)
    asked = checkout(till.event, FAN, hold=hold)
    applied = till.engine.apply([asked])
    assert bodies(applied, asked)[0]["totalAmount"] == SEAT_PRICE
    assert (applied.awaiting, till.books.number("SELECT count(*) FROM payment")) == ((), 0)


def test_what_costs_nothing_needs_no_payment(till: Till) -> None:
    till.books.connection.execute("UPDATE ticket SET price = 0 WHERE event_id = %s", (till.event,))
    hold = till.hold(FAN, A1)
    asked = checkout(till.event, FAN, hold=hold)
    assert bodies(till.engine.apply([asked]), asked)[0]["totalAmount"] == 0


def test_fees_and_taxes_are_paid_and_stand_with_the_seat(till: Till) -> None:
    till.books.connection.execute(
        "UPDATE ticket SET fee_amount = 250, tax_basis_points = 1900 WHERE event_id = %s", (till.event,)
    )
    hold = till.hold(FAN, A1)
    _, payment = till.check_out(FAN, hold)
    assert till.row(payment)["amount"] == SEAT_PRICE + 250
    till.pay(payment, SEAT_PRICE + 250)
    assert told(till.confirm(payment, hold, A1))["result"]["totalAmount"] == SEAT_PRICE + 250
    assert till.books.rows("SELECT amount, price, fee FROM purchase_detail") == [
        {"amount": SEAT_PRICE + 250, "price": SEAT_PRICE, "fee": 250}
    ]


def test_a_voucher_lowers_the_payment_and_its_use_is_counted_from_its_beginning(till: Till) -> None:
    issued(till.books, VOUCHER, basis_points=0, amount=900)
    hold = till.hold(FAN, A1, A2)
    _, payment = till.check_out(FAN, hold, vouchers=(VOUCHER,))
    asked = 2 * (SEAT_PRICE - 900)
    assert till.row(payment)["amount"] == asked
    assert uses(till) == 1
    assert audit(till.books.database_url, grace_seconds=GRACE_SECONDS) == []
    other = till.hold(OTHER, A3)
    late = checkout(till.event, OTHER, hold=other, vouchers=(VOUCHER,))
    assert bodies(till.engine.apply([late]), late)[0]["code"] == "voucher_used", "its only use is being paid"
    till.books.connection.execute("UPDATE voucher_issue SET revoked_at = now(), revoked_by = 'ops', amount = 100")
    till.pay(payment, asked)
    assert told(till.confirm(payment, hold, A1, A2))["result"]["totalAmount"] == asked, "the price was agreed before"
    assert (uses(till), till.books.number("SELECT count(*) FROM purchase WHERE voucher_hash IS NOT NULL")) == (1, 1)
    till.books.connection.execute("UPDATE payment SET captured_at = now() - interval '5 min'")
    assert audit(till.books.database_url, grace_seconds=GRACE_SECONDS) == []


def test_a_payment_that_buys_nothing_gives_the_use_back_once(till: Till) -> None:
    issued(till.books, VOUCHER, basis_points=0, amount=900)
    hold = till.hold(FAN, A1)
    _, payment = till.check_out(FAN, hold, vouchers=(VOUCHER,))
    plain = checkout(till.event, FAN, hold=hold)
    other = checkout(till.event, FAN, hold=hold, vouchers=(b"w" * 32,))
    applied = till.engine.apply([plain, other])
    assert [one.payment_id for one in applied.awaiting] == [payment], "who asks without it pays the lower price"
    assert bodies(applied, other)[0]["code"] == "voucher_not_for_these"
    failed = fail(till.event, FAN, payment, hold)
    again = checkout(till.event, FAN, hold=hold, vouchers=(VOUCHER,))
    (second,) = till.engine.apply([failed, failed, again]).awaiting
    assert uses(till) == 1, "given back, and taken anew in the same batch"
    till.pay(payment, SEAT_PRICE - 900)
    till.confirm(payment, hold, A1)
    assert uses(till) == 1, "what came too late gives nothing back again"
    till.pay(second.payment_id, SEAT_PRICE)
    assert told(till.confirm(second.payment_id, hold, A1))["problem"]["refundCause"] == "wrong_amount"
    assert uses(till) == 0


def test_a_voucher_that_leaves_nothing_to_pay_needs_no_provider(till: Till) -> None:
    issued(till.books, VOUCHER, basis_points=10_000)
    hold = till.hold(FAN, A1)
    asked = checkout(till.event, FAN, hold=hold, vouchers=(VOUCHER,))
    assert bodies(till.engine.apply([asked]), asked)[0]["totalAmount"] == 0
    assert (till.books.number("SELECT count(*) FROM payment"), uses(till)) == (0, 1)


def test_two_checkouts_of_a_hold_share_its_payment_and_its_outcome(till: Till) -> None:
    hold = till.hold(FAN, A1)
    first, payment = till.check_out(FAN, hold, body_hash=b"1" * 16)
    till.engine.apply([first])
    second, same = till.check_out(FAN, hold, body_hash=b"2" * 16)
    assert same == payment
    till.pay(payment)
    applied = till.confirm(payment, hold, A1)
    assert {one.command_id: one.body_hash for one in applied.outcomes} == {
        first.command_id: b"1" * 16,
        second.command_id: b"2" * 16,
    }
    assert len({one.body for one in applied.outcomes}) == 1
    assert till.books.number("SELECT count(*) FROM purchase") == 1


def test_reserve_checkout_and_confirmation_in_one_batch_with_others(till: Till) -> None:
    hold = till.hold(FAN, A1)
    asked, payment = till.check_out(FAN, hold)
    till.pay(payment)
    late, other = checkout(till.event, FAN, hold=hold), reserve(till.event, OTHER, A2)
    pays = checkout(till.event, OTHER, A2)
    applied = till.engine.apply([late, confirm(till.event, FAN, payment, hold, A1), other, pays])
    assert {one.command_id for one in applied.outcomes} == {asked.command_id, late.command_id, other.command_id}
    assert {one.command_id for one in applied.awaiting} == {late.command_id, pays.command_id}


def test_the_hold_stretches_below_its_cap(till: Till) -> None:
    hold = till.hold(FAN, A1)
    till.books.pass_time(HOLD_SECONDS - 10)
    ended = till.hold_row(hold)["expires_at"]
    _, payment = till.check_out(FAN, hold)
    row = till.hold_row(hold)
    assert row["state"] == "paying"
    assert row["expires_at"] > ended + dt.timedelta(seconds=500)
    assert till.row(payment)["expires_at"] == row["expires_at"]
    (seat,) = till.books.rows("SELECT held_until FROM seat WHERE reservation_id = %s", hold)
    assert seat["held_until"] == row["expires_at"] + dt.timedelta(seconds=GRACE_SECONDS)
    # Whatever is tried, it ends half an hour after it was made.
    for _ in range(4):
        till.engine.apply([fail(till.event, FAN, payment, hold)])
        till.books.pass_time(400)
        again = checkout(till.event, FAN, hold=hold)
        applied = till.engine.apply([again])
        row = till.hold_row(hold)
        assert row["expires_at"] <= row["created_at"] + dt.timedelta(seconds=1800)
        if not applied.awaiting:
            assert bodies(applied, again)[0]["code"] == "hold_expired"
            till.engine.apply([sweep(till.event)])
            return
        payment = applied.awaiting[0].payment_id
    pytest.fail("the hold never ended")


def test_a_failed_payment_leaves_the_seats_and_another_may_follow(till: Till) -> None:
    hold = till.hold(FAN, A1)
    asked, payment = till.check_out(FAN, hold)
    applied = till.engine.apply([fail(till.event, FAN, payment, hold)])
    assert told(applied)["problem"]["code"] == "payment_failed"
    assert applied.outcomes[0].command_id == asked.command_id
    assert till.hold_row(hold)["state"] == "held"
    assert till.books.statuses() == {A1: "reserved"}
    assert told(till.engine.apply([fail(till.event, FAN, payment, hold)]))["status"] == "failed"
    _, second = till.check_out(FAN, hold)
    assert second != payment
    till.pay(second)
    assert told(till.confirm(second, hold, A1))["status"] == "succeeded"


def await_bank(till: Till, hours: int, *seats: tuple[int, int, int]) -> tuple[uuid.UUID, uuid.UUID]:
    """A hold, and its payment that a bank works on, of an event that waits so long for banks."""
    till.books.connection.execute("UPDATE room SET payment_term_hours = %s WHERE event_id = %s", (hours, till.event))
    hold = till.hold(FAN, *seats)
    _, payment = till.check_out(FAN, hold)
    till.books.connection.execute(
        "UPDATE payment SET state = 'open', provider_ref = 'x' WHERE payment_id = %s", (payment,)
    )
    assert till.engine.apply([keep(till.event, FAN, payment, hold)]).outcomes == ()
    return hold, payment


def test_a_bank_that_takes_days_has_the_events_term_and_no_more(till: Till) -> None:
    hold, payment = await_bank(till, 72, A1)
    row = till.hold_row(hold)
    (told_again,) = till.engine.apply([keep(till.event, FAN, payment, hold)]).awaiting
    until_us = round(row["expires_at"].timestamp() * 1e6)
    assert (told_again.is_processing, told_again.payment_until_us) == (True, until_us), "the checkout is told"
    assert row["expires_at"] > row["created_at"] + dt.timedelta(hours=71)
    assert till.row(payment)["expires_at"] == row["expires_at"]
    before = till.books.everything()
    till.engine.apply([keep(till.event, FAN, payment, hold)])
    assert till.books.everything() == before, "said once more, it keeps the seats no longer"
    till.books.pass_time(71 * 3600)
    till.engine.apply([sweep(till.event)])
    assert till.books.statuses() == {A1: "reserved"}
    assert audit(till.books.database_url, grace_seconds=GRACE_SECONDS) == []
    till.pay(payment)
    assert told(till.confirm(payment, hold, A1))["status"] == "succeeded"
    assert till.books.statuses() == {A1: "booked"}


def test_a_bank_that_refuses_days_later_frees_the_seats(till: Till) -> None:
    hold, payment = await_bank(till, 72, A1)
    till.books.pass_time(48 * 3600)
    assert told(till.engine.apply([fail(till.event, FAN, payment, hold)]))["problem"]["code"] == "payment_failed"
    assert (till.books.statuses(), till.hold_row(hold)["state"]) == ({}, "lapsed")
    till.hold(OTHER, A1)
    assert audit(till.books.database_url, grace_seconds=GRACE_SECONDS) == []


def test_a_bank_that_is_too_late_buys_what_is_free_or_pays_back(till: Till) -> None:
    hold, payment = await_bank(till, 72, A1)
    till.books.pass_time(73 * 3600)
    till.engine.apply([sweep(till.event)])
    assert till.books.statuses() == {}
    till.hold(OTHER, A1)
    till.pay(payment)
    assert told(till.confirm(payment, hold, A1))["problem"]["refundCause"] == "seats_gone"


def test_no_seat_is_kept_for_a_bank_without_a_term_nor_after_the_sale(till: Till) -> None:
    hold, payment = await_bank(till, 0, A1)
    row = till.hold_row(hold)
    assert (till.row(payment)["processing_at"], row["expires_at"] < row["created_at"] + dt.timedelta(hours=1)) == (
        None,
        True,
    )
    till.books.connection.execute(
        "UPDATE event SET off_sale_at = now() + interval '5 hours' WHERE event_id = %s", (till.event,)
    )
    till.books.connection.execute("UPDATE room SET payment_term_hours = 72 WHERE event_id = %s", (till.event,))
    till.engine.apply([keep(till.event, FAN, payment, hold)])
    (sale,) = till.books.rows("SELECT off_sale_at FROM event WHERE event_id = %s", till.event)
    assert till.hold_row(hold)["expires_at"] == sale["off_sale_at"]


def test_banks_keep_so_many_seats_of_an_event_and_no_more(till: Till) -> None:
    """A fan who never pays keeps seats for days, so the operator's number bounds what all of them keep."""
    set_most = "UPDATE room SET payment_term_seats_max = %s WHERE event_id = %s"
    till.books.connection.execute(set_most, (2, till.event))
    _, first = await_bank(till, 72, A1, A2)
    assert till.row(first)["processing_at"] is not None
    hold, beyond = await_bank(till, 72, A3)
    row = till.hold_row(hold)
    assert (till.row(beyond)["processing_at"], row["expires_at"] < row["created_at"] + dt.timedelta(hours=1)) == (
        None,
        True,
    )
    till.books.connection.execute(set_most, (3, till.event))
    till.engine.apply([keep(till.event, FAN, beyond, hold)])
    assert till.row(beyond)["processing_at"] is not None
    refused = told(till.engine.apply([reserve(till.event, FAN, *[(1, 2, seat) for seat in range(1, 9)])]))
    assert refused["problem"]["code"] == "limit_exceeded", "what is kept counts among the fan's seats"


def test_what_was_paid_never_fails(till: Till) -> None:
    hold = till.hold(FAN, A1)
    _, payment = till.check_out(FAN, hold)
    till.pay(payment)
    assert till.engine.apply([fail(till.event, FAN, payment, hold)]).outcomes == ()
    assert told(till.confirm(payment, hold, A1))["status"] == "succeeded"


def test_a_late_payment_takes_the_same_seats_if_they_are_free(till: Till) -> None:
    hold = till.hold(FAN, A1, A2)
    _, payment = till.check_out(FAN, hold)
    till.books.pass_time(1900)
    till.engine.apply([sweep(till.event)])
    assert till.hold_row(hold)["state"] == "lapsed"
    assert till.books.statuses() == {}
    till.pay(payment, 2 * SEAT_PRICE)
    assert told(till.confirm(payment, hold, A1, A2))["status"] == "succeeded"
    assert till.books.statuses() == {A1: "booked", A2: "booked"}


@pytest.mark.parametrize("swept", [True, False])
def test_a_late_payment_whose_seats_are_gone_goes_back_whole(till: Till, swept: bool) -> None:
    hold = till.hold(FAN, A1, A2)
    _, payment = till.check_out(FAN, hold)
    till.books.pass_time(1900)
    if swept:
        till.engine.apply([sweep(till.event)])
    till.hold(OTHER, A2)
    till.pay(payment, 2 * SEAT_PRICE)
    refused = told(till.confirm(payment, hold, A1, A2))["problem"]
    assert (refused["code"], refused["refundAmount"]) == ("payment_failed", 2 * SEAT_PRICE)
    assert till.refunds() == [(2 * SEAT_PRICE, "seats_gone")]
    assert till.row(payment)["state"] == "returned"
    till.confirm(payment, hold, A1, A2)
    assert till.refunds() == [(2 * SEAT_PRICE, "seats_gone")], "once"
    till.engine.apply([sweep(till.event)])


@pytest.mark.parametrize(
    ("amount", "currency"), [(SEAT_PRICE - 1, "EUR"), (SEAT_PRICE + 1, "EUR"), (SEAT_PRICE, "JPY")]
)
def test_a_wrong_amount_buys_nothing_and_goes_back(till: Till, amount: int, currency: str) -> None:
    hold = till.hold(FAN, A1)
    _, payment = till.check_out(FAN, hold)
    till.pay(payment, amount, currency)
    assert told(till.confirm(payment, hold, A1))["problem"]["code"] == "payment_failed"
    assert till.refunds() == [(amount, "wrong_amount")]
    assert till.hold_row(hold)["state"] == "held", "and may be paid anew"


def test_seats_given_back_while_they_are_paid_are_not_bought(till: Till) -> None:
    hold = till.hold(FAN, A1)
    _, payment = till.check_out(FAN, hold)
    till.engine.apply([release(till.event, FAN, hold)])
    row = till.row(payment)
    assert row["due_at"] is not None
    assert row["expires_at"] <= row["due_at"], "the cashier closes it"
    till.pay(payment)
    assert told(till.confirm(payment, hold, A1))["status"] == "failed"
    assert till.refunds() == [(SEAT_PRICE, "given_up")]
    assert till.books.statuses() == {}


def test_a_payment_that_comes_after_it_failed_goes_back(till: Till) -> None:
    hold = till.hold(FAN, A1)
    _, payment = till.check_out(FAN, hold)
    till.engine.apply([fail(till.event, FAN, payment, hold)])
    _, second = till.check_out(FAN, hold)
    till.pay(second)
    till.confirm(second, hold, A1)
    till.pay(payment)
    till.confirm(payment, hold, A1)
    assert till.refunds() == [(SEAT_PRICE, "seats_gone")]
    assert till.books.number("SELECT count(*) FROM purchase") == 1


def test_what_is_cancelled_goes_back_seat_by_seat(till: Till) -> None:
    hold = till.hold(FAN, A1, A2, A3)
    _, payment = till.check_out(FAN, hold)
    till.pay(payment, 3 * SEAT_PRICE)
    purchase = told(till.confirm(payment, hold, A1, A2, A3))["result"]["purchaseId"]
    one = cancel(till.event, FAN, purchase, A1)
    till.engine.apply([one])
    till.engine.apply([one])
    till.engine.apply([cancel(till.event, FAN, purchase)])
    assert till.refunds() == [(SEAT_PRICE, "cancelled"), (2 * SEAT_PRICE, "cancelled")]


def test_a_payment_of_a_cancelled_event_goes_back(till: Till) -> None:
    hold = till.hold(FAN, A1)
    _, payment = till.check_out(FAN, hold)
    till.books.connection.execute("UPDATE event SET state = 'cancelled' WHERE event_id = %s", (till.event,))
    till.books.connection.execute("INSERT INTO event_cancellation (event_id) VALUES (%s)", (till.event,))
    till.engine.apply([sweep(till.event)])
    till.pay(payment)
    till.confirm(payment, hold, A1)
    assert till.refunds() == [(SEAT_PRICE, "event_cancelled")]
