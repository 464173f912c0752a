"""Workers: whether each lane, housekeeping and cron have one that gives signs of life, and how much work waits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, cast

import redis
from rq import Queue
from rq.cron_scheduler_registry import get_registry_key

from admitone.doctor.finding import Finding, error, fine, warning
from admitone.doctor.site import Site
from booking_lane.alive import alive_key, worker_names
from booking_lane.commands import decode_batch
from booking_lane.lane import BOOK, HOUSEKEEPING_QUEUE, MESSAGES_QUEUE, queue_name, rq_queue
from booking_lane.lane_map import map_in_force
from booking_lane.listed_jobs import fetch_jobs

CRON_SECONDS_MAX: Final = 15
"""Cron beats each second. The bound is larger because the last beat is compared with another machine's clock."""
BATCHES_MAX: Final = 20
"""The doctor warns of more batches in a lane. A gateway has two under way, so fifty may have a hundred for a moment."""
OLDEST_SECONDS_MAX: Final = 2
JOBS_SEEN_MAX: Final = 20
OTHER_QUEUES: Final = {
    HOUSEKEEPING_QUEUE: "slots are not reconciled, old outcomes not forgotten",
    MESSAGES_QUEUE: "fans are told nothing by mail, SMS and push",
}
"""The queues that are no lanes, and what suffers where nobody works on them."""
START: Final = "Start `admitone worker`, or look at its log if it runs."


def examine(site: Site) -> Iterator[Finding]:
    jobs = site.jobs
    if jobs is None:
        return
    seconds, micros = jobs.time()
    now_ms = seconds * 1000 + micros // 1000
    for number in map_in_force(jobs, site.settings.lane.count).numbers:
        queue = rq_queue(jobs, queue_name(number))
        yield _workers_of(jobs, queue.name)
        yield _backlog(site, queue, now_ms)
        yield from _failed(queue)
    for name in OTHER_QUEUES:
        other = rq_queue(jobs, name)
        yield _workers_of(jobs, other.name)
        yield from _failed(other)
    yield _cron(jobs, seconds)


def _workers_of(jobs: redis.Redis, queue: str) -> Finding:
    names = worker_names(jobs, queue)
    addresses = jobs.mget([alive_key(queue, name) for name in names]) if names else []
    alive = [cast(bytes, one).decode() for one in addresses if one is not None]
    if not alive:
        harm = OTHER_QUEUES.get(queue, "its events sell nothing")
        return error("up", queue, f"No worker on {queue}: {harm}", START)
    if len(alive) > 1 and queue not in OTHER_QUEUES:
        says = f"{len(alive)} workers on {queue} ({', '.join(alive[:4])}): correct, only slower than one"
        return warning("up", queue, says, "Give each worker process lanes of its own (`admitone worker --lane N`).")
    return fine("up", queue, f"{queue} is worked by {', '.join(alive[:4])}")


def _backlog(site: Site, queue: Queue, now_ms: int) -> Finding:
    """How many batches wait, and how old the oldest command is by the jobs' Redis' clock, which stamped it."""
    waiting = queue.count
    ids = [
        *queue.started_job_registry.get_job_ids(0, JOBS_SEEN_MAX, cleanup=False),
        *queue.get_job_ids(0, JOBS_SEEN_MAX),
    ]
    received = [
        command.received_at_ms
        for job in fetch_jobs(queue.connection, ids)
        if job is not None and job.func_name == BOOK
        for command in decode_batch(job.args[0]).commands
    ]
    oldest_seconds = max(0, now_ms - min(received)) / 1000 if received else 0.0
    code = f"{queue.name}_backlog"
    says = f"{queue.name}: {waiting} batches wait, the oldest unfinished command is {oldest_seconds:.1f} s old"
    fix = "Lower the rate of its events' rooms, look at Postgres' load, or spread the events over more lanes."
    if oldest_seconds > site.settings.lane.command_deadline_seconds / 2:
        return error("behind", code, says, fix)
    if oldest_seconds > OLDEST_SECONDS_MAX or waiting > BATCHES_MAX:
        return warning("behind", code, says, fix)
    return fine("behind", code, says)


def _failed(queue: Queue) -> Iterator[Finding]:
    failed = queue.failed_job_registry.get_job_count(cleanup=False)
    if failed:
        yield warning(
            "behind",
            f"{queue.name}_failed",
            f"{failed} failed jobs in {queue.name}",
            f"Read why in the worker's log; what was booked stays booked, and `rq requeue --queue {queue.name} --all "
            "-S booking_lane.serializer.MsgpackSerializer` tries again.",
        )


def _cron(jobs: redis.Redis, now_seconds: int) -> Finding:
    newest = cast(list[tuple[bytes, float]], jobs.zrange(get_registry_key(), -1, -1, withscores=True))
    if not newest or now_seconds - newest[0][1] > CRON_SECONDS_MAX:
        return error("up", "cron", "No cron: lapsed holds are not swept, slots not reconciled", START)
    return fine("up", "cron", "Cron beats")
