"""Looks after the lanes: hands over what events leave, and takes over what a lane without workers left behind."""

from __future__ import annotations

import logging
import time
from typing import Final

import redis
from rq import Queue
from rq.job import Job, JobStatus

from booking_lane.alive import alive_workers
from booking_lane.commands import decode_batch
from booking_lane.lane import BOOK, GIVE_UP, HAND_OVER, hand_over_data, job_data, queue_name, rq_queue
from booking_lane.lane_map import LaneMap, ask_to_hand_over, map_in_force, settle
from booking_lane.listed_jobs import fetch_jobs
from db.lanes.maps import LANES_MAX
from workers.recovery import Recovery

logger = logging.getLogger(__name__)

OTHERS_SECONDS_MAX: Final = 1.0
LOOK_SECONDS: Final = 0.02
TAKEN_OVER_MAX: Final = 1000
_UNDER_WAY: Final = (JobStatus.QUEUED, JobStatus.STARTED)


def hand_over(client: redis.Redis, queue: Queue, job_id: str, lane: int, revision: int) -> None:
    """Say that the lane has applied all that it was given before the map's ``revision``. This job stands behind all of
    it; but another worker of the lane may still be at work on a batch, or have died at it. Then the job goes to the
    end of the queue once more.

    Raises:
        redis.RedisError: Redis does not answer.
    """
    others = {*queue.started_job_registry.get_job_ids(cleanup=False), *queue.intermediate_queue.get_job_ids()}
    others.discard(job_id)
    until = time.monotonic() + OTHERS_SECONDS_MAX
    while others := {other for other in others if _is_under_way(client, other)}:
        if time.monotonic() >= until:
            logger.warning("%s: the hand-over waits for %d batches", queue.name, len(others))
            queue.enqueue_many([hand_over_data(lane, revision)])
            return
        time.sleep(LOOK_SECONDS)
    settle(client, lane, revision)
    logger.info("lane %d has handed over before revision %d", lane, revision)


def _is_under_way(client: redis.Redis, job_id: str) -> bool:
    status = client.hget(Job.key_for(job_id), "status")
    return isinstance(status, bytes) and status.decode() in _UNDER_WAY


def ask_again(client: redis.Redis, lane_map: LaneMap) -> None:
    """Ask every lane that has yet to hand over to do so, in case its job was lost.

    Raises:
        redis.RedisError: Redis does not answer.
    """
    for one in lane_map.leaving:
        with client.pipeline() as pipe:
            ask_to_hand_over(client, pipe, one.left, one.revision)
            pipe.execute()


class TakingOver:
    """Takes the batches of lanes that no event belongs to any more, and that no worker looks after, to another lane.

    Args:
        recovery: puts the batches of the lane's dead workers back first.
        count: the setting's number of lanes.
    """

    def __init__(self, client: redis.Redis, recovery: Recovery, count: int) -> None:
        self._client = client
        self._recovery = recovery
        self._count = count

    def take_over(self) -> int:
        """Take over what was left behind, and return how many jobs.

        Raises:
            redis.RedisError: Redis does not answer.
        """
        used = map_in_force(self._client, self._count).lanes.numbers
        left = self._with_jobs([lane for lane in range(LANES_MAX) if lane not in used])
        if not left:
            return 0
        into = next((lane for lane in used if alive_workers(self._client, queue_name(lane))), None)
        return 0 if into is None else sum(self._take_over_lane(lane, into) for lane in left)

    def _with_jobs(self, lanes: list[int]) -> list[int]:
        queues = [rq_queue(self._client, queue_name(lane)) for lane in lanes]
        with self._client.pipeline(transaction=False) as pipe:
            for queue in queues:
                pipe.llen(queue.key)
                pipe.zcard(queue.started_job_registry.key)
            found = pipe.execute()
        return [lane for lane, waiting, begun in zip(lanes, found[::2], found[1::2], strict=True) if waiting or begun]

    def _take_over_lane(self, lane: int, into: int) -> int:
        queue = rq_queue(self._client, queue_name(lane))
        if alive_workers(self._client, queue.name):
            return 0
        self._recovery.recover(queue.name)
        target = rq_queue(self._client, queue_name(into))
        # All of them go to one lane, in their order, so that the hand-over stays behind what it speaks of.
        jobs = fetch_jobs(self._client, queue.get_job_ids(0, TAKEN_OVER_MAX))
        taken = [job for job in jobs if job is not None and self._move(queue, target, job)]
        if taken:
            logger.warning("%s has no worker and no events: %d jobs go to %s", queue.name, len(taken), target.name)
        return len(taken)

    def _move(self, queue: Queue, target: Queue, job: Job) -> bool:
        """Move one job in one MULTI. A worker that takes it meanwhile does no harm: what was applied is recorded."""
        with self._client.pipeline() as pipe:
            if job.func_name in (BOOK, GIVE_UP):
                commands = len(decode_batch(job.args[0]).commands)
                data = job_data(
                    job.func_name, job.args[0], description=f"{commands} commands, taken over", meta=dict(job.meta)
                )
                target.enqueue_many([data], pipeline=pipe)
            elif job.func_name == HAND_OVER:
                target.enqueue_many([hand_over_data(*job.args)], pipeline=pipe)
            pipe.lrem(queue.key, 1, job.id)
            pipe.delete(job.key)
            pipe.execute()
        return job.func_name in (BOOK, GIVE_UP, HAND_OVER)
