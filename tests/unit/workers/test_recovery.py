"""A dead worker's batches, with the state that RQ leaves in Redis made by RQ itself."""

from __future__ import annotations

import pytest
import redis
from rq import SimpleWorker
from rq.job import Job
from rq.worker import BaseWorker

from booking_lane.alive import ALIVE_SECONDS, alive_key, alive_workers
from booking_lane.commands import Batch
from booking_lane.lane import Lane, rq_queue
from booking_lane.serializer import MsgpackSerializer
from tests.unit.booking_lane.asks import batch, reserve
from workers import recovery as recovery_module
from workers.recovery import Recovery
from workers.setbacks import Setbacks

QUEUE = "lane-0"


def recovery_of(jobs: redis.Redis) -> Recovery:
    return Recovery(jobs, Setbacks(jobs, 3))


def worker(jobs: redis.Redis, name: str, *, alive: bool) -> BaseWorker:
    """A worker as RQ registers it, which then works no more."""
    worker = SimpleWorker([rq_queue(jobs, QUEUE)], name=name, connection=jobs, serializer=MsgpackSerializer)
    worker.register_birth()  # type: ignore[no-untyped-call]
    if alive:
        jobs.set(alive_key(QUEUE, name), 1, ex=ALIVE_SECONDS)
    return worker


def batches(jobs: redis.Redis, count: int) -> list[Batch]:
    lane = Lane(jobs, 0, 60)
    made = [batch(reserve(1, fan, (1, 1, fan))) for fan in range(1, count + 1)]
    for one in made:
        lane.enqueue(one)
    return made


def take(worker: BaseWorker, *, started: bool = True, prepared: bool = True) -> Job:
    """Let the worker take the next job, and stop at that point."""
    found = worker.dequeue_job_and_maintain_ttl(timeout=1)
    assert found is not None
    job, _ = found
    if started:
        worker.prepare_execution(job)
        if prepared:
            worker.prepare_job_execution(job, remove_from_intermediate_queue=True)
    return job


def test_the_living_are_who_gave_a_sign(jobs: redis.Redis) -> None:
    worker(jobs, "living", alive=True)
    worker(jobs, "dead", alive=False)
    jobs.set(alive_key(QUEUE, "never-registered"), 1)
    jobs.set(alive_key("lane-1", "dead"), 1)
    assert alive_workers(jobs, QUEUE) == {"living"}
    assert alive_workers(jobs, "lane-1") == set()


def test_looking_for_the_living_reads_nothing_else(jobs: redis.Redis) -> None:
    """A million results may stand in the same Redis."""
    worker(jobs, "living", alive=True)
    jobs.config_resetstat()
    alive_workers(jobs, QUEUE)
    used = {name for name in jobs.info("commandstats") if name not in ("cmdstat_config|resetstat",)}
    assert used <= {"cmdstat_smembers", "cmdstat_exists"}


@pytest.mark.parametrize("other_alive", [True, False])
def test_a_dead_workers_job_comes_back_to_the_front(jobs: redis.Redis, other_alive: bool) -> None:
    first, second = batches(jobs, 2)
    take(worker(jobs, "dead", alive=False))
    if other_alive:
        worker(jobs, "other", alive=True)
    queue = rq_queue(jobs, QUEUE)
    assert queue.get_job_ids() == [str(second.batch_id)]
    assert recovery_of(jobs).recover(QUEUE) == 1
    assert queue.get_job_ids() == [str(first.batch_id), str(second.batch_id)]
    assert recovery_of(jobs).recover(QUEUE) == 0
    assert queue.started_job_registry.get_job_ids(cleanup=False) == []
    assert jobs.keys("rq:execution:*") == []
    assert jobs.keys(f"rq:executions:{first.batch_id}") == []
    assert jobs.keys("rq:worker:*:executions") == []


def test_a_living_workers_job_is_left_alone(jobs: redis.Redis) -> None:
    batches(jobs, 1)
    job = take(worker(jobs, "living", alive=True))
    assert recovery_of(jobs).recover(QUEUE) == 0
    assert rq_queue(jobs, QUEUE).started_job_registry.get_job_ids(cleanup=False) == [job.id]


def test_several_jobs_come_back_in_their_order(jobs: redis.Redis) -> None:
    made = batches(jobs, 4)
    for name in ("one", "two", "three"):
        take(worker(jobs, name, alive=False), started=False)
    assert recovery_of(jobs).recover(QUEUE) == 3
    assert set(rq_queue(jobs, QUEUE).get_job_ids()[:3]) == {str(one.batch_id) for one in made[:3]}
    assert rq_queue(jobs, QUEUE).get_job_ids()[3] == str(made[3].batch_id)
    assert jobs.llen(rq_queue(jobs, QUEUE).intermediate_queue_key) == 0


def test_a_job_between_queue_and_worker_is_found(jobs: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    (one,) = batches(jobs, 1)
    take(worker(jobs, "dead", alive=False), started=False)
    worker(jobs, "living", alive=True)
    recovery = recovery_of(jobs)
    assert recovery.recover(QUEUE) == 0, "the living one may be about to start it"
    monkeypatch.setattr(recovery_module, "IN_TRANSIT_SECONDS", 0)
    assert recovery.recover(QUEUE) == 1
    assert rq_queue(jobs, QUEUE).get_job_ids() == [str(one.batch_id)]
    assert jobs.llen(rq_queue(jobs, QUEUE).intermediate_queue_key) == 0


def test_a_job_started_and_still_in_transit_comes_back_once(jobs: redis.Redis) -> None:
    (one,) = batches(jobs, 1)
    take(worker(jobs, "dead", alive=False), prepared=False)
    assert recovery_of(jobs).recover(QUEUE) == 1
    assert rq_queue(jobs, QUEUE).get_job_ids() == [str(one.batch_id)]
    assert jobs.llen(rq_queue(jobs, QUEUE).intermediate_queue_key) == 0


def test_an_expired_recurring_job_leaves_nothing_in_transit(jobs: redis.Redis) -> None:
    queue = rq_queue(jobs, QUEUE)
    jobs.rpush(queue.intermediate_queue_key, "a job whose time was up")
    assert recovery_of(jobs).recover(QUEUE) == 0
    assert jobs.llen(queue.intermediate_queue_key) == 0


def test_who_dies_while_putting_back_loses_no_job(jobs: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    (one,) = batches(jobs, 1)
    take(worker(jobs, "dead", alive=False))

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    recovery = recovery_of(jobs)
    execute = redis.client.Pipeline.execute
    # Wherever it dies, after this or that command to Redis: the next one finds the job.
    for survived in range(3):
        left = [survived]

        def execute_or_die(pipe: redis.client.Pipeline, raise_on_error: bool = True, left: list[int] = left) -> object:
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            return execute(pipe, raise_on_error)

        with monkeypatch.context() as dying:
            dying.setattr(redis.client.Pipeline, "execute", execute_or_die)
            with pytest.raises(KeyboardInterrupt):
                recovery.recover(QUEUE)
    assert recovery_of(jobs).recover(QUEUE) == 1
    assert rq_queue(jobs, QUEUE).get_job_ids() == [str(one.batch_id)]


def done(payload: bytes) -> None:
    """Stands for the batch job."""


def test_a_job_put_back_ends_well(jobs: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """RQ deletes a finished job with its executions, the dead one's among them."""
    monkeypatch.setattr("booking_lane.lane.BOOK", "tests.unit.workers.test_recovery.done")
    batches(jobs, 1)
    take(worker(jobs, "dead", alive=False))
    assert recovery_of(jobs).recover(QUEUE) == 1
    successor = SimpleWorker([rq_queue(jobs, QUEUE)], name="successor", connection=jobs, serializer=MsgpackSerializer)
    successor.log_job_description = False
    monkeypatch.setattr(successor, "_install_signal_handlers", lambda: None)
    successor.work(burst=True)
    queue = rq_queue(jobs, QUEUE)
    assert queue.failed_job_registry.count == 0
    assert queue.count == 0
    assert jobs.keys("rq:job:*") == []
    assert jobs.keys("rq:execution*") == []
