"""Processes of `python -m admitone`, forked from one that has imported everything: a fresh Python spends seconds of a
core on its imports, and the tests start hundreds.

A forked process is like a fresh one in all else: its environment, its folder, its output, its signals and a session of
its own; it runs the module as ``__main__`` and ends as Python ends. `can_fork` tells for which it would not be: then a
test starts a fresh Python.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import json
import os
import runpy
import selectors
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from admitone.embedded.process import open_log

_FOLDER: Final = Path(__file__).parent.parent
PRELOADED: Final = (
    "admitone.cli",
    "admitone.asgi",
    "admitone.crowd",
    "admitone.doctor.examination",
    "admitone.doctor.report",
    "admitone.draw",
    "admitone.keys",
    "admitone.operator",
    "admitone.rehearsal.generator",
    "admitone.room",
    "admitone.telemetry",
    "admitone.webhook",
    "anyio._backends._asyncio",
    "db.audit.invariants",
    "db.events.seed",
    "db.migrate",
    "gateway.wire.bounded_connection",
    "pydantic.functional_validators",
    "pydantic.type_adapter",
    "uvicorn.lifespan.on",
    "uvicorn.loops.uvloop",
    "uvloop",
    "workers.channels.dispatcher",
    "workers.messages.alarm_sender",
    "workers.messages.making",
    "workers.messages.process",
    "workers.pool",
    "workers.settings",
)
"""What the commands import when they run. A module that starts a thread may not be among them."""
READ_AT_START: Final = ("PYTHON", "LD_", "MALLOC_", "FAKETIME", "OPENSSL", "TZ", "LANG", "LC_")
"""Python, the loader and the C library read variables of these names once, as a process starts."""
_STATUS: Final = struct.Struct("q")
_LENGTH: Final = struct.Struct("I")
_PR_SET_PDEATHSIG: Final = 1


def can_fork(environ: Mapping[str, str]) -> bool:
    """Whether a forked process with this environment would be like a fresh one."""

    def read_at_start(variables: Mapping[str, str]) -> dict[str, str]:
        return {name: value for name, value in variables.items() if name.startswith(READ_AT_START)}

    return sys.platform == "linux" and read_at_start(environ) == read_at_start(_environ())


class Forked:
    """A process that was forked for this one, with what the tests use of `subprocess.Popen`.

    ``returncode`` is as there: the code, a signal's negative number, or None while the process runs.
    """

    def __init__(self, pid: int, status: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._status = status
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        return self._await(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end of the process; gives its code.

        Raises:
            subprocess.TimeoutExpired: it still runs after ``timeout`` seconds.
        """
        until = None if timeout is None else time.monotonic() + timeout
        while (code := self._await(0.05 if until is None else min(0.05, max(0.0, until - time.monotonic())))) is None:
            if until is not None and time.monotonic() >= until:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _await(self, seconds: float) -> int | None:
        # Short waits under the lock: a test may wait in one thread and poll in another.
        with self._lock, selectors.DefaultSelector() as selector:
            if self.returncode is None:
                selector.register(self._status, selectors.EVENT_READ)
                if selector.select(seconds):
                    self.returncode = _read_status(self._status)
                    os.close(self._status)
            return self.returncode


def fork(module: str, *arguments: str, log: Path, folder: Path, environ: Mapping[str, str]) -> Forked:
    """Run a module as ``__main__`` in a process of its own; its output is appended to ``log``."""
    with open_log(log) as output:
        return fork_to(
            module, *arguments, stdout=output.fileno(), stderr=output.fileno(), folder=folder, environ=environ
        )


def fork_to(module: str, *arguments: str, stdout: int, stderr: int, folder: Path, environ: Mapping[str, str]) -> Forked:
    """The same, with descriptors for its output; these stay the caller's to close."""
    global _server
    with _lock:
        if _server is None:
            _server = _Server()
        return _server.fork(_Request(module, arguments, str(folder), dict(environ)), stdout, stderr)


def _environ() -> dict[str, str]:
    """The environment of the process that forks."""
    return {**os.environ, "PYTHONUNBUFFERED": "1"}


@dataclass(frozen=True)
class _Request:
    module: str
    arguments: tuple[str, ...]
    folder: str
    environ: dict[str, str] = field(repr=False)


class _Server:
    """The process that forks, as its clients see it. It ends when they do, and what it forked ends with it."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.forking", str(theirs.fileno())],
                cwd=_FOLDER,
                env=_environ(),
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        atexit.register(self._end)

    def fork(self, request: _Request, stdout: int, stderr: int) -> Forked:
        body = json.dumps(vars(request)).encode()
        status, theirs = os.pipe()
        try:
            socket.send_fds(self._socket, [_LENGTH.pack(len(body))], [stdout, stderr, theirs])
            self._socket.sendall(body)
        finally:
            os.close(theirs)
        return Forked(_read_status(status), status)

    def _end(self) -> None:
        # A shutdown reaches the server even where a process that a test forked still holds the socket.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._process.wait()


_server: _Server | None = None
_lock = threading.Lock()


def _read_status(descriptor: int) -> int:
    read = os.read(descriptor, _STATUS.size)
    if len(read) < _STATUS.size:
        raise RuntimeError("the process that forks has ended; see the test run's standard error")
    return int(_STATUS.unpack(read)[0])


# -- in the process that forks


def _serve(control: socket.socket) -> _Request | None:
    """Fork what is asked for. Returns None when the client has gone, and the request in each forked process."""
    statuses: dict[int, tuple[int, int]] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not control:
                    # A child has ended.
                    pid, status = statuses.pop(key.fd)
                    selector.unregister(key.fd)
                    os.close(key.fd)
                    _, code = os.waitpid(pid, 0)
                    _tell(status, os.waitstatus_to_exitcode(code))
                    os.close(status)
                    continue
                length, descriptors, _, _ = socket.recv_fds(control, _LENGTH.size, 3)
                if not length:
                    return None
                request = _request(control, _LENGTH.unpack(length)[0])
                stdout, stderr, status = descriptors
                parent, pid = os.getpid(), os.fork()
                if not pid:
                    _become(request, parent, stdout, stderr)
                    for end, (_, other) in statuses.items():
                        os.close(end)
                        os.close(other)
                    os.close(status)
                    return request
                ended = os.pidfd_open(pid)
                statuses[ended] = (pid, status)
                selector.register(ended, selectors.EVENT_READ)
                os.close(stdout)
                os.close(stderr)
                _tell(status, pid)


def _request(control: socket.socket, length: int) -> _Request:
    body = b""
    while len(body) < length:
        body += control.recv(length - len(body))
    said: dict[str, Any] = json.loads(body)
    return _Request(**{**said, "arguments": tuple(said["arguments"])})


def _tell(status: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(status, _STATUS.pack(number))


def _become(request: _Request, parent: int, stdout: int, stderr: int) -> None:
    os.setsid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)
    for descriptor, number in ((stdout, 1), (stderr, 2)):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(request.folder)
    os.environ.clear()
    os.environ.update(request.environ)


def _main(descriptor: int) -> None:
    for name in PRELOADED:
        import_module(name)
    # Not above: the tests' own processes import this module, and need none of it.
    from tests import made_before, passwords

    passwords.hash_lightly()
    made_before.make()
    threads = os.listdir("/proc/self/task")
    assert len(threads) == 1, "a fork takes none of a process's threads along, so no preloaded module may start one"
    gc.collect()
    # What is there now is never freed: so no collection touches, and thereby copies, the pages that are shared.
    gc.freeze()
    with socket.socket(fileno=descriptor) as control:
        request = _serve(control)
    if request is not None:
        sys.argv[1:] = request.arguments
        _run(request.module)


def _run(module: str) -> None:
    """Run the module and end the process as Python does, but let the kernel free what there is: Python would touch, and
    thereby copy, all that the process shares with the others. That took longer than to start a command.
    """
    code = 0
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if not isinstance(end.code, int | None):
            raise
        code = end.code or 0
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code & 0xFF)


if __name__ == "__main__":
    _main(int(sys.argv[1]))
