"""The short selection: one sale, disturbed in every way that takes seconds. The long forms are in the other modules."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest

from db.seed import RoomSeed
from tests.client import Answer, Fan
from tests.faults import test_sockets_held as sockets_held
from tests.faults.harness import BROKEN, Sale, await_that
from tests.faults.proxy import Fate
from tests.faults.test_network_cut import FATES
from tests.faults.test_valkey_killed import killed_and_restarted

SALE = {"gateways": 2, **sockets_held.ENVIRON}
OPEN_DOOR = RoomSeed(rate_per_minute=600_000, capacity=1000)
ALWAYS: Mapping[str, Mapping[Fate, float]] = {fate.name: {fate: 1.0} for fate in Fate}
CUT_SECONDS = 3


def test_one_rush_through_every_fault(sale: Sale) -> None:
    with sale.rush("in one rush: gateway kill -9, Valkey SIGKILL, network cuts") as rush:
        rush.await_normal()
        sale.kill_gateway(0)
        rush.await_recovery()
        sale.restart_gateway(0)
        killed_and_restarted(rush)
        sale.balancer.fates = FATES
        try:
            time.sleep(CUT_SECONDS)
        finally:
            sale.balancer.fates = {}
        rush.await_recovery()
    assert sale.balancer.met.total() > 0


def test_sockets_that_take_nothing(sale: Sale) -> None:
    sockets_held.held_by(sale, slow=30, gone=30)


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


@pytest.mark.parametrize("fates", ALWAYS.values(), ids=ALWAYS.keys())
@pytest.mark.parametrize("with_key", [True, False], ids=["with key", "without"])
def test_a_retry_with_the_same_key_holds_and_buys_once(sale: Sale, fates: Mapping[Fate, float], with_key: bool) -> None:
    """The negative control has no key: where the request had arrived, its retry holds a second seat."""
    event_id = sale.event(room=OPEN_DOOR)
    fan = Fan.arrive(sale.balancer.url)
    assert fan.join(event_id).json["state"] == "admitted"

    def cut() -> None:
        sale.balancer.fates = fates

    def heal() -> None:
        sale.balancer.fates = {}

    def reserve() -> Answer:
        return fan.reserve(event_id, best=(1, 1), key="hold" if with_key else "")

    try:
        cut()
        with pytest.raises(BROKEN):
            reserve()
    finally:
        heal()
    hold = reserve().result
    held = fan.get(f"/api/reservations?eventId={event_id}").json["reservations"]
    arrived = Fate.CUT_REQUEST not in fates
    assert len(held) == (1 if with_key or not arrived else 2)
    if not with_key:
        return
    assert held[0]["reservationId"] == hold["reservationId"]

    try:
        cut()
        with pytest.raises(BROKEN):
            fan.checkout(event_id, hold["reservationId"], captcha="", key="buy")
    finally:
        heal()
    purchase = fan.checkout(event_id, hold["reservationId"], captcha="", key="buy").result
    assert [bought["purchaseId"] for bought in fan.get("/api/purchases").json["purchases"]] == [purchase["purchaseId"]]
