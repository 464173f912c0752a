"""`admitone worker`, that stops where a test tells it to: python -m tests.integration.workers.entry FOLDER.

At each probe named by a file FOLDER/<point> the process writes its id to FOLDER/reached and waits, until the
file is gone; ``taken`` is before the transaction begins. While there is a file FOLDER/deadly, a command of the fan
it names kills the process that decides it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from admitone.settings import Settings
from booking_lane.commands import Command
from db.booking.results import Result
from workers.engine import engine as engine_module
from workers.engine.book import Book
from workers.engine.commands import decide
from workers.engine.engine import Applied, Engine
from workers.pool import Pool
from workers.settings import WorkerSettings

STALLED_SECONDS_MAX = 30


def stopping_at(folder: Path) -> Callable[[str], None]:
    """A probe that stops where ``folder`` says."""

    def probe(point: str) -> None:
        stop = folder / point
        if not stop.exists():
            return
        (folder / "reached").write_text(str(os.getpid()))
        until = time.monotonic() + STALLED_SECONDS_MAX
        while stop.exists() and time.monotonic() < until:
            time.sleep(0.01)

    return probe


def main(folder: Path) -> None:
    probe = stopping_at(folder)
    apply = Engine.apply

    def taken_then_apply(engine: Engine, commands: Sequence[Command]) -> Applied:
        probe("taken")
        return apply(engine, commands)

    def decide_or_die(book: Book, command: Command) -> Result:
        deadly = folder / "deadly"
        if deadly.exists() and deadly.read_text() == str(command.user_id):
            os.kill(os.getpid(), signal.SIGKILL)
        return decide(book, command)

    Engine.apply = taken_then_apply  # type: ignore[method-assign,assignment]
    vars(engine_module)["decide"] = decide_or_die
    Pool(Settings.load().part(WorkerSettings), probe=probe).start()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
