"""Gateways are killed while fans wait and buy: another takes over, and nobody loses a place or an answer."""

from __future__ import annotations

import pytest

from db.seed import RoomSeed
from tests.client import Fan
from tests.faults.harness import Sale, await_that

SALE = {"gateways": 2}
ROUNDS_LONG = 10


def test_each_gateway_killed_in_turn(sale: Sale) -> None:
    kill_in_turn(sale, rounds=1)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_each_gateway_killed_in_turn_again_and_again(sale: Sale) -> None:
    kill_in_turn(sale, rounds=ROUNDS_LONG)


def kill_in_turn(sale: Sale, rounds: int) -> None:
    with sale.rush("gateway kill -9") as rush:
        rush.await_normal()
        for _ in range(rounds):
            for number in range(len(sale.gateways)):
                sale.kill_gateway(number)
                rush.await_recovery()
                sale.restart_gateway(number)


def test_what_a_killed_gateway_had_taken_is_answered_by_the_other(sale: Sale) -> None:
    """202s that only the killed gateway knew of, and a place that only its stream kept."""
    event_id = sale.event(room=RoomSeed(rate_per_minute=60_000, capacity=40))
    dying, staying = (gateway.url for gateway in sale.gateways)
    buyers = [Fan.arrive(dying) for _ in range(40)]
    for buyer in buyers:
        assert buyer.join(event_id).json["state"] == "admitted"
    waiting = [Fan.arrive(dying) for _ in range(10)]
    tokens = [fan.join(event_id).json["token"] for fan in waiting]
    with waiting[4].line(event_id, tokens[4]) as stream:
        assert stream.data("place")["position"] == 5
        taken = [buyer.reserve(event_id, [(1, number + 1, 1)], wait=0) for number, buyer in enumerate(buyers)]
        assert {answer.status for answer in taken} == {202}
        sale.kill_gateway(0)
        assert "bye" not in {event.event for event in stream.rest()}
    try:
        for number, (buyer, answer) in enumerate(zip(buyers, taken, strict=True)):
            job = buyer.at(staying).job(answer.json["jobId"], wait="20")
            assert job.result["seats"][0]["rowNumber"] == number + 1
        with waiting[4].at(staying).line(event_id, tokens[4]) as stream:
            assert stream.data("place")["position"] == 5
        # The same key at another gateway is the same command, though the first never answered.
        key = "in doubt"
        first = buyers[0].at(staying).reserve(event_id, [(1, 90, 1)], key=key)
        again = buyers[0].at(staying).reserve(event_id, [(1, 90, 1)], key=key)
        assert first.json["jobId"] == again.json["jobId"]
        assert buyers[1].at(staying).leave(event_id).status == 204
        first_in_line = waiting[0].at(staying)
        await_that(lambda: first_in_line.poll(event_id).json["state"] == "called")
    finally:
        sale.restart_gateway(0)
