"""What the work at hand is about: the ids that its log records carry, and the reports of its errors.

A request or a batch begins, whoever learns more notes it, and only who writes a record reads it: noting costs the hot
path a fraction of a microsecond.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import Context, ContextVar
from typing import Final

NOBODY: Final = Context()
"""For what is begun by one request and done for many: run there, its records carry no single one's ids."""

_about: ContextVar[dict[str, object]] = ContextVar("about")


def begin(**ids: object) -> None:
    """From here on, in this task or thread, it is about these."""
    _about.set(ids)


def note(**ids: object) -> None:
    """It is about these too; nothing where nothing was begun."""
    known = _about.get(None)
    if known is not None:
        known.update(ids)


def ids() -> Mapping[str, object]:
    """What is known; empty where nothing was begun."""
    return _about.get({})
