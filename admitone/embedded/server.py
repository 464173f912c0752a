"""What the embedded servers have in common: a folder, a lock on it, a process, and an end to it."""

from __future__ import annotations

import subprocess
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from admitone.embedded.process import FolderLock


class EmbeddedServer(ABC):
    """A server whose data is kept in `data_dir` between runs; its log and lock lie beside the folder."""

    name: ClassVar[str]

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir.absolute()
        self.log = self.data_dir.with_name(self.data_dir.name + ".log")
        self.url = ""
        self._lock = FolderLock(self.data_dir.with_name(self.data_dir.name + ".lock"))
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def start(self) -> str:
        """Start the server; gives its URL once it answers."""

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
