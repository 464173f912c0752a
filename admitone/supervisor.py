"""Starts and stops the child processes of `admitone up`, and restarts one that ended, after growing pauses."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from admitone.embedded.process import last_lines, spawn

PAUSE_SECONDS_FIRST = 0.5
PAUSE_SECONDS_MAX = 15.0
STEADY_SECONDS = 30.0
"""A child that has run this long has recovered: the pause before its next restart is the shortest again."""


class ChildError(RuntimeError):
    """A child ended before it was ready; the message has the end of its log."""


@dataclass
class Child:
    """One `admitone` subcommand that is kept running; ``stop_seconds_max`` is how long it may take to end."""

    name: str
    arguments: tuple[str, ...]
    environ: Mapping[str, str] = field(repr=False)
    log: Path
    stop_seconds_max: float
    _process: subprocess.Popen[bytes] | None = None
    _started_at: float = 0.0
    _restart_at: float | None = None
    _pause_seconds: float = PAUSE_SECONDS_FIRST

    def start(self) -> None:
        """Start the child. It ends with the thread that calls this, so call it from the main thread."""
        self._process = spawn([sys.executable, "-m", "admitone", *self.arguments], log=self.log, environ=self.environ)
        self._started_at = time.monotonic()
        self._restart_at = None

    def require_alive(self) -> None:
        """Check that the child runs.

        Raises:
            ChildError: it has ended.
        """
        if self._process is not None and self._process.poll() is not None:
            raise ChildError(
                f"{self.name} {_how_ended(self._process.returncode)} as it started; the end of {self.log}:\n"
                f"{last_lines(self.log)}"
            )

    def look_after(self, say: Callable[[str], None]) -> None:
        """Restart it if it has ended and its pause is over; to be called several times a second."""
        now = time.monotonic()
        if self._restart_at is not None:
            if now >= self._restart_at:
                self.start()
            return
        if self._process is None or self._process.poll() is None:
            return
        code = self._process.returncode
        self.kill()
        self._process = None
        if now - self._started_at >= STEADY_SECONDS:
            self._pause_seconds = PAUSE_SECONDS_FIRST
        self._restart_at = now + self._pause_seconds
        say(f"{self.name} {_how_ended(code)}; again in {self._pause_seconds:g} s. Its log: {self.log}")
        self._pause_seconds = min(2 * self._pause_seconds, PAUSE_SECONDS_MAX)

    def stop(self) -> None:
        """Ask it to end (SIGTERM), kill it after ``stop_seconds_max``; harmless if it does not run."""
        self._restart_at = None
        if self._process is not None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(self.stop_seconds_max)
            self.kill()
            self._process.wait()
            self._process = None

    def kill(self) -> None:
        """Send SIGKILL to the child and to all processes that it started; does not wait for their end."""
        if self._process is not None:
            # The child leads a process group of its own (see `spawn`).
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)


def _how_ended(code: int) -> str:
    return f"ended with code {code}" if code >= 0 else f"was killed by {signal.Signals(-code).name}"
