"""An event is moved between lanes to and fro while it is sold, and workers are killed in the midst of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from booking_lane.clients import jobs_client
from booking_lane.lane import lane_of
from booking_lane.lane_changes import LaneRefusedError, move_event, set_count
from booking_lane.lane_map import LaneMap, map_in_force
from tests.faults.harness import Rush, Sale, kill_at, running_sale
from tests.faults.test_worker_killed import start_probed_worker
from tests.waiting import await_that

LANES = 2
MOVES = 6


@pytest.fixture(scope="module")
def sale(servers_folder: Path, module_database_url: str) -> Iterator[Sale]:
    with running_sale(servers_folder, module_database_url, workers=0, ADMITONE_LANES=str(LANES)) as sale:
        start_probed_worker(sale)
        yield sale


@pytest.fixture
def jobs(sale: Sale) -> Iterator[redis.Redis]:
    client = jobs_client(sale.valkey_url)
    yield client
    client.close()
    client.connection_pool.disconnect()


@pytest.fixture
def connection(sale: Sale) -> Iterator[psycopg.Connection]:
    with psycopg.connect(sale.database_url, autocommit=True) as connection:
        yield connection


def handed_over(jobs: redis.Redis) -> LaneMap:
    await_that(lambda: not map_in_force(jobs, LANES).leaving, 30, what="the lanes have handed over")
    return map_in_force(jobs, LANES)


def assert_nobody_failed(rush: Rush) -> None:
    assert not [kind for kind in rush.crowd.summed("errors") if "no final answer" in kind], rush.crowd.summed("errors")


def test_a_sale_goes_on_while_its_event_is_moved(sale: Sale, jobs: redis.Redis, connection: psycopg.Connection) -> None:
    with sale.rush("an event moved between lanes, worker kill -9 meanwhile") as rush:
        rush.await_normal()
        home = lane_of(rush.event_id, LANES)
        for number in range(MOVES):
            lane = 1 - home if number % 2 == 0 else None
            move_event(connection, jobs, LANES, rush.event_id, lane, "a test")
            if number == MOVES // 2:
                # The lane that the event leaves, or the one that it comes to, whichever takes a batch first.
                kill_at(sale, "taken")
            found = handed_over(jobs)
            assert found.lanes.of(rush.event_id) == (home if lane is None else lane)
        rush.await_recovery()
    assert_nobody_failed(rush)


@pytest.mark.long
def test_the_number_of_lanes_changes_while_an_event_is_sold(
    sale: Sale, jobs: redis.Redis, connection: psycopg.Connection
) -> None:
    def refused() -> str:
        with pytest.raises(LaneRefusedError) as refusal:
            set_count(connection, jobs, LANES, LANES + 1, "a test")
        return str(refusal.value)

    # Until its worker has started, the first lane is what is lacking.
    await_that(lambda: "lane 2 has no worker" in refused(), what="the lanes of the site are worked on")
    with sale.rush("the number of lanes lowered and raised") as rush:
        rush.await_normal()
        for count in (1, LANES):
            set_count(connection, jobs, LANES, count, "a test")
            assert handed_over(jobs).lanes.count == count
        rush.await_recovery()
    assert_nobody_failed(rush)
