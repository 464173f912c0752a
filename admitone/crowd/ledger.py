"""What clients were told, kept to be compared with what Postgres holds (``admitone audit --ledger``)."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from db.audit.ledger import LedgerLine


class Ledger:
    """Appends lines to a file, each whole and at once; closing makes them durable.

    Args:
        path: the file; its folder must exist. None keeps no ledger.
    """

    def __init__(self, path: Path | None) -> None:
        # Unbuffered: a line is one write(2), so another crowd's lines never land inside it.
        self._file = path.open("ab", buffering=0) if path is not None else None

    def write(self, line: LedgerLine) -> None:
        """Append one line."""
        if self._file is not None:
            self._file.write(msgspec.json.encode(line) + b"\n")

    def close(self) -> None:
        """Bring the lines to the disk and close the file."""
        if self._file is not None:
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
