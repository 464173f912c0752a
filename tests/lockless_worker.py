"""A worker pool whose engine can do without its locks: the negative control's way to start one.

Reads the same environment as ``admitone worker``. Arguments: ``locks`` or ``lockless``, then the longest
time in seconds that a transaction sleeps between its decisions and its writes; each draws its own, so that they
overtake one another.
"""

from __future__ import annotations

import logging
import random
import sys
import time

from admitone.settings import Settings
from workers.pool import Pool
from workers.settings import WorkerSettings


def main(locks: str, sleep_seconds: str) -> None:
    """Work lane 0 until told to end."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    seconds_max = float(sleep_seconds)

    def probe(point: str) -> None:
        if point == "decided":
            time.sleep(random.uniform(seconds_max / 2, seconds_max))

    settings = Settings.load().part(WorkerSettings)
    Pool(settings, lanes=(0,), locks={"locks": True, "lockless": False}[locks], probe=probe).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
