"""What the doctor says of one thing."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["up", "behind", "setup"]
KINDS: Final[tuple[Kind, ...]] = ("up", "behind", "setup")
"""Whether it runs, whether it keeps pace, whether it is set up for production; in the order of the screen."""


class Level(enum.IntEnum):
    """How bad it is; the worst is the exit code."""

    OK = 0
    WARNING = 1
    ERROR = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """``code`` is stable, for alarms; ``fix`` is one sentence, empty where all is well."""

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
