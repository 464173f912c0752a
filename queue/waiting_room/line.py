"""The line of an event's waiting room: `Line` for the gateway (asyncio), `Slots` for the workers.

Clients must return bytes (``decode_responses=False``). Fans are user ids. All times are on the clock of Redis.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from redis import Redis
from redis import asyncio as aioredis
from redis.exceptions import RedisError, ResponseError

from db.shards import is_cluster, shard_of

from . import operations
from .autopilot import Steering
from .by_event import ByEvent
from .errors import RoomError
from .keys import room_key
from .model import (
    Acted,
    AdmittedPage,
    Configured,
    Departure,
    Drawn,
    Forecast,
    Front,
    History,
    ListChanges,
    LobbyPage,
    Mark,
    PassEnds,
    Positions,
    Ranks,
    Renewed,
    RoomConfig,
    RoomCounts,
    Slot,
    Standing,
    Stock,
    Tick,
)
from .operations import RANKS, Operation, chunks
from .scripts import run, run_all_sync, run_sync
from .tokens import PlaceToken

T = TypeVar("T")


def room_errors(client: Redis | aioredis.Redis) -> type[RedisError]:
    """Errors that are of one room alone, and say nothing of others: in a cluster the others may be at other servers."""
    return RedisError if is_cluster(client) else ResponseError


class Line:
    """Every operation on rooms, asynchronous. Each is one Lua script: it happens whole or not at all."""

    def __init__(self, client: aioredis.Redis) -> None:
        self.client = client
        self.room_errors = room_errors(client)
        self._is_cluster = is_cluster(client)
        self._claims: ByEvent[int, Standing] = ByEvent(self._claim_all, together_max=operations.CLAIMS)

    def shard_of(self, event: int) -> str:
        """The name of the server that has the event's room; empty where one server has all."""
        return shard_of(self.client, room_key(event, "config")) if self._is_cluster else ""

    async def _run(self, operation: Operation[T]) -> T:
        reply = await run(self.client, operation.script, operation.keys, operation.args)
        return operation.read(reply)

    async def configure(
        self, event: int, config: RoomConfig, *, after_epoch: int = 0, rebuild_seconds: float = 0
    ) -> Configured:
        """Open or change the room, unless Redis has this revision or a newer one. Every gateway gets a message of it.

        At the same revision only the settings are taken: ``absence_seconds``, ``connected_seconds``, ``receipt_…``.

        Args:
            after_epoch: the last known epoch of the room; 0 if it was never open. If it was open and Redis has no such
                room, Redis has lost it. Its next epoch is then a later one, and the room is ``rebuilding`` for
                ``rebuild_seconds``. Nobody is called in that time, nor until all fans had time to reconnect.

        Returns:
            ``created`` if Redis had no such room.
        """
        return await self._run(operations.configure(event, config, after_epoch, rebuild_seconds))

    async def publish_forecast(self, event: int, counts: RoomCounts, forecast: Forecast) -> bool:
        """Show fans this forecast from now on; return False if another gateway published one since ``counts``."""
        return await self._run(operations.publish_forecast(event, counts.forecast, forecast))

    async def steer(self, event: int, counts: RoomCounts, steering: Steering) -> bool:
        """Put the autopilot's steering in force; return False if another gateway put one in force since ``counts``."""
        return await self._run(operations.steer(event, counts.steered_at_ms, steering))

    async def join(self, event: int, fan: int, place: PlaceToken | None = None, *, redeemed: bool = False) -> Standing:
        """Give the fan a place, or find the place that the fan holds already.

        Args:
            place: a verified place token, which restores a place that Redis lost.
            redeemed: the fan has redeemed an access code. The place belongs to the priority class then, even if the fan
                held it already, unless the fan was called.

        Raises:
            RoomUnknown, RoomOff, RoomClosed, RoomSoldOut, Rebuilding, LineFull: nothing was stored.
        """
        return await self._run(operations.join(event, fan, place, redeemed=redeemed))

    async def move(self, event: int, fan: int, place: PlaceToken) -> Standing:
        """Give the place of a verified token, which names another fan, to this fan: the new session of the same person.

        Nothing moves unless this fan has no place and had none, and the token's place still stands and is not admitted,
        or was lost by Redis.

        Returns:
            The fan's standing, whether or not the place moved (``joined`` is ``restored`` then).

        Raises:
            RoomUnknown: Redis has no such room.
            Rebuilding: the lobby is being drawn; the place moves in some seconds.
        """
        return await self._run(operations.move(event, fan, place))

    async def put_back(self, event: int, fan: int, *, in_front: bool) -> Standing:
        """Put a fan back in line for an operator: at the place that ended, or in front of everybody of the class.

        Returns:
            The fan's standing; ``joined`` is ``restored`` if the fan was put back. A fan who is called, admitted or in
            the lobby stays there.

        Raises:
            RoomUnknown, RoomOff, RoomClosed, RoomSoldOut, Rebuilding, NoPlace: nothing was changed.
        """
        return await self._run(operations.put_back(event, fan, in_front=in_front))

    async def standing(self, event: int, fan: int, *, touch: bool = True) -> Standing:
        """The fan's standing; with ``touch`` this call counts as the fan's heartbeat.

        Raises:
            RoomUnknown: Redis has no such room.
        """
        return await self._run(operations.standing(event, fan, touch=touch))

    async def lines_of(self, fan: int, events: Sequence[int]) -> list[int]:
        """Those of the events in whose room the fan holds a place, waiting or admitted."""
        if not events:
            return []
        asked = self.client.pipeline(transaction=False)
        for event in events:
            asked.hexists(room_key(event, "places"), str(fan))
        return [event for event, holds in zip(events, await asked.execute(), strict=True) if holds]

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

    async def ranks(self, event: int, mark: Mark, fans: Sequence[int]) -> Ranks:
        """What moved in the order of the lines since the mark, and the true ranks of these fans after that, at most
        `operations.RANKS` of them.
        """
        return await self._run(operations.ranks(event, mark, fans))

    async def heartbeat(self, event: int, shown: Mapping[int, int]) -> list[int]:
        """Record that these fans are connected, and the lowest position that each was shown (0 if none).

        Returns:
            The fans who hold no place any more.
        """
        gone: list[int] = []
        for chunk in chunks(shown.items()):
            part = await self._run(operations.heartbeat(event, chunk))
            gone += part
        return gone

    async def renew_lease(self, event: int, name: str, told: int) -> bool:
        """Renew the lease of a list in which nothing changed; its fans count as heard from now.

        Args:
            told: how often this list was told (`tell_list`).

        Returns:
            False if Redis lost the list or a part of it, or if the lease had lapsed: it must be told anew.
        """
        return await self._run(operations.renew_lease(event, name, told))

    async def tell_list(self, event: int, name: str, told: int, changes: ListChanges) -> list[int] | None:
        """Tell what changed in a list: the fans with streams at one gateway, at most `operations.CHUNK` at a time.

        They count as heard from while the list's lease is renewed at least every `RoomConfig.connected_seconds`.

        Args:
            name: what the list is called: two words for each time that a list is told from its beginning must differ.
            told: how often this list was told before; 0 begins it.

        Returns:
            The fans said to be here who hold no place any more; None if Redis lost the list or a part of it, or if its
            lease had lapsed. Nothing changed then, and the list must be told anew under another name.
        """
        return await self._run(operations.tell_list(event, name, told, changes))

    async def admit(self, event: int, *, unless_within_ms: int = 0) -> Tick:
        """Do one tick of the door: end what lapsed, and call the fans whose turn it is. Any process may call this.

        Some process must call it about once a second. If no tick came for `RoomConfig.connected_seconds`, the room
        takes this for an outage: it does not end the places of absent fans, and calls nobody for as long again.

        Args:
            unless_within_ms: do nothing if the room was ticked within so many ms; 0 ticks it in any case.

        Raises:
            RoomUnknown: Redis has no such room.
        """
        return await self._run(operations.admit(event, unless_within_ms))

    async def lobby_page(self, event: int, after: int, size: int) -> LobbyPage | None:
        """A page of the lobby's fans, the ones after ``after`` (0 for the first page); None if its draw is not due.

        Reading the last page closes the lobby's list. Pages can be read again.
        """
        return await self._run(operations.lobby_page(event, after, size))

    async def place_drawn(self, event: int, epoch: int, first: int, fans: Sequence[int], *, last: bool) -> Drawn | None:
        """Give drawn places to fans in their order, numbered from ``first``, to at most `operations.CHUNK` at a time.

        Nothing changes unless ``first`` is the next number to be given.

        Returns:
            How far the draw has come; None if no draw is under way.
        """
        return await self._run(operations.place_drawn(event, epoch, first, fans, last=last))

    async def history(self, event: int, fan: int) -> History:
        """The fan's history: at most the latest `RoomConfig.receipt_entries_max` notes."""
        return await self._run(operations.history(event, fan))

    async def claim(self, event: int, fan: int) -> Standing:
        """Admit the fan who was called. A fan who is admitted already gets the same pass again. One script admits those
        who claim together, as they do after each tick of the door.

        Raises:
            NotCalled: the fan was not called; the error has the fan's state.
            RoomUnknown: Redis has no such room.
        """
        return await self._claims.ask(event, fan)

    async def _claim_all(self, event: int, fans: Sequence[int]) -> list[Standing | RoomError]:
        return await self._run(operations.claim(event, fans))

    async def act(self, event: int, fan: int, *, tries: bool) -> Acted:
        """Note that the fan is at work inside, and put a fan who lost the pass by doing nothing back into line.

        Args:
            tries: the fan tries to book; otherwise the fan only says to be choosing, which is believed for
                `RoomConfig.choose_seconds` after the last try while seats are scarce.

        Raises:
            RoomUnknown: Redis has no such room.
        """
        return await self._run(operations.act(event, fan, tries=tries))

    async def renew(self, event: int, fan: int) -> Renewed | None:
        """Have the fan's live pass last longer, because a shop was shown it; None without one.

        Raises:
            RoomUnknown: Redis has no such room.
        """
        return await self._run(operations.renew(event, fan))

    async def passes(self, event: int, fans: Iterable[int]) -> list[PassEnds | None]:
        """When each fan's live pass ends; None without one."""
        return [ends for chunk in chunks(fans) for ends in await self._run(operations.passes(event, chunk))]

    async def leave(self, event: int, fan: int) -> bool:
        """End the fan's place or slot; return whether there was one."""
        return await self._run(operations.leave(event, fan))

    async def admitted_until(self, event: int, fan: int) -> int | None:
        """The end of the fan's live pass, in ms; None without one."""
        return (await self._run(operations.admitted(event, (fan,))))[0]

    async def retake(self, event: int, slots: Iterable[Slot]) -> int:
        """Give slots back to fans who were admitted before Redis lost the room; return how many were given.

        Nothing changes for a fan who got a place after the loss, or whose place ended after it.
        """
        return sum([await self._run(operations.retake(event, chunk)) for chunk in chunks(slots)])

    async def set_stock(self, event: int, free: int, held: int, version: int) -> bool:
        """Record how many seats are left at the event's version; return False if a later version is recorded."""
        return await self._run(operations.set_stock(event, Stock(free, held, version)))

    async def front(self, event: int, fans_max: int = operations.RANKS) -> Front:
        """The fans whose turn is near or has come, of each kind so many at most."""
        return await self._run(operations.front(event, fans_max))

    async def keep(self, event: int, waiting: Sequence[int], told: Sequence[int], kept_seconds: float) -> int:
        """Keep the places of absent fans who can be told of their turn: those in line count as absent, but not as gone;
        those just told of their turn keep their places for so long. Returns how many places are kept for longer now.

        Raises:
            RoomUnknown: Redis has no such room.
        """
        kept = 0
        kept_ms = round(kept_seconds * 1000)
        for chunk in chunks(waiting):
            kept += await self._run(operations.keep(event, chunk, (), kept_ms))
        for chunk in chunks(told):
            kept += await self._run(operations.keep(event, (), chunk, kept_ms))
        return kept

    async def counts(self, event: int) -> RoomCounts:
        """The counts of the room.

        Raises:
            RoomUnknown: Redis has no such room.
        """
        return await self._run(operations.counts(event))


class Slots:
    """The operations that workers and the command line need, synchronous. They run the same scripts as `Line`."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self.room_errors = room_errors(client)

    def _run(self, operation: Operation[T]) -> T:
        return operation.read(run_sync(self._client, operation.script, operation.keys, operation.args))

    def extend(self, event: int, ends: Mapping[int, int]) -> int:
        """Make each fan's live pass last at least until the given time (ms); return how many now end later."""
        return sum(self._run(operations.extend(event, chunk)) for chunk in chunks(ends.items()))

    def places(self, event: int) -> Iterator[tuple[int, int, int]]:
        """Every held place, as fan, epoch and number. A place that changes meanwhile may come twice."""
        for fan, place in self._client.hscan_iter(room_key(event, "places"), count=operations.CHUNK):
            yield int(fan), *operations.place_of(place)

    def retake(self, event: int, slots: Iterable[Slot]) -> int:
        """See `Line.retake`."""
        return sum(self._run(operations.retake(event, chunk)) for chunk in chunks(slots))

    def departing(self, event: int) -> list[Departure]:
        """At most `operations.CHUNK` of the places that ended and are not yet in Postgres (`recorded`)."""
        return self._run(operations.departing(event))

    def recorded(self, event: int, departures: list[Departure]) -> int:
        """Remove departures that are in Postgres now. A fan who departed again since is still `departing`."""
        return self._run(operations.recorded(event, departures)) if departures else 0

    def finish(self, event: int, fans: Iterable[int]) -> int:
        """End the places of fans who have bought, and free their slots; return how many slots were freed."""
        return sum(self._run(operations.finish(event, chunk)) for chunk in chunks(dict.fromkeys(fans)))

    def merge(self, event: int, fan: int, from_fan: int) -> bool:
        """Give the fan the place or slot of another one, who is the same person; of two the better one stays. False
        while the lobby is being drawn: then it is to be tried again.
        """
        return self._run(operations.merge(event, fan, from_fan))

    def set_stock(self, event: int, free: int, held: int, version: int, *, lost_version: int = -1) -> bool:
        """See `Line.set_stock`. The stock of ``lost_version``, which Postgres does not have any more, is replaced even
        though it is a later one.
        """
        return self._run(operations.set_stock(event, Stock(free, held, version), lost_version))

    def settle(
        self, finished: Mapping[int, Iterable[int]], ends: Mapping[int, Mapping[int, int]], stocks: Mapping[int, Stock]
    ) -> Iterator[tuple[int, RedisError | None]]:
        """`finish`, `extend` and `set_stock` at these events, in one round trip. Gives each event, with the error that
        was the answer.
        """
        asked: list[tuple[int, Operation[Any]]] = []
        for event, fans in finished.items():
            asked += [(event, operations.finish(event, chunk)) for chunk in chunks(dict.fromkeys(fans))]
        for event, of_fans in ends.items():
            asked += [(event, operations.extend(event, chunk)) for chunk in chunks(of_fans.items())]
        asked += [(event, operations.set_stock(event, stock)) for event, stock in stocks.items()]
        replies = run_all_sync(self._client, [(one.script, one.keys, one.args) for _, one in asked])
        for (event, _), reply in zip(asked, replies, strict=True):
            yield event, reply if isinstance(reply, RedisError) else None

    def stock_version(self, event: int) -> int:
        """The event's version of which the stock is recorded; -1 if none is."""
        version = self._client.hget(room_key(event, "stock"), "version")
        return -1 if version is None else int(str(version, "ascii") if isinstance(version, bytes) else version)

    def counts(self, event: int) -> RoomCounts:
        """See `Line.counts`."""
        return self._run(operations.counts(event))

    def admitted_page(self, event: int, cursor: int = 0) -> AdmittedPage:
        """A page of the admitted fans, to compare with Postgres. The page's cursor leads to the next one, until it is
        0.
        """
        return self._run(operations.admitted_page(event, cursor))
