"""What a running `admitone up` leaves for the other commands: its servers' addresses, its secret, and who is paid."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

_FILE = "running.json"
_NAMES = ("DATABASE_URL", "REDIS_URL", "ADMITONE_SECRET", "ADMITONE_PAYMENT_PROVIDERS", "ADMITONE_URL")


def note(folder: Path, environ: Mapping[str, str], url: str) -> None:
    """Write the file, readable by its owner alone."""
    variables = {name: environ[name] for name in _NAMES if name in environ} | {"ADMITONE_URL": url}
    path = folder / _FILE
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.encode(variables))


def forget(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        (folder / _FILE).unlink()


def read(folder: Path) -> dict[str, str]:
    """The variables that were noted; empty if no `admitone up` runs."""
    try:
        return msgspec.json.decode((folder / _FILE).read_bytes(), type=dict[str, str])
    except (OSError, msgspec.DecodeError):
        return {}


def reachable_host(host: str) -> str:
    """The host of a URL by which a program on this machine finds what listens on ``host``."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"[{host}]" if ":" in host else host
