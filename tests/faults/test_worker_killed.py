"""Workers are killed while fans buy: their batches are applied once, by whoever comes next."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from rq.worker_registration import get_keys

from booking_lane.commands import Command
from booking_lane.lane import lane_of, queue_name, rq_queue
from tests.faults.harness import Probed, Rush, Sale, kill_at, running_sale
from tests.integration.workers.lanes import BACK_SECONDS_MAX, Lanes
from tests.services import Service, start_module
from tests.unit.booking_lane.asks import reserve
from tests.waiting import await_that

LANES = 2
POINTS = {
    "taken": "before the transaction",
    "written": "inside the transaction",
    "committed": "after the commit, before the results",
    "published": "after the results",
}
RANDOM_KILLS = 20
LATE_MAX = 1
"""So many of them may have met a busy machine's pause."""
DEADLY_FAN = 9_999


def start_probed_worker(sale: Sale) -> Service:
    """`admitone worker` with the probe points of `tests.integration.workers.entry`."""
    log = sale.folder / f"probed-worker-{len(sale.workers)}.log"
    entry = "tests.integration.workers.entry"
    service = Service(log.stem, start_module(entry, str(sale.folder), log=log, environ=sale.services.environ), log)
    sale.services.started.append(service)
    sale.workers.append(service)
    return service


@pytest.fixture(scope="module")
def sale(servers_folder: Path, module_database_url: str) -> Iterator[Sale]:
    with running_sale(servers_folder, module_database_url, workers=0, ADMITONE_LANES=str(LANES)) as sale:
        start_probed_worker(sale)
        yield sale


def lane_worker(sale: Sale, rush: Rush) -> int:
    """The process id of the worker of the rush's lane, once there is one; RQ keeps it in Redis."""
    found: list[int] = []

    def look() -> bool:
        with sale.redis() as client:
            queue = rq_queue(client, queue_name(lane_of(rush.event_id, LANES)))
            pids = [client.hget(key, "pid") for key in get_keys(queue)]
        family = {child.pid for child in psutil.Process(sale.workers[-1].pid).children()}
        found[:] = [int(pid) for pid in pids if pid is not None and int(pid) in family]
        return bool(found)

    await_that(look)
    return found[0]


def put_back(sale: Sale) -> int:
    """How often the workers say that they put a dead one's batches back."""
    return sum(worker.text().count("put back to work") for worker in sale.workers)


@pytest.mark.long
def test_a_worker_killed_at_each_point(sale: Sale) -> None:
    with sale.rush("worker kill -9: " + ", ".join(POINTS.values())) as rush:
        rush.await_normal()
        before = put_back(sale)
        for killed, point in enumerate(POINTS, before + 1):
            kill_at(sale, point)
            assert rush.await_recovery() < BACK_SECONDS_MAX
            assert put_back(sale) == killed, "its batch was under way"


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_worker_killed_twenty_times_at_points_drawn(sale: Sale) -> None:
    rng = random.Random(4)
    with sale.rush("worker kill -9 at named points drawn at random") as rush:
        rush.await_normal()
        met: Counter[str] = Counter()
        before = put_back(sale)
        for killed in range(1, RANDOM_KILLS + 1):
            time.sleep(rng.uniform(0, 0.5))
            point = rng.choice(list(POINTS))
            kill_at(sale, point)
            met[point] += 1
            assert rush.await_recovery() < BACK_SECONDS_MAX
            assert put_back(sale) == before + killed, "its batch was under way"
        rush.note = ", ".join(f"{count} {POINTS[point]}" for point, count in sorted(met.items()))
    assert set(met) == set(POINTS)


@pytest.mark.long
@pytest.mark.timeout(400)
def test_a_worker_killed_twenty_times_at_random(sale: Sale) -> None:
    rng = random.Random(20)
    before = put_back(sale)
    late: list[list[Probed]] = []
    with sale.rush("worker kill -9 at random") as rush:
        rush.await_normal()
        for _ in range(RANDOM_KILLS):
            time.sleep(rng.uniform(0.2, 1.5))
            os.kill(lane_worker(sale, rush), signal.SIGKILL)
            killed_at = time.monotonic()
            if rush.await_recovery() >= BACK_SECONDS_MAX:
                late.append([one for one in rush.probe.results if one.at + one.took >= killed_at])
        assert len(late) <= LATE_MAX, late
        assert max(rush.recovery_seconds) < 2 * BACK_SECONDS_MAX, late
        rush.note = f"{put_back(sale) - before} of {RANDOM_KILLS} with a batch under way"
    assert put_back(sale) > before


@pytest.mark.long
@pytest.mark.timeout(300)
def test_the_whole_pool_killed_and_started_again(sale: Sale) -> None:
    with sale.rush("worker pool kill -9 and restart") as rush:
        rush.await_normal()
        for _ in range(3):
            sale.workers[-1].kill()
            time.sleep(1)
            start_probed_worker(sale)
            rush.await_recovery()


@pytest.mark.long
@pytest.mark.parametrize("poison", ["raises", "kills its worker"])
def test_a_poisonous_command_among_256(sale: Sale, poison: str) -> None:
    """255 succeed beside it, however it is poisonous; the crowd buys on."""
    with sale.redis() as client, sale.rush(f"poison command in a batch of 256: it {poison}") as rush:
        rush.await_normal()
        event_id = sale.event()
        lanes = Lanes(sale.database_url, client, sale.services.environ, sale.folder)
        commands: list[Command] = [
            reserve(event_id, 10_000 + number, (1, 1 + number // 50, 1 + number % 50)) for number in range(255)
        ]
        fan = 2**63 if poison == "raises" else DEADLY_FAN
        commands.insert(100, reserve(event_id, fan, (2, 1, 1)))
        (sale.folder / "deadly").write_text(str(DEADLY_FAN))
        begun = time.monotonic()
        lanes.enqueue(lane_of(event_id, LANES), *commands)
        _, codes = lanes.await_answers(*commands, seconds_max=30)
        rush.note = f"all 256 answered after {time.monotonic() - begun:.1f} s"
        assert codes.pop(100) == "internal_error"
        assert codes == ["ok"] * 255
        rush.await_recovery()
