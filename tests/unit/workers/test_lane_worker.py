"""How a lane's worker takes jobs. What it does with them is tested with whole lanes."""

from __future__ import annotations

import pytest
import redis
from rq.job import JobStatus

from booking_lane.commands import decode_batch
from booking_lane.lane import Lane, rq_queue
from booking_lane.serializer import MsgpackSerializer
from tests.unit.booking_lane.asks import batch, reserve
from tests.unit.workers.stops import CatchingRedis
from workers.lane_worker import LaneWorker

QUEUE = "lane-0"


def worker_of(jobs: redis.Redis) -> LaneWorker:
    return LaneWorker(
        [rq_queue(jobs, QUEUE)], name="one", connection=jobs, serializer=MsgpackSerializer, sign=lambda: jobs
    )


@pytest.fixture
def worker(jobs: redis.Redis) -> LaneWorker:
    """A worker that is asked for its steps one by one."""
    made = worker_of(jobs)
    made.register_birth()  # type: ignore[no-untyped-call]
    return made


def test_a_job_is_begun_as_it_is_read(jobs: redis.Redis, worker: LaneWorker) -> None:
    queue = rq_queue(jobs, QUEUE)
    asked = batch(reserve(1, 1, (1, 1, 1)))
    Lane(jobs, 0, 60).enqueue(asked)
    taken = worker.dequeue_job_and_maintain_ttl(timeout=1)
    assert taken is not None
    job, _ = taken
    assert decode_batch(job.args[0]) == asked
    assert queue.intermediate_queue.get_job_ids() == []
    execution = worker.prepare_execution(job)
    found = queue.started_job_registry.get_job_and_execution_ids(cleanup=False)
    assert found == [(str(asked.batch_id), execution.id)]
    assert job.get_status() == JobStatus.STARTED
    assert jobs.ttl(job.key) == -1, "a job under way does not lapse"
    assert worker.executions == {execution.id: execution}


def test_a_job_that_is_gone_leaves_nothing_and_the_next_is_taken(jobs: redis.Redis, worker: LaneWorker) -> None:
    queue = rq_queue(jobs, QUEUE)
    jobs.rpush(queue.key, "gone")
    asked = batch(reserve(1, 1, (1, 1, 1)))
    Lane(jobs, 0, 60).enqueue(asked)
    taken = worker.dequeue_job_and_maintain_ttl(timeout=1)
    assert taken is not None
    assert taken[0].id == str(asked.batch_id)
    assert jobs.keys("*gone*") == []
    assert [one for one, _ in queue.started_job_registry.get_job_and_execution_ids(cleanup=False)] == [taken[0].id]
    assert queue.intermediate_queue.get_job_ids() == []
    assert list(worker.executions) == [worker.prepare_execution(taken[0]).id]


@pytest.mark.usefixtures("handlers")
def test_a_worker_ends_although_others_caught_what_its_signal_raised(jobs: redis.Redis) -> None:
    Lane(jobs, 0, 60).enqueue(batch(reserve(1, 1, (1, 1, 1))))
    with CatchingRedis(connection_pool=jobs.connection_pool) as client:
        worker = worker_of(jobs)
        worker._install_signal_handlers()  # type: ignore[no-untyped-call]
        worker.connection = client
        worker.work(burst=True)
        assert client.signals == 1
    assert rq_queue(jobs, QUEUE).count == 1, "it takes no job any more"
