"""The audit is silent on a consistent world, and finds each breach of each invariant, made by hand."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest

from db.audit.invariants import INVARIANTS, ROWS_MAX, audit
from db.audit.invoices import INVARIANTS as INVOICE_INVARIANTS
from db.audit.ledger import INVARIANTS as LEDGER_INVARIANTS
from db.audit.ledger import LedgerError
from db.audit.payments import INVARIANTS as PAYMENT_INVARIANTS
from db.events.seed import RoomSeed, seed_demo, seed_stadium
from tests.integration.db.world import World

BUYER, HOLDER, RELEASER, HEIR, LATE, CANCELLER, SECOND_BUYER, FAILED = range(1, 9)
HALL_SECONDS = 1200.0


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    """One fan in each situation a fan can be in."""
    event_id = seed_demo(database_url, room=RoomSeed())
    with psycopg.connect(database_url, autocommit=True) as connection:
        world = World(connection, event_id)
        hold = world.reserve(BUYER, [(1, 1, 1), (1, 1, 2)], after_seconds=0)
        world.checkout(BUYER, hold, after_seconds=30)
        world.reserve(HOLDER, [(1, 2, 1), (1, 2, 2)], after_seconds=HALL_SECONDS - 60)
        hold = world.reserve(RELEASER, [(1, 3, 1)], after_seconds=HALL_SECONDS - 300)
        world.release(RELEASER, hold, after_seconds=HALL_SECONDS - 200)
        world.reserve(HEIR, [(1, 3, 1)], after_seconds=HALL_SECONDS - 200)
        world.reserve(LATE, [(1, 4, 1)], after_seconds=HALL_SECONDS - 603)
        hold = world.reserve(CANCELLER, [(2, 1, 1)], after_seconds=100)
        bought = world.checkout(CANCELLER, hold, after_seconds=110)
        world.cancel(CANCELLER, bought, after_seconds=120)
        hold = world.reserve(SECOND_BUYER, [(2, 1, 1)], after_seconds=130)
        world.checkout(SECOND_BUYER, hold, after_seconds=140)
        world.tell("checkout", FAILED, world.at(150), code="hold_expired")
        yield world


def broken(database_url: str, ledger: Path | None = None, **arguments: Any) -> set[str]:
    return {violation.invariant for violation in audit(database_url, ledger=ledger, **arguments)}


def test_a_consistent_world_breaks_nothing(database_url: str, world: World, tmp_path: Path) -> None:
    assert audit(database_url) == []
    assert audit(database_url, ledger=world.write_ledger(tmp_path / "ledger.jsonl")) == []


def test_an_empty_database_breaks_nothing(database_url: str) -> None:
    assert audit(database_url) == []


# Each breach: the statements that make it, and every invariant that it breaks.
BREACHES: dict[str, tuple[LiteralString, set[str]]] = {
    "seat sold twice": (
        """
        DROP INDEX uq_purchase_detail_live_seat;
        UPDATE purchase_detail SET cancelled_at = NULL WHERE ticket_type_id = 2;
        UPDATE purchase SET status = 'confirmed', total_amount = 12900 WHERE status = 'cancelled';
        DELETE FROM booking_command WHERE kind = 'cancel';
        """,
        {"seat_sold_once"},
    ),
    "booked seat without detail": (
        """
        UPDATE seat SET status = 'booked' WHERE ticket_type_id = 1 AND row_number = 9 AND seat_number = 1;
        UPDATE ticket SET available_count = available_count - 1 WHERE ticket_type_id = 1;
        """,
        {"booked_seat_has_detail"},
    ),
    "sold seat shown as free": (
        """
        UPDATE seat SET status = 'available' WHERE ticket_type_id = 2 AND row_number = 1 AND seat_number = 1;
        UPDATE ticket SET available_count = available_count + 1 WHERE ticket_type_id = 2;
        """,
        {"live_detail_has_booked_seat"},
    ),
    "sold seat that the hall does not have": (
        """
        DELETE FROM seat WHERE ticket_type_id = 2 AND row_number = 1 AND seat_number = 1;
        UPDATE ticket SET quantity = quantity - 1 WHERE ticket_type_id = 2;
        """,
        {"live_detail_has_booked_seat"},
    ),
    "reserved seat of no reservation": (
        """
        UPDATE seat SET status = 'reserved', reservation_id = gen_random_uuid(),
                        held_until = clock_timestamp() + interval '5 min'
         WHERE ticket_type_id = 1 AND row_number = 9 AND seat_number = 1;
        UPDATE ticket SET available_count = available_count - 1, held_count = held_count + 1
         WHERE ticket_type_id = 1;
        """,
        {"reserved_seat_has_hold"},
    ),
    "reserved seat of a released reservation": (
        "UPDATE reservation SET state = 'released' WHERE user_id = 2",
        {"reserved_seat_has_hold"},
    ),
    "reserved seat that its reservation does not list": (
        """
        UPDATE reservation SET ticket_type_ids = '{1}', row_numbers = '{2}', seat_numbers = '{1}'
         WHERE user_id = 2
        """,
        {"reserved_seat_has_hold"},
    ),
    "hold that lost a seat to nobody": (
        """
        UPDATE seat SET status = 'available', reservation_id = NULL, held_until = NULL
         WHERE ticket_type_id = 1 AND row_number = 2 AND seat_number = 1;
        UPDATE ticket SET available_count = available_count + 1, held_count = held_count - 1
         WHERE ticket_type_id = 1;
        """,
        {"hold_has_its_seats"},
    ),
    "hold that lost a seat to another hold": (
        """
        UPDATE reservation SET row_numbers = '{2}', seat_numbers = '{1}' WHERE user_id = 4;
        UPDATE seat SET reservation_id = (SELECT reservation_id FROM reservation WHERE user_id = 4)
         WHERE ticket_type_id = 1 AND row_number = 2 AND seat_number = 1;
        UPDATE seat SET status = 'available', reservation_id = NULL, held_until = NULL
         WHERE ticket_type_id = 1 AND row_number = 3 AND seat_number = 1;
        UPDATE ticket SET available_count = available_count + 1, held_count = held_count - 1
         WHERE ticket_type_id = 1;
        """,
        {"hold_has_its_seats"},
    ),
    "hold in its grace that lost its seat": (
        """
        UPDATE seat SET status = 'available', reservation_id = NULL, held_until = NULL
         WHERE ticket_type_id = 1 AND row_number = 4 AND seat_number = 1;
        UPDATE ticket SET available_count = available_count + 1, held_count = held_count - 1
         WHERE ticket_type_id = 1;
        """,
        {"hold_has_its_seats"},
    ),
    "hold of no seats": (
        """
        INSERT INTO reservation
        SELECT event_id, gen_random_uuid(), 99, 'held', '{}', '{}', '{}', 0, created_at, expires_at,
               lifetime_ends_at
          FROM reservation
         WHERE user_id = 2
        """,
        {"hold_has_its_seats"},
    ),
    "available count too low": (
        "UPDATE ticket SET available_count = available_count - 1 WHERE ticket_type_id = 1",
        {"counts_equal_seats"},
    ),
    "held count too low": (
        "UPDATE ticket SET held_count = held_count - 1 WHERE ticket_type_id = 1",
        {"counts_equal_seats"},
    ),
    "quantity above the seats": (
        "UPDATE ticket SET quantity = quantity + 1 WHERE ticket_type_id = 2",
        {"counts_equal_seats"},
    ),
    "ticket type without seats": (
        "INSERT INTO ticket SELECT event_id, 3, 'Ghost', 1, 1, 1 FROM event",
        {"counts_equal_seats"},
    ),
    "total above its details": (
        "UPDATE purchase SET total_amount = total_amount + 1 WHERE user_id = 1",
        {"total_equals_details"},
    ),
    "total of a cancelled purchase": (
        "UPDATE purchase SET total_amount = 12900 WHERE status = 'cancelled'",
        {"total_equals_details"},
    ),
    "hold never swept": (
        """
        UPDATE reservation SET expires_at = expires_at - interval '20 s' WHERE user_id = 5;
        """,
        {"hold_ends"},
    ),
    "seat of a hold never swept": (
        "UPDATE seat SET held_until = held_until - interval '30 s' WHERE row_number = 4",
        {"seat_hold_ends"},
    ),
    "purchase of nothing": (
        """
        DELETE FROM purchase_detail WHERE cancelled_at IS NOT NULL;
        DELETE FROM booking_command WHERE kind = 'cancel';
        UPDATE reservation SET ticket_type_ids = '{}', row_numbers = '{}', seat_numbers = '{}'
         WHERE user_id = 6;
        """,
        {"purchase_has_detail"},
    ),
    "confirmed purchase of which nothing is left": (
        "UPDATE purchase SET status = 'confirmed' WHERE user_id = 6",
        {"purchase_has_detail"},
    ),
    "purchase of a hold that is not purchased": (
        "UPDATE reservation SET state = 'released' WHERE user_id = 1",
        {"purchase_has_its_hold"},
    ),
    "purchase of somebody else's hold": (
        "UPDATE reservation SET user_id = 99 WHERE user_id = 1",
        {"purchase_has_its_hold"},
    ),
    "purchase of other seats than its hold's": (
        "UPDATE reservation SET seat_numbers = '{1,3}' WHERE user_id = 1",
        {"purchase_has_its_hold"},
    ),
    "purchased hold without a purchase": (
        "UPDATE reservation SET state = 'purchased' WHERE user_id = 3",
        {"purchased_hold_has_purchase"},
    ),
    "fan over the limit": (
        "UPDATE event SET seats_per_fan_max = 1",
        {"fan_within_limit"},
    ),
    "checkout recorded without its purchase": (
        """
        UPDATE booking_command SET outcome = jsonb_set(outcome, '{result,purchaseId}', '"none"')
         WHERE kind = 'checkout' AND user_id = 1;
        INSERT INTO booking_command
        SELECT c.event_id, gen_random_uuid(), 'checkout', c.user_id, '', jsonb_build_object(
                   'status', 'succeeded', 'result', jsonb_build_object('purchaseId', p.purchase_id)), now()
          FROM booking_command c JOIN purchase p USING (event_id, user_id)
         WHERE c.kind = 'checkout' AND c.user_id = 1;
        """,
        {"checkout_has_purchase"},
    ),
    "checkout recorded for another fan": (
        "UPDATE booking_command SET user_id = 99 WHERE kind = 'checkout' AND user_id = 1",
        {"checkout_has_purchase"},
    ),
    "cancel recorded for another fan": (
        "UPDATE booking_command SET user_id = 99 WHERE kind = 'cancel'",
        {"cancel_has_its_seats"},
    ),
    "cancel that told another refund": (
        "UPDATE booking_command SET outcome = jsonb_set(outcome, '{result,refundAmount}', '1') WHERE kind = 'cancel'",
        {"cancel_has_its_seats"},
    ),
    "cancelled seat without a recorded cancel": (
        "DELETE FROM booking_command WHERE kind = 'cancel'",
        {"cancelled_seat_has_cancel"},
    ),
    "seat refunded twice": (
        """
        INSERT INTO booking_command
        SELECT event_id, gen_random_uuid(), kind, user_id, body_hash, outcome, recorded_at
          FROM booking_command
         WHERE kind = 'cancel'
        """,
        {"cancelled_seat_has_cancel"},
    ),
    "purchase without a recorded checkout": (
        "DELETE FROM booking_command WHERE kind = 'checkout' AND user_id = 1",
        {"purchase_has_checkout"},
    ),
    "seat sold at another price than it was held at": (
        "UPDATE reservation SET amounts = '{4800,5000}' WHERE user_id = 1",
        {"detail_is_charged"},
    ),
    "voucher used more often than was bought with it": (
        """
        INSERT INTO voucher_issue (event_id, issue_id, label, vouchers, uses_max, basis_points, amount, issued_by)
        SELECT event_id, gen_random_uuid(), 'Friends', 1, 2, 5000, 0, 'ops' FROM event;
        INSERT INTO voucher (event_id, code_hash, issue_id, uses_max, uses)
        SELECT event_id, 'hash', issue_id, uses_max, 1 FROM voucher_issue;
        """,
        {"voucher_uses_equal_purchases"},
    ),
    "fan over the limit of a ticket type": (
        "UPDATE ticket SET seats_per_fan_max = 1 WHERE ticket_type_id = 1",
        {"fan_within_type_limit"},
    ),
    "hold of an account that is joined to another": (
        """
        INSERT INTO account (user_id, language, merged_into, merged_at, merge_done_at)
        VALUES (2, 'en', 3, now(), now());
        """,
        {"merged_account_has_nothing"},
    ),
    "event cancelled without a record": (
        "UPDATE event SET state = 'cancelled'",
        {"cancelled_event_is_recorded"},
    ),
    "hold of a cancelled event left open": (
        """
        UPDATE event SET state = 'cancelled';
        INSERT INTO event_cancellation (event_id, cancelled_at) SELECT event_id, now() - interval '10 s' FROM event;
        """,
        {"cancelled_event_holds_nothing"},
    ),
    "purchase of a cancelled event": (
        """
        UPDATE event SET state = 'cancelled';
        INSERT INTO event_cancellation (event_id, cancelled_at) SELECT event_id, now() + interval '1 h' FROM event;
        UPDATE purchase SET purchase_at = now() + interval '2 h' WHERE user_id = 1;
        """,
        {"cancelled_event_sells_nothing"},
    ),
    "offer without a hold of its fan": (
        """
        INSERT INTO waiting_entry (event_id, number, user_id, ticket_type_id, quantity, state, entered_at, ended_at,
                                   reservation_id, link)
        SELECT event_id, 1, 99, 1, 2, 'offered', to_timestamp(0), now(), reservation_id,
               sha256(convert_to(event_id || ':1:1:2:0', 'UTF8'))
          FROM reservation WHERE user_id = 2
        """,
        {"offer_is_a_hold"},
    ),
    "offer to a later entry": (
        """
        INSERT INTO waiting_entry (event_id, number, user_id, ticket_type_id, quantity, entered_at, link)
        SELECT event_id, 1, 98, 1, 2, to_timestamp(0), sha256(convert_to(event_id || ':1:1:2:0', 'UTF8')) FROM event;
        INSERT INTO waiting_entry (event_id, number, user_id, ticket_type_id, quantity, state, entered_at, ended_at,
                                   reservation_id, link)
        SELECT w.event_id, 2, 2, 1, 2, 'offered', to_timestamp(0), now(), r.reservation_id,
               sha256(w.link || convert_to(w.event_id || ':2:1:2:0', 'UTF8'))
          FROM waiting_entry w JOIN reservation r USING (event_id) WHERE r.user_id = 2
        """,
        {"nobody_is_overtaken"},
    ),
    "entry put in later": (
        """
        INSERT INTO waiting_entry (event_id, number, user_id, ticket_type_id, quantity, entered_at, link)
        SELECT event_id, 1, 98, 1, 2, to_timestamp(0), 'another' FROM event
        """,
        {"waiting_list_is_a_chain"},
    ),
    "cancelled ticket that let somebody in": (
        """
        INSERT INTO entry (event_id, entry_id, purchase_id, ticket_type_id, row_number, seat_number, gate, device,
                           scan_id, operator, scanned_at)
        SELECT event_id, gen_random_uuid(), purchase_id, ticket_type_id, row_number, seat_number, 'North', 'device',
               gen_random_uuid(), 'ada', now()
          FROM purchase_detail
         WHERE cancelled_at IS NOT NULL
        """,
        {"entry_has_valid_ticket"},
    ),
    "ticket that let two in": (
        """
        DROP INDEX uq_entry_living_ticket;
        INSERT INTO entry (event_id, entry_id, purchase_id, ticket_type_id, row_number, seat_number, gate, device,
                           scan_id, operator, scanned_at)
        SELECT event_id, gen_random_uuid(), purchase_id, ticket_type_id, row_number, seat_number, 'North', 'device',
               gen_random_uuid(), 'ada', now()
          FROM purchase_detail, generate_series(1, 2)
         WHERE ticket_type_id = 1 AND row_number = 1 AND seat_number = 1 AND cancelled_at IS NULL
        """,
        {"ticket_entered_once"},
    ),
}


@pytest.mark.parametrize("breach", BREACHES)
def test_a_breach_is_found(database_url: str, world: World, breach: str) -> None:
    statements, expected = BREACHES[breach]
    world.connection.execute(statements)
    assert broken(database_url) == expected


def test_every_invariant_has_a_breach_that_only_it_finds() -> None:
    # Those of payments and invoices have their own (test_audit_payments.py, test_invoices.py).
    elsewhere = {*PAYMENT_INVARIANTS, *INVOICE_INVARIANTS}
    assert {name for _, names in BREACHES.values() for name in names} == set(INVARIANTS) - elsewhere
    assert all(len(names) == 1 for _, names in BREACHES.values())


def test_two_live_purchases_of_a_seat_are_found_behind_any_other_breach(database_url: str, world: World) -> None:
    world.connection.execute("DROP INDEX uq_purchase_detail_live_seat")
    world.connection.execute(
        """
        INSERT INTO purchase_detail
        SELECT p.event_id, p.purchase_id, 1, 1, 1, 4900, 'code', NULL FROM purchase p WHERE p.user_id = 7
        """
    )
    assert broken(database_url) == {"seat_sold_once", "total_equals_details", "purchase_has_its_hold"}


def test_an_old_purchase_outlives_its_command(database_url: str, world: World) -> None:
    world.connection.execute("DELETE FROM booking_command WHERE kind = 'checkout' AND user_id = 1")
    world.connection.execute("UPDATE purchase SET purchase_at = now() - interval '3 h' WHERE user_id = 1")
    assert broken(database_url, command_keep_hours=2) == set()
    assert broken(database_url, command_keep_hours=4) == {"purchase_has_checkout"}


def test_a_lapsed_hold_may_lose_its_seats_to_the_next_reserve(database_url: str, world: World) -> None:
    world.connection.execute(
        "UPDATE reservation SET expires_at = expires_at - interval '14 s' WHERE user_id = %s", (LATE,)
    )
    world.connection.execute("UPDATE seat SET held_until = held_until - interval '14 s' WHERE row_number = 4")
    world.reserve(HEIR, [(1, 4, 1)], after_seconds=HALL_SECONDS - 1)
    world.connection.execute(
        "UPDATE ticket SET available_count = available_count + 1, held_count = held_count - 1 WHERE ticket_type_id = 1"
    )
    # A slow machine may get here when the sweep is overdue.
    assert broken(database_url) <= {"hold_ends"}


def test_violations_are_bounded_and_say_what_broke(database_url: str, world: World) -> None:
    world.connection.execute("UPDATE seat SET status = 'booked' WHERE status = 'available'")
    (violation,) = (v for v in audit(database_url) if v.invariant == "booked_seat_has_detail")
    assert violation.sentence == "Every booked seat stands in a live purchase detail."
    assert len(violation.rows) == ROWS_MAX
    assert violation.rows[0].keys() == {"event_id", "ticket_type_id", "row_number", "seat_number"}


SELL_MOST_OF_THE_STADIUM = """
CREATE TEMP TABLE pair AS
SELECT event_id, row_number() OVER () AS user_id, gen_random_uuid() AS reservation_id,
       gen_random_uuid() AS purchase_id, gen_random_uuid() AS reserve_id, gen_random_uuid() AS checkout_id,
       ticket_type_id, row_number, array_agg(seat_number) AS seat_numbers, 2 * min(price) AS total
  FROM seat JOIN ticket USING (event_id, ticket_type_id)
 WHERE row_number <= 60
 GROUP BY event_id, ticket_type_id, row_number, (seat_number - 1) / 2;

INSERT INTO reservation
SELECT event_id, reservation_id, user_id, 'purchased', ARRAY[ticket_type_id, ticket_type_id],
       ARRAY[row_number, row_number], seat_numbers, total, now(), now() + interval '10 min',
       now() + interval '10 min'
  FROM pair;
INSERT INTO purchase
SELECT event_id, purchase_id, user_id, reservation_id, total, 'EUR', now() FROM pair;
INSERT INTO purchase_detail
SELECT event_id, purchase_id, ticket_type_id, row_number, unnest(seat_numbers), total / 2, 'code', NULL FROM pair;
UPDATE seat SET status = 'booked' WHERE row_number <= 60;
UPDATE ticket SET available_count = available_count - 6000;
INSERT INTO booking_command
SELECT event_id, reserve_id, 'reserve', user_id, '', jsonb_build_object('status', 'succeeded', 'result',
           jsonb_build_object('reservationId', reservation_id, 'eventId', event_id, 'currency', 'EUR', 'version', 1,
               'expiresAt', now() + interval '10 min',
               'totalAmount', total, 'seats', (
               SELECT jsonb_agg(jsonb_build_object('ticketTypeId', ticket_type_id, 'rowNumber', row_number,
                                                   'seatNumber', s, 'amount', total / 2))
                 FROM unnest(seat_numbers) AS s))), now()
  FROM pair;
INSERT INTO booking_command
SELECT event_id, checkout_id, 'checkout', user_id, '', jsonb_build_object('status', 'succeeded', 'result',
           jsonb_build_object('purchaseId', purchase_id, 'eventId', event_id, 'userId', user_id, 'currency', 'EUR',
               'purchaseAt', now(), 'status', 'confirmed', 'version', 1, 'totalAmount', total, 'details', (
               SELECT jsonb_agg(jsonb_build_object('ticketTypeId', ticket_type_id, 'rowNumber', row_number,
                                                   'seatNumber', s, 'amount', total / 2,
                                                   'ticketType', 'Hall', 'ticketCode', 'code'))
                 FROM unnest(seat_numbers) AS s))), now()
  FROM pair;
"""

AS_LEDGER = """
SELECT json_build_object('at', recorded_at, 'userId', user_id, 'eventId', event_id, 'kind', kind, 'jobId',
                         command_id, 'status', 'succeeded', 'result', outcome -> 'result', 'code', NULL)::text
  FROM booking_command
"""


@pytest.mark.long
def test_a_stadium_is_audited_in_seconds(database_url: str, tmp_path: Path) -> None:
    seed_stadium(database_url, room=RoomSeed())
    with psycopg.connect(database_url) as connection:
        connection.execute(SELL_MOST_OF_THE_STADIUM)
        ledger = tmp_path / "ledger.jsonl"
        ledger.write_text("".join(f"{line}\n" for (line,) in connection.execute(AS_LEDGER)))
    begun = time.monotonic()
    assert audit(database_url, ledger=ledger) == []
    assert time.monotonic() - begun < 20


def _alter(kind: str, user_id: int, change: Callable[[dict[str, Any]], object]) -> Callable[[World], object]:
    return lambda world: change(world.line(kind, user_id))


def _bought_seat_told_to_another(world: World) -> None:
    seat = {"ticketTypeId": 1, "rowNumber": 1, "seatNumber": 1, "amount": 4900}
    result = {
        **world.line("checkout", BUYER)["result"],
        "purchaseId": str(uuid.uuid4()),
        "totalAmount": 4900,
        "details": [{**seat, "ticketType": "Hall", "ticketCode": "code"}],
    }
    world.tell("checkout", HOLDER, world.at(60), result=result, recorded=False)


def _held_seat_told_to_another(world: World) -> None:
    hold = {**world.line("reserve", HOLDER)["result"], "reservationId": str(uuid.uuid4())}
    world.tell("reserve", HEIR, world.at(HALL_SECONDS - 59), result=hold)


def _held_seat_told_to_another_before_its_release(world: World) -> None:
    world.connection.execute(
        "UPDATE booking_command SET recorded_at = recorded_at + interval '1 s' WHERE kind = 'release'"
    )


def _bought_seat_held_again_after_the_holds_end(world: World) -> None:
    hold = {**world.line("reserve", BUYER)["result"], "reservationId": str(uuid.uuid4())}
    world.tell("reserve", HEIR, world.at(HALL_SECONDS - 59), result=hold)


def _answer_lost_by_postgres(world: World) -> None:
    hold = world.line("reserve", HOLDER)
    world.connection.execute("DELETE FROM booking_command WHERE command_id = %s", (hold["jobId"],))


def _cancelled_without_a_command(world: World) -> None:
    world.connection.execute("DELETE FROM booking_command WHERE kind = 'cancel'")
    # So long ago that the audit expects no command any more.
    world.connection.execute("UPDATE purchase_detail SET cancelled_at = cancelled_at - interval '30 h'")
    world.ledger.remove(world.line("cancel", CANCELLER))
    # The heir's purchase would show that the seat had been given back.
    world.ledger = [line for line in world.ledger if line["userId"] != SECOND_BUYER]


# Each breach: what alters the ledger or the tables, and every invariant of the ledger that it breaks.
LEDGER_BREACHES: dict[str, tuple[Callable[[World], object], set[str]]] = {
    "told failed, recorded as succeeded": (
        _alter("checkout", BUYER, lambda line: line.update(status="failed", code="timed_out", result=None)),
        {"told_as_recorded"},
    ),
    "told another problem than recorded": (
        _alter("checkout", FAILED, lambda line: line.update(code="not_your_hold")),
        {"told_as_recorded"},
    ),
    "told another fan than recorded": (
        _alter("checkout", FAILED, lambda line: line.update(userId=99)),
        {"told_as_recorded"},
    ),
    "told succeeded, never recorded": (_answer_lost_by_postgres, {"told_as_recorded"}),
    "told a hold that is nowhere": (
        _alter("reserve", HOLDER, lambda line: line["result"].update(reservationId=str(uuid.uuid4()))),
        {"told_hold_kept"},
    ),
    "told a hold of another total": (
        _alter("reserve", HOLDER, lambda line: line["result"].update(totalAmount=1)),
        {"told_hold_kept"},
    ),
    "told a hold of fewer seats": (
        _alter("reserve", HOLDER, lambda line: line["result"]["seats"].pop()),
        {"told_hold_kept"},
    ),
    "told a hold of another seat": (
        _alter("reserve", HOLDER, lambda line: line["result"]["seats"][0].update(seatNumber=9)),
        {"told_hold_kept"},
    ),
    "told a purchase that is nowhere": (
        _alter("checkout", BUYER, lambda line: line["result"].update(purchaseId=str(uuid.uuid4()))),
        {"told_purchase_kept", "told_seats_kept"},
    ),
    "told a total that is not the seats'": (
        _alter("checkout", BUYER, lambda line: line["result"].update(totalAmount=1)),
        {"told_purchase_kept"},
    ),
    "told a purchase of fewer seats": (
        _alter(
            "checkout",
            BUYER,
            lambda line: (line["result"]["details"].pop(), line["result"].update(totalAmount=4900)),
        ),
        {"told_seats_kept"},
    ),
    "told another seat than sold": (
        _alter("checkout", BUYER, lambda line: line["result"]["details"][0].update(seatNumber=9)),
        {"told_seats_kept"},
    ),
    "told another amount": (
        _alter(
            "checkout",
            BUYER,
            lambda line: (
                line["result"]["details"][0].update(amount=1),
                line["result"].update(totalAmount=4901),
            ),
        ),
        {"told_seats_kept"},
    ),
    "a told seat cancelled by nobody": (_cancelled_without_a_command, {"told_seats_kept"}),
    "a seat told to two buyers": (
        _bought_seat_told_to_another,
        {"told_as_recorded", "told_purchase_kept", "told_seats_kept", "told_seat_sold_once"},
    ),
    "a seat told to two holders": (_held_seat_told_to_another, {"told_hold_kept", "told_holds_apart"}),
    "a seat held again before its release": (
        _held_seat_told_to_another_before_its_release,
        {"told_holds_apart"},
    ),
    "a bought seat held again": (
        _bought_seat_held_again_after_the_holds_end,
        {"told_hold_kept", "told_holds_apart"},
    ),
}


@pytest.mark.parametrize("breach", LEDGER_BREACHES)
def test_a_breach_of_the_ledger_is_found(database_url: str, world: World, tmp_path: Path, breach: str) -> None:
    alter, expected = LEDGER_BREACHES[breach]
    alter(world)
    assert broken(database_url, world.write_ledger(tmp_path / "ledger.jsonl")) == expected


def test_every_invariant_of_the_ledger_has_a_breach() -> None:
    assert {name for _, names in LEDGER_BREACHES.values() for name in names} == set(LEDGER_INVARIANTS)


def test_a_release_that_only_the_ledger_knows_ends_the_hold(database_url: str, world: World, tmp_path: Path) -> None:
    world.connection.execute("DELETE FROM booking_command")
    for line in world.ledger:
        line["at"] = (dt.datetime.fromisoformat(line["at"]) - dt.timedelta(minutes=70)).isoformat()
        if line["kind"] == "reserve":
            line["result"]["expiresAt"] = (
                dt.datetime.fromisoformat(line["result"]["expiresAt"]) - dt.timedelta(minutes=70)
            ).isoformat()
    world.connection.execute("UPDATE purchase SET purchase_at = purchase_at - interval '70 min'")
    world.connection.execute("UPDATE purchase_detail SET cancelled_at = cancelled_at - interval '70 min'")
    assert broken(database_url, world.write_ledger(tmp_path / "l"), command_keep_hours=1) == set()


@pytest.mark.parametrize(
    "text",
    [
        '{"at": "2030-01-01T00:00:00Z"}\n',
        "not json\n",
        '{"at":"2030-01-01T00:00:00","userId":1,"eventId":1,"kind":"reserve","jobId":null,"status":"failed"}\n',
        '{"at":"2030-01-01T00:00:00Z","userId":1,"eventId":1,"kind":"reserve","jobId":null,'
        '"status":"succeeded","result":{"seats":7}}\n',
    ],
)
def test_a_malformed_ledger_is_refused_by_line(database_url: str, tmp_path: Path, text: str) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text(
        '{"at":"2030-01-01T00:00:00Z","userId":1,"eventId":1,"kind":"reserve","jobId":null,"status":"failed"}\n' + text
    )
    with pytest.raises(LedgerError, match=r"ledger\.jsonl, line 2: "):
        audit(database_url, ledger=path)
