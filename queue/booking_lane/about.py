"""The ids of the current request or batch, for its log records and for the reports of its errors.

A request or batch calls `begin`, and later code adds the ids that it learns with `note`. Only a log record or an error
report reads them. To note an id costs the hot path a fraction of a microsecond.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import Context, ContextVar
from typing import Final

NOBODY: Final = Context()
"""A context without ids. Work that one request begins and that serves many runs in it, so that its log records do not
carry the ids of that one request.
"""

_about: ContextVar[dict[str, object]] = ContextVar("about")


def begin(**ids: object) -> None:
    """Begin a request or batch with these ids, in this task or thread."""
    _about.set(ids)


def note(**ids: object) -> None:
    """Add these ids to the current request or batch, if one was begun."""
    current = _about.get(None)
    if current is not None:
        current.update(ids)


def ids() -> Mapping[str, object]:
    """The ids of the current request or batch; empty if none was begun."""
    return _about.get({})
