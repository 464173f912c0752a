"""What the embedded servers have in common: a folder, a lock on it, a process, and an end to it."""

from __future__ import annotations

import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from admitone.embedded.process import AlreadyRunningError, FolderLock


class EmbeddedServer(ABC):
    """A server whose data is kept in `data_dir` between runs; its log and lock lie beside the folder."""

    name: ClassVar[str]

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir.absolute()
        self.log = self.data_dir.with_name(self.data_dir.name + ".log")
        self.url = ""
        self._lock = FolderLock(self.data_dir.with_name(self.data_dir.name + ".lock"))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        """Start the server; gives its URL once it answers.

        Raises:
            AlreadyRunningError: another living process runs a server on this folder.
            EmbeddedError: it cannot be started; the message says why.
        """
        self.begin()
        return self.finish()

    def begin(self) -> None:
        """Start the server without waiting until it answers, so that others can start meanwhile; `finish` waits.

        Raises:
            AlreadyRunningError: another living process runs a server on this folder.
            EmbeddedError: it cannot be started; the message says why.
        """
        self._make_folder()
        try:
            self._lock.take()
        except AlreadyRunningError as error:
            raise AlreadyRunningError(f"A {self.name} already runs on {self.data_dir} ({error}).") from None
        with self._or_stop():
            self._begin()

    def finish(self) -> str:
        """Wait until the server that was begun answers; gives its URL.

        Raises:
            EmbeddedError: it does not answer; the message says why.
        """
        with self._or_stop():
            self.url = self._finish()
        return self.url

    @contextmanager
    def _or_stop(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.stop()
            raise

    @abstractmethod
    def _make_folder(self) -> None:
        """Make the folder that the lock lies in, if it is not there."""

    @abstractmethod
    def _begin(self) -> None:
        """Start the process."""

    @abstractmethod
    def _finish(self) -> str:
        """Wait until it answers; gives the URL."""

    @abstractmethod
    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Stop the running process and leave the data clean."""

    def stop(self) -> None:
        """Stop the server and leave the data clean; harmless if it is not running."""
        if self._process is not None:
            self._end(self._process)
            self._process = None
        self.url = ""
        self._lock.release()

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
