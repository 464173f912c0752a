"""The signals that ask a process of ours for its orderly end, and its end where something hangs."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from collections.abc import Callable


def ending_signals() -> tuple[signal.Signals, ...]:
    """SIGTERM, SIGINT, and SIGHUP as when a terminal is closed; not SIGHUP where `nohup` or a parent ignores it."""
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return (signal.SIGTERM, signal.SIGINT) if ignored else (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def end_process_within(seconds: float) -> None:
    """End this process after so long if it still lives, whatever hangs in it, as a thread that looks up a name.

    The system's own ``_exit`` takes the alarm, so the process ends with the alarm's number, 14: no step of Python is
    needed, which may be waiting for such a thread in its last moments. Without any handler the alarm would not do: in a
    container the process has number 1, and the kernel gives that one no signal which it has not asked for.
    """
    system = ctypes.CDLL(None)
    system.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
    system.signal.restype = ctypes.c_void_p
    system.signal(signal.SIGALRM, ctypes.cast(system._exit, ctypes.c_void_p))
    signal.setitimer(signal.ITIMER_REAL, seconds)


def watch_for_end(begin: Callable[[], None], seconds_max: float) -> None:
    """Call ``begin`` at the first ending signal, from a thread of its own, and end the process after ``seconds_max``.

    Python calls a handler only between two steps of the main thread, which may be looking up a name for a minute. To be
    called in the main thread of a process without a loop of asyncio; a child that is forked calls `watch_no_more`.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    numbers = set(ending_signals())

    def watch() -> None:
        while not numbers.intersection(os.read(reading, 64)):
            pass
        end_process_within(seconds_max)
        begin()

    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=watch, daemon=True, name="end").start()


def watch_no_more() -> None:
    """In a forked child: signals are not its parent's concern."""
    signal.set_wakeup_fd(-1)
