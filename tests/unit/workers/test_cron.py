from __future__ import annotations

import pickletools
import zlib
from typing import cast

import pytest
import redis
from rq.cron_scheduler_registry import get_registry_key

from booking_lane.lane import HOUSEKEEPING_QUEUE, MESSAGES_QUEUE, rq_queue
from booking_lane.serializer import MsgpackSerializer
from tests.unit.workers.stops import CatchingRedis
from workers.cron import LATE_SECONDS_MAX, WAITING_MAX, Cron


def test_cron_enqueues_sweeps_and_housekeeping_without_pickle(
    jobs: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.cron.SWEEP_EVERY_SECONDS", 60)  # on a busy machine a second ends within the test
    cron = Cron(jobs, lanes=3)
    cron.enqueue_jobs()
    found = {}
    for name in ("lane-0", "lane-1", "lane-2", HOUSEKEEPING_QUEUE, MESSAGES_QUEUE):
        for job_id in rq_queue(jobs, name).get_job_ids():
            key = f"rq:job:{job_id}"
            data = zlib.decompress(cast(bytes, jobs.hget(key, "data")))
            with pytest.raises(ValueError, match="opcode"):
                list(pickletools.genops(data))
            function, _, args, _ = MsgpackSerializer.loads(data)
            found[name, function] = args
            assert 0 < jobs.ttl(key) <= LATE_SECONDS_MAX, "one that comes late is dropped"
    assert found == {
        ("lane-0", "workers.jobs.sweep"): [0],
        ("lane-1", "workers.jobs.sweep"): [1],
        ("lane-2", "workers.jobs.sweep"): [2],
        (HOUSEKEEPING_QUEUE, "workers.jobs.reconcile"): [],
        (HOUSEKEEPING_QUEUE, "workers.jobs.retry_failed"): [],
        (HOUSEKEEPING_QUEUE, "workers.jobs.forget"): [],
        (HOUSEKEEPING_QUEUE, "workers.jobs.seal"): [],
        (HOUSEKEEPING_QUEUE, "workers.jobs.index"): [],
        (HOUSEKEEPING_QUEUE, "workers.jobs.watch"): [],
        (MESSAGES_QUEUE, "workers.jobs.tell"): [],
    }
    cron.enqueue_jobs()
    assert rq_queue(jobs, "lane-0").count == 1, "not before its time"


def test_a_lane_that_nobody_works_does_not_grow_without_end(jobs: redis.Redis) -> None:
    queue = rq_queue(jobs, "lane-0")
    jobs.rpush(queue.key, *range(WAITING_MAX - 1))
    for _ in range(3):
        Cron(jobs, lanes=1).enqueue_jobs()
    assert queue.count == WAITING_MAX


@pytest.mark.usefixtures("handlers")
@pytest.mark.timeout(20)
def test_a_cron_ends_although_others_caught_what_its_signal_raised(jobs: redis.Redis) -> None:
    cron = Cron(jobs, lanes=1)

    with CatchingRedis(connection_pool=jobs.connection_pool) as client:
        cron._cron_jobs[:] = cron._cron_jobs[:1]
        cron.connection = client
        cron.start()  # type: ignore[no-untyped-call]
        assert client.signals == 1
    assert not jobs.zscore(get_registry_key(), cron.name), "it has said that it ends"
