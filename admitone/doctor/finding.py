"""The doctor's finding about one thing."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["up", "behind", "setup"]
KINDS: Final[tuple[Kind, ...]] = ("up", "behind", "setup")
"""A finding says whether something runs, keeps pace, or is set up for production. The screen has this order."""


class Level(enum.IntEnum):
    """How bad a finding is; the worst level is the command's exit code."""

    OK = 0
    WARNING = 1
    ERROR = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """``code`` is stable, so that alarms can match it; ``fix`` is one sentence, empty where all is well."""

    kind: Kind
    code: str
    level: Level
    says: str
    fix: str = ""


def fine(kind: Kind, code: str, says: str) -> Finding:
    return Finding(kind, code, Level.OK, says)


def warning(kind: Kind, code: str, says: str, fix: str) -> Finding:
    return Finding(kind, code, Level.WARNING, says, fix)


def error(kind: Kind, code: str, says: str, fix: str) -> Finding:
    return Finding(kind, code, Level.ERROR, says, fix)
