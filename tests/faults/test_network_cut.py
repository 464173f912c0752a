"""The network drops and half-closes connections between fans and gateways, with requests and answers on the way."""

from __future__ import annotations

import time

import pytest

from tests.faults.harness import Sale
from tests.faults.proxy import Fate

SALE = {"gateways": 2}
SECONDS = 120
FATES = {Fate.CUT_BEFORE: 0.03, Fate.CUT_INSIDE: 0.02, Fate.HALF_CLOSE: 0.02, Fate.CUT_REQUEST: 0.02}
"""Shares of requests and answers; a fan asks some ten times."""


@pytest.mark.long
@pytest.mark.timeout(400)
def test_cuts_under_load(sale: Sale) -> None:
    with sale.rush("network cuts: drop, half-close, half a request or answer") as rush:
        rush.await_normal()
        sale.balancer.met.clear()
        sale.balancer.fates = FATES
        try:
            time.sleep(SECONDS)
        finally:
            sale.balancer.fates = {}
        rush.await_recovery()
        met = dict(sale.balancer.met)
        rush.note = f"{sum(met.values())} cuts"
    assert set(met) == set(FATES), met
