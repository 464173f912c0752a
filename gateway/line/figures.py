"""The figures of rooms for operators: line, door and bookings, for the console, its stream and the metrics."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence, Set
from typing import Final

import msgspec
import redis.asyncio
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from booking_lane.figures import CHOICES
from booking_lane.lane import queue_name
from db.events.sale import sale_state
from db.patience import Turns
from db.rooms.dials import dials_of
from db.rooms.rooms import RoomRow
from db.rooms.states import RoomState
from gateway.booking.desk import Desk
from gateway.contract.rooms import NewcomerView, RoomAnswer
from gateway.hall.glances import Glances
from gateway.hall.hall import Hall, UnknownEventError
from gateway.hall.halls import Halls
from gateway.health.presence import Presence, present
from gateway.line.counts import Counts
from gateway.line.moments import from_ms
from gateway.line.places import room_state, stock_left
from gateway.line.registry import RoomRegistry
from gateway.wire.stream import Stream, ending, frame
from waiting_room.errors import RoomError
from waiting_room.eta import eta_in, seats_reach, speed_in
from waiting_room.model import RoomCounts

logger = logging.getLogger(__name__)

BOOKING_SECONDS: Final = 60.0
"""The figures of bookings are of the last minute."""
STREAM_SECONDS: Final = 1.0


def newcomer_view(counts: RoomCounts) -> NewcomerView | None:
    """What the waiting page would tell a fan who joined the line now; None where there is no line to join."""
    if room_state(counts) not in ("open", "paused"):
        return None
    ahead = counts.waiting - counts.priority
    estimate, speed, reach = eta_in(counts, ahead), speed_in(counts), seats_reach(counts)
    return NewcomerView(
        eta_seconds=None if estimate is None else estimate.eta_seconds,
        eta_range=None if estimate is None else estimate.eta_range,
        line_per_minute=None if estimate is None or speed is None else round(speed.expected, 1),
        may_run_out=reach is not None and counts.ahead_in_both(ahead, priority=False) >= reach,
        stock=stock_left(counts),
    )


class RoomFigures:
    """Reads the figures of rooms.

    Args:
        jobs: the Redis of the jobs, which has the lanes' queues and the presence of gateways.
    """

    def __init__(
        self,
        rooms: RoomRegistry,
        counts: Counts,
        halls: Halls,
        glances: Glances,
        desk: Desk,
        jobs: redis.asyncio.Redis,
    ) -> None:
        self._rooms = rooms
        self._counts = counts
        self._halls = halls
        self._glances = glances
        self._desk = desk
        self._jobs = jobs

    async def of_room(self, row: RoomRow) -> RoomAnswer | None:
        """The figures of one room; None if its event is gone.

        Raises:
            redis.RedisError, sqlalchemy.exc.SQLAlchemyError: Redis or Postgres does not answer.
        """
        return await self._of_room(row, await present(self._jobs))

    async def of_rooms(
        self, rows: Iterable[RoomRow] | None = None, *, with_gateways: bool = True, glance: bool = False
    ) -> tuple[RoomAnswer, ...]:
        """The figures of ``rows``, by default of all rooms. Without ``with_gateways`` the gateways count as none, which
        saves reading them. With ``glance`` no hall is kept in memory for it, because nobody looks at it.

        Raises:
            redis.RedisError, sqlalchemy.exc.SQLAlchemyError: Redis or Postgres does not answer. Where one server of
                a cluster does not, its rooms are left out.
        """
        gateways = await present(self._jobs) if with_gateways else ()
        chosen = list(self._rooms.rows.values() if rows is None else rows)
        halls = await self._glances.at([row.event_id for row in chosen]) if glance else None
        answers: list[RoomAnswer | None] = []
        turns = Turns("reading figures", self._rooms.room_errors, others=False)
        for row in chosen:
            with turns.of(f"event {row.event_id}"):
                if halls is None:
                    answers.append(await self._of_room(row, gateways))
                elif (hall := halls.get(row.event_id)) is not None:
                    answers.append(await self._of_room(row, gateways, hall))
        turns.end()
        if turns.failed and not answers:
            raise turns.failed[0]
        return tuple(answer for answer in answers if answer is not None)

    async def most_watched(self, rooms_max: int) -> tuple[RoomAnswer, ...]:
        """The figures of at most ``rooms_max`` rooms: of the open ones first, and of the newest among them.

        Raises:
            redis.RedisError, sqlalchemy.exc.SQLAlchemyError: Redis or Postgres does not answer.
        """
        rows = sorted(
            self._rooms.rows.values(),
            key=lambda row: (row.state in (RoomState.OFF, RoomState.CLOSED), -row.event_id),
        )
        return await self.of_rooms(rows[:rooms_max], glance=True)

    async def _of_room(self, row: RoomRow, gateways: Sequence[Presence], hall: Hall | None = None) -> RoomAnswer | None:
        counts = await self._counts.of(row.event_id)
        if counts is None:
            return None
        # Another gateway may have changed the room since this one read it.
        row = await self._rooms.row(row.event_id, revision_min=counts.config.revision) or row
        try:
            hall = hall or await self._halls.current(row.event_id)
        except UnknownEventError:
            # The event, for example a rehearsal's copy, was removed after the rooms were read.
            return None
        lane = self._desk.site_lanes.of(row.event_id)
        recent = self._desk.recent(lane, BOOKING_SECONDS)
        errors: Counter[str] = Counter()
        for (_, outcome), number in recent.commands.items():
            if outcome != "succeeded":
                errors[outcome] += number
        queued = await self._jobs.llen(f"rq:queue:{queue_name(lane)}")
        return RoomAnswer(
            event_id=row.event_id,
            name=hall.event.name,
            venue=hall.event.venue,
            date=hall.event.date,
            time_zone=hall.event.time_zone,
            state=room_state(counts),
            sale=sale_state(row, from_ms(counts.now_ms)),
            waiting=counts.waiting,
            priority_waiting=counts.priority,
            called=counts.called,
            admitted=counts.admitted,
            **dials_of(row),
            rate_now_per_minute=round(counts.rate_per_minute, 1),
            measured_per_minute=counts.pace.admitted_per_minute,
            called_per_minute=_rounded(counts.pace.called_per_minute),
            let_in=counts.let_in,
            lobby=counts.lobby,
            paused=row.state is RoomState.PAUSED,
            closed=row.state is RoomState.CLOSED,
            autopilot_why=counts.steering.why if row.autopilot and counts.steering is not None else "",
            no_show_rate=counts.pace.no_show_rate,
            p50_booking_ms=recent.wait_ms(0.5),
            p95_booking_ms=recent.wait_ms(0.95),
            errors=dict(errors),
            faults=sum(number for code, number in errors.items() if code not in CHOICES),
            backlog=int(queued) + self._desk.backlog_here(lane),
            sold=hall.quantity - hall.free - hall.held,
            held=hall.held,
            free=hall.free,
            takings=hall.takings,
            currency=hall.event.currency,
            newcomer=newcomer_view(counts),
            revision=row.revision,
            gateways=len(gateways),
            gateways_in_force=sum(gateway.knows(row.event_id, row.revision) for gateway in gateways),
            shop=None if row.shop is None else row.shop.origin,
        )

    def rows_of(self, event_ids: Set[int] | None) -> list[RoomRow]:
        """The rooms of these events; None: of all."""
        return [row for row in self._rooms.rows.values() if event_ids is None or row.event_id in event_ids]

    async def subscribe(self, event_ids: Set[int] | None, stream: Stream) -> Callable[[], Awaitable[None]]:
        """Send the rooms of these events, or with None every room, to the console's stream once a second; return the
        function that ends this.
        """
        sending = asyncio.get_running_loop().create_task(self._send(stream, event_ids))

        async def leave() -> None:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

        return leave

    async def _send(self, stream: Stream, event_ids: Set[int] | None) -> None:
        try:
            while not stream.closed and time.monotonic() < stream.ends_at and not ending():
                try:
                    for answer in await self.of_rooms(self.rows_of(event_ids)):
                        stream.write(frame("room", msgspec.json.encode(answer)))
                except (RedisError, SQLAlchemyError, RoomError, OSError) as error:
                    # The console marks its figures as old when it gets no new ones.
                    logger.warning("rooms not sent to the console: %s", error)
                stream.beat()
                await asyncio.sleep(STREAM_SECONDS)
        finally:
            stream.end()


def _rounded(per_minute: float | None) -> float | None:
    return None if per_minute is None else round(per_minute, 1)
