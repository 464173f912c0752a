"""``admitone gateway`` as it is, with one route more: ``python -m bench.serve [--place-seconds S] gateway …``.

The same command line, server and settings; only the application is the bench's.
"""

from __future__ import annotations

import sys
import time

from litestar import Litestar, post

import admitone.asgi
from admitone.cli import main as admitone_main
from gateway.line import frames, sending
from gateway.line.fan_streams import TURN_SECONDS
from gateway.services import services_of
from gateway.wire.requests import AnyRequest
from waiting_room.model import RoomCounts

_create = admitone.asgi.create


@post("/noop", status_code=204)
async def noop(request: AnyRequest) -> None:
    """The least an authenticated POST can do: verify the session, answer nothing."""
    services_of(request).identity.fan(request)


def create() -> Litestar:
    app = _create()
    app.register(noop)
    return app


def _place_every(seconds: float) -> None:
    """Send all fans their place at one interval, and put into each turn's frames when it was rendered.

    The stamp is what the age of a delivered event is measured from; it is rendered once a turn.
    """
    tail = frames.shared_tail

    def stamped(counts: RoomCounts, waiting: int) -> bytes:
        return tail(counts, waiting)[:-1] + b',"at":%d}' % time.time_ns()

    turns = round(seconds / TURN_SECONDS)
    vars(sending).update(INTERVAL_TURNS=[turns] * len(sending.INTERVALS_SECONDS))
    vars(frames).update(shared_tail=stamped)


def main() -> None:
    arguments = sys.argv[1:]
    if arguments[:1] == ["--place-seconds"]:
        _place_every(float(arguments[1]))
        arguments = arguments[2:]
    admitone.asgi.create = create
    sys.argv[1:] = arguments
    admitone_main()


if __name__ == "__main__":
    main()
