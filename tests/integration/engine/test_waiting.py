"""The waiting list on real Postgres: whose turn it is, what is kept for whom, and what a cancelled seat gives back.

After each test the audit looks: nobody overtaken, every offer a hold, the chain whole.
"""

from __future__ import annotations

import datetime as dt
import threading
from typing import Any

import msgspec
import pytest

from booking_lane.commands import Command
from booking_lane.lane_map import Lanes
from db.booking.seats import Seat
from db.waiting.entries import EVENTS_WITH_OFFERS_DUE
from tests.integration.engine.books import GRACE_SECONDS, VIP_SEATS, Books, bodies, codes
from tests.unit.booking_lane.asks import best, cancel, checkout, leave, release, reserve, sweep, wait

VIP = 2
SELLER = 900
OFFER_MINUTES = 60


class Waiting:
    """An event whose VIP seats are sold to one fan, with its waiting list on."""

    def __init__(self, books: Books) -> None:
        self.books, self.event = books, books.event
        self.set(waiting_list=True, offer_minutes=OFFER_MINUTES)
        self.engine = books.engine()
        held = self.one(reserve(self.event, SELLER, *[(VIP, 1, seat) for seat in range(1, VIP_SEATS + 1)]))
        self.purchase: str = self.one(checkout(self.event, SELLER, hold=held["reservationId"]))["purchaseId"]

    def set(self, **dials: Any) -> None:
        for name, value in dials.items():
            statement: Any = f"UPDATE room SET {name} = %s WHERE event_id = %s"
            self.books.connection.execute(statement, (value, self.event))

    def do(self, *commands: Command) -> list[dict[str, Any]]:
        return bodies(self.engine.apply(commands), *commands)

    def one(self, command: Command) -> dict[str, Any]:
        (found,) = self.do(command)
        return found

    def enter(self, *wishes: tuple[int, int]) -> list[int]:
        """The numbers of fans' entries, each (fan, quantity)."""
        return [self.one(wait(self.event, fan, VIP, quantity))["number"] for fan, quantity in wishes]

    def back(self, *numbers: int) -> Command:
        """The seller gives VIP seats back."""
        return cancel(self.event, SELLER, self.purchase, *[(VIP, 1, number) for number in numbers])

    def held_by(self) -> dict[int, list[Seat]]:
        rows = self.books.rows(
            "SELECT * FROM reservation WHERE event_id = %s AND state = 'held' ORDER BY user_id", self.event
        )
        return {
            row["user_id"]: list(zip(row["ticket_type_ids"], row["row_numbers"], row["seat_numbers"], strict=True))
            for row in rows
        }

    def states(self) -> list[str]:
        rows = self.books.rows("SELECT state FROM waiting_entry WHERE event_id = %s ORDER BY number", self.event)
        return [row["state"] for row in rows]

    def offer(self, fan: int) -> str:
        (row,) = self.books.rows(
            "SELECT reservation_id FROM waiting_entry WHERE event_id = %s AND user_id = %s AND state = 'offered'"
            " ORDER BY number DESC LIMIT 1",
            self.event,
            fan,
        )
        return str(row["reservation_id"])

    def pass_time(self, seconds: float) -> None:
        """Make holds and the list so much older."""
        self.books.pass_time(seconds)
        older = dt.timedelta(seconds=seconds)
        self.books.connection.execute(
            "UPDATE waiting_entry SET ended_at = (ended_at AT TIME ZONE 'UTC' - %s) AT TIME ZONE 'UTC'", (older,)
        )


@pytest.fixture
def waiting(books: Books) -> Waiting:
    return Waiting(books)


def test_seats_go_to_the_first_whom_they_suffice_for(waiting: Waiting) -> None:
    assert waiting.enter((1, 2), (2, 1), (3, 1), (4, 2)) == [1, 2, 3, 4]
    waiting.one(waiting.back(1))
    assert waiting.held_by() == {2: [(VIP, 1, 1)]}, "one seat is too few for the pair, which waits on"
    waiting.one(waiting.back(2, 3))
    assert waiting.held_by() == {1: [(VIP, 1, 2), (VIP, 1, 3)], 2: [(VIP, 1, 1)]}, "a group gets all or nothing"
    assert waiting.states() == ["offered", "offered", "waiting", "waiting"]
    (told,) = waiting.books.rows(
        "SELECT payload FROM outbox WHERE kind = 'waiting.offered' AND payload ->> 'userId' = '1'"
    )
    assert told["payload"]["seats"] == 2
    bought = waiting.one(checkout(waiting.event, 1, hold=waiting.offer(1)))
    assert len(bought["details"]) == 2, "an offer is bought as any hold is"


def test_nobody_takes_what_others_await_however_fast(waiting: Waiting) -> None:
    waiting.enter((1, 1))
    batch = (waiting.back(1), reserve(waiting.event, 7, (VIP, 1, 1)), best(waiting.event, 8, VIP, 1))
    found = [answer.get("code", "ok") for answer in waiting.do(*batch)]
    assert found == ["ok", "kept_for_waiting", "kept_for_waiting"]
    assert waiting.held_by() == {1: [(VIP, 1, 1)]}
    waiting.enter((2, 2))
    answers = waiting.do(waiting.back(2), reserve(waiting.event, 7, (VIP, 1, 2)))
    assert "code" not in answers[1], "one seat is of no use to the pair, so anybody may have it"
    assert waiting.one(reserve(waiting.event, 7, (1, 1, 1)))["seats"], "other ticket types are sold as ever"


def test_an_offer_that_lapses_goes_to_the_next_and_cannot_be_renewed(waiting: Waiting) -> None:
    waiting.enter((1, 1), (2, 1))
    waiting.one(waiting.back(1))
    waiting.pass_time(OFFER_MINUTES * 60)
    again = waiting.one(reserve(waiting.event, 1, (VIP, 1, 1)))
    assert again["code"] == "kept_for_waiting", "in the grace the own seats are the next fan's"
    waiting.pass_time(GRACE_SECONDS)
    assert waiting.one(reserve(waiting.event, 7, (VIP, 1, 1)))["code"] == "kept_for_waiting", "not swept yet"
    waiting.engine.apply([sweep(waiting.event)])
    assert waiting.held_by() == {2: [(VIP, 1, 1)]}
    assert waiting.enter((1, 1)) == [3], "the first fan may enter anew, at the end"


def test_declining_gives_to_the_next_at_once(waiting: Waiting) -> None:
    waiting.enter((1, 1), (2, 1), (3, 1))
    waiting.one(waiting.back(1))
    assert waiting.one(leave(waiting.event, 1))["seats"]
    assert waiting.held_by() == {2: [(VIP, 1, 1)]}
    waiting.one(release(waiting.event, 2, waiting.offer(2)))
    assert waiting.held_by() == {3: [(VIP, 1, 1)]}
    assert waiting.one(leave(waiting.event, 2))["code"] == "not_waiting"


def test_who_leaves_waits_no_more_and_enters_behind(waiting: Waiting) -> None:
    waiting.enter((1, 1), (2, 1))
    left, entered, came = waiting.do(leave(waiting.event, 1), wait(waiting.event, 1, VIP, 1), waiting.back(4))
    assert (left["number"], entered["number"], came["status"]) == (1, 3, "confirmed")
    assert waiting.states() == ["left", "offered", "waiting"]


def test_an_entry_made_in_a_batch_is_heeded_in_it(waiting: Waiting) -> None:
    batch = (wait(waiting.event, 1, VIP, 1), waiting.back(1), reserve(waiting.event, 7, (VIP, 1, 1)))
    assert [answer.get("code", "ok") for answer in waiting.do(*batch)] == ["ok", "ok", "kept_for_waiting"]
    assert waiting.states() == ["offered"]


def test_two_returns_at_once_serve_two_in_order(waiting: Waiting) -> None:
    waiting.enter((1, 1), (2, 1), (3, 2))
    engines = [waiting.engine, waiting.books.engine()]
    together = threading.Barrier(2)

    def give_back(engine: Any, number: int) -> None:
        together.wait()
        command = waiting.back(number)
        assert codes(engine.apply([command]), command) == ["ok"]

    threads = [threading.Thread(target=give_back, args=(engine, number)) for number, engine in enumerate(engines, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(waiting.held_by()) == [1, 2]
    assert waiting.states() == ["offered", "offered", "waiting"]


def test_a_group_sits_together_where_it_can(waiting: Waiting) -> None:
    waiting.enter((1, 3))
    waiting.one(waiting.back(1))
    assert waiting.held_by() == {}
    waiting.one(waiting.back(3, 4))
    assert waiting.held_by() == {1: [(VIP, 1, 1), (VIP, 1, 3), (VIP, 1, 4)]}
    waiting.one(leave(waiting.event, 1))
    assert waiting.one(wait(waiting.event, 2, VIP, 2))["code"] == "not_sold_out", "so many are free again"


def test_what_is_free_when_the_list_is_switched_on_is_offered_by_the_sweep(waiting: Waiting) -> None:
    waiting.enter((1, 1))
    waiting.set(waiting_list=False)
    waiting.one(waiting.back(1))
    lane = {**Lanes(1).of_lane(0), "events_max": 10}
    assert waiting.books.connection.execute(EVENTS_WITH_OFFERS_DUE, lane).fetchall() == []
    assert waiting.one(wait(waiting.event, 2, VIP, 2))["code"] == "waiting_list_off"
    waiting.set(waiting_list=True)
    (due,) = waiting.books.connection.execute(EVENTS_WITH_OFFERS_DUE, lane).fetchall()
    assert due == {"event_id": waiting.event}
    waiting.engine.apply([sweep(waiting.event)])
    assert waiting.held_by() == {1: [(VIP, 1, 1)]}


def test_a_list_begins_with_the_sell_out(waiting: Waiting) -> None:
    assert waiting.one(wait(waiting.event, 1, 1, 1))["code"] == "not_sold_out"
    assert waiting.one(wait(waiting.event, 1, 9, 1))["code"] == "unknown_ticket_type"
    waiting.one(waiting.back(1))
    held = waiting.one(reserve(waiting.event, 7, (VIP, 1, 1)))
    refused = waiting.one(wait(waiting.event, 1, VIP, 1))
    assert refused["code"] == "not_sold_out", "what is held before the sell-out may come back to the line"
    waiting.one(checkout(waiting.event, 7, hold=held["reservationId"]))
    entry = waiting.one(wait(waiting.event, 1, VIP, 1))
    assert waiting.one(wait(waiting.event, 1, VIP, 1)) | {"version": 0} == entry | {"version": 0}, "entered twice"
    assert waiting.one(wait(waiting.event, 1, VIP, 2))["code"] == "already_waiting"
    assert waiting.one(wait(waiting.event, SELLER, VIP, 8))["code"] == "limit_exceeded"


def test_a_fan_with_enough_seats_is_passed_over(waiting: Waiting) -> None:
    waiting.enter((1, 2), (2, 1))
    waiting.one(best(waiting.event, 1, 1, 9))
    waiting.one(waiting.back(1, 2))
    assert sorted(waiting.held_by()) == [1, 2]
    assert waiting.states() == ["passed", "offered"]


def test_a_network_enters_so_often_without_a_proof(waiting: Waiting) -> None:
    def entry(fan: int, proof: int = 0) -> str:
        command = msgspec.structs.replace(wait(waiting.event, fan, VIP, 1), network="198.51.100.0/24", proof=proof)
        return str(waiting.one(command).get("code", "ok"))

    assert {entry(fan) for fan in range(1, 25)} == {"ok"}
    assert entry(25) == "captcha_required"
    assert entry(25, proof=1) == "ok"


def test_a_cancelled_seat_gives_back_what_the_rules_leave(waiting: Waiting) -> None:
    waiting.set(cancel_fee_percent=10, cancel_fee_amount=250)
    (told,) = waiting.do(waiting.back(1, 2))
    price = told["details"][0]["amount"]
    fee = price // 10 + 250
    assert (told["feeAmount"], told["refundAmount"]) == (2 * fee, 2 * (price - fee))
    (news,) = waiting.books.rows("SELECT payload FROM outbox WHERE kind = 'purchase.cancelled'")
    assert (news["payload"]["feeAmount"], news["payload"]["refundAmount"]) == (2 * fee, 2 * (price - fee))
    waiting.set(cancel_fee_percent=100)
    assert waiting.one(waiting.back(3))["refundAmount"] == 0, "no more is kept than was paid"
    kept = waiting.books.number("SELECT sum(cancel_fee) FROM purchase_detail WHERE event_id = %s", waiting.event)
    assert kept == 2 * fee + price


def test_an_event_has_its_own_end_of_cancelling(waiting: Waiting) -> None:
    date = waiting.books.rows("SELECT date FROM event WHERE event_id = %s", waiting.event)[0]["date"]
    held = waiting.one(best(waiting.event, 7, 1, 1))
    waiting.set(cancel_hours=100_000)
    bought = waiting.one(checkout(waiting.event, 7, hold=held["reservationId"]))
    assert waiting.one(cancel(waiting.event, 7, bought["purchaseId"]))["code"] == "cancel_closed"
    assert waiting.one(waiting.back(1))["refundAmount"], "what was promised at the purchase stands"
    (row,) = waiting.books.rows("SELECT cancel_until FROM purchase WHERE user_id = 7")
    assert row["cancel_until"] == date - dt.timedelta(hours=100_000)
