"""Keeps the answers that fans got in a file, which ``admitone audit --ledger`` compares with Postgres."""

from __future__ import annotations

import datetime as dt
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import msgspec

from db.audit.ledger import LedgerLine

Kind = Literal["reserve", "checkout", "release", "cancel", "wait"]

_encode = msgspec.json.Encoder().encode


def line_of(kind: Kind, user_id: int, event_id: int, job: Mapping[str, Any]) -> LedgerLine:
    """The ledger's line for a finished job; ``job`` is the API's JSON object."""
    return LedgerLine(
        at=dt.datetime.now(dt.UTC),
        user_id=user_id,
        event_id=event_id,
        kind=kind,
        job_id=msgspec.convert(job["jobId"], uuid.UUID),
        status=job["status"],
        result=job.get("result"),
        code=str(job["problem"]["code"]) if job["status"] == "failed" else None,
    )


def ledger_sentence(path: Path, error: OSError) -> str:
    """What a command says of a ledger that it cannot write."""
    return f"The ledger {path} cannot be written ({error.strerror}): name a file in a writable folder."


class Ledger:
    """Appends lines to a file, each whole and at once; closing makes them durable.

    Args:
        path: the file; its folder must exist. None keeps no ledger.
    """

    def __init__(self, path: Path | None) -> None:
        # Unbuffered: a line is one write(2), so that lines of several processes never mix.
        self._file = path.open("ab", buffering=0) if path is not None else None

    def write(self, line: LedgerLine) -> None:
        """Append one line."""
        if self._file is not None:
            self._file.write(_encode(line) + b"\n")

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
