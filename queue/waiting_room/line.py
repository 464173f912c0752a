"""The line of an event's waiting room: `Line` for the gateway (asyncio), `Slots` for the workers.

Clients must give bytes (``decode_responses=False``). Fans are user ids. Every time is Redis' own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from redis import Redis
from redis import asyncio as aioredis

from . import operations
from .autopilot import Steering
from .keys import room_key
from .model import (
    AdmittedPage,
    Configured,
    Departure,
    Drawn,
    Forecast,
    History,
    LobbyPage,
    Positions,
    RoomConfig,
    RoomCounts,
    Slot,
    Standing,
    Stock,
    Tick,
)
from .operations import RANKS, Operation, chunks
from .scripts import run, run_sync
from .tokens import PlaceToken

T = TypeVar("T")


class Line:
    """Every operation on rooms, asynchronous. Each is one Lua script: it happens whole or not at all."""

    def __init__(self, client: aioredis.Redis) -> None:
        self._client = client

    async def _run(self, operation: Operation[T]) -> T:
        reply = await run(self._client, operation.script, operation.keys, operation.args)
        return operation.read(reply)

    async def configure(
        self, event: int, config: RoomConfig, *, after_epoch: int = 0, rebuild_seconds: float = 0
    ) -> Configured:
        """Open the room or change it, unless Redis has a revision as new. Every gateway hears of the change.

        At the same revision only the settings are taken: ``absence_seconds``, ``connected_seconds``, ``receipt_…``.

        Args:
            after_epoch: the last epoch known of the room; 0: it was never open. If Redis knows no such room and it was
                open before, Redis has lost it: its next epoch is a later one, and it is ``rebuilding`` for
                ``rebuild_seconds``. Nobody is called in that time, nor before everybody had time to be heard.

        Returns:
            ``created`` where Redis knew no such room.
        """
        return await self._run(operations.configure(event, config, after_epoch, rebuild_seconds))

    async def publish_forecast(self, event: int, counts: RoomCounts, forecast: Forecast) -> bool:
        """Show fans another forecast from now on; False if another gateway published one since ``counts``."""
        return await self._run(operations.tell(event, counts.forecast, forecast))

    async def steer(self, event: int, counts: RoomCounts, steering: Steering) -> bool:
        """Put the autopilot's next steering in force; False if another gateway put one in force since ``counts``."""
        return await self._run(operations.steer(event, counts.steered_at_ms, steering))

    async def join(self, event: int, fan: int, place: PlaceToken | None = None, *, redeemed: bool = False) -> Standing:
        """Take a place, or find the one that the fan holds already.

        Args:
            place: a verified place token, which restores a place that Redis lost.
            redeemed: the fan has redeemed an access code, so the place is of the priority class; so is a place held
                already, unless its fan was called.

        Raises:
            RoomUnknown, RoomOff, RoomClosed, RoomSoldOut, Rebuilding, LineFull: nothing was stored.
        """
        return await self._run(operations.join(event, fan, place, redeemed=redeemed))

    async def standing(self, event: int, fan: int, *, touch: bool = True) -> Standing:
        """Where the fan stands; with ``touch`` the call is a heartbeat.

        Raises:
            RoomUnknown: Redis knows no such room.
        """
        return await self._run(operations.standing(event, fan, touch=touch))

    async def positions(self, event: int, fans: Iterable[int]) -> Positions:
        """The true rank of each fan in the own class, in one round trip for every `operations.RANKS` fans."""
        ranks: list[int] = []
        waiting = 0
        priority: set[int] = set()
        for chunk in chunks(fans, RANKS):
            part = await self._run(operations.positions(event, chunk))
            waiting = part.waiting
            priority.update(len(ranks) + at for at in part.priority)
            ranks += part.ranks
        return Positions(waiting, ranks, frozenset(priority))

    async def heartbeat(self, event: int, shown: Mapping[int, int]) -> list[int]:
        """Note that these fans were heard from, and the lowest position that each was shown (0 if none).

        Returns the fans who hold no place any more.
        """
        gone: list[int] = []
        for chunk in chunks(shown.items()):
            part = await self._run(operations.heartbeat(event, chunk))
            gone += part
        return gone

    async def admit(self, event: int) -> Tick:
        """One tick of the door: end what lapsed, and call the fans whose turn it is. Any process may, at any time.

        Some process must, about once a second: where no tick came for `RoomConfig.connected_seconds`, the room
        takes it for an outage, spares the absent, and waits as long again before it calls.

        Raises:
            RoomUnknown: Redis knows no such room.
        """
        return await self._run(operations.admit(event))

    async def lobby_page(self, event: int, after: int, size: int) -> LobbyPage | None:
        """Some fans of the lobby, behind ``after`` (0 first); None where its draw is not due.

        The last page closes the lobby's list; the pages can be read again.
        """
        return await self._run(operations.lobby_page(event, after, size))

    async def place_drawn(self, event: int, epoch: int, first: int, fans: Sequence[int], *, last: bool) -> Drawn | None:
        """Give drawn places to fans in their order, `operations.CHUNK` at most, numbered from ``first``.

        Nothing changes unless ``first`` is the next number to be given. None where the draw is not under way.
        """
        return await self._run(operations.place_drawn(event, epoch, first, fans, last=last))

    async def history(self, event: int, fan: int) -> History:
        """The fan's history: at most the latest `RoomConfig.receipt_entries_max` notes."""
        return await self._run(operations.history(event, fan))

    async def claim(self, event: int, fan: int) -> Standing:
        """Turn the call into an admission; for an admitted fan the same pass again.

        Raises:
            NotCalled: with the fan's state.
            RoomUnknown: Redis knows no such room.
        """
        return await self._run(operations.claim(event, fan))

    async def leave(self, event: int, fan: int) -> bool:
        """Give up the place; whether there was one."""
        return await self._run(operations.leave(event, fan))

    async def admitted_until(self, event: int, fan: int) -> int | None:
        """The end of the fan's live pass, in ms; None without one."""
        return (await self._run(operations.admitted(event, (fan,))))[0]

    async def retake(self, event: int, slots: Iterable[Slot]) -> int:
        """Give fans who were admitted before Redis lost the room their slots again. How many were given.

        Nothing changes for a fan who has a place that this Redis gave, or whose place it knows to have ended.
        """
        return sum([await self._run(operations.retake(event, chunk)) for chunk in chunks(slots)])

    async def set_stock(self, event: int, free: int, held: int, version: int) -> bool:
        """Note what is left to sell as of the event's version; False if a later version is known."""
        return await self._run(operations.set_stock(event, Stock(free, held, version)))

    async def counts(self, event: int) -> RoomCounts:
        """The room in numbers.

        Raises:
            RoomUnknown: Redis knows no such room.
        """
        return await self._run(operations.counts(event))


class Slots:
    """What the workers and the command line need of rooms, synchronous; the same scripts as `Line`'s."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    def _run(self, operation: Operation[T]) -> T:
        return operation.read(run_sync(self._client, operation.script, operation.keys, operation.args))

    def extend(self, event: int, ends: Mapping[int, int]) -> int:
        """Let each fan's live pass last at least until this time (ms); none is shortened. How many now end later."""
        return sum(self._run(operations.extend(event, chunk)) for chunk in chunks(ends.items()))

    def places(self, event: int) -> Iterator[tuple[int, int, int]]:
        """Every place held: fan, epoch and number; a place that changes meanwhile may come twice."""
        for fan, place in self._client.hscan_iter(room_key(event, "places"), count=operations.CHUNK):
            yield int(fan), *operations.place_of(place)

    def retake(self, event: int, slots: Iterable[Slot]) -> int:
        """See `Line.retake`."""
        return sum(self._run(operations.retake(event, chunk)) for chunk in chunks(slots))

    def departing(self, event: int) -> list[Departure]:
        """Some places that ended and are not yet `recorded`, at most `operations.CHUNK`."""
        return self._run(operations.departing(event))

    def recorded(self, event: int, departures: list[Departure]) -> int:
        """Note that these are in Postgres; a fan who departed again since is still `departing`."""
        return self._run(operations.recorded(event, departures)) if departures else 0

    def finish(self, event: int, fans: Iterable[int]) -> int:
        """End the places of fans who have bought, and free their slots. How many slots."""
        return sum(self._run(operations.finish(event, chunk)) for chunk in chunks(dict.fromkeys(fans)))

    def set_stock(self, event: int, free: int, held: int, version: int) -> bool:
        """See `Line.set_stock`."""
        return self._run(operations.set_stock(event, Stock(free, held, version)))

    def counts(self, event: int) -> RoomCounts:
        """See `Line.counts`."""
        return self._run(operations.counts(event))

    def admitted_page(self, event: int, cursor: int = 0) -> AdmittedPage:
        """Some admitted fans, to compare with Postgres; go on with the page's cursor until it is 0."""
        return self._run(operations.admitted_page(event, cursor))
