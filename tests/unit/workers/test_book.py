"""Every decision of the book, one by one. `Hall.book` also checks each against the naive model."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest

from db.booking.ticket_codes import new_code, open_code
from db.events.sale import EventState
from tests.unit.booking_lane.asks import best, cancel, checkout, release, reserve, sweep
from tests.unit.workers.hall import (
    CANCEL_UNTIL_HOURS,
    EVENT,
    GRACE_SECONDS,
    HOLD_SECONDS,
    ON_SALE,
    SEATS,
    Hall,
    as_document,
    codes,
)
from tests.unit.workers.model import seats_in
from workers.engine.book import Book
from workers.engine.commands import decide
from workers.engine.refused import Refused

A1, A2, A3, A4 = ((1, 1, seat) for seat in (1, 2, 3, 4))
B1, B2 = (1, 2, 1), (1, 2, 2)
VIP1, VIP2 = (2, 1, 1), (2, 1, 2)
NOBODYS = (1, 9, 9)


@pytest.fixture
def hall() -> Hall:
    return Hall()


def named(*seats: tuple[int, int, int]) -> list[dict[str, int]]:
    return [{"ticketTypeId": kind, "rowNumber": row, "seatNumber": seat} for kind, row, seat in seats]


# -- reserve


def test_a_reserve_holds_the_seats(hall: Hall) -> None:
    (held,) = hall.book(reserve(EVENT, 7, A1, VIP1))
    assert held["eventId"] == EVENT
    assert held["expiresAt"] == hall.now + dt.timedelta(seconds=HOLD_SECONDS)
    assert (held["totalAmount"], held["currency"]) == (4900 + 12900, "EUR")
    assert held["seats"] == [{**named(A1)[0], "amount": 4900}, {**named(VIP1)[0], "amount": 12900}]
    assert hall.counts == {1: [7, 1], 2: [1, 1]}


def test_a_reserve_before_the_sale_is_refused(hall: Hall) -> None:
    hall.now = ON_SALE - dt.timedelta(milliseconds=1)
    book = hall._open([reserve(EVENT, 7, A1)])
    with pytest.raises(Refused) as refused:
        decide(book, reserve(EVENT, 7, A1))
    assert refused.value.document["code"] == "not_on_sale"
    assert refused.value.document["onSaleAt"] == ON_SALE
    hall.now = ON_SALE
    assert codes(hall.book(reserve(EVENT, 7, A1))) == ["ok"]


def test_nothing_is_held_from_the_end_of_the_sale_on_but_a_hold_can_still_be_bought(hall: Hall) -> None:
    hall.off_sale_at = hall.now + dt.timedelta(seconds=5)
    assert codes(hall.book(reserve(EVENT, 7, A1))) == ["ok"]
    hall.pass_time(5)
    book = hall._open([reserve(EVENT, 8, A2)])
    with pytest.raises(Refused) as refused:
        decide(book, reserve(EVENT, 8, A2))
    assert refused.value.document["code"] == "sale_over"
    assert refused.value.document["offSaleAt"] == hall.off_sale_at
    assert codes(hall.book(checkout(EVENT, 7, A1))) == ["ok"]


@pytest.mark.parametrize(
    ("state", "code"),
    [(EventState.UNPUBLISHED, "event_unpublished"), (EventState.CANCELLED, "event_cancelled")],
)
def test_a_withdrawn_event_is_not_sold(hall: Hall, state: EventState, code: str) -> None:
    hall.event_state = state
    book = hall._open([reserve(EVENT, 7, A1)])
    with pytest.raises(Refused) as refused:
        decide(book, reserve(EVENT, 7, A1))
    assert refused.value.document["code"] == code


def test_what_was_held_and_bought_of_a_cancelled_event_is_neither_bought_nor_given_back(hall: Hall) -> None:
    purchase = bought(hall, 1, A1)
    hall.book(reserve(EVENT, 2, A2))
    hall.event_state = EventState.CANCELLED
    for command in (checkout(EVENT, 2, A2), cancel(EVENT, 1, purchase)):
        book = hall._open([command])
        with pytest.raises(Refused, match="event_cancelled"):
            decide(book, command)
        assert not book.changes.event_ids()


def test_a_reserve_is_all_or_nothing(hall: Hall) -> None:
    hall.book(reserve(EVENT, 1, A2))
    (taken,) = hall.book(reserve(EVENT, 2, A1, A2, A3))
    assert taken["code"] == "seats_taken"
    assert taken["seats"] == named(A2), "which ones"
    assert hall.model.count(1, "reserved") == 1


def test_seats_that_are_not_in_the_hall_are_named(hall: Hall) -> None:
    (unknown,) = hall.book(reserve(EVENT, 1, A1, NOBODYS))
    assert (unknown["code"], unknown["seats"]) == ("unknown_seats", named(NOBODYS))


def test_seats_bought_are_taken(hall: Hall) -> None:
    hall.book(reserve(EVENT, 1, A1), checkout(EVENT, 1, A1))
    assert codes(hall.book(reserve(EVENT, 2, A1))) == ["seats_taken"]


def test_ones_own_hold_asked_again_is_that_hold(hall: Hall) -> None:
    (first,) = hall.book(reserve(EVENT, 1, A1, A2))
    hall.pass_time(60)
    assert hall.book(reserve(EVENT, 1, A1, A2)) == [first], "its end unchanged"
    assert codes(hall.book(reserve(EVENT, 1, A1))) == ["seats_taken"], "a part of it is not it"
    assert codes(hall.book(reserve(EVENT, 1, A2, A3))) == ["seats_taken"], "nor an overlap"
    assert codes(hall.book(reserve(EVENT, 2, A1, A2))) == ["seats_taken"], "nor another's"


def test_a_fan_has_a_limit_over_holds_and_purchases(hall: Hall) -> None:
    hall.book(reserve(EVENT, 1, A1, A2), checkout(EVENT, 1, A1, A2))
    hall.book(reserve(EVENT, 1, A3))
    (refused,) = hall.book(reserve(EVENT, 1, B1, B2))
    assert (refused["code"], refused["seatsPerFanMax"]) == ("limit_exceeded", 4)
    assert codes(hall.book(reserve(EVENT, 1, B1), reserve(EVENT, 1, B2), reserve(EVENT, 2, B2))) == [
        "ok",
        "limit_exceeded",
        "ok",
    ]


def test_a_lapsed_hold_counts_no_more(hall: Hall) -> None:
    hall.book(reserve(EVENT, 1, A1, A2, A3, A4))
    hall.pass_time(HOLD_SECONDS + GRACE_SECONDS)
    assert codes(hall.book(reserve(EVENT, 1, B1, B2, VIP1, VIP2))) == ["ok"]


def test_past_its_shown_end_a_hold_counts_no_more(hall: Hall) -> None:
    hall.book(reserve(EVENT, 1, A1, A2, A3, A4))
    hall.pass_time(HOLD_SECONDS - 0.001)
    assert codes(hall.book(reserve(EVENT, 1, B1))) == ["limit_exceeded"]
    hall.pass_time(0.001)
    assert codes(hall.book(reserve(EVENT, 1, B1, B2, VIP1, VIP2))) == ["ok"]


def test_the_same_seats_past_the_shown_end_are_a_new_hold_with_a_new_end(hall: Hall) -> None:
    (first,) = hall.book(reserve(EVENT, 1, A1, A2))
    hall.pass_time(HOLD_SECONDS)
    (taken,) = hall.book(reserve(EVENT, 2, A1, A2))
    assert taken["code"] == "seats_taken", "nobody else has them before the grace is over"
    again, old, new = hall.book(
        reserve(EVENT, 1, A1, A2), checkout(EVENT, 1, hold=first["reservationId"]), checkout(EVENT, 1, A1, A2)
    )
    assert again["reservationId"] != first["reservationId"]
    assert again["expiresAt"] == hall.now + dt.timedelta(seconds=HOLD_SECONDS)
    assert old["code"] == "hold_expired"
    assert seats_in(new["details"]) == (A1, A2)
    assert hall.counts[1] == [6, 0]


def test_taking_a_part_anew_frees_the_rest_of_the_ended_hold(hall: Hall) -> None:
    hall.book(reserve(EVENT, 1, A1, A2))
    hall.pass_time(HOLD_SECONDS)
    assert codes(hall.book(reserve(EVENT, 1, A2, A3), reserve(EVENT, 2, A1))) == ["ok", "ok"]
    assert hall.counts[1] == [5, 3]


def test_a_refused_reserve_leaves_the_ended_hold_as_it_was(hall: Hall) -> None:
    (held, _) = hall.book(reserve(EVENT, 1, A1, A2), reserve(EVENT, 2, B1))
    hall.pass_time(HOLD_SECONDS)
    hall.book(reserve(EVENT, 2, B2))
    assert codes(hall.book(reserve(EVENT, 1, A1, B2))) == ["seats_taken"]
    assert codes(hall.book(reserve(EVENT, 2, A2), checkout(EVENT, 1, hold=held["reservationId"]))) == [
        "seats_taken",
        "ok",
    ]


def test_a_checkout_in_the_grace_takes_no_fan_beyond_the_limit(hall: Hall) -> None:
    (ended,) = hall.book(reserve(EVENT, 1, A1, A2, A3))
    hall.pass_time(HOLD_SECONDS)
    (late,) = hall.book(reserve(EVENT, 1, B1), checkout(EVENT, 1, hold=ended["reservationId"]))[1:]
    assert late.get("code", "ok") == "ok", "three and one are four"
    hall = Hall()
    first, second = hall.book(reserve(EVENT, 1, A1, A2), reserve(EVENT, 1, A3, A4))
    hall.pass_time(HOLD_SECONDS)
    buys = [checkout(EVENT, 1, hold=one["reservationId"]) for one in (first, second)]
    (_, bought, late) = hall.book(reserve(EVENT, 1, B1), *buys)
    assert bought.get("code", "ok") == "ok", "each of them would do"
    assert (late["code"], late["seatsPerFanMax"]) == ("limit_exceeded", 4)


def test_a_hold_in_its_grace_that_cannot_be_bought_beside_a_new_one_ends(hall: Hall) -> None:
    (ended,) = hall.book(reserve(EVENT, 1, A1, A2, A3))
    hall.pass_time(HOLD_SECONDS)
    hall.book(reserve(EVENT, 1, B1, B2))
    late, other = hall.book(checkout(EVENT, 1, hold=ended["reservationId"]), reserve(EVENT, 2, A1, A2, A3))
    assert late["code"] == "hold_expired"
    assert other.get("code", "ok") == "ok", "a fan blocks a limit's worth of seats, and no more"


def test_best_available_finds_the_seats_of_ones_own_ended_hold(hall: Hall) -> None:
    (ended,) = hall.book(reserve(EVENT, 1, VIP1, VIP2))
    hall.pass_time(HOLD_SECONDS)
    theirs, mine = hall.book(best(EVENT, 2, 2, 2), best(EVENT, 1, 2, 2))
    assert theirs["code"] == "no_block"
    assert seats_in(mine["seats"]) == (VIP1, VIP2)
    assert mine["reservationId"] != ended["reservationId"]
    assert hall.counts[2] == [0, 2]


def test_several_commands_on_the_same_seats_are_decided_in_order(hall: Hall) -> None:
    assert codes(hall.book(*[reserve(EVENT, fan, A1, A2) for fan in (3, 1, 2)])) == ["ok", "seats_taken", "seats_taken"]
    (hold,) = hall.model.holds.values()
    assert hold.fan == 3


def test_a_seat_is_free_only_after_the_grace(hall: Hall) -> None:
    hall.book(reserve(EVENT, 1, A1))
    hall.pass_time(HOLD_SECONDS + GRACE_SECONDS - 0.001)
    assert codes(hall.book(reserve(EVENT, 2, A1))) == ["seats_taken"]
    hall.pass_time(0.001)
    assert codes(hall.book(reserve(EVENT, 2, A1))) == ["ok"]


def test_who_takes_over_a_lapsed_seat_keeps_it(hall: Hall) -> None:
    hall.book(reserve(EVENT, 1, A1, A2))
    hall.pass_time(HOLD_SECONDS + GRACE_SECONDS)
    (first,) = hall.model.holds
    assert codes(hall.book(reserve(EVENT, 2, A1), checkout(EVENT, 1, hold=first), sweep(EVENT))) == [
        "ok",
        "hold_expired",
        "ok",
    ]
    assert hall.model.status[A1] == "reserved"
    assert hall.model.status[A2] == "available", "the sweep gives back what was not taken over"
    assert codes(hall.book(release(EVENT, 1, first))) == ["ok"]
    assert hall.model.status[A1] == "reserved"
    assert codes(hall.book(checkout(EVENT, 2, A1))) == ["ok"]


# -- best available


def test_best_available_is_the_row_nearest_to_the_stage(hall: Hall) -> None:
    (held,) = hall.book(best(EVENT, 1, 1, 2))
    assert [(seat["rowNumber"], seat["seatNumber"]) for seat in held["seats"]] == [(1, 1), (1, 2)]


def test_best_available_leaves_no_single_seat_if_it_can(hall: Hall) -> None:
    hall.book(reserve(EVENT, 1, A1))
    (held,) = hall.book(best(EVENT, 2, 1, 2))
    assert [(seat["rowNumber"], seat["seatNumber"]) for seat in held["seats"]] == [(2, 1), (2, 2)]
    hall.book(reserve(EVENT, 3, (1, 2, 4)))
    (held,) = hall.book(best(EVENT, 4, 1, 2))
    assert [(seat["rowNumber"], seat["seatNumber"]) for seat in held["seats"]] == [(1, 2), (1, 3)], "if it must"


def test_best_available_commands_of_one_batch_share_nothing(hall: Hall) -> None:
    answers = hall.book(*[best(EVENT, fan, 1, 3) for fan in (1, 2, 3)])
    assert codes(answers) == ["ok", "ok", "no_block"]


def test_best_available_and_named_seats_meet_in_one_batch(hall: Hall) -> None:
    answers = hall.book(best(EVENT, 1, 1, 2), reserve(EVENT, 2, A1), reserve(EVENT, 2, A3), best(EVENT, 3, 1, 1))
    assert codes(answers) == ["ok", "seats_taken", "ok", "ok"]
    assert answers[3]["seats"][0]["rowNumber"] == 1
    assert answers[3]["seats"][0]["seatNumber"] == 4


def test_best_available_takes_lapsed_seats_and_counts_them_once(hall: Hall) -> None:
    hall.book(reserve(EVENT, 1, A1, A2))
    hall.pass_time(HOLD_SECONDS + GRACE_SECONDS)
    (held,) = hall.book(best(EVENT, 2, 1, 4))
    assert [seat["seatNumber"] for seat in held["seats"]] == [1, 2, 3, 4]
    assert hall.counts[1] == [4, 4]


def test_best_available_finds_seats_released_in_the_same_batch(hall: Hall) -> None:
    hall.book(*[reserve(EVENT, fan, *row) for fan, row in ((1, (A1, A2, A3, A4)), (2, SEATS[4:8]))])
    first = next(iter(hall.model.holds))
    answers = hall.book(best(EVENT, 3, 1, 2), release(EVENT, 1, first), best(EVENT, 3, 1, 2))
    assert codes(answers) == ["no_block", "ok", "ok"]


def test_a_type_is_sold_out_when_no_seat_can_return(hall: Hall) -> None:
    hall.book(reserve(EVENT, 1, VIP1, VIP2))
    assert codes(hall.book(best(EVENT, 2, 2, 1))) == ["no_block"], "held seats may return"
    hall.book(checkout(EVENT, 1, VIP1, VIP2))
    assert codes(hall.book(best(EVENT, 2, 2, 1))) == ["sold_out"]
    assert codes(hall.book(best(EVENT, 2, 3, 1))) == ["unknown_seats"]
    assert codes(hall.book(best(EVENT, 2, 1, 5))) == ["limit_exceeded"]


# -- checkout


@pytest.mark.parametrize("by_seats", [True, False])
def test_a_checkout_buys_the_hold(hall: Hall, by_seats: bool) -> None:
    (held,) = hall.book(reserve(EVENT, 1, A1, VIP1))
    hall.pass_time(30)
    (bought,) = hall.book(checkout(EVENT, 1, A1, VIP1) if by_seats else checkout(EVENT, 1, hold=held["reservationId"]))
    assert (bought["eventId"], bought["userId"], bought["status"]) == (EVENT, 1, "confirmed")
    assert (bought["totalAmount"], bought["currency"], bought["purchaseAt"]) == (17800, "EUR", hall.now)
    assert [(one["ticketType"], one["amount"]) for one in bought["details"]] == [("type 1", 4900), ("type 2", 12900)]
    assert hall.counts == {1: [7, 0], 2: [1, 0]}


def test_reserve_and_checkout_in_one_batch(hall: Hall) -> None:
    assert codes(hall.book(reserve(EVENT, 1, A1), checkout(EVENT, 1, A1), reserve(EVENT, 2, A1))) == [
        "ok",
        "ok",
        "seats_taken",
    ]
    assert hall.counts[1] == [7, 0]


def test_the_price_is_the_one_of_the_hold(hall: Hall) -> None:
    (held,) = hall.book(reserve(EVENT, 1, A1, VIP1))
    again, command = reserve(EVENT, 1, A1, VIP1), checkout(EVENT, 1, hold=held["reservationId"])
    book = hall._open([again, command])
    # What is dearer and what is cheaper now come to the same total.
    book.tickets[EVENT, 1].price += 1000
    book.tickets[EVENT, 2].price -= 1000
    assert as_document(decide(book, again)) == held
    bought = as_document(decide(book, command))
    assert bought["totalAmount"] == held["totalAmount"]
    assert [one["amount"] for one in bought["details"]] == [4900, 12900]


def test_a_second_checkout_tells_the_same_purchase(hall: Hall) -> None:
    (held, first) = hall.book(reserve(EVENT, 1, A1), checkout(EVENT, 1, A1))
    again = checkout(EVENT, 1, hold=held["reservationId"])
    assert hall.book(again, checkout(EVENT, 1, hold=held["reservationId"])) == [first, first]
    assert codes(hall.book(checkout(EVENT, 1, A1))) == ["hold_mismatch"]


def test_a_purchase_that_is_not_known_in_detail_is_no_second_one(hall: Hall) -> None:
    (held, _) = hall.book(reserve(EVENT, 1, A1), checkout(EVENT, 1, A1))
    command = checkout(EVENT, 1, hold=held["reservationId"])
    book = hall._open([command])
    book.purchases_of_holds.clear()
    with pytest.raises(Refused, match="hold_mismatch"):
        decide(book, command)


def test_the_owner_has_the_grace_for_a_checkout(hall: Hall) -> None:
    (held,) = hall.book(reserve(EVENT, 1, A1))
    hall.pass_time(HOLD_SECONDS + GRACE_SECONDS - 0.001)
    assert codes(hall.book(checkout(EVENT, 1, hold=held["reservationId"]))) == ["ok"]


@pytest.mark.parametrize("by_seats", [True, False])
def test_a_lapsed_hold_cannot_be_bought(hall: Hall, by_seats: bool) -> None:
    (held,) = hall.book(reserve(EVENT, 1, A1))
    hall.pass_time(HOLD_SECONDS + GRACE_SECONDS)

    def command() -> object:
        return checkout(EVENT, 1, A1) if by_seats else checkout(EVENT, 1, hold=held["reservationId"])

    assert codes(hall.book(command())) == ["hold_expired"]  # type: ignore[arg-type]
    hall.book(sweep(EVENT))
    assert codes(hall.book(command())) == ["hold_expired"]  # type: ignore[arg-type]


def test_a_checkout_names_exactly_one_live_hold(hall: Hall) -> None:
    hall.book(reserve(EVENT, 1, A1, A2), reserve(EVENT, 1, A3), reserve(EVENT, 2, B1))
    refusals = {
        "hold_mismatch": [
            checkout(EVENT, 1, A1),
            checkout(EVENT, 1, A1, A2, A3),
            checkout(EVENT, 1, A4),
            checkout(EVENT, 1, NOBODYS),
            checkout(EVENT, 1, hold=uuid.uuid4()),
        ],
        "not_your_hold": [checkout(EVENT, 1, B1), checkout(EVENT, 2, A1, A2)],
    }
    for code, commands in refusals.items():
        assert codes(hall.book(*commands)) == [code] * len(commands)
    others = next(key for key, hold in hall.model.holds.items() if hold.fan == 2)
    assert codes(hall.book(checkout(EVENT, 1, hold=others))) == ["not_your_hold"]
    assert hall.model.count(1, "booked") == 0


def test_a_hold_of_another_event_is_no_hold_here(hall: Hall) -> None:
    (held,) = hall.book(reserve(EVENT, 1, A1))
    for command in (checkout(2, 1, hold=held["reservationId"]), release(2, 1, held["reservationId"])):
        book = hall._open([command])
        book.events[2] = book.events[EVENT]
        with pytest.raises(Refused, match="hold_mismatch"):
            decide(book, command)


# -- release and sweep


def test_release_gives_the_seats_back_and_may_be_repeated(hall: Hall) -> None:
    (held,) = hall.book(reserve(EVENT, 1, A1, A2))
    (released, again) = hall.book(release(EVENT, 1, held["reservationId"]), release(EVENT, 1, held["reservationId"]))
    assert released == again
    assert released == {"reservationId": held["reservationId"], "eventId": EVENT, "seats": named(A1, A2)}
    assert hall.counts[1] == [8, 0]
    assert codes(hall.book(release(EVENT, 1, held["reservationId"]))) == ["ok"]


def test_release_then_reserve_in_one_batch(hall: Hall) -> None:
    (held,) = hall.book(reserve(EVENT, 1, A1, A2, A3, A4))
    answers = hall.book(
        reserve(EVENT, 2, A1),
        release(EVENT, 1, held["reservationId"]),
        reserve(EVENT, 2, A1),
        reserve(EVENT, 1, B1, B2, VIP1),
    )
    assert codes(answers) == ["seats_taken", "ok", "ok", "ok"]


def test_only_ones_own_live_hold_can_be_released(hall: Hall) -> None:
    (held,) = hall.book(reserve(EVENT, 1, A1))
    assert codes(hall.book(release(EVENT, 2, held["reservationId"]), release(EVENT, 1, uuid.uuid4()))) == [
        "not_your_hold",
        "hold_mismatch",
    ]
    hall.book(checkout(EVENT, 1, A1))
    assert codes(hall.book(release(EVENT, 1, held["reservationId"]))) == ["hold_mismatch"]
    assert hall.model.status[A1] == "booked"


def test_a_released_hold_cannot_be_bought(hall: Hall) -> None:
    (held,) = hall.book(reserve(EVENT, 1, A1))
    assert codes(
        hall.book(release(EVENT, 1, held["reservationId"]), checkout(EVENT, 1, hold=held["reservationId"]))
    ) == ["ok", "hold_expired"]


def test_a_sweep_gives_back_what_has_lapsed_and_nothing_else(hall: Hall) -> None:
    hall.book(reserve(EVENT, 1, A1, A2))
    hall.pass_time(GRACE_SECONDS)
    hall.book(reserve(EVENT, 2, B1))
    hall.pass_time(HOLD_SECONDS)
    (swept,) = hall.book(sweep(EVENT))
    assert swept == {"holds": 1}
    assert hall.counts[1] == [7, 1]
    assert hall.book(sweep(EVENT), sweep(EVENT)) == [{"holds": 0}, {"holds": 0}]


# -- cancel


def bought(hall: Hall, fan: int, *seats: tuple[int, int, int]) -> uuid.UUID:
    (_, purchase) = hall.book(reserve(EVENT, fan, *seats), checkout(EVENT, fan, *seats))
    assert isinstance(purchase["purchaseId"], uuid.UUID)
    return purchase["purchaseId"]


def test_a_cancel_gives_all_seats_back_and_says_what_is_to_be_refunded(hall: Hall) -> None:
    purchase = bought(hall, 1, A1, VIP1)
    hall.pass_time(60)
    (cancelled,) = hall.book(cancel(EVENT, 1, purchase))
    assert cancelled == {
        "purchaseId": purchase,
        "eventId": EVENT,
        "status": "cancelled",
        "totalAmount": 0,
        "refundAmount": 17800,
        "currency": "EUR",
        "cancelledAt": hall.now,
        "details": [{**named(A1)[0], "amount": 4900}, {**named(VIP1)[0], "amount": 12900}],
    }
    assert hall.counts == {1: [8, 0], 2: [2, 0]}


def test_some_seats_are_cancelled_and_then_the_others(hall: Hall) -> None:
    purchase = bought(hall, 1, A1, A2, VIP1)
    (some, again, rest, over) = hall.book(
        cancel(EVENT, 1, purchase, A2), cancel(EVENT, 1, purchase, A1, A2), cancel(EVENT, 1, purchase),
        cancel(EVENT, 1, purchase),
    )  # fmt: skip
    assert (some["status"], some["refundAmount"], some["totalAmount"]) == ("confirmed", 4900, 17800)
    assert (again["code"], again["seats"]) == ("not_cancellable", named(A2)), "all or nothing, and which"
    assert (rest["status"], rest["refundAmount"], rest["totalAmount"]) == ("cancelled", 17800, 0)
    assert (over["code"], over["seats"]) == ("not_cancellable", named(A1, A2, VIP1)), "no seat is refunded twice"
    assert hall.counts == {1: [8, 0], 2: [2, 0]}


def test_seats_of_others_and_none_cannot_be_cancelled(hall: Hall) -> None:
    purchase = bought(hall, 1, A1)
    others = bought(hall, 2, A2)
    answers = hall.book(
        cancel(EVENT, 1, others), cancel(EVENT, 1, uuid.uuid4()), cancel(EVENT, 1, purchase, A1, A2),
        cancel(EVENT, 1, purchase, NOBODYS),
    )  # fmt: skip
    assert codes(answers) == ["unknown_purchase", "unknown_purchase", "not_cancellable", "not_cancellable"]
    assert answers[2]["seats"] == named(A2)
    book = hall._open([cancel(EVENT, 1, purchase)])
    book.events[2] = book.events[EVENT]
    with pytest.raises(Refused, match="unknown_purchase"):
        decide(book, cancel(2, 1, purchase))
    assert hall.model.count(1, "booked") == 2


def test_cancelling_ends_before_the_event(hall: Hall) -> None:
    purchase = bought(hall, 1, A1, A2)
    ends_at = hall.date - dt.timedelta(hours=CANCEL_UNTIL_HOURS)
    hall.now = ends_at - dt.timedelta(milliseconds=1)
    assert codes(hall.book(cancel(EVENT, 1, purchase, A1))) == ["ok"]
    hall.now = ends_at
    (late,) = hall.book(cancel(EVENT, 1, purchase, A2))
    assert (late["code"], late["cancelUntil"]) == ("cancel_closed", ends_at)


def test_cancelled_seats_are_free_in_the_same_batch(hall: Hall) -> None:
    purchase = bought(hall, 1, A1, A2, A3, A4)
    answers = hall.book(
        reserve(EVENT, 2, A1),
        reserve(EVENT, 1, B1),
        cancel(EVENT, 1, purchase, A1, A2),
        reserve(EVENT, 2, A1),
        checkout(EVENT, 2, A1),
        reserve(EVENT, 1, B1, B2),
        best(EVENT, 3, 1, 1),
    )
    assert codes(answers) == ["seats_taken", "limit_exceeded", "ok", "ok", "ok", "ok", "ok"]
    assert seats_in(answers[-1]["seats"]) == (A2,)


def test_a_checkout_asked_again_tells_what_is_left(hall: Hall) -> None:
    (held, _) = hall.book(reserve(EVENT, 1, A1, A2), checkout(EVENT, 1, A1, A2))
    purchase = next(iter(hall.purchases.values())).purchase_id
    again = checkout(EVENT, 1, hold=held["reservationId"])
    (_, left, _, none) = hall.book(cancel(EVENT, 1, purchase, A1), again, cancel(EVENT, 1, purchase), again)
    assert (seats_in(left["details"]), left["totalAmount"]) == ((A2,), 4900)
    assert none["code"] == "hold_mismatch"
    assert codes(hall.book(again)) == ["hold_mismatch"]


# -- whatever the command


def test_an_unknown_event_is_refused_to_every_command(hall: Hall) -> None:
    book = hall._open([])
    for command in (
        reserve(404, 1, A1),
        best(404, 1, 1, 1),
        checkout(404, 1, A1),
        release(404, 1, uuid.uuid4()),
        cancel(404, 1, uuid.uuid4()),
        sweep(404),
    ):
        with pytest.raises(Refused, match="unknown_event"):
            decide(book, command)
    assert not book.changes.seats
    assert not book.changes.event_ids()


def test_a_batch_that_changes_nothing_raises_no_version(hall: Hall) -> None:
    book: Book = hall._open([checkout(EVENT, 1, A1)])
    with pytest.raises(Refused, match="hold_mismatch"):
        decide(book, checkout(EVENT, 1, A1))
    assert book.changes.event_ids() == set()


def test_ticket_codes_cannot_be_guessed() -> None:
    made = {open_code(new_code()) for _ in range(1000)}
    assert len(made) == 1000
    assert {len(code) for code in made} == {16}
