"""``admitone gateway`` as it is, with one route more:
``python -m bench.serve [--unguarded] [--place-seconds S] gateway …``.

The same command line, server and settings; only the application is the bench's.
"""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from typing import Any

from litestar import Litestar, post

import admitone.asgi
from admitone.cli import main as admitone_main
from booking_lane.commands import Command
from gateway.booking.permits import Permits
from gateway.identity.limits import JOINS, RateLimits
from gateway.identity.networks import Networks
from gateway.identity.suspicions import Suspicions
from gateway.line import frames, sending
from gateway.line.fan_streams import TURN_SECONDS
from gateway.services import services_of
from gateway.wire.requests import AnyRequest
from waiting_room.limits import Allowance, Paced
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


def _unguard() -> None:
    """Take the whole guard out of what a fan does: points, paces, proofs that stand, networks' rules, joins that are
    counted with their network, and the network that a command brings the engine. `bench.parts.guard` measures the guard
    against such a gateway, which no site can have.
    """
    take = RateLimits.take

    async def allowed(self: RateLimits, name: str, network: str, per_minute: int) -> Allowance:
        if name == JOINS:
            return Allowance(True, 0, 1, name, per_minute, 60)
        return await take(self, name, network, per_minute)

    async def nothing(*_: Any) -> None:
        return

    async def permitted(self: Permits, command: Command, address: str, command_id: uuid.UUID, **_: Any) -> Command:
        return command

    def uncounted(*_: Any) -> asyncio.Future[Paced]:
        counted: asyncio.Future[Paced] = asyncio.get_running_loop().create_future()
        counted.set_result(Paced("", 0, proof_stands=False))
        return counted

    for of, name, other in (
        (RateLimits, "take", allowed),
        (RateLimits, "give_back", nothing),
        (Permits, "counting", uncounted),
        (Permits, "permit", permitted),
        (Networks, "refuse", lambda *_: None),
        (Suspicions, "weigh", lambda *_, **__: None),
        (Suspicions, "refused", lambda *_, **__: None),
        (Suspicions, "ended", lambda *_, **__: None),
    ):
        if name not in vars(of):
            raise AttributeError(f"{of.__name__}.{name} is not there to be taken out")
        setattr(of, name, other)


def main() -> None:
    arguments = sys.argv[1:]
    if arguments[:1] == ["--unguarded"]:
        _unguard()
        arguments = arguments[1:]
    if arguments[:1] == ["--place-seconds"]:
        _place_every(float(arguments[1]))
        arguments = arguments[2:]
    admitone.asgi.create = create
    sys.argv[1:] = arguments
    admitone_main()


if __name__ == "__main__":
    main()
