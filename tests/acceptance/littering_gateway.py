"""A gateway that tells what it left to the garbage collector: ``POST /litter`` answers with counts by type.

Reads the same environment and command line as ``admitone gateway``.
"""

from __future__ import annotations

import gc
from collections import Counter
from types import FunctionType, MethodType
from typing import Any, Final

from litestar import Litestar, post

import admitone.asgi
from admitone.cli import main

OURS: Final = ("__main__", "admitone", "booking_lane", "db", "gateway", "litestar", "uvicorn", "waiting_room")

_create = admitone.asgi.create


@post("/litter", status_code=200, sync_to_thread=False)
def litter() -> dict[str, int]:
    """What nothing reaches but itself, since the last call: how many objects of each type of ours or of the server's.

    A function counts under its own name, since a closure that reaches itself is of no type of ours.
    """
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    gc.set_debug(0)
    found = Counter(_name(one) for one in gc.garbage)
    gc.garbage.clear()
    gc.collect()
    return {name: count for name, count in found.items() if name.split(".")[0] in OURS}


class Litter:
    """Reaches itself."""

    def __init__(self) -> None:
        self.itself = self


@post("/litter/more", status_code=204, sync_to_thread=False)
def more() -> None:
    """Leave one object."""
    Litter()


def _name(one: object) -> str:
    named: Any = one if isinstance(one, FunctionType | MethodType) else type(one)
    return f"{named.__module__}.{named.__qualname__}"


def create() -> Litestar:
    app = _create()
    app.register(litter)
    app.register(more)
    return app


if __name__ == "__main__":
    admitone.asgi.create = create
    main()
