"""The master is killed during a sale, and a sentinel with it, as where a host is lost that had both. The other
sentinels make the replica the master: line and jobs go on there.

What was acknowledged is kept in this fault, because a server answers its clients and feeds its replica in the same
moment. docs/running.md says what a failover may cost, and what bounds it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from admitone.doctor.finding import Level
from admitone.doctor.site import open_site
from admitone.doctor.valkey import examine
from admitone.settings import Settings
from tests.client import Fan
from tests.faults.harness import Sale, running_sale
from tests.sentinels import Watched
from tests.waiting import await_that

RECOVERY_SECONDS_MAX: Final = 60
"""On a quiet machine it takes two or three seconds, of which the sentinels wait one."""


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with Watched(tmp_path_factory.mktemp("sentinels")) as watched:
        yield watched


@pytest.fixture(scope="module")
def sale(servers_folder: Path, module_database_url: str, watched: Watched) -> Iterator[Sale]:
    with running_sale(servers_folder, module_database_url, redis_url=watched.url) as sale:
        yield sale


@pytest.mark.long
def test_the_doctor_sees_what_a_failover_would_cost(sale: Sale, watched: Watched) -> None:
    with open_site(Settings.load(sale.services.environ), (), "") as site:
        found = {one.code: one.level for one in examine(site)}
    assert "line_redis_replica" not in found
    assert found["line_redis_min_replicas"] == Level.WARNING


@pytest.mark.long
@pytest.mark.timeout(400)
def test_a_failover_during_a_sale(sale: Sale, watched: Watched) -> None:
    event_id = sale.event()
    fans = [Fan.arrive(gateway.url) for gateway in sale.gateways for _ in range(5)]
    places = {fan.user_id: fan.join(event_id).json["ticketNumber"] for fan in fans}
    with sale.rush("master SIGKILL, failover by Sentinel") as rush:
        rush.await_normal(120)
        killed_at = time.monotonic()
        watched.kill_a_sentinel()
        old = watched.kill_master()
        print(f"recovered after {rush.await_recovery(RECOVERY_SECONDS_MAX, ended=killed_at):.2f} s")
        assert watched.master() != old
        watched.restart(old)
        await_that(lambda: watched.server(old).info("replication")["role"] == "slave", 30)
    for fan in fans:
        assert fan.poll(event_id).json["ticketNumber"] == places[fan.user_id], "an acknowledged place is kept"
