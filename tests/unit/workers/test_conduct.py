"""Who must prove to be a person before more seats are held or bought."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec
import pytest

from booking_lane.commands import Checkout, Proof, Reserve
from db.booking.conduct import (
    NETWORK_LIMITS_OFF,
    NETWORK_SEATS_MIN,
    bought_seats_max,
    network_seats_max,
    unproven_seats_max,
)
from tests.unit.booking_lane.asks import checkout, reserve
from tests.unit.workers.hall import EVENT, HOLD_SECONDS, SEATS, Hall
from workers.engine.book import Book
from workers.engine.commands import decide
from workers.engine.conduct import STEPS_MAX
from workers.engine.kept_networks import NetworkCounts
from workers.engine.refused import Refused

NETWORK = "198.51.100.0/24"


def ask(fan: int, *seats: tuple[int, int, int], proof: Proof = Proof.NONE, network: str = NETWORK) -> Reserve:
    return msgspec.structs.replace(reserve(EVENT, fan, *seats), network=network, proof=int(proof))


def opened(*commands: Reserve | Checkout, limits: int = 2, unbought: int = 3, hall: Hall | None = None) -> Book:
    book = (hall or Hall())._open(commands)
    book.events[EVENT].network_limits_max = limits
    book.events[EVENT].fan_unbought_max = unbought
    return book


def count(book: Book, *, seats: int = 0, unbought: float = 0.0) -> None:
    book.networks[EVENT] = NetworkCounts()
    book.networks[EVENT].put(NETWORK, seats, unbought, read_at=0.0)


def outcome(book: Book, command: Reserve | Checkout) -> str:
    try:
        decide(book, command)
    except Refused as refused:
        return str(refused.document["code"])
    return "ok"


def test_a_network_without_proofs_has_two_limits_worth_and_a_proof_lifts_it() -> None:
    asks = [ask(fan, SEATS[fan]) for fan in range(6)]
    book = opened(*asks)
    count(book, seats=NETWORK_SEATS_MIN - 2)
    assert [outcome(book, one) for one in asks[:3]] == ["ok", "ok", "captcha_required"], "counted within a batch too"
    assert outcome(book, ask(3, SEATS[3], proof=Proof.STANDS)) == "ok"
    assert outcome(book, ask(4, SEATS[4], network="203.0.113.0/24")) == "ok", "another network"
    assert outcome(book, ask(5, SEATS[5], network="")) == "ok", "a rehearsal's fan counts with none"


@pytest.mark.parametrize(("limits", "expected"), [(0, "captcha_required"), (NETWORK_LIMITS_OFF, "ok")])
def test_a_share_of_the_hall_where_the_operator_names_no_limits(limits: int, expected: str) -> None:
    command = ask(1, SEATS[0])
    book = opened(command, limits=limits)
    share = network_seats_max(0, 10, book.hall_seats(EVENT))
    count(book, seats=share - 1)
    assert outcome(book, command) == "ok"
    again = opened(command, limits=limits)
    count(again, seats=share)
    assert outcome(again, command) == expected


@pytest.mark.parametrize(
    ("limits", "hall_seats", "of_one", "of_all"),
    [
        (0, 10, 24, 24),
        (0, 150, 60, 24),
        (0, 60_000, 1000, 6000),
        (2, 150, 20, 20),
        (2, 600, 20, 60),
        (NETWORK_LIMITS_OFF, 150, 150, 150),
    ],
)
def test_what_networks_without_proofs_may_have(limits: int, hall_seats: int, of_one: int, of_all: int) -> None:
    assert network_seats_max(limits, 10, hall_seats) == of_one
    assert unproven_seats_max(limits, 10, hall_seats) == of_all


def test_seats_taken_are_told_before_a_proof_is_asked() -> None:
    asks = [ask(1, SEATS[0], proof=Proof.FRESH), ask(2, SEATS[0])]
    book = opened(*asks)
    count(book, seats=1000)
    assert [outcome(book, one) for one in asks] == ["ok", "seats_taken"]


@pytest.mark.parametrize(
    ("unbought", "proof", "expected"),
    [
        (2.9, Proof.NONE, "ok"),
        (3.0, Proof.NONE, "captcha_required"),
        (3.0, Proof.STANDS, "captcha_required"),
        (3.0, Proof.FRESH, "ok"),
        (3.0 * STEPS_MAX, Proof.FRESH, "too_many_holds"),
    ],
)
def test_who_lets_holds_end_needs_a_proof_for_each_and_then_waits(unbought: float, proof: Proof, expected: str) -> None:
    command = ask(7, SEATS[0], proof=proof)
    book = opened(command)
    book.unbought[EVENT, 7] = unbought
    assert outcome(book, command) == expected


def test_who_is_refused_for_holds_that_ended_gives_up_the_grace_of_the_last() -> None:
    hall = Hall()
    held(hall, 1)
    hall.pass_time(HOLD_SECONDS)
    book = opened(first := ask(1, SEATS[5]), second := ask(2, SEATS[1]), hall=hall)
    assert outcome(book, second) == "seats_taken", "the grace is its owner's"
    book.unbought[EVENT, 1] = 3.0
    assert outcome(book, first) == "captcha_required"
    assert outcome(book, second) == "ok", "the next session of the same hoarder, or anybody"


def test_seats_that_a_network_blocked_without_buying_count_too() -> None:
    command = ask(8, SEATS[0])
    book = opened(command)
    count(book, unbought=3 * NETWORK_SEATS_MIN)
    assert outcome(book, command) == "captcha_required", "another session of the same hoarder"


def held(hall: Hall, fan: int) -> Any:
    (hold,) = hall.book(reserve(EVENT, fan, SEATS[fan]))
    return hold["reservationId"]


def test_a_tenth_of_a_hall_is_bought_without_proofs_from_all_networks_together() -> None:
    hall = Hall()
    ids = {fan: held(hall, fan) for fan in (1, 2)}
    buy = {fan: msgspec.structs.replace(checkout(EVENT, fan, hold=ids[fan]), network=NETWORK) for fan in ids}
    book = opened(*buy.values(), hall=hall)
    for hold in book.holds.values():
        hold.network = NETWORK
    book.bought_unproven[EVENT][""] = unproven_seats_max(2, 1, book.hall_seats(EVENT)) - 1
    assert [outcome(book, one) for one in buy.values()] == ["ok", "captcha_required"]
    proven = msgspec.structs.replace(buy[2], proof=int(Proof.FRESH))
    assert outcome(book, proven) == "ok"


@pytest.mark.parametrize(
    ("limits", "fan_max", "seats"), [(0, 10, 20), (0, 1, NETWORK_SEATS_MIN), (1, 12, 12), (3, 10, 30)]
)
def test_a_network_buys_two_limits_worth_without_proofs_unless_an_operator_says_otherwise(
    limits: int, fan_max: int, seats: int
) -> None:
    assert bought_seats_max(limits, fan_max) == seats


def test_what_a_network_bought_without_proofs_leaves_others_theirs() -> None:
    hall = Hall()
    ids = {fan: held(hall, fan) for fan in (1, 2, 3)}
    buy = {fan: msgspec.structs.replace(checkout(EVENT, fan, hold=ids[fan]), network=NETWORK) for fan in ids}
    book = opened(*buy.values(), limits=0, hall=hall)
    for fan, hold_id in ids.items():
        book.holds[uuid.UUID(str(hold_id))].network = "203.0.113.0/24" if fan == 3 else NETWORK
    most = bought_seats_max(0, book.events[EVENT].seats_per_fan_max)
    assert most < unproven_seats_max(0, book.events[EVENT].seats_per_fan_max, book.hall_seats(EVENT))
    book.bought_unproven[EVENT][NETWORK] = most - 1
    assert [outcome(book, one) for one in buy.values()] == ["ok", "captcha_required", "ok"]
    assert outcome(book, msgspec.structs.replace(buy[2], proof=int(Proof.FRESH))) == "ok", "its fan goes on"
