"""A stock SimpleWorker on the baseline's queue: ``python -m bench.baseline.worker``."""

from __future__ import annotations

import logging
import os

import redis
from rq import Queue, SimpleWorker

from bench.baseline.jobs import QUEUE


def main() -> None:
    logging.getLogger("rq").setLevel(logging.WARNING)
    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    SimpleWorker([Queue(QUEUE, connection=client)], connection=client).work(logging_level="WARNING")


if __name__ == "__main__":
    main()
