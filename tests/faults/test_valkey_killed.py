"""Valkey is killed under load and comes back with its append-only file.

With the default of fifteen seconds a fan whose stream could not be opened meanwhile still counts as connected. With
four, some are skipped when their turn comes, as promised of the absent, and stand first again.
"""

from __future__ import annotations

import time

import pytest

from tests.faults.harness import Rush, Sale

SALE = {"gateways": 2}
REPEATED = 20


@pytest.mark.long
@pytest.mark.timeout(900)
def test_killed_and_restarted_with_its_append_only_file(sale: Sale) -> None:
    with sale.rush("Valkey SIGKILL, restart with AOF") as rush:
        rush.await_normal()
        for _ in range(REPEATED):
            killed_and_restarted(rush)


def killed_and_restarted(rush: Rush) -> None:
    rush.sale.kill_valkey()
    time.sleep(1)
    rush.sale.start_valkey()
    rush.await_recovery(60)
