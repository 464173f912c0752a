from __future__ import annotations

import datetime as dt
import uuid

import pytest

from booking_lane.commands import Command
from booking_lane.lane_map import Lanes
from booking_lane.results import Count, SeatChange
from db.booking.holds import EVENTS_WITH_DUE_HOLDS
from tests.integration.engine.books import GRACE_SECONDS, HOLD_SECONDS, Books, bodies, codes
from tests.integration.on_citus import CITUS_URL
from tests.unit.booking_lane.asks import best, cancel, checkout, extend, give, release, reserve, sweep
from workers.engine.engine import _SESSION, NOTHING

A1, A2, A3 = (1, 1, 1), (1, 1, 2), (1, 1, 3)
VIP1 = (2, 1, 1)


def test_a_batch_of_reserves(books: Books) -> None:
    commands: list[Command] = [
        reserve(books.event, 1, A1, VIP1),
        reserve(books.event, 2, A1),
        reserve(books.event, 3, A2),
    ]
    applied = books.engine().apply(commands)
    first, taken, third = bodies(applied, *commands)
    assert (first["totalAmount"], first["version"]) == (17800, 1)
    assert (taken["code"], taken["version"]) == ("seats_taken", 1)
    assert books.statuses() == {A1: "reserved", VIP1: "reserved", A2: "reserved"}
    (hold,) = books.rows("SELECT * FROM reservation WHERE reservation_id = %s", first["reservationId"])
    assert (hold["user_id"], hold["state"], hold["ticket_type_ids"], hold["row_numbers"], hold["seat_numbers"]) == (
        1,
        "held",
        [1, 2],
        [1, 1],
        [1, 1],
    )
    assert hold["expires_at"] == dt.datetime.fromisoformat(first["expiresAt"])
    assert hold["expires_at"] - hold["created_at"] == dt.timedelta(seconds=HOLD_SECONDS)
    (seat,) = books.rows("SELECT * FROM seat WHERE ticket_type_id = 2 AND status = 'reserved'")
    assert seat["held_until"] == hold["expires_at"] + dt.timedelta(seconds=GRACE_SECONDS)
    assert third["reservationId"] != first["reservationId"]
    ends = {user: end for _, user, end in applied.holds_until_ms}
    assert ends == {1: int(hold["expires_at"].timestamp() * 1000), 3: ends[3]}


def test_the_time_of_a_hold_is_postgres_own(books: Books) -> None:
    (before,) = books.rows("SELECT clock_timestamp() AS now")
    books.engine().apply([reserve(books.event, 1, A1)])
    (after,) = books.rows("SELECT clock_timestamp() AS now, created_at FROM reservation")
    assert before["now"] <= after["created_at"] <= after["now"]


def test_a_batch_raises_the_version_by_one(books: Books) -> None:
    engine = books.engine()
    for expected in (1, 2, 3):
        engine.apply([reserve(books.event, fan, (1, expected, fan)) for fan in range(1, 6)])
        assert books.version() == expected
    engine.apply([reserve(books.event, 9, (1, 1, 1))])
    assert books.version() == 3, "nothing changed"


def test_checkout_writes_purchase_details_and_outbox(books: Books) -> None:
    engine = books.engine()
    held = reserve(books.event, 1, A1, VIP1)
    (hold,) = bodies(engine.apply([held]), held)
    command = checkout(books.event, 1, hold=hold["reservationId"])
    applied = engine.apply([command])
    (bought,) = bodies(applied, command)
    assert applied.bought == ((books.event, 1),)
    (purchase,) = books.rows("SELECT * FROM purchase")
    assert str(purchase["purchase_id"]) == bought["purchaseId"]
    assert (purchase["user_id"], purchase["total_amount"], purchase["currency"]) == (1, 17800, "EUR")
    details = books.rows("SELECT * FROM purchase_detail ORDER BY ticket_type_id")
    assert [(row["amount"], row["ticket_code"]) for row in details] == [
        (one["amount"], one["ticketCode"]) for one in bought["details"]
    ]
    (told,) = books.rows("SELECT * FROM outbox")
    assert told["payload"] == {
        "eventId": books.event,
        "purchaseId": bought["purchaseId"],
        "userId": 1,
        "seats": 2,
        "totalAmount": 17800,
        "currency": "EUR",
    }
    assert told["sent_at"] is None
    assert books.statuses() == {A1: "booked", VIP1: "booked"}
    again = checkout(books.event, 1, hold=hold["reservationId"])
    (same,) = bodies(engine.apply([again]), again)
    assert {**same, "version": 0} == {**bought, "version": 0}, "another command on the hold tells the same purchase"
    assert books.number("SELECT count(*) FROM purchase") == 1


def test_reserve_and_checkout_in_one_batch(books: Books) -> None:
    commands: list[Command] = [reserve(books.event, 1, A1), checkout(books.event, 1, A1), reserve(books.event, 2, A1)]
    applied = books.engine().apply(commands)
    assert codes(applied, *commands) == ["ok", "ok", "seats_taken"]
    assert applied.holds_until_ms == (), "nothing is held any more"
    assert books.number("SELECT count(*) FROM reservation WHERE state = 'purchased'") == 1
    assert books.version() == 1


def test_release_then_reserve_in_one_batch(books: Books) -> None:
    engine = books.engine()
    held = reserve(books.event, 1, A1, A2)
    (hold,) = bodies(engine.apply([held]), held)
    commands: list[Command] = [release(books.event, 1, hold["reservationId"]), reserve(books.event, 2, A1)]
    assert codes(engine.apply(commands), *commands) == ["ok", "ok"]
    assert books.statuses() == {A1: "reserved"}


def test_an_extended_hold_keeps_its_seats_longer(books: Books) -> None:
    engine = books.engine()
    held = reserve(books.event, 1, A1)
    (hold,) = bodies(engine.apply([held]), held)
    longer = extend(books.event, 1, hold["reservationId"], 600)
    applied = engine.apply([longer])
    (extended,) = bodies(applied, longer)
    before, after = (dt.datetime.fromisoformat(one["expiresAt"]) for one in (hold, extended))
    assert after - before == dt.timedelta(seconds=600)
    # The fan's pass follows the hold.
    assert applied.holds_until_ms == ((books.event, 1, int(after.timestamp() * 1000)),)
    kept = books.connection.execute(
        "SELECT expires_at FROM reservation WHERE reservation_id = %s", (hold["reservationId"],)
    ).fetchone()
    assert kept == {"expires_at": after}
    endless = extend(books.event, 1, hold["reservationId"], 100_000)
    (bounded,) = bodies(engine.apply([endless]), endless)
    assert dt.datetime.fromisoformat(bounded["expiresAt"]) < after + dt.timedelta(hours=1)
    foreign = extend(books.event, 2, hold["reservationId"], 60)
    assert codes(engine.apply([foreign]), foreign) == ["hold_mismatch"]


def test_seats_are_given_once_and_past_what_holds_for_fans(books: Books) -> None:
    engine = books.engine()
    books.connection.execute("UPDATE event SET seats_per_fan_max = 1, on_sale_at = now() + interval '1 day'")
    gift = give(books.event, 8, A1, A2)
    first = bodies(engine.apply([gift]), gift)
    assert bodies(engine.apply([gift]), gift) == first, "a batch that runs twice gives once"
    assert (first[0]["totalAmount"], first[0]["userId"]) == (0, 8)
    (purchase,) = books.rows("SELECT given_by, reservation_id, total_amount FROM purchase")
    assert purchase == {"given_by": "ada", "reservation_id": gift.reservation_id, "total_amount": 0}
    assert books.statuses() == {A1: "booked", A2: "booked"}
    again, gone = give(books.event, 9, A2, A3), give(books.event, 9, (1, 999, 9))
    assert codes(engine.apply([again, gone]), again, gone) == ["seats_taken", "unknown_seats"]
    books.connection.execute("UPDATE event SET date = now()")
    late = give(books.event, 9, A3)
    assert codes(engine.apply([late]), late) == ["sale_over"]


def test_commands_past_their_deadline_change_nothing(books: Books) -> None:
    books.now_ms = 1_000
    late = reserve(books.event, 1, A1, deadline_ms=999)
    in_time = reserve(books.event, 2, A2, deadline_ms=1_000)
    applied = books.engine().apply([late, in_time])
    assert codes(applied, late, in_time) == ["timed_out", "ok"]
    assert books.statuses() == {A2: "reserved"}
    books.now_ms = 0
    assert codes(books.engine().apply([late]), late) == ["timed_out"], "it is so for good"


def test_a_batch_wholly_past_its_deadline_touches_no_table_but_its_outcomes(books: Books) -> None:
    books.engine().apply([reserve(books.event, 1, A1)])
    before = books.everything()
    books.now_ms = 10
    late: list[Command] = [
        reserve(books.event, 2, A2, deadline_ms=9),
        checkout(books.event, 1, A1, deadline_ms=9),
        best(books.event, 3, 1, 2, deadline_ms=9),
    ]
    applied = books.engine().apply(late)
    assert codes(applied, *late) == ["timed_out"] * 3
    assert applied.changes == ()
    assert books.everything() == before


def test_what_readers_hear(books: Books) -> None:
    engine = books.engine()
    engine.apply([reserve(books.event, 1, A1)])
    commands: list[Command] = [reserve(books.event, 2, A2), checkout(books.event, 1, A1)]
    applied = engine.apply(commands)
    (change,) = applied.changes
    assert (change.event_id, change.version) == (books.event, 2)
    assert change.seats == (SeatChange(*A1, "booked"), SeatChange(*A2, "reserved"))
    assert change.counts == (Count(1, 398, 1), Count(2, 4, 0))
    nothing = engine.apply([reserve(books.event, 3, A1)])
    assert nothing.changes == ()


def test_two_events_in_one_batch(books: Books) -> None:
    other = books.event_new()
    commands: list[Command] = [reserve(other, 1, A1), reserve(books.event, 1, A1), reserve(books.event, 1, A2)]
    applied = books.engine().apply(commands)
    assert codes(applied, *commands) == ["ok", "ok", "ok"]
    assert {(change.event_id, change.version) for change in applied.changes} == {(books.event, 1), (other, 1)}
    assert books.version(other) == books.version() == 1


def test_an_unknown_event_is_answered_and_not_recorded(books: Books) -> None:
    commands: list[Command] = [reserve(404, 1, A1), reserve(books.event, 1, A1), sweep(404)]
    assert codes(books.engine().apply(commands), *commands) == ["unknown_event", "ok"]
    assert books.number("SELECT count(*) FROM booking_command") == 1


def test_the_empty_batch_is_nothing(books: Books) -> None:
    assert books.engine().apply([]) == NOTHING


def test_a_sale_that_has_not_begun(books: Books) -> None:
    later = books.event_new(on_sale_at=dt.datetime.now(dt.UTC) + dt.timedelta(hours=1))
    command = reserve(later, 1, A1)
    (refused,) = bodies(books.engine().apply([command]), command)
    assert refused["code"] == "not_on_sale"
    assert dt.datetime.fromisoformat(refused["onSaleAt"]) > dt.datetime.now(dt.UTC)


def test_the_limit_counts_what_was_bought_before(books: Books) -> None:
    engine = books.engine()
    seats = [(1, 1, seat) for seat in range(1, 9)]
    engine.apply([reserve(books.event, 1, *seats), checkout(books.event, 1, *seats)])
    commands: list[Command] = [
        reserve(books.event, 1, *[(1, 2, seat) for seat in (1, 2, 3)]),
        reserve(books.event, 1, A1, A2),
    ]
    assert codes(engine.apply(commands), *commands) == ["limit_exceeded", "seats_taken"]
    commands = [reserve(books.event, 1, (1, 2, 1), (1, 2, 2)), reserve(books.event, 1, (1, 2, 3))]
    assert codes(engine.apply(commands), *commands) == ["ok", "limit_exceeded"]


# -- holds and their end


def test_the_grace_is_the_owners(books: Books) -> None:
    engine = books.engine()
    held = reserve(books.event, 1, A1)
    (hold,) = bodies(engine.apply([held]), held)
    books.pass_time(HOLD_SECONDS + 1)
    commands: list[Command] = [reserve(books.event, 2, A1), checkout(books.event, 1, hold=hold["reservationId"])]
    assert codes(engine.apply(commands), *commands) == ["seats_taken", "ok"]


def test_the_same_seats_in_the_grace_are_a_new_hold_and_the_old_one_has_lapsed(books: Books) -> None:
    engine, command, again = books.engine(), reserve(books.event, 1, A1, A2), reserve(books.event, 1, A1, A2)
    first = bodies(engine.apply([command]), command)[0]
    books.pass_time(HOLD_SECONDS + 1)
    second = bodies(engine.apply([again]), again)[0]
    assert second["reservationId"] != first["reservationId"]
    assert dt.datetime.fromisoformat(second["expiresAt"]) > dt.datetime.now(dt.UTC)
    states = books.rows("SELECT reservation_id::text, state FROM reservation")
    assert {row["reservation_id"]: row["state"] for row in states} == {
        first["reservationId"]: "lapsed",
        second["reservationId"]: "held",
    }
    assert set(books.statuses().values()) == {"reserved"}


def test_a_lapsed_seat_is_free_without_any_sweep(books: Books) -> None:
    engine = books.engine()
    engine.apply([reserve(books.event, 1, A1, A2)])
    books.pass_time(HOLD_SECONDS + GRACE_SECONDS)
    commands: list[Command] = [reserve(books.event, 2, A1), checkout(books.event, 1, A1, A2), sweep(books.event)]
    assert codes(engine.apply(commands), *commands) == ["ok", "hold_expired"]
    assert books.statuses() == {A1: "reserved"}


@pytest.mark.skipif(bool(CITUS_URL), reason="on a cluster each event has a batch's sweeps to itself")
def test_an_event_with_many_lapsed_holds_keeps_no_other_waiting(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.engine.reading.SWEPT_HOLDS_MAX", 6)
    monkeypatch.setattr("workers.engine.reading.SWEPT_HOLDS_MIN", 2)
    events = [books.event, books.event_new()]
    engine = books.engine()
    engine.apply([reserve(event, fan, (1, 1, fan)) for event in events for fan in range(1, 9)])
    books.pass_time(HOLD_SECONDS + GRACE_SECONDS + 1)
    engine.apply([sweep(event) for event in events])
    swept = "SELECT count(*) FROM reservation WHERE state = 'lapsed' AND event_id = %s"
    assert [books.number(swept, event) for event in events] == [3, 3]


def test_a_sweep_gives_back_and_records_no_outcome(books: Books) -> None:
    engine = books.engine()
    engine.apply([reserve(books.event, 1, A1, VIP1), reserve(books.event, 2, A2), checkout(books.event, 2, A2)])
    applied = engine.apply([sweep(books.event)])
    assert applied == NOTHING, "nothing has lapsed"
    books.pass_time(HOLD_SECONDS + GRACE_SECONDS)
    applied = engine.apply([sweep(books.event), sweep(books.event)])
    assert applied.outcomes == ()
    (change,) = applied.changes
    assert change.seats == (SeatChange(*A1, "available"), SeatChange(*VIP1, "available"))
    assert books.statuses() == {A2: "booked"}
    assert books.number("SELECT count(*) FROM booking_command") == 3
    assert books.number("SELECT count(*) FROM reservation WHERE state = 'lapsed'") == 1


def test_the_holds_of_a_cancelled_event_end_with_the_next_sweep_and_no_others(books: Books) -> None:
    engine, other = books.engine(), books.event_new()
    commands: list[Command] = [reserve(books.event, 1, A1, VIP1), reserve(books.event, 2, A2), reserve(other, 1, A1)]
    engine.apply([*commands, checkout(books.event, 2, A2)])
    with books.connection.transaction():
        books.connection.execute("UPDATE event SET state = 'cancelled' WHERE event_id = %s", (books.event,))
        books.connection.execute("INSERT INTO event_cancellation (event_id) VALUES (%s)", (books.event,))
    due = {**Lanes(1).of_lane(0), "grace_seconds": GRACE_SECONDS, "events_max": 10}
    assert [row["event_id"] for row in books.connection.execute(EVENTS_WITH_DUE_HOLDS, due)] == [books.event]
    late = checkout(books.event, 1, A1, VIP1)
    assert codes(engine.apply([late]), late) == ["event_cancelled"]
    engine.apply([sweep(books.event), sweep(other)])
    assert books.statuses() == {A2: "booked"}, "what was bought stays"
    states = books.rows("SELECT event_id, state FROM reservation WHERE user_id = 1 ORDER BY event_id")
    assert [(row["event_id"], row["state"]) for row in states] == [(books.event, "lapsed"), (other, "held")]
    assert books.connection.execute(EVENTS_WITH_DUE_HOLDS, due).fetchall() == []


@pytest.mark.skipif(bool(CITUS_URL), reason="a coordinator's plan does not say what its nodes' plans execute")
def test_a_sweep_reads_no_open_hold_where_no_event_is_cancelled(books: Books) -> None:
    books.engine().apply([reserve(books.event, 1, A1)])
    due = {**Lanes(1).of_lane(0), "grace_seconds": GRACE_SECONDS, "events_max": 10}
    for name, value in _SESSION.items():
        books.connection.execute("SELECT set_config(%s, %s, false)", (name, str(value)))
    with books.connection.transaction(force_rollback=True):
        books.connection.execute(
            "INSERT INTO reservation (event_id, reservation_id, user_id, state, ticket_type_ids, row_numbers,"
            "  seat_numbers, amounts, total_amount, created_at, expires_at, lifetime_ends_at)"
            " SELECT event_id, gen_random_uuid(), user_id, state, ticket_type_ids, row_numbers, seat_numbers, amounts,"
            "        total_amount, created_at, expires_at, lifetime_ends_at FROM reservation, generate_series(1, 5000)"
        )
        books.connection.execute("ANALYZE reservation")
        plan = [row["QUERY PLAN"] for row in books.connection.execute("EXPLAIN ANALYZE " + EVENTS_WITH_DUE_HOLDS, due)]
    of_cancelled = [line for line in plan if " on reservation r" in line]
    assert of_cancelled
    assert all("never executed" in line for line in of_cancelled), plan


# -- cancelling


def bought(books: Books, fan: int, *seats: tuple[int, int, int]) -> str:
    commands: list[Command] = [reserve(books.event, fan, *seats), checkout(books.event, fan, *seats)]
    _, purchase = bodies(books.engine().apply(commands), *commands)
    return str(purchase["purchaseId"])


def test_a_cancel_writes_purchase_details_seats_and_outbox(books: Books) -> None:
    engine, purchase = books.engine(), bought(books, 1, A1, A2, VIP1)
    command = cancel(books.event, 1, purchase, A1, VIP1)
    applied = engine.apply([command])
    (result,) = bodies(applied, command)
    assert result == {
        "purchaseId": purchase,
        "eventId": books.event,
        "status": "confirmed",
        "totalAmount": 4900,
        "refundAmount": 17800,
        "currency": "EUR",
        "cancelledAt": result["cancelledAt"],
        "details": [
            {"ticketTypeId": 1, "rowNumber": 1, "seatNumber": 1, "amount": 4900},
            {"ticketTypeId": 2, "rowNumber": 1, "seatNumber": 1, "amount": 12900},
        ],
        "version": 2,
    }
    (change,) = applied.changes
    assert change.seats == (SeatChange(*A1, "available"), SeatChange(*VIP1, "available"))
    assert change.counts == (Count(1, 399, 0), Count(2, 4, 0))
    assert (applied.bought, applied.holds_until_ms) == ((), ())
    at = dt.datetime.fromisoformat(result["cancelledAt"])
    details = books.rows("SELECT * FROM purchase_detail ORDER BY ticket_type_id, seat_number")
    assert [row["cancelled_at"] for row in details] == [at, None, at]
    (told,) = books.rows("SELECT * FROM outbox WHERE kind = 'purchase.cancelled'")
    assert told["created_at"] == at
    assert told["payload"] == {
        "eventId": books.event,
        "purchaseId": purchase,
        "userId": 1,
        "seats": 2,
        "details": result["details"],
        "refundAmount": 17800,
        "totalAmount": 4900,
        "currency": "EUR",
        "status": "confirmed",
    }
    last = cancel(books.event, 1, purchase)
    (rest,) = bodies(engine.apply([last]), last)
    assert (rest["status"], rest["refundAmount"]) == ("cancelled", 4900)
    (row,) = books.rows("SELECT * FROM purchase")
    assert (row["status"], row["total_amount"]) == ("cancelled", 0)
    assert books.statuses() == {}
    assert books.number("SELECT count(*) FROM outbox WHERE kind = 'purchase.cancelled'") == 2


def test_a_cancel_races_with_itself_and_with_who_wants_the_seat(books: Books) -> None:
    purchase = bought(books, 1, A1, A2)
    commands: list[Command] = [
        reserve(books.event, 2, A1),
        cancel(books.event, 1, purchase),
        cancel(books.event, 1, purchase),
        cancel(books.event, 1, purchase, A1),
        reserve(books.event, 2, A1),
        checkout(books.event, 2, A1),
    ]
    assert codes(books.engine().apply(commands), *commands) == [
        "seats_taken", "ok", "not_cancellable", "not_cancellable", "ok", "ok",
    ]  # fmt: skip
    assert books.statuses() == {A1: "booked"}
    assert books.number("SELECT count(*) FROM purchase_detail WHERE cancelled_at IS NULL") == 1
    assert books.number("SELECT sum((payload ->> 'refundAmount')::int) FROM outbox") == 9800


def test_two_cancels_of_one_purchase_in_a_batch(books: Books) -> None:
    purchase, others = bought(books, 1, A1, A2, A3), bought(books, 2, VIP1)
    commands: list[Command] = [
        cancel(books.event, 1, purchase, A1),
        cancel(books.event, 2, others),
        cancel(books.event, 1, purchase, A3),
    ]
    first, _, second = bodies(books.engine().apply(commands), *commands)
    assert (first["totalAmount"], second["totalAmount"]) == (9800, 4900)
    rows = books.rows("SELECT status, total_amount FROM purchase ORDER BY user_id")
    assert [tuple(row.values()) for row in rows] == [("confirmed", 4900), ("cancelled", 0)]
    assert books.statuses() == {A2: "booked"}


def test_only_ones_own_purchase_of_the_event_is_cancelled(books: Books) -> None:
    purchase, other = bought(books, 1, A1), books.event_new()
    before = books.everything()
    commands: list[Command] = [
        cancel(books.event, 2, purchase),
        cancel(books.event, 1, uuid.uuid4()),
        cancel(other, 1, purchase),
        cancel(books.event, 1, purchase, A1, A2),
        cancel(books.event, 1, purchase, (1, 99, 99)),
    ]
    assert codes(books.engine().apply(commands), *commands) == ["unknown_purchase"] * 3 + ["not_cancellable"] * 2
    assert books.everything() == before


def test_a_promised_time_to_cancel_stays_when_the_date_moves_nearer(books: Books) -> None:
    purchase = bought(books, 1, A1, A2)
    (row,) = books.rows("SELECT date, cancel_until FROM event JOIN purchase USING (event_id)")
    assert row["cancel_until"] == row["date"] - dt.timedelta(hours=24)
    nearer = "UPDATE event SET date = now() + make_interval(mins => %s)"
    books.connection.execute(nearer, (60,))
    promised = cancel(books.event, 1, purchase, A1)
    assert codes(books.engine().apply([promised]), promised) == ["ok"]
    books.connection.execute(nearer, (0,))
    begun = cancel(books.event, 1, purchase, A2)
    (refused,) = bodies(books.engine().apply([begun]), begun)
    assert refused["code"] == "cancel_closed", "the event has begun"


def test_cancelling_ends_by_postgres_clock(books: Books) -> None:
    purchase = bought(books, 1, A1, A2)
    # As a release wrote it that promised nothing.
    books.connection.execute("UPDATE purchase SET cancel_until = NULL")
    sooner = "UPDATE event SET date = now() + make_interval(hours => 24, secs => %s)"
    books.connection.execute(sooner, (60,))
    in_time = cancel(books.event, 1, purchase, A1)
    assert codes(books.engine().apply([in_time]), in_time) == ["ok"]
    books.connection.execute(sooner, (0,))
    late = cancel(books.event, 1, purchase, A2)
    (refused,) = bodies(books.engine().apply([late]), late)
    assert refused["code"] == "cancel_closed"
    (row,) = books.rows("SELECT date FROM event")
    assert dt.datetime.fromisoformat(refused["cancelUntil"]) == row["date"] - dt.timedelta(hours=24)


def test_the_limit_counts_no_cancelled_seats(books: Books) -> None:
    seats = [(1, 1, seat) for seat in range(1, 11)]
    purchase = bought(books, 1, *seats)
    before, after = reserve(books.event, 1, (1, 2, 1)), reserve(books.event, 1, (1, 2, 1), (1, 2, 2))
    engine = books.engine()
    assert codes(engine.apply([before]), before) == ["limit_exceeded"]
    engine.apply([cancel(books.event, 1, purchase, *seats[:2])])
    assert codes(engine.apply([after]), after) == ["ok"]
    more = reserve(books.event, 1, (1, 2, 3))
    assert codes(engine.apply([more]), more) == ["limit_exceeded"]


def test_a_checkout_asked_again_after_a_cancel(books: Books) -> None:
    engine, held = books.engine(), reserve(books.event, 1, A1, A2)
    (hold,) = bodies(engine.apply([held]), held)
    buys = checkout(books.event, 1, hold=hold["reservationId"])
    (purchase,) = bodies(engine.apply([buys]), buys)
    some = cancel(books.event, 1, purchase["purchaseId"], A1)
    other_key = checkout(books.event, 1, hold=hold["reservationId"])
    _, left = bodies(engine.apply([some, other_key]), some, other_key)
    assert (left["totalAmount"], [one["seatNumber"] for one in left["details"]]) == (4900, [2])
    engine.apply([cancel(books.event, 1, purchase["purchaseId"])])
    (same,) = bodies(engine.apply([buys]), buys)
    assert same == purchase, "the same command has its first answer for good"
    third = checkout(books.event, 1, hold=hold["reservationId"])
    assert codes(engine.apply([third]), third) == ["hold_mismatch"]
    assert books.statuses() == {}


def test_best_available_finds_cancelled_seats(books: Books) -> None:
    engine, purchase = books.engine(), bought(books, 1, *[(2, 1, seat) for seat in (1, 2, 3, 4)])
    wanted = best(books.event, 2, 2, 2)
    assert codes(engine.apply([wanted]), wanted) == ["sold_out"]
    commands: list[Command] = [cancel(books.event, 1, purchase, (2, 1, 2), (2, 1, 3)), best(books.event, 2, 2, 2)]
    _, found = bodies(engine.apply(commands), *commands)
    assert [seat["seatNumber"] for seat in found["seats"]] == [2, 3]


# -- best available


def test_best_available_is_chosen_inside_the_lock(books: Books) -> None:
    engine = books.engine()
    engine.apply([reserve(books.event, 1, *[(1, 1, seat) for seat in range(1, 10)])])
    commands: list[Command] = [best(books.event, fan, 1, 4) for fan in range(2, 6)]
    found = bodies(engine.apply(commands), *commands)
    places = [[(seat["rowNumber"], seat["seatNumber"]) for seat in one["seats"]] for one in found]
    assert places[0] == [(1, seat) for seat in (10, 11, 12, 13)]
    flat = [place for block in places for place in block]
    assert len(flat) == len(set(flat)) == 16


def test_best_available_after_each_kind_of_change(books: Books) -> None:
    """What an engine keeps of free rows between batches never differs from what Postgres says."""
    engine, other = books.engine(), books.engine()

    def block(fan: int, quantity: int = 4) -> list[int]:
        command = best(books.event, fan, 2, quantity)
        (found,) = bodies(engine.apply([command]), command)
        return [seat["seatNumber"] for seat in found.get("seats", [])]

    assert block(1, 2) == [1, 2]
    other.apply([reserve(books.event, 2, (2, 1, 3))])
    assert block(3, 1) == [4], "another engine took a seat"
    assert block(4, 1) == []
    (hold,) = books.rows("SELECT reservation_id FROM reservation WHERE user_id = 2")
    other.apply([release(books.event, 2, hold["reservation_id"])])
    assert block(5, 1) == [3], "and gave it back"
    engine.apply([checkout(books.event, 1, (2, 1, 1), (2, 1, 2))])
    assert block(6, 1) == []
    books.pass_time(HOLD_SECONDS + GRACE_SECONDS)
    assert block(7, 2) == [3, 4], "holds have lapsed, and nobody swept"
    command = best(books.event, 8, 2, 1)
    (refused,) = bodies(engine.apply([command]), command)
    assert refused["code"] == "no_block"
    engine.apply([checkout(books.event, 7, (2, 1, 3), (2, 1, 4)), sweep(books.event)])
    command = best(books.event, 8, 2, 1)
    (refused,) = bodies(engine.apply([command]), command)
    assert refused["code"] == "sold_out"


@pytest.mark.parametrize("quantity", [1, 3, 10])
def test_a_whole_stand_sold_by_best_available(books: Books, quantity: int) -> None:
    engine = books.engine()
    commands: list[Command] = [best(books.event, fan, 1, quantity) for fan in range(1, 451)]
    applied = [engine.apply(commands[start : start + 150]) for start in (0, 150, 300)]
    answers = [
        code
        for part, start in zip(applied, (0, 150, 300), strict=True)
        for code in codes(part, *commands[start : start + 150])
    ]
    whole = 20 * (20 // quantity)
    assert answers.count("ok") == min(whole, 450)
    assert set(answers) <= {"ok", "no_block"}


def test_a_hold_named_wrongly_changes_nothing(books: Books) -> None:
    engine = books.engine()
    held = reserve(books.event, 1, A1)
    (hold,) = bodies(engine.apply([held]), held)
    before = books.everything()
    commands: list[Command] = [
        checkout(books.event, 2, hold=hold["reservationId"]),
        checkout(books.event, 2, A1),
        checkout(books.event, 1, A1, A2),
        checkout(books.event, 1, hold=uuid.uuid4()),
        release(books.event, 2, hold["reservationId"]),
        release(books.event, 1, uuid.uuid4()),
    ]
    assert codes(engine.apply(commands), *commands) == [
        "not_your_hold",
        "not_your_hold",
        "hold_mismatch",
        "hold_mismatch",
        "not_your_hold",
        "hold_mismatch",
    ]
    assert books.everything() == before
