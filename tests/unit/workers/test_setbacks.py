"""What becomes of a job that failed or whose worker died, with what RQ itself leaves in Redis."""

from __future__ import annotations

import psycopg
import pytest
import redis
from rq import SimpleWorker
from rq.job import Job

from booking_lane.commands import Batch, decode_batch
from booking_lane.lane import BOOK, GIVE_UP, Lane, rq_queue
from booking_lane.serializer import MsgpackSerializer
from tests.unit.booking_lane.asks import batch, reserve
from workers.engine.engine import OutageError
from workers.setbacks import Setbacks

QUEUE = "lane-0"
SETBACKS_MAX = 3


def fails(payload: bytes) -> None:
    """Stands for the batch job; what is wrong is the batch's own."""
    raise psycopg.errors.SerializationFailure("again and again")


def meets_an_outage(payload: bytes) -> None:
    raise OutageError("Postgres stayed away")


def redis_is_away(payload: bytes) -> None:
    raise redis.ConnectionError("Redis stayed away")


def work(jobs: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker takes all there is."""
    worker = SimpleWorker([rq_queue(jobs, QUEUE)], name="a-worker", connection=jobs, serializer=MsgpackSerializer)
    worker.log_job_description = False
    monkeypatch.setattr(worker, "_install_signal_handlers", lambda: None)
    worker.work(burst=True, logging_level="CRITICAL")


def replace(monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    """Let the jobs' functions be one of this module's."""
    for name in ("booking_lane.lane", "workers.setbacks"):
        for constant, suffix in (("BOOK", ""), ("GIVE_UP", "_given_up")):
            monkeypatch.setattr(f"{name}.{constant}", f"{__name__}.{function}{suffix}")


fails_given_up = fails


def enqueued(jobs: redis.Redis) -> list[tuple[str, Batch]]:
    found = []
    for job in Job.fetch_many(rq_queue(jobs, QUEUE).get_job_ids(), connection=jobs, serializer=MsgpackSerializer):
        assert job is not None
        assert job.func_name is not None
        found.append((job.func_name.rpartition(".")[2], decode_batch(job.args[0])))
    return found


def test_a_failed_batch_is_tried_whole_then_in_parts_then_given_up(
    jobs: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace(monkeypatch, "fails")
    commands = [reserve(1, fan, (1, 1, fan)) for fan in range(1, 4)]
    sent = batch(*commands)
    Lane(jobs, 0, 60).enqueue(sent)
    setbacks = Setbacks(jobs, SETBACKS_MAX)
    failed = rq_queue(jobs, QUEUE).failed_job_registry

    for _ in range(SETBACKS_MAX - 1):
        work(jobs, monkeypatch)
        assert failed.count == 1
        assert setbacks.retry_failed(QUEUE) == 1
        assert enqueued(jobs) == [("fails", sent)]
        assert failed.count == 0

    work(jobs, monkeypatch)
    assert setbacks.retry_failed(QUEUE) == 1
    assert [part.commands for _, part in enqueued(jobs)] == [(command,) for command in commands]
    assert {name for name, _ in enqueued(jobs)} == {"fails"}
    assert {(part.origin, part.lane) for _, part in enqueued(jobs)} == {(sent.origin, sent.lane)}
    assert not jobs.keys(f"rq:*{sent.batch_id}*"), "the whole batch is gone"

    work(jobs, monkeypatch)
    assert setbacks.retry_failed(QUEUE) == 3
    given_up = enqueued(jobs)
    assert {name for name, _ in given_up} == {"fails_given_up"}
    assert {part.commands for _, part in given_up} == {(command,) for command in commands}

    for _ in range(SETBACKS_MAX - 1):
        work(jobs, monkeypatch)
        assert setbacks.retry_failed(QUEUE) == 3
    work(jobs, monkeypatch)
    assert setbacks.retry_failed(QUEUE) == 0, "nothing is tried for ever"
    assert failed.count == 3, "the operator finds them here"


@pytest.mark.parametrize("outage", ["meets_an_outage", "redis_is_away"])
def test_an_outage_is_no_setback(jobs: redis.Redis, monkeypatch: pytest.MonkeyPatch, outage: str) -> None:
    replace(monkeypatch, outage)
    sent = batch(reserve(1, 1, (1, 1, 1)), reserve(1, 2, (1, 1, 2)))
    Lane(jobs, 0, 60).enqueue(sent)
    setbacks = Setbacks(jobs, SETBACKS_MAX)
    for _ in range(3 * SETBACKS_MAX):
        work(jobs, monkeypatch)
        assert setbacks.retry_failed(QUEUE) == 1
        assert enqueued(jobs) == [(outage, sent)]


def test_failed_jobs_that_are_no_batches_are_left_alone(jobs: redis.Redis) -> None:
    queue = rq_queue(jobs, QUEUE)
    strangers = [
        queue.enqueue(BOOK, args=[b"no batch"]),
        queue.enqueue(GIVE_UP),
        queue.enqueue("workers.jobs.sweep", args=[0]),
    ]
    jobs.hset(queue.enqueue("somebody.elses").key, "data", b"no msgpack")
    for job_id in queue.get_job_ids():
        job = Job.fetch(job_id, connection=jobs, serializer=MsgpackSerializer)
        queue.failed_job_registry.add(job, ttl=60)
    jobs.delete(queue.key)
    assert Setbacks(jobs, SETBACKS_MAX).retry_failed(QUEUE) == 0
    assert queue.failed_job_registry.count == len(strangers) + 1
