"""Gateways are killed while fans wait and buy: another takes over, and nobody loses a place or an answer."""

from __future__ import annotations

import pytest

from tests.faults.harness import Sale

SALE = {"gateways": 2}
ROUNDS = 5


@pytest.mark.long
@pytest.mark.timeout(600)
def test_each_gateway_killed_in_turn_again_and_again(sale: Sale) -> None:
    with sale.rush("gateway kill -9") as rush:
        rush.await_normal()
        for _ in range(ROUNDS):
            for number in range(len(sale.gateways)):
                sale.kill_gateway(number)
                rush.await_recovery()
                sale.restart_gateway(number)
