"""Work in processes of its own, so that a generator shares no interpreter with anything measured."""

from __future__ import annotations

import multiprocessing
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from typing import Generic, TypeVar

T = TypeVar("T")

_fork = multiprocessing.get_context("fork")


class Apart(Generic[T]):
    """A forked process that runs ``work`` and sends its result back."""

    def __init__(self, work: Callable[[], T]) -> None:
        self.receiver, sender = _fork.Pipe(duplex=False)
        self.process = _fork.Process(target=_run, args=(work, sender), daemon=True)
        self.process.start()
        sender.close()

    def result(self) -> T:
        """What ``work`` returned; waits for it.

        Raises:
            RuntimeError: it failed; the message is its traceback.
        """
        try:
            good, value = self.receiver.recv()
        except EOFError:
            good, value = False, "the process ended without a result"
        self.process.join()
        if not good:
            raise RuntimeError(value)
        result: T = value
        return result


def _run(work: Callable[[], object], sender: Connection) -> None:
    try:
        sender.send((True, work()))
    except BaseException:
        sender.send((False, traceback.format_exc()))


def apart(work: Callable[[], T]) -> T:
    """Run ``work`` in a forked process and return its result."""
    return Apart(work).result()


def gather(
    works: Sequence[Apart[T]], meanwhile: Callable[[], None] | None = None, every_seconds: float = 1.0
) -> list[T]:
    """The results of all; ``meanwhile`` is called every so often until the last has come."""
    pending = {one.receiver: one for one in works}
    results: dict[int, T] = {}
    next_at = time.monotonic() + every_seconds
    while pending:
        for ready in wait(list(pending), timeout=max(0.0, next_at - time.monotonic()) if meanwhile else None):
            assert isinstance(ready, Connection)
            one = pending.pop(ready)
            results[id(one)] = one.result()
        if meanwhile and time.monotonic() >= next_at:
            meanwhile()
            next_at += every_seconds
    return [results[id(one)] for one in works]
