"""The streams of fans in line: one loop for all of them, one round trip for many positions.

Positions are told each second near the front and less often far back. What befalls a fan (called, admitted,
ended) comes as news and is told at once; the loop finds what a lost message would have said.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from bisect import bisect
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from gateway.contract.line import Lobby, Place
from gateway.line.counts import Counts
from gateway.line.moments import from_ms
from gateway.line.places import Places, room_state, stock_left
from gateway.line.registry import RoomRegistry
from gateway.line.restoring import Restoring
from gateway.wire.stream import PING_FRAME, Stream, ending, frame
from waiting_room.errors import RoomError, RoomUnknown
from waiting_room.eta import seats_reach, speed_in
from waiting_room.line import Line
from waiting_room.model import News, Positions, RoomCounts, Standing

logger = logging.getLogger(__name__)

TURN_SECONDS: Final = 0.25
"""The loop tells in turns; what is due is due in a turn, a number on the process' monotonic clock."""
KEEP_TURNS: Final = round(1.0 / TURN_SECONDS)
"""How often a stream that is told no places is looked after."""
HEARTBEAT_SECONDS_MAX: Final = 4.0
LOOKS_AT_ONCE: Final = 16
WRITES_AT_ONCE: Final = 250
"""Then whoever else asks the process has their time; some 5 ms."""
BOUNDS: Final = (100, 1_000, 10_000)
INTERVALS: Final[Sequence[float]] = (1.0, 2.0, 4.0, 8.0)
"""Seconds between two places told, with fewer ahead than each of `BOUNDS`, and with more than the last."""
_TURNS = [round(seconds / TURN_SECONDS) for seconds in INTERVALS]
LOBBY_NEAR_SECONDS: Final = 60.0
LOBBY_NEAR_INTERVAL: Final = 2.0
LOBBY_FAR_INTERVAL: Final = 8.0
"""Seconds between two frames of a lobby, in the last minute and the draw, and before: a client counts by itself."""
NEVER: Final = -1
RELEASED_RETRY_MS: Final = 60_000
"""A client that reconnects by itself is not to do so every second only to hear the same."""
SOLD_OUT_FRAME: Final = b"retry: %d\n" % RELEASED_RETRY_MS + frame("sold_out", b"{}")

_encode = msgspec.json.Encoder().encode


def turn_now() -> int:
    return int(time.monotonic() / TURN_SECONDS)


@dataclass(slots=True, eq=False)
class FanStream:
    """A fan's stream on an event's line; ``shown`` is the lowest position told (0: none yet).

    It counts the class that the fan is in, ``priority`` or not. ``place`` and ``admission`` are the signed tokens told
    last: they bring back what Redis may lose.
    """

    stream: Stream
    event: EventStreams
    fan: int
    session: str
    shown: int = 0
    priority: bool = False
    due: int = NEVER
    state: str = ""
    place: str | None = None
    admission: str | None = None
    look_due: bool = False

    def be_of(self, *, priority: bool) -> None:
        """The fan is in that class; in another than before, positions are counted anew."""
        if priority != self.priority:
            self.priority, self.shown = priority, 0


@dataclass(slots=True, eq=False)
class EventStreams:
    """An event's streams, by fan and by the turn in which each is due."""

    event_id: int
    room_state: str
    message: str
    of_fans: dict[int, list[FanStream]] = field(default_factory=dict)
    _by_turn: defaultdict[int, list[FanStream]] = field(default_factory=lambda: defaultdict(list))

    def all(self) -> list[FanStream]:
        return [watcher for some in self.of_fans.values() for watcher in some]

    def put_off(self, watcher: FanStream, turn: int) -> None:
        """The stream is due in that turn, and in no other."""
        watcher.due = turn
        self._by_turn[turn].append(watcher)

    def turns_due(self, turn: int) -> list[int]:
        return sorted(due for due in self._by_turn if due <= turn)

    def take(self, turn: int) -> list[FanStream]:
        """Who is due in just that turn and still here; each has to be put off again."""
        due = []
        for watcher in self._by_turn.pop(turn):
            if watcher.due == turn:
                watcher.due = NEVER
                if not watcher.stream.closed:
                    due.append(watcher)
        return due


class _Places:
    """The place frames of a turn and a class: what all of them share is rendered once."""

    def __init__(self, counts: RoomCounts, waiting: int, *, priority: bool = False) -> None:
        self._counts, self._priority = counts, priority
        self._speed = speed_in(counts)
        reach = seats_reach(counts)
        self._reach = math.inf if reach is None else reach
        pace = b"null" if self._speed is None else b"%.1f" % self._speed.expected
        tail = b'"priority":true,' + _tail(counts, waiting) if priority else _tail(counts, waiting)
        self._tails = [b'"linePerMinute":%b,"mayRunOut":%b,%b' % (pace, out, tail) for out in (b"false", b"true")]

    def frame(self, position: int) -> bytes:
        ahead = position - 1
        before = self._counts.ahead_in_both(ahead, priority=self._priority) if self._counts.priority else ahead
        tail = self._tails[before >= self._reach]
        if self._speed is None:
            return b'event: place\ndata: {"position":%d,"ahead":%d,"etaSeconds":null,"etaRange":null,%b\n\n' % (
                position,
                ahead,
                tail,
            )
        return b'event: place\ndata: {"position":%d,"ahead":%d,"etaSeconds":%d,"etaRange":[%d,%d],%b\n\n' % (
            position,
            ahead,
            *self._speed.seconds(before),
            tail,
        )


class LineStreams:
    """All open line streams of this process."""

    def __init__(self, line: Line, rooms: RoomRegistry, counts: Counts, places: Places, restoring: Restoring) -> None:
        self._line = line
        self._rooms = rooms
        self._counts = counts
        self._places = places
        self._restoring = restoring
        self._events: dict[int, EventStreams] = {}
        # Several a connected time, or the door would take those who listen for ghosts.
        self._heartbeat_seconds = min(HEARTBEAT_SECONDS_MAX, rooms.settings.connected_seconds / 3)
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
        event = self._events.get(event_id)
        if event is None:
            event = self._events[event_id] = EventStreams(event_id, place.room_state, self._places.message(event_id))
        watcher = FanStream(stream, event, fan, session, place.position or 0, place.priority)
        event.of_fans.setdefault(fan, []).append(watcher)
        event.put_off(watcher, turn_now() + KEEP_TURNS)
        self._tell_place(watcher, place, counts)
        # Whether there is one or not: who comes back may still show an older one.
        _tell_once(watcher, _message(event.message))

        async def leave() -> None:
            watchers = event.of_fans.get(fan, [])
            watchers.remove(watcher)
            watcher.due = NEVER
            if not watchers:
                event.of_fans.pop(fan, None)
            if not event.of_fans and self._events.get(event_id) is event:
                del self._events[event_id]
            if watcher.state == "waiting":
                # The next connection may be another gateway's: it must not show a higher position.
                try:
                    await self._line.heartbeat(event_id, {fan: watcher.shown})
                except (RedisError, RoomUnknown) as error:
                    logger.debug("last position not kept: %s", error)

        return leave

    # -- news

    def on_news(self, news: News) -> None:
        """A message of Redis: somebody was called, admitted, put back or ended, or the room was changed."""
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
            # Everybody hears of a changed rate or a pause within a second.
            turn = turn_now()
            for number, watcher in enumerate(event.all()):
                event.put_off(watcher, turn + number // WRITES_AT_ONCE % KEEP_TURNS)

    def _look_at(self, watchers: Iterable[FanStream]) -> None:
        self._start(self._look(list(watchers)))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._looks.add(task)
        task.add_done_callback(self._looks.discard)

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
        event_id, fan = watcher.event.event_id, watcher.fan
        counts = await self._counts.of(event_id)
        standing = await self._line.standing(event_id, fan, touch=False)
        if standing.state == "none" and standing.room_state != "off" and (watcher.place or watcher.admission):
            # Redis lost the fan, whose stream goes on: nothing is asked of them.
            standing = await self._restored(watcher)
        if counts is not None:
            self._tell_place(watcher, self._places.place(event_id, standing, counts, fan, watcher.session), counts)

    async def _restored(self, watcher: FanStream) -> Standing:
        """Raises:
        RoomError: the line does not take the place back (yet).
        """
        event_id, fan, tokens = watcher.event.event_id, watcher.fan, self._places.tokens
        place = tokens.verify_place(watcher.place, event=event_id, fan=fan) if watcher.place else None
        admission = tokens.verify_pass(watcher.admission, event=event_id, fan=fan) if watcher.admission else None
        place = await self._restoring.restore(event_id, fan, place, admission)
        if place is not None:
            return await self._line.join(event_id, fan, place)
        return await self._line.standing(event_id, fan)

    # -- telling

    def _tell_place(self, watcher: FanStream, place: Place, counts: RoomCounts) -> None:
        before, watcher.state = watcher.state, place.state
        watcher.place, watcher.admission = place.token, place.admission_pass
        watcher.be_of(priority=place.priority)
        if place.state == "called" and place.claim_by_seconds is not None:
            if before != "called":
                _tell_once(watcher, _called(place.claim_by_seconds))
            return
        if place.state == "admitted" and place.admission_pass is not None:
            if before != "admitted":
                _tell_once(watcher, _admitted(place.admission_pass, place.expires_at))
            return
        if place.state == "sold_out":
            # There is nothing to wait for: the fan is let go, and the place kept (ADR 18).
            if before != "sold_out":
                watcher.stream.end(SOLD_OUT_FRAME)
            return
        if place.state == "closed":
            if before != "closed":
                _tell_once(watcher, frame("closed", b"{}"))
            return
        if place.lobby is not None:
            watcher.stream.write(_lobby(place.state, place.room_state, counts, place.lobby))
            return
        if place.position is None or place.ahead is None:
            watcher.stream.write(_no_position(place.state, place.room_state))
            return
        places = _Places(counts, place.waiting, priority=place.priority)
        _tell_ranks([watcher], [place.position - 1], places, turn_now())

    def _tell_called(self, watcher: FanStream, claim_by_ms: int) -> None:
        row = self._rooms.rows.get(watcher.event.event_id)
        window = row.claim_window_seconds if row is not None else 0
        watcher.state = "called"
        _tell_once(watcher, _called(window))

    def _tell_admitted(self, watcher: FanStream, until_ms: int) -> None:
        watcher.state = "admitted"
        watcher.admission = token = self._places.sign_pass(watcher.event.event_id, watcher.fan, until_ms)
        _tell_once(watcher, _admitted(token, from_ms(until_ms)))

    # -- the loop

    async def run(self) -> None:
        """Tell places for as long as the process runs, and say `bye` when it is told to end."""
        while True:
            started = time.monotonic()
            if self.ending:
                self.end()
            for event in list(self._events.values()):
                try:
                    await self._turn(event, int(started / TURN_SECONDS))
                except (RedisError, RoomUnknown, OSError) as error:
                    logger.warning("event %d: places not told: %s", event.event_id, error)
            if started - self._heartbeat_at >= self._heartbeat_seconds:
                self._heartbeat_at = started
                try:
                    await self._heartbeat()
                except (RedisError, OSError) as error:
                    logger.warning("no heartbeat: %s", error)
            await asyncio.sleep(max(0.0, TURN_SECONDS - (time.monotonic() - started)))

    def end(self) -> None:
        """Farewell to every stream; the clients reconnect, elsewhere."""
        for event in self._events.values():
            for watcher in event.all():
                watcher.stream.end()

    async def _turn(self, event: EventStreams, turn: int) -> None:
        counts = await self._counts.of(event.event_id)
        if counts is None:
            return
        await self._tell_message(event)
        state = room_state(counts)
        if state != event.room_state:
            event.room_state, before = state, event.room_state
            if {state, before} & {"sold_out", "closed"}:
                self._look_at(event.all())
                return
        for due in event.turns_due(turn):
            # From when they were due: a late turn is not to gather the fans of two for good. Far behind, it may.
            await self._tell_due(event, counts, event.take(due), max(due, turn - KEEP_TURNS + 1))

    async def _tell_message(self, event: EventStreams) -> None:
        """Everybody who listens hears of another message, by the turn after this process knows it."""
        message = self._places.message(event.event_id)
        if message == event.message:
            return
        event.message, told = message, _message(message)
        watchers = event.all()
        for start in range(0, len(watchers), WRITES_AT_ONCE):
            for watcher in watchers[start : start + WRITES_AT_ONCE]:
                _tell_once(watcher, told)
            await asyncio.sleep(0)

    async def _tell_due(self, event: EventStreams, counts: RoomCounts, due: list[FanStream], turn: int) -> None:
        now = time.monotonic()
        waiting: list[FanStream] = []
        for watcher in due:
            if watcher.state not in ("waiting", "lobby", ""):
                watcher.stream.keep()
                event.put_off(watcher, turn + KEEP_TURNS)
            elif now >= watcher.stream.ends_at:
                watcher.stream.end()
            else:
                waiting.append(watcher)
        try:
            if waiting:
                await self._tell_waiting(event, counts, waiting, turn)
        finally:
            for watcher in waiting:
                if watcher.due == NEVER:
                    event.put_off(watcher, turn + KEEP_TURNS)

    async def _tell_waiting(self, event: EventStreams, counts: RoomCounts, waiting: list[FanStream], turn: int) -> None:
        if event.room_state in ("sold_out", "closed"):
            # There are no positions to tell any more, but these have not yet heard why.
            self._look_at(waiting)
            return
        if counts.undrawn:
            # There are no ranks yet; the heartbeat finds who is not there any more.
            self._tell_lobby(event, counts, waiting, turn)
            return
        ranks = await self._line.positions(event.event_id, [watcher.fan for watcher in waiting])
        unsure = [watcher for watcher, rank in zip(waiting, ranks.ranks, strict=True) if rank < 0]
        if unsure:
            self._look_at(unsure)
        if counts.state == "rebuilding":
            # Others are still coming back: a position told now might have to rise.
            document = _no_position("waiting", "rebuilding")
            for watcher, rank in zip(waiting, ranks.ranks, strict=True):
                if rank >= 0:
                    watcher.stream.write(document)
            return
        for priority, watchers, their_ranks in _by_class(waiting, ranks):
            places = _Places(counts, ranks.waiting, priority=priority)
            for start in range(0, len(watchers), WRITES_AT_ONCE):
                end = start + WRITES_AT_ONCE
                _tell_ranks(watchers[start:end], their_ranks[start:end], places, turn)
                await asyncio.sleep(0)

    def _tell_lobby(self, event: EventStreams, counts: RoomCounts, waiting: list[FanStream], turn: int) -> None:
        """The time to the on-sale, the same for all: before the draw, and while it goes on."""
        lobby = self._places.lobby(event.event_id, counts)
        if lobby is None:
            return
        frames = {state: _lobby(state, event.room_state, counts, lobby) for state in ("lobby", "waiting")}
        far = lobby.seconds_to_on_sale > LOBBY_NEAR_SECONDS
        turns = round((LOBBY_FAR_INTERVAL if far else LOBBY_NEAR_INTERVAL) / TURN_SECONDS)
        for watcher in waiting:
            watcher.stream.write(frames[watcher.state or "lobby"])
            event.put_off(watcher, turn + turns)

    async def _heartbeat(self) -> None:
        since = time.monotonic() - 2 * self._heartbeat_seconds
        for event in list(self._events.values()):
            shown: dict[int, int] = {}
            for fan, some in event.of_fans.items():
                for watcher in some:
                    stream = watcher.stream
                    if watcher.state not in ("lobby", "waiting", "called", "admitted") or stream.closed:
                        continue
                    if stream.wrote_at < since:
                        stream.write(PING_FRAME)
                    if stream.wrote_at >= since:
                        shown[fan] = min(shown.get(fan) or watcher.shown, watcher.shown)
            if shown:
                gone = await self._line.heartbeat(event.event_id, shown)
                self._look_at([watcher for fan in gone for watcher in event.of_fans.get(fan, ())])


def _by_class(watchers: list[FanStream], found: Positions) -> list[tuple[bool, list[FanStream], list[int]]]:
    """Whether of the priority class, its watchers, and their ranks in it."""
    if not found.priority:
        return [(False, watchers, found.ranks)]
    classes: list[tuple[bool, list[FanStream], list[int]]] = [(False, [], []), (True, [], [])]
    for at, (watcher, rank) in enumerate(zip(watchers, found.ranks, strict=True)):
        priority, those, ranks = classes[at in found.priority]
        if rank >= 0:
            watcher.be_of(priority=priority)
        those.append(watcher)
        ranks.append(rank)
    return classes


def _tell_ranks(watchers: Sequence[FanStream], ranks: Sequence[int], places: _Places, turn: int) -> None:
    """True ranks (0 is next; below 0 none), each told as no more than what was told before.

    Who has heard meanwhile that the wait is over is told nothing. This is the hot loop.
    """
    frame_of = places.frame
    for watcher, rank in zip(watchers, ranks, strict=True):
        if rank < 0 or watcher.state not in ("waiting", "lobby", ""):
            continue
        shown = watcher.shown
        watcher.shown = position = rank + 1 if rank < shown or shown == 0 else shown
        watcher.state = "waiting"
        watcher.stream.write(frame_of(position))
        watcher.event.put_off(watcher, turn + _TURNS[bisect(BOUNDS, position - 1)])


def _tell_once(watcher: FanStream, message: bytes) -> None:
    """A message that is not told again: who is too far behind to get it reconnects and asks."""
    if not watcher.stream.write(message):
        watcher.stream.end()


def _no_position(state: str, room_state: str) -> bytes:
    return frame("place", _encode({"state": state, "roomState": room_state, "position": None, "ahead": None}))


def _lobby(state: str, room_state: str, counts: RoomCounts, lobby: Lobby) -> bytes:
    return frame(
        "place",
        _encode(
            {
                "position": None,
                "ahead": None,
                "etaSeconds": None,
                "etaRange": None,
                "waiting": counts.waiting + counts.lobby,
                "ratePerMinute": counts.config.rate_per_minute,
                "state": state,
                "roomState": room_state,
                "stock": None,
                "lobby": lobby,
            }
        ),
    )


def _message(message: str) -> bytes:
    return frame("message", _encode({"message": message}))


def _called(claim_by_seconds: int) -> bytes:
    return frame("called", b'{"claimBySeconds":%d}' % claim_by_seconds)


def _admitted(admission_pass: str, expires_at: object) -> bytes:
    return frame("admitted", _encode({"pass": admission_pass, "expiresAt": expires_at}))


def _tail(counts: RoomCounts, waiting: int) -> bytes:
    """What every place frame of a turn ends with, rendered once."""
    return b'"waiting":%d,"ratePerMinute":%s,"state":"waiting","roomState":"%s","stock":%s}' % (
        waiting,
        _encode(counts.config.rate_per_minute),
        room_state(counts).encode(),
        _encode(stock_left(counts)),
    )
