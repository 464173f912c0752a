"""Gateways are killed while fans wait and buy: another takes over, and nobody loses a place or an answer."""

from __future__ import annotations

from pathlib import Path

from tests.faults.harness import running_sale

GATEWAYS = 2


def test_each_gateway_killed_in_turn(servers_folder: Path, database_url: str) -> None:
    with running_sale(servers_folder, database_url, gateways=GATEWAYS) as sale, sale.rush("gateway kill -9") as rush:
        rush.await_normal()
        for number in range(GATEWAYS):
            sale.kill_gateway(number)
            rush.await_recovery()
            sale.restart_gateway(number)
