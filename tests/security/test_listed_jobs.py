"""A worker runs listed jobs only, whatever a person who can write to Redis puts there."""

from __future__ import annotations

import http.server
import json
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import pytest
import redis
from rq import SimpleWorker
from rq.executions import Execution
from rq.job import Job
from rq.utils import now, utcformat

from booking_lane import lane
from booking_lane.clients import jobs_client
from booking_lane.lane import rq_queue
from booking_lane.listed_jobs import ListedJob
from booking_lane.serializer import MsgpackSerializer
from workers import jobs as worker_jobs
from workers.lane_worker import LaneWorker

QUEUE = "lane-0"
FINE, FAILING = "tests.fine", "tests.failing"


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    client = jobs_client(redis_url)
    yield client
    client.connection_pool.disconnect()


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module that can be imported, and that no test may find imported."""
    name = f"trap_{uuid4().hex}"
    body = "def spring(*args, **kwargs): pass\nclass Trap:\n    spring = staticmethod(spring)\n"
    (tmp_path / f"{name}.py").write_text(body)
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Lists two jobs, and collects the names of those that ran."""
    ran: list[str] = []

    def failing() -> None:
        ran.append(FAILING)
        raise RuntimeError("it fails")

    listed = {FINE: lambda: ran.append(FINE), FAILING: failing}
    monkeypatch.setattr(ListedJob, "functions", MappingProxyType(listed))
    return ran


def write(client: redis.Redis, function: object, *, instance: object = None, **fields: str) -> str:
    """Write a job straight to Redis, as somebody does who has only its password; gives its id."""
    job_id = str(uuid4())
    data = MsgpackSerializer.dumps([function, instance, [], {}])
    at = utcformat(now())
    mapping: dict[Any, Any] = {
        "status": "queued",
        "created_at": at,
        "enqueued_at": at,
        "data": zlib.compress(data),
        "origin": QUEUE,
        "timeout": 30,
        **fields,
    }
    client.hset(f"rq:job:{job_id}", mapping=mapping)
    client.rpush(f"rq:queue:{QUEUE}", job_id)
    return job_id


def work(client: redis.Redis, redis_url: str) -> None:
    worker = LaneWorker(
        [rq_queue(client, QUEUE)],
        name=uuid4().hex,
        connection=client,
        serializer=MsgpackSerializer,
        sign=lambda: jobs_client(redis_url),
    )
    worker.work(burst=True, logging_level="ERROR")
    assert rq_queue(client, QUEUE).count == 0


def failure(client: redis.Redis, job_id: str) -> str:
    job = ListedJob.fetch(job_id, connection=client, serializer=MsgpackSerializer)
    result = job.latest_result()
    assert result is not None
    return str(result.exc_string)


def test_rq_itself_would_import_the_trap(client: redis.Redis, trap: str) -> None:
    write(client, f"{trap}.spring")
    SimpleWorker([QUEUE], connection=client, serializer=MsgpackSerializer).work(burst=True, logging_level="ERROR")
    assert trap in sys.modules


@pytest.mark.parametrize("name", ["{trap}.spring", "{trap}.Trap.spring", "os.system", "exec", "workers.jobs.install"])
def test_a_function_outside_the_list_is_not_run(client: redis.Redis, redis_url: str, trap: str, name: str) -> None:
    job_id = write(client, name.format(trap=trap))
    work(client, redis_url)
    assert "UnlistedJobError" in failure(client, job_id)
    assert trap not in sys.modules


@pytest.mark.parametrize("function", [None, 7, [], {"a": 1}, b"os.system"])
def test_a_function_that_is_no_name_is_not_run(client: redis.Redis, redis_url: str, function: object) -> None:
    job_id = write(client, function)
    work(client, redis_url)
    assert "UnlistedJobError" in failure(client, job_id)


def test_no_method_of_what_a_job_carries_is_run(client: redis.Redis, redis_url: str, ran: list[str]) -> None:
    for function in ("upper", FINE):
        job_id = write(client, function, instance="an object")
        work(client, redis_url)
        assert "UnlistedJobError" in failure(client, job_id)
    assert ran == []


@pytest.mark.parametrize("function", [FINE, FAILING, "os.system"])
@pytest.mark.parametrize("callback", ["success", "failure", "stopped"])
def test_a_callback_is_neither_imported_nor_run(
    client: redis.Redis, redis_url: str, trap: str, ran: list[str], function: str, callback: str
) -> None:
    job_id = write(client, function, **{f"{callback}_callback_name": f"{trap}.spring"})
    work(client, redis_url)
    assert "UnlistedJobError" in failure(client, job_id)
    assert trap not in sys.modules
    assert ran == [], "a job that names a callback is none of ours"


def test_the_callback_of_an_abandoned_job_is_not_run(client: redis.Redis, redis_url: str, trap: str) -> None:
    job_id = write(client, FINE, failure_callback_name=f"{trap}.spring", status="started")
    client.delete(f"rq:queue:{QUEUE}")
    job = ListedJob.fetch(job_id, connection=client, serializer=MsgpackSerializer)
    with client.pipeline() as pipe:
        execution = Execution.create(job, 1, pipe, worker_name="gone")
        pipe.execute()
    past = time.time() - 60
    client.zadd(rq_queue(client, QUEUE).started_job_registry.key, {execution.composite_key: past})
    work(client, redis_url)
    assert "AbandonedJobError" in failure(client, job_id), "RQ's own cleaning found it"
    assert trap not in sys.modules


def test_a_stop_order_does_not_reach_a_worker(client: redis.Redis, redis_url: str, ran: list[str]) -> None:
    worker = LaneWorker(
        [rq_queue(client, QUEUE)],
        name=uuid4().hex,
        connection=client,
        serializer=MsgpackSerializer,
        sign=lambda: jobs_client(redis_url),
    )
    worker.bootstrap("ERROR")
    assert client.publish(worker.pubsub_channel_name, json.dumps({"command": "shutdown"})) == 0
    worker.teardown()  # type: ignore[no-untyped-call]


def test_no_web_hook_is_sent(client: redis.Redis, redis_url: str, ran: list[str]) -> None:
    called: list[str] = []

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            called.append(self.path)

    server = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hooks = [
        {"url": f"http://127.0.0.1:{server.server_port}/{one}", "job_status": one} for one in ("finished", "failed")
    ]
    for function in (FINE, "os.system"):
        job_id = write(client, function, webhooks=json.dumps(hooks))
        stored = ListedJob.fetch(job_id, connection=client, serializer=MsgpackSerializer)
        assert [hook.url for hook in stored.webhooks] == [hook["url"] for hook in hooks], "RQ reads them"
        work(client, redis_url)
        assert "UnlistedJobError" in failure(client, job_id)
    server.shutdown()
    server.server_close()
    assert (called, ran) == ([], [])


def test_listed_jobs_run(client: redis.Redis, redis_url: str, ran: list[str]) -> None:
    for function in (FINE, FAILING, FINE):
        write(client, function)
    work(client, redis_url)
    assert ran == [FINE, FAILING, FINE]


def test_a_worker_lists_the_jobs_that_gateways_and_cron_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ListedJob, "functions", MappingProxyType({}))
    worker_jobs.install()
    assert ListedJob.functions == {
        lane.BOOK: worker_jobs.book,
        lane.GIVE_UP: worker_jobs.give_up,
        lane.HAND_OVER: worker_jobs.hand_over,
        **{f"workers.jobs.{job.__name__}": job for job in (worker_jobs.sweep, worker_jobs.reconcile)},
        **{f"workers.jobs.{job.__name__}": job for job in (worker_jobs.retry_failed, worker_jobs.forget)},
        **{f"workers.jobs.{job.__name__}": job for job in (worker_jobs.seal, worker_jobs.index)},
        **{f"workers.jobs.{job.__name__}": job for job in (worker_jobs.watch, worker_jobs.tell)},
    }


def test_every_queue_and_worker_uses_listed_jobs(client: redis.Redis) -> None:
    assert rq_queue(client, QUEUE).job_class is LaneWorker.job_class is ListedJob
    assert issubclass(ListedJob, Job)
