"""The network drops and half-closes connections between fans and gateways, with requests and answers on the way."""

from __future__ import annotations

import http.client
import time
from collections.abc import Mapping

import pytest

from db.seed import RoomSeed
from tests.client import Answer, Fan
from tests.faults.harness import Sale
from tests.faults.proxy import Fate

SALE = {"gateways": 2}
OPEN_DOOR = RoomSeed(rate_per_minute=600_000, capacity=1000)
ALWAYS: Mapping[str, Mapping[Fate, float]] = {fate.name: {fate: 1.0} for fate in Fate}
FATES = {Fate.CUT_BEFORE: 0.03, Fate.CUT_INSIDE: 0.02, Fate.HALF_CLOSE: 0.02, Fate.CUT_REQUEST: 0.02}
"""Shares of requests and answers; a fan asks some ten times."""


def test_cuts_under_load(sale: Sale) -> None:
    cuts_for(sale, seconds=8)


@pytest.mark.long
@pytest.mark.timeout(400)
def test_cuts_under_load_for_longer(sale: Sale) -> None:
    cuts_for(sale, seconds=120)


def cuts_for(sale: Sale, seconds: float) -> None:
    with sale.rush("network cuts: drop, half-close, half a request or answer") as rush:
        rush.await_normal()
        sale.balancer.met.clear()
        sale.balancer.fates = FATES
        try:
            time.sleep(seconds)
        finally:
            sale.balancer.fates = {}
        rush.await_recovery()
        met = dict(sale.balancer.met)
        rush.note = f"{sum(met.values())} cuts"
    assert set(met) == set(FATES), met


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
        with pytest.raises((OSError, http.client.HTTPException)):
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
        with pytest.raises((OSError, http.client.HTTPException)):
            fan.checkout(event_id, hold["reservationId"], captcha="", key="buy")
    finally:
        heal()
    purchase = fan.checkout(event_id, hold["reservationId"], captcha="", key="buy").result
    assert [bought["purchaseId"] for bought in fan.get("/api/purchases").json["purchases"]] == [purchase["purchaseId"]]
