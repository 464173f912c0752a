"""A server of the line's cluster is killed during a sale whose room is at another one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from admitone.embedded.valkey import EmbeddedValkey
from tests.client import Client, Fan
from tests.clusters import Cluster, slot_of
from tests.faults.harness import DOOR, Rush, Sale, running_sale
from tests.waiting import await_that

pytestmark = pytest.mark.long

UNDISTURBED_SECONDS_MAX: Final = 5.0
"""On a quiet machine no fan of the other rooms waits a second."""


@pytest.fixture(scope="module")
def cluster(servers_folder: Path) -> Iterator[Cluster]:
    with Cluster(servers_folder / "cluster-of-sale") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def sale(servers_folder: Path, module_database_url: str, cluster: Cluster) -> Iterator[Sale]:
    with (
        EmbeddedValkey(servers_folder / "jobs", appendonly=True) as jobs,
        running_sale(
            servers_folder, module_database_url, redis_url=cluster.url, ADMITONE_JOBS_REDIS_URL=jobs.url
        ) as sale,
    ):
        yield sale


@pytest.mark.timeout(400)
def test_a_server_is_lost_during_a_sale_at_another(sale: Sale, cluster: Cluster) -> None:
    events = [sale.event(room=DOOR) for _ in range(6)]
    with sale.rush("server of a cluster SIGKILL") as rush:
        assert isinstance(rush, Rush)
        own = cluster.port_of(slot_of(rush.event_id))
        dead = next(port for port in map(cluster.port_of, map(slot_of, events)) if port != own)
        lost = next(event for event in events if cluster.port_of(slot_of(event)) == dead)
        fans = [Fan.arrive(gateway.url) for gateway in sale.gateways for _ in range(5)]
        places = {fan.user_id: fan.join(lost).json["ticketNumber"] for fan in fans}
        rush.await_normal(120)
        killed_at = time.monotonic()
        cluster.kill(dead)
        print(f"the other room was served again after {rush.await_recovery(60, ended=killed_at):.2f} s")
        slowest = max(one.took for one in rush.probe.results if one.at > killed_at - 1)
        assert slowest < UNDISTURBED_SECONDS_MAX
        for gateway, fan in zip(sale.gateways, (fans[0], fans[5]), strict=True):
            assert fan.poll(lost).status == 503
            await_that(lambda: _degraded(gateway.url) == [f"line_redis_{[*cluster.servers].index(dead) + 1}"])  # noqa: B023 - asked at once
        cluster.restart(dead)
        for gateway in sale.gateways:
            await_that(lambda: _degraded(gateway.url) == [])  # noqa: B023 - asked at once
        for fan in fans:
            assert fan.poll(lost).json["ticketNumber"] == places[fan.user_id], "an acknowledged place is kept"
    assert len(rush.calls) > 0


def _degraded(url: str) -> list[str]:
    """What the gateway says of the cluster's servers; it must be ready whatever it says."""
    answer = Client(url).get("/health/ready")
    assert answer.status == 200, answer.content
    return list(answer.json["degraded"])
