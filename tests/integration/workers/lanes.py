"""Real worker processes, and the gateway's side of the lane: what goes in, what comes out."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import msgspec
import redis
from rq import Queue

from admitone.embedded.process import last_lines
from booking_lane.commands import Batch, Command, command_id_new
from booking_lane.lane import Lane, queue_name, rq_queue
from booking_lane.results import decode_record, job_key
from tests.factories import make_event
from tests.integration.engine.books import plan
from tests.services import Service, start_module

LANES = 2
BACK_SECONDS_MAX = 5.0
"""What a dead worker costs at most, as the architecture promises."""


def await_true(what: str, check: Callable[[], object], seconds_max: float = 10.0) -> float:
    """Seconds until ``check`` held.

    Raises:
        AssertionError: it did not within ``seconds_max``.
    """
    begun = time.monotonic()
    while not check():
        assert time.monotonic() - begun < seconds_max, f"{what}: not within {seconds_max} s"
        time.sleep(0.01)
    return time.monotonic() - begun


@dataclass
class Lanes:
    database_url: str
    jobs: redis.Redis
    environ: Mapping[str, str] = field(repr=False)
    folder: Path
    pools: list[Service] = field(default_factory=list)

    # -- processes

    def pool(self) -> Service:
        """Start a pool that heeds `stop_at`; returns when its workers listen."""
        log = self.folder / f"pool-{len(self.pools) + 1}.log"
        process = start_module("tests.integration.workers.entry", str(self.folder), log=log, environ=self.environ)
        service = Service(log.stem, process, log)
        self.pools.append(service)
        return service

    def cashier(self) -> Service:
        """Start a cashier that heeds `stop_at`, and is there again at once when it is killed; returns once all that it
        needs is loaded.
        """
        log, loaded = self.folder / "cashier.log", self.folder / "loaded"
        module = "tests.integration.workers.cashiers"
        process = start_module(module, str(self.folder), str(loaded), log=log, environ=self.environ)
        service = Service(log.stem, process, log)
        self.pools.append(service)
        await_true("the cashier has loaded", loaded.exists, 60)
        return service

    def await_workers(self, pools: int = 1) -> None:
        """Until every lane has a living worker of each pool."""
        await_true("workers listen", lambda: all(len(self.alive(lane)) >= pools for lane in range(LANES)), 20)

    def next_pool(self) -> Service:
        """Start a pool in place of one that is gone; returns when its own workers listen. How long a process takes to
        start is the machine's affair, and no part of what a dead worker costs.
        """
        gone = {key for lane in range(LANES) for key in self.alive(lane)}
        pool = self.pool()
        await_true("the next pool listens", lambda: all(set(self.alive(lane)) - gone for lane in range(LANES)), 20)
        return pool

    def alive(self, lane: int) -> list[bytes]:
        return cast(list[bytes], self.jobs.keys(f"booking:alive:{queue_name(lane)}:*"))

    def stop_at(self, point: str) -> None:
        (self.folder / "reached").unlink(missing_ok=True)
        (self.folder / point).touch()

    def go_on(self, point: str) -> None:
        (self.folder / point).unlink()

    def reached(self) -> int:
        """The id of the lane worker's process that stands at the point."""
        reached = self.folder / "reached"
        await_true("the point is reached", lambda: reached.exists() and reached.read_text(), 60)
        return int(reached.read_text())

    def kill_at(self, point: str) -> int:
        pid = self.reached()
        os.kill(pid, signal.SIGKILL)
        self.go_on(point)
        return pid

    def report(self) -> str:
        return "\n".join(f"--- {pool.name}\n{last_lines(pool.log, 40)}" for pool in self.pools)

    # -- the lane

    def event_in_lane(self, lane: int, room: str = "off") -> int:
        while True:
            event = make_event(self.database_url, plan(room=room))
            if event % LANES == lane:
                return event

    def now_ms(self) -> int:
        seconds, micros = self.jobs.time()
        return int(seconds) * 1000 + int(micros) // 1000

    def enqueue(self, lane: int, *commands: Command) -> Batch:
        batch = Batch(command_id_new(), "a gateway", lane, commands)
        Lane(self.jobs, lane, 600).enqueue(batch)
        return batch

    def answer(self, command: Command) -> dict[str, Any] | None:
        found = self.jobs.get(job_key(command.command_id))
        if found is None:
            return None
        body = decode_record(cast(bytes, found)).body
        return msgspec.json.decode(body) if body else None

    def await_answers(self, *commands: Command, seconds_max: float = 10.0) -> tuple[float, list[str]]:
        """How long they took, and their codes (``ok`` for a result)."""
        seconds = await_true(
            "every command is answered", lambda: all(self.answer(command) for command in commands), seconds_max
        )
        answers = [self.answer(command) or {} for command in commands]
        return seconds, [answer.get("problem", {"code": "ok"})["code"] for answer in answers]

    def queue(self, lane: int) -> Queue:
        return rq_queue(self.jobs, queue_name(lane))

    def assert_nothing_left(self, *batches: Batch) -> None:
        """RQ has finished with these batches: in no queue, in no registry, no failed one."""

        def left() -> dict[str, list[str]]:
            found: dict[str, list[str]] = {}
            ids = {str(batch.batch_id) for batch in batches}
            for lane in range(LANES):
                queue = self.queue(lane)
                places = {
                    "queue": queue.get_job_ids(),
                    "intermediate": queue.intermediate_queue.get_job_ids(),
                    "started": queue.started_job_registry.get_job_ids(cleanup=False),
                    "failed": queue.failed_job_registry.get_job_ids(cleanup=False),
                    "finished": queue.finished_job_registry.get_job_ids(cleanup=False),
                    "scheduled": queue.scheduled_job_registry.get_job_ids(cleanup=False),
                    "deferred": queue.deferred_job_registry.get_job_ids(cleanup=False),
                }
                for place, jobs in places.items():
                    if mine := sorted(ids & set(jobs)):
                        found[f"{place} of lane {lane}"] = mine
            for batch_id in ids:
                if keys := self.jobs.keys(f"rq:*{batch_id}*"):
                    found[f"keys of {batch_id}"] = [key.decode() for key in cast(list[bytes], keys)]
            return found

        try:
            await_true("RQ has finished", lambda: not left(), 5)
        except AssertionError:
            raise AssertionError(f"left in RQ: {left()}") from None
