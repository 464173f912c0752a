"""The streams of fans in line: one loop for all of them, one round trip for many positions.

Positions are told each second near the front and less often far back. What befalls a fan (called, admitted,
ended) comes as news and is told at once; the loop finds what a lost message would have said.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from gateway.contract import Place
from gateway.rooms import Rooms, from_ms, room_state
from gateway.streams.stream import PING_FRAME, Stream, ending, frame
from waiting_room.errors import RoomError, RoomUnknown
from waiting_room.eta import eta_in
from waiting_room.model import News, RoomCounts, Standing
from waiting_room.operations import CHUNK

logger = logging.getLogger(__name__)

LOOP_SECONDS: Final = 0.25
KEEP_SECONDS: Final = 1.0
"""How often a stream that is told no places is looked after."""
HEARTBEAT_SECONDS_MAX: Final = 4.0
LOOKS_AT_ONCE: Final = 16
INTERVALS: Final[tuple[tuple[int, float], ...]] = ((100, 1.0), (1_000, 2.0), (10_000, 4.0))
"""(up to this many ahead, tell the place so often); the rest as often as `INTERVAL_FAR`."""
INTERVAL_FAR: Final = 8.0

_encode = msgspec.json.Encoder().encode


def interval_seconds(ahead: int) -> float:
    """How often a fan with so many ahead is told the place."""
    for bound, seconds in INTERVALS:
        if ahead < bound:
            return seconds
    return INTERVAL_FAR


@dataclass(slots=True, eq=False)
class FanStream:
    """A fan's stream on an event's line; ``shown`` is the lowest position told (0: none yet).

    ``place`` and ``admission`` are the signed tokens told last: they bring back what Redis may lose.
    """

    stream: Stream
    event_id: int
    fan: int
    session: str
    shown: int = 0
    due_at: float = 0.0
    state: str = ""
    place: str | None = None
    admission: str | None = None
    look_due: bool = False


@dataclass(slots=True)
class _EventStreams:
    of_fans: dict[int, list[FanStream]] = field(default_factory=dict)
    room_state: str = ""


class LineStreams:
    """All open line streams of this process."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._events: dict[int, _EventStreams] = {}
        # Several a connected time, or the door would take those who listen for ghosts.
        self._heartbeat_seconds = min(HEARTBEAT_SECONDS_MAX, rooms.connected_seconds / 3)
        self._heartbeat_at = 0.0
        self._looks: set[asyncio.Task[None]] = set()

    @property
    def ending(self) -> bool:
        """The process was told to end."""
        return ending()

    async def subscribe(
        self, stream: Stream, event_id: int, fan: int, session: str, place: Place, counts: RoomCounts
    ) -> Callable[[], Awaitable[None]]:
        """Tell the fan's place now and from now on."""
        watcher = FanStream(stream, event_id, fan, session, place.position or 0)
        event = self._events.setdefault(event_id, _EventStreams())
        event.room_state = event.room_state or place.room_state
        event.of_fans.setdefault(fan, []).append(watcher)
        self._tell_place(watcher, place, counts)

        async def leave() -> None:
            watchers = event.of_fans.get(fan, [])
            watchers.remove(watcher)
            if not watchers:
                event.of_fans.pop(fan, None)
            if not event.of_fans:
                self._events.pop(event_id, None)
            if watcher.state == "waiting":
                # The next connection may be another gateway's: it must not show a higher position.
                try:
                    await self._rooms.line.heartbeat(event_id, {fan: watcher.shown})
                except (RedisError, RoomUnknown) as error:
                    logger.debug("last position not kept: %s", error)

        return leave

    # -- news

    def hear(self, payload: bytes) -> None:
        """A room's news, from Redis."""
        news = msgspec.json.decode(payload, type=News)
        self._rooms.forget_counts(news.event)
        if news.config is not None:
            self._start(self._read_room(news.event, news.config))
        event = self._events.get(news.event)
        if event is None:
            return
        for fan, claim_by_ms in news.called:
            for watcher in event.of_fans.get(fan, ()):
                self._tell_called(watcher, claim_by_ms)
        for fan, until_ms in news.admitted:
            for watcher in event.of_fans.get(fan, ()):
                self._tell_admitted(watcher, until_ms)
        changed = [*news.waiting, *(fan for fan, _ in news.ended)]
        watchers = [watcher for fan in changed for watcher in event.of_fans.get(fan, ())]
        if watchers:
            self._look_at(watchers)
        if news.config is not None:
            # Everybody hears of a changed rate or a pause with the next turn of the loop.
            for some in event.of_fans.values():
                for watcher in some:
                    watcher.due_at = 0.0

    def _look_at(self, watchers: Iterable[FanStream]) -> None:
        self._start(self._look(list(watchers)))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._looks.add(task)
        task.add_done_callback(self._looks.discard)

    async def _read_room(self, event_id: int, revision: int) -> None:
        """Another gateway changed the room: know it as it is before the next refresh."""
        if event_id not in self._rooms.rows:
            return
        try:
            await self._rooms.row(event_id, revision_min=revision)
        except (SQLAlchemyError, RedisError, OSError) as error:
            logger.warning("event %d: room not read: %s", event_id, error)

    async def _look(self, watchers: list[FanStream]) -> None:
        """Ask for each fan's standing, where rank alone does not tell it."""
        due = [watcher for watcher in watchers if not watcher.look_due]
        for watcher in due:
            watcher.look_due = True
        rest = iter(due)

        async def look() -> None:
            for watcher in rest:
                watcher.look_due = False
                try:
                    await self._look_at_one(watcher)
                except (RedisError, SQLAlchemyError, RoomError, OSError) as error:
                    logger.debug("standing not read: %s", error)

        await asyncio.gather(*(look() for _ in range(min(LOOKS_AT_ONCE, len(due)))))

    async def _look_at_one(self, watcher: FanStream) -> None:
        if watcher.stream.closed:
            return
        event_id, fan = watcher.event_id, watcher.fan
        counts = await self._rooms.counts(event_id)
        standing = await self._rooms.line.standing(event_id, fan, touch=False)
        if standing.state == "none" and standing.room_state != "off" and (watcher.place or watcher.admission):
            # Redis lost the fan, whose stream goes on: nothing is asked of them.
            standing = await self._restored(watcher)
        if counts is not None:
            self._tell_place(watcher, self._rooms.place(event_id, standing, counts, fan, watcher.session), counts)

    async def _restored(self, watcher: FanStream) -> Standing:
        """Raises:
        RoomError: the line does not take the place back (yet).
        """
        event_id, fan, tokens = watcher.event_id, watcher.fan, self._rooms.tokens
        place = tokens.verify_place(watcher.place, event=event_id, fan=fan) if watcher.place else None
        admission = tokens.verify_pass(watcher.admission, event=event_id, fan=fan) if watcher.admission else None
        place = await self._rooms.restore(event_id, fan, place, admission)
        if place is not None:
            return await self._rooms.line.join(event_id, fan, place)
        return await self._rooms.line.standing(event_id, fan)

    # -- telling

    def _tell_place(self, watcher: FanStream, place: Place, counts: RoomCounts) -> None:
        before, watcher.state = watcher.state, place.state
        watcher.place, watcher.admission = place.token, place.admission_pass
        if place.state == "called" and place.claim_by_seconds is not None:
            if before != "called":
                watcher.stream.write(_called(place.claim_by_seconds))
            return
        if place.state == "admitted" and place.admission_pass is not None:
            if before != "admitted":
                watcher.stream.write(_admitted(place.admission_pass, place.expires_at))
            return
        if place.state in ("sold_out", "closed"):
            if before != place.state:
                watcher.stream.write(frame(place.state, b"{}"))
            return
        if place.position is None or place.ahead is None:
            self._tell_no_position(watcher, place.state, place.room_state)
            return
        self._tell_position(watcher, place.position, counts, _tail(counts, place.waiting))

    def _tell_position(self, watcher: FanStream, rank: int, counts: RoomCounts, tail: bytes) -> None:
        """A true rank (1 is next), told as no more than what was told before."""
        position = min(watcher.shown or rank, rank)
        watcher.shown = position
        watcher.state = "waiting"
        # A turn early: the loop comes by in steps, and an interval is to be kept, not exceeded.
        watcher.due_at = time.monotonic() + interval_seconds(position - 1) - LOOP_SECONDS
        watcher.stream.write(
            b'event: place\ndata: {"position":%d,"ahead":%d,%s%s\n\n'
            % (position, position - 1, _estimate(counts, position - 1), tail),
        )

    def _tell_no_position(self, watcher: FanStream, state: str, room_state: str) -> None:
        watcher.due_at = time.monotonic() + 1.0
        document = {"state": state, "roomState": room_state, "position": None, "ahead": None}
        watcher.stream.write(frame("place", _encode(document)))

    def _tell_called(self, watcher: FanStream, claim_by_ms: int) -> None:
        row = self._rooms.rows.get(watcher.event_id)
        window = row.claim_window_seconds if row is not None else 0
        watcher.state = "called"
        watcher.stream.write(_called(window))

    def _tell_admitted(self, watcher: FanStream, until_ms: int) -> None:
        watcher.state = "admitted"
        watcher.admission = token = self._rooms.sign_pass(watcher.event_id, watcher.fan, until_ms)
        watcher.stream.write(_admitted(token, from_ms(until_ms)))

    # -- the loop

    async def run(self) -> None:
        """Tell places for as long as the process runs, and say `bye` when it is told to end."""
        while True:
            started = time.monotonic()
            if self.ending:
                self.end()
            for event_id in list(self._events):
                try:
                    await self._turn(event_id, started)
                except (RedisError, RoomUnknown, OSError) as error:
                    logger.warning("event %d: places not told: %s", event_id, error)
            if started - self._heartbeat_at >= self._heartbeat_seconds:
                self._heartbeat_at = started
                try:
                    await self._heartbeat()
                except (RedisError, OSError) as error:
                    logger.warning("no heartbeat: %s", error)
            await asyncio.sleep(max(0.0, LOOP_SECONDS - (time.monotonic() - started)))

    def end(self) -> None:
        """Farewell to every stream; the clients reconnect, elsewhere."""
        for event in self._events.values():
            for some in event.of_fans.values():
                for watcher in some:
                    watcher.stream.end()

    async def _turn(self, event_id: int, now: float) -> None:
        event = self._events.get(event_id)
        if event is None:
            return
        counts = await self._rooms.counts(event_id)
        if counts is None:
            return
        due = [watcher for some in event.of_fans.values() for watcher in some if now >= watcher.due_at]
        state = room_state(counts)
        if state != event.room_state:
            event.room_state, before = state, event.room_state
            if before and ({state, before} & {"sold_out", "closed"}):
                self._look_at([watcher for some in event.of_fans.values() for watcher in some])
                return
        waiting: list[FanStream] = []
        for watcher in due:
            watcher.due_at = now + KEEP_SECONDS
            watcher.stream.keep()
            if watcher.state in ("waiting", ""):
                waiting.append(watcher)
        for start in range(0, len(waiting), CHUNK):
            # A chunk at a time: between them the loop has time for whoever else asks.
            await self._tell_due(event_id, counts, waiting[start : start + CHUNK])

    async def _tell_due(self, event_id: int, counts: RoomCounts, due: list[FanStream]) -> None:
        if room_state(counts) in ("sold_out", "closed"):
            # There are no positions to tell any more, but these have not yet heard why.
            self._look_at(due)
            return
        ranks = await self._rooms.line.positions(event_id, [watcher.fan for watcher in due])
        tail = _tail(counts, ranks.waiting)
        unsure: list[FanStream] = []
        for watcher, rank in zip(due, ranks.ranks, strict=True):
            if rank < 0:
                unsure.append(watcher)
            elif counts.state == "rebuilding":
                # Others are still coming back: a position told now might have to rise.
                self._tell_no_position(watcher, "waiting", "rebuilding")
            else:
                self._tell_position(watcher, rank + 1, counts, tail)
        if unsure:
            self._look_at(unsure)

    async def _heartbeat(self) -> None:
        since = time.monotonic() - 2 * self._heartbeat_seconds
        for event_id, event in list(self._events.items()):
            shown: dict[int, int] = {}
            for fan, some in event.of_fans.items():
                for watcher in some:
                    stream = watcher.stream
                    if watcher.state not in ("waiting", "called", "admitted") or stream.closed:
                        continue
                    if stream.wrote_at < since:
                        stream.write(PING_FRAME)
                    if stream.wrote_at >= since:
                        shown[fan] = min(shown.get(fan) or watcher.shown, watcher.shown)
            if shown:
                gone = await self._rooms.line.heartbeat(event_id, shown)
                self._look_at([watcher for fan in gone for watcher in event.of_fans.get(fan, ())])


def _called(claim_by_seconds: int) -> bytes:
    return frame("called", b'{"claimBySeconds":%d}' % claim_by_seconds)


def _admitted(admission_pass: str, expires_at: object) -> bytes:
    return frame("admitted", _encode({"pass": admission_pass, "expiresAt": expires_at}))


def _tail(counts: RoomCounts, waiting: int) -> bytes:
    """What every place frame of a turn ends with, rendered once."""
    stock = counts.stock
    return b'"waiting":%d,"ratePerMinute":%s,"state":"waiting","roomState":"%s","stock":%s}' % (
        waiting,
        _encode(counts.config.rate_per_minute),
        room_state(counts).encode(),
        b"null" if stock is None else b'{"free":%d,"held":%d}' % (stock.free, stock.held),
    )


def _estimate(counts: RoomCounts, ahead: int) -> bytes:
    estimate = eta_in(counts, ahead)
    if estimate is None:
        return b'"etaSeconds":null,"etaRange":null,'
    low, high = estimate.eta_range
    return b'"etaSeconds":%d,"etaRange":[%d,%d],' % (estimate.eta_seconds, low, high)
