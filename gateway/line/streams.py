"""The streams of fans in line. One loop serves all of them, and one round trip to Redis reads many positions.

Positions are sent each second near the front, and less often far back. As soon as a message says that a fan was called
or admitted, or that a place ended, the fan's stream is sent that. If the message is lost, the loop notices the change.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from functools import partial
from typing import Any, Final

from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from db.patience import Apart, Turns
from gateway.contract.line import Place
from gateway.line.counts import Counts
from gateway.line.fan_streams import NO_TURN, TURN_SECONDS, WRITES_AT_ONCE, EventStreams, FanStream, turn_now
from gateway.line.frames import (
    PlaceFrames,
    called_frame,
    lobby_frame,
    message_frame,
    no_position_frame,
)
from gateway.line.lists import ROUND_SECONDS_MAX, FanList
from gateway.line.moments import from_ms
from gateway.line.places import Places, room_state
from gateway.line.ranks import EventRanks
from gateway.line.registry import RoomRegistry
from gateway.line.restoring import Restoring
from gateway.line.sending import by_class, send_admitted, send_place, send_positions
from gateway.wire.stream import Stream, ending
from waiting_room.errors import RoomError, RoomUnknown
from waiting_room.line import Line
from waiting_room.model import News, RoomCounts, Standing

logger = logging.getLogger(__name__)

KEEP_TURNS: Final = round(1.0 / TURN_SECONDS)
"""A stream that is sent no places is looked at once in this many turns."""
HEARTBEAT_SECONDS_MAX: Final = 4.0
LOOKS_AT_ONCE: Final = 16
AWAY_SECONDS_MAX: Final = 0.25
"""The lines at one server of a cluster keep those at others waiting for so long at most."""
WITH_PLACE: Final = frozenset({"lobby", "waiting", "called", "admitted", "idle"})
CHANGING: Final = frozenset({"called", "admitted", "idle"})
"""The states of a fan who holds a place, and those of them which may end soon while no rank shows that they did."""
LOBBY_NEAR_SECONDS: Final = 60.0
LOBBY_NEAR_INTERVAL_SECONDS: Final = 2.0
LOBBY_FAR_INTERVAL_SECONDS: Final = 8.0
"""A lobby is sent frames this rarely until `LOBBY_NEAR_SECONDS` before the draw: clients count down by themselves."""


class LineStreams:
    """All open line streams of this process.

    Args:
        lists_are_read: whether every gateway reads the lists of fans (`gateway.line.lists`). While one of an older
            release runs, each fan's sign of life is given alone.
    """

    def __init__(
        self,
        line: Line,
        rooms: RoomRegistry,
        counts: Counts,
        places: Places,
        restoring: Restoring,
        lists_are_read: Callable[[], bool] = lambda: True,
    ) -> None:
        self._line = line
        self._lists_are_read = lists_are_read
        self._rooms = rooms
        self._counts = counts
        self._places = places
        self._restoring = restoring
        self._events: dict[int, EventStreams] = {}
        # The heartbeat must come more often than `connected_seconds`, or fans with an open stream would count as
        # absent.
        self._heartbeat_seconds = min(HEARTBEAT_SECONDS_MAX, rooms.settings.connected_seconds / 3)
        self._heartbeat_at = 0.0
        self._looks: set[asyncio.Task[None]] = set()
        self._turns_apart, self._beats_apart = Apart(AWAY_SECONDS_MAX), Apart(AWAY_SECONDS_MAX)
        self._on_watched: Callable[[], None] = lambda: None

    @property
    def watched(self) -> Collection[int]:
        """The events with streams here."""
        return self._events.keys()

    def on_watched(self, look: Callable[[], None]) -> None:
        """Have ``look`` called when an event got its first stream or has lost its last one."""
        self._on_watched = look

    async def subscribe(
        self, stream: Stream, event_id: int, fan: int, session: str, place: Place, counts: RoomCounts
    ) -> Callable[[], Awaitable[None]]:
        """Send the fan's place now and whenever it changes; return the function that ends this."""
        event = self._events.get(event_id)
        if event is None:
            fans = FanList(self._line, event_id, self._beats_a_round())
            message = self._places.message(event_id)
            event = self._events[event_id] = EventStreams(
                event_id, place.room_state, message, fans, EventRanks(self._line, event_id)
            )
            self._on_watched()
        fan_stream = FanStream(stream, event, fan, session, place.position or 0, place.priority)
        event.add(fan_stream)
        event.listed.came(fan)
        event.put_off(fan_stream, turn_now() + KEEP_TURNS)
        send_place(fan_stream, place, counts)
        # An empty message is sent too, because the page of a fan who comes back may still show an older one.
        fan_stream.send_once(message_frame(*event.message))

        async def leave() -> None:
            event.remove(fan_stream)
            if not event.by_fan and self._events.get(event_id) is event:
                del self._events[event_id]
                self._on_watched()
            # The fan's next connection may be at another gateway, which must not show a higher position.
            shown = fan_stream.lowest if fan_stream.state == "waiting" else 0
            if self._lists_are_read():
                await event.listed.left(fan, shown, is_here=fan in event.by_fan)
            elif shown:
                try:
                    await self._line.heartbeat(event_id, {fan: shown})
                except (RedisError, RoomUnknown) as error:
                    logger.debug("a fan's last position was not kept: %s", error)

        return leave

    def end_session(self, fan: int, session: str) -> None:
        """End the streams of a session that was ended; its client finds out when it connects again."""
        for event in tuple(self._events.values()):
            for fan_stream in tuple(event.by_fan.get(fan, ())):
                if fan_stream.session == session:
                    fan_stream.stream.end()

    # -- news

    def on_news(self, news: News) -> None:
        """Take a message: fans were called, admitted or put back in line, places ended, or the room was changed."""
        event = self._events.get(news.event)
        if event is None:
            return
        for fan, _ in news.called:
            for fan_stream in event.by_fan.get(fan, ()):
                self._send_called(fan_stream)
        for fan, until_ms in news.admitted:
            for fan_stream in event.by_fan.get(fan, ()):
                self._send_admitted(fan_stream, until_ms)
        # A message may tell several things of one fan, in no order. Where a fan was called or admitted and is no more,
        # it tells that too, and the fan is sent last what the line says now.
        fan_streams = event.of(dict.fromkeys([*news.waiting, *(fan for fan, _ in news.ended)]))
        if fan_streams:
            self._look_soon(fan_streams)
        if news.config is not None:
            # Every fan is sent the changed rate or pause within a second.
            event.put_all_off(turn_now(), KEEP_TURNS)

    def on_gap(self) -> None:
        """The connection to Redis was made anew, as it is when Redis was: what was counted may not be true any more."""
        for event in self._events.values():
            event.ranks.forget_all()

    def _send_called(self, fan_stream: FanStream) -> None:
        row = self._rooms.rows.get(fan_stream.event.event_id)
        fan_stream.state = "called"
        fan_stream.send_once(called_frame(0 if row is None else row.claim_window_seconds))

    def _send_admitted(self, fan_stream: FanStream, until_ms: int) -> None:
        fan_stream.state = "admitted"
        fan_stream.admission = token = self._places.sign_pass(fan_stream.event.event_id, fan_stream.fan, until_ms)
        # How scarce the seats are, the next turn tells.
        send_admitted(fan_stream, token, (from_ms(until_ms), None), crowded=False)

    # -- looks: a rank alone does not say why it is missing, so the standings of such fans are read one by one

    def _look_soon(self, fan_streams: list[FanStream]) -> None:
        self._start(self._look(fan_streams))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._looks.add(task)
        task.add_done_callback(self._looks.discard)

    async def _look(self, fan_streams: list[FanStream]) -> None:
        due = [fan_stream for fan_stream in fan_streams if not fan_stream.look_due]
        for fan_stream in due:
            fan_stream.look_due = True
        rest = iter(due)

        async def look() -> None:
            for fan_stream in rest:
                fan_stream.look_due = False
                try:
                    await self._look_at(fan_stream)
                except (RedisError, SQLAlchemyError, RoomError, OSError) as error:
                    logger.debug("standing not read: %s", error)

        await asyncio.gather(*(look() for _ in range(min(LOOKS_AT_ONCE, len(due)))))

    async def _look_at(self, fan_stream: FanStream) -> None:
        if fan_stream.stream.closed:
            return
        event_id, fan = fan_stream.event.event_id, fan_stream.fan
        counts = await self._counts.of(event_id)
        standing = await self._line.standing(event_id, fan, touch=False)
        if standing.state == "none" and standing.room_state != "off" and (fan_stream.place or fan_stream.admission):
            # Redis lost the fan's place. It is restored here, so that the stream goes on and the fan need do nothing.
            standing = await self._restored(fan_stream)
        if counts is not None:
            place = self._places.place(event_id, standing, counts, fan, fan_stream.session)
            send_place(fan_stream, place, counts)

    async def _restored(self, fan_stream: FanStream) -> Standing:
        """Restore the fan's place or slot; return the fan's standing after that.

        Raises:
            RoomError: the line does not take the place back now.
        """
        event_id, fan, tokens = fan_stream.event.event_id, fan_stream.fan, self._places.tokens
        place = tokens.verify_place(fan_stream.place, event=event_id) if fan_stream.place else None
        admission = tokens.verify_pass(fan_stream.admission, event=event_id, fan=fan) if fan_stream.admission else None
        place = await self._restoring.restore(event_id, fan, place, admission)
        if place is not None:
            return await self._line.join(event_id, fan, place)
        return await self._line.standing(event_id, fan)

    # -- the loop

    async def run(self) -> None:
        """Send places for as long as the process runs, and end all streams once the process is ending."""
        while True:
            started = time.monotonic()
            if ending():
                self.end()
            by_server: dict[str, list[EventStreams]] = {}
            for event in self._events.values():
                by_server.setdefault(self._line.shard_of(event.event_id), []).append(event)
            turn = int(started / TURN_SECONDS)
            await self._turns_apart.turn(
                {name: partial(self._take_turns, events, turn) for name, events in by_server.items()}
            )
            if started - self._heartbeat_at >= self._heartbeat_seconds:
                self._heartbeat_at = started
                await self._beats_apart.turn(
                    {name: partial(self._heartbeat, events) for name, events in by_server.items()}
                )
            await asyncio.sleep(max(0.0, TURN_SECONDS - (time.monotonic() - started)))

    def end(self) -> None:
        """End every stream, because this process ends; the clients connect to another one."""
        for event in self._events.values():
            for fan_stream in event.all():
                fan_stream.stream.end()

    async def _take_turns(self, events: Sequence[EventStreams], turn: int) -> None:
        turns = Turns("sending places", (RedisError, SQLAlchemyError, RoomUnknown, OSError))
        for event in events:
            with turns.of(f"event {event.event_id}"):
                await self._take_turn(event, turn)
        turns.end()

    async def _take_turn(self, event: EventStreams, turn: int) -> None:
        counts = await self._counts.of(event.event_id)
        if counts is None:
            return
        await self._send_message(event)
        state = room_state(counts)
        if state != event.room_state:
            event.room_state, before = state, event.room_state
            if {state, before} & {"sold_out", "closed"}:
                self._look_soon(event.all())
                return
        for due in event.turns_due(turn):
            # Streams are scheduled from their due turn, not from the current one, so that a late loop does not merge
            # two groups forever. Only if the loop is more than `KEEP_TURNS` late are they merged.
            await self._send_due(event, counts, event.take(due), max(due, turn - KEEP_TURNS + 1))

    async def _send_message(self, event: EventStreams) -> None:
        """If the operators' message has changed, send it to every fan."""
        message = self._places.message(event.event_id)
        if message == event.message:
            return
        event.message, frame = message, message_frame(*message)
        fan_streams = event.all()
        for start in range(0, len(fan_streams), WRITES_AT_ONCE):
            for fan_stream in fan_streams[start : start + WRITES_AT_ONCE]:
                fan_stream.send_once(frame)
            await asyncio.sleep(0)

    async def _send_due(self, event: EventStreams, counts: RoomCounts, due: list[FanStream], turn: int) -> None:
        now = time.monotonic()
        waiting: list[FanStream] = []
        admitted: list[FanStream] = []
        for fan_stream in due:
            if fan_stream.state not in ("waiting", "lobby", ""):
                if fan_stream.state == "admitted":
                    admitted.append(fan_stream)
                fan_stream.stream.keep()
                event.put_off(fan_stream, turn + KEEP_TURNS)
            elif now >= fan_stream.stream.ends_at:
                fan_stream.stream.end()
            else:
                waiting.append(fan_stream)
        if admitted:
            await self._send_admitted_again(counts, admitted)
        try:
            if waiting:
                await self._send_waiting(event, counts, waiting, turn)
        finally:
            for fan_stream in waiting:
                if fan_stream.due == NO_TURN:
                    event.put_off(fan_stream, turn + KEEP_TURNS)

    async def _send_admitted_again(self, counts: RoomCounts, admitted: list[FanStream]) -> None:
        """While seats are scarce, and once when it is over, send admitted fans how their passes end now."""
        crowded = counts.is_crowded
        changing = [
            fan_stream
            for fan_stream in admitted
            if counts.scarce_since_ms or fan_stream.crowded != crowded or (fan_stream.pass_ends or (None, None))[1]
        ]
        if not changing:
            return
        event_id = changing[0].event.event_id
        passes = await self._line.passes(event_id, [fan_stream.fan for fan_stream in changing])
        for fan_stream, ends in zip(changing, passes, strict=True):
            if ends is None or fan_stream.state != "admitted":
                continue
            token = fan_stream.admission or self._places.sign_pass(event_id, fan_stream.fan, ends.until_ms)
            idle_ends_at = None if ends.idle_ends_ms is None else from_ms(ends.idle_ends_ms)
            expires_at = idle_ends_at or from_ms(ends.until_ms)
            send_admitted(fan_stream, token, (expires_at, idle_ends_at), crowded=crowded)

    async def _send_waiting(self, event: EventStreams, counts: RoomCounts, waiting: list[FanStream], turn: int) -> None:
        if event.room_state in ("sold_out", "closed"):
            # There are no positions any more, and these fans must be sent the reason.
            self._look_soon(waiting)
            return
        if counts.undrawn:
            # There are no ranks yet. The heartbeat shows which fans have left the lobby.
            self._send_lobby(event, counts, waiting, turn)
            return
        positions = await event.ranks.of([fan_stream.fan for fan_stream in waiting])
        for fan_stream in waiting:
            if fan_stream.fan not in event.by_fan:
                # The stream was closed while the line was asked.
                event.ranks.forget(fan_stream.fan)
        unranked = [fan_stream for fan_stream, rank in zip(waiting, positions.ranks, strict=True) if rank < 0]
        if unranked:
            self._look_soon(unranked)
        if counts.state == "rebuilding":
            # Fans who were ahead are still coming back, so a position sent now might have to rise.
            frame = no_position_frame("waiting", "rebuilding")
            for fan_stream, rank in zip(waiting, positions.ranks, strict=True):
                if rank >= 0:
                    fan_stream.stream.write(frame)
            return
        slowed = [pace.note(turn, event.ranks.passed(priority=priority)) for priority, pace in event.paces.items()]
        if any(slowed):
            # Their pages count down too fast.
            event.put_all_off(turn + 1, KEEP_TURNS)
        for priority, members, ranks in by_class(waiting, positions):
            frames = PlaceFrames(counts, positions.waiting, priority=priority, pace=event.paces[priority].now)
            for start in range(0, len(members), WRITES_AT_ONCE):
                end = start + WRITES_AT_ONCE
                send_positions(members[start:end], ranks[start:end], frames, turn)
                await asyncio.sleep(0)

    def _send_lobby(self, event: EventStreams, counts: RoomCounts, waiting: list[FanStream], turn: int) -> None:
        """Send all fans of a lobby the same frame with the time to the on-sale, before the draw and during it."""
        lobby = self._places.lobby(event.event_id, counts)
        if lobby is None:
            return
        frames = {state: lobby_frame(state, event.room_state, counts, lobby) for state in ("lobby", "waiting")}
        far = lobby.seconds_to_on_sale > LOBBY_NEAR_SECONDS
        turns = round((LOBBY_FAR_INTERVAL_SECONDS if far else LOBBY_NEAR_INTERVAL_SECONDS) / TURN_SECONDS)
        for fan_stream in waiting:
            fan_stream.stream.write(frames[fan_stream.state or "lobby"])
            event.put_off(fan_stream, turn + turns)

    def _beats_a_round(self) -> float:
        """How many beats may pass until the line is told of each fan again: within half of what an absence may last."""
        return max(1.0, min(ROUND_SECONDS_MAX, self._rooms.settings.absence_seconds / 2) / self._heartbeat_seconds)

    def _connected(self, event: EventStreams) -> dict[int, int]:
        """The fans whose streams take what is written to them, each with the lowest position shown (0: none)."""
        since = time.monotonic() - 2 * self._heartbeat_seconds
        shown: dict[int, int] = {}
        for fan, fan_streams in event.by_fan.items():
            for fan_stream in fan_streams:
                stream = fan_stream.stream
                if fan_stream.state not in WITH_PLACE or stream.closed:
                    continue
                stream.beat()
                if stream.wrote_at >= since:
                    lowest = fan_stream.lowest
                    shown[fan] = min(shown.get(fan) or lowest, lowest)
        return shown

    def _changing(self, event: EventStreams) -> list[int]:
        """The fans whose places may end while no message says so; a door's capacity bounds them."""
        return [
            fan
            for fan, fan_streams in event.by_fan.items()
            if any(fan_stream.state in CHANGING for fan_stream in fan_streams)
        ]

    async def _heartbeat(self, events: Sequence[EventStreams]) -> None:
        """Let Redis know which fans are connected, and look at the streams of fans whom it does not know any more."""
        turns = Turns("the heartbeat", (RedisError, RoomUnknown, OSError))
        for event in events:
            with turns.of(f"event {event.event_id}"):
                if self._lists_are_read():
                    gone = await event.listed.beat(partial(self._connected, event), partial(self._changing, event))
                else:
                    gone = await self._line.heartbeat(event.event_id, self._connected(event))
                self._look_soon(event.of(gone))
        turns.end()
