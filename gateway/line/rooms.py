"""The rooms this gateway keeps the door of: their configuration from Postgres, the ticks, and what fans are told.

Leaderless: every gateway ticks every open room; the script lets no more through than the rate allows.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import msgspec
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from db.draws.draws import draw_row, drawn_number
from db.rooms.fans import FanRecord, fan_record, holds_end_at, live_holds
from db.rooms.rooms import RoomRow, UnknownRoomError, room, rooms
from gateway.contract.line import Lobby, Place, StockLeft
from gateway.contract.values import ID_MAX
from gateway.health.presence import REVISION_FIRST
from gateway.line.draws import Draws
from waiting_room.draw import fan_hash
from waiting_room.errors import RoomUnknown
from waiting_room.eta import eta_in, forecast, seats_reach, speed_in
from waiting_room.line import Line
from waiting_room.model import RoomConfig, RoomCounts, Slot, Standing, Stock
from waiting_room.tokens import HOLD_MARGIN_SECONDS, AdmissionPass, PlaceToken, Tokens

logger = logging.getLogger(__name__)

TICK_SECONDS: Final = 0.25
EMPTY_TICK_SECONDS: Final = 1.0
"""Of a room with nobody in it: a venue's many other events are not to cost what a sale does."""
TICKS_AT_ONCE_MAX: Final = 20
CONFIG_SECONDS: Final = 5.0
COUNTS_SECONDS: Final = 1.0
ROOMLESS_MAX: Final = 10_000
ROOMLESS_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Commitment:
    """What is known of a draw before it: the seed's SHA-256 in hexadecimal, and the key of the fans' hashes."""

    seed_hash: str
    fan_key: bytes


@dataclass(slots=True)
class _Counted:
    counts: RoomCounts
    at: float


def room_state(counts: RoomCounts) -> str:
    """The room's state as fans are told it: with every seat sold and none held, ``sold_out``."""
    state = counts.state
    stock = counts.stock
    if state in ("open", "paused") and stock is not None and stock.free <= 0 and stock.held <= 0:
        return "sold_out"
    return state


def stock_left(counts: RoomCounts) -> StockLeft | None:
    """What is left to sell, and what may come back; None where it is not known."""
    stock = counts.stock
    if stock is None:
        return None
    return StockLeft(
        free=stock.free,
        held=stock.held,
        may_return=stock.held if stock.free <= 0 else None,
        last_hold_ends_at=from_ms(counts.holds_end_at_ms) if counts.holds_end_at_ms else None,
    )


class Rooms:
    """Configuration, ticks and counts of all rooms.

    Args:
        absence_seconds, connected_seconds, rebuild_seconds, hold_seconds, receipt_entries_max, receipt_fans_max:
            the same for every room (settings).
        now: Redis' clock (Unix time, seconds).
    """

    def __init__(
        self,
        engine: AsyncEngine,
        line: Line,
        tokens: Tokens,
        *,
        absence_seconds: int,
        connected_seconds: int,
        rebuild_seconds: int,
        hold_seconds: int,
        receipt_entries_max: int,
        receipt_fans_max: int,
        now: Callable[[], float],
    ) -> None:
        self._engine = engine
        self.line = line
        self.tokens = tokens
        self._absence_seconds = absence_seconds
        self.connected_seconds = connected_seconds
        self._rebuild_seconds = rebuild_seconds
        self._hold_ms = (hold_seconds + HOLD_MARGIN_SECONDS) * 1000
        self._receipt_entries_max = receipt_entries_max
        self._receipt_fans_max = receipt_fans_max
        self._now = now
        self._draws = Draws(engine, line)
        self.commitments: dict[int, Commitment] = {}
        self.rows: dict[int, RoomRow] = {}
        self._opened: set[int] = set()
        self._empty_until: dict[int, float] = {}
        self._roomless: dict[int, float] = {}
        self._counted: dict[int, _Counted] = {}
        self._holds_end: dict[int, tuple[int, int]] = {}
        self._counting: dict[int, asyncio.Task[RoomCounts]] = {}

    # -- configuration

    async def refresh(self) -> None:
        """Read every room from Postgres and hand what is new to Redis.

        Raises:
            sqlalchemy.exc.SQLAlchemyError, redis.exceptions.RedisError
        """
        async with self._engine.connect() as connection:
            found = await rooms(connection)
        for row in found:
            known = self.rows.get(row.event_id)
            if known is not None and known.revision == row.revision:
                self.rows[row.event_id] = row
            else:
                await self.configure(row)
        for event_id in self.rows.keys() - {row.event_id for row in found}:
            del self.rows[event_id]
            self._counted.pop(event_id, None)
            self._opened.discard(event_id)
            self._empty_until.pop(event_id, None)
            self._holds_end.pop(event_id, None)

    async def configure(self, row: RoomRow) -> None:
        """Let Redis, and by it every gateway, know a room's configuration. One older than is known changes nothing."""
        known = self.rows.get(row.event_id)
        if known is not None and known.revision > row.revision:
            return
        self.rows[row.event_id] = row
        if row.has_draw and row.event_id not in self.commitments:
            async with self._engine.connect() as connection:
                drawn = await draw_row(connection, row.event_id)
            if drawn is not None:
                self.commitments[row.event_id] = Commitment(drawn.seed_hash.hex(), drawn.fan_key)
        # The worker records the epoch within seconds; before that, this process may know that the room was open.
        epoch = max(row.epoch, 1 if row.event_id in self._opened else 0)
        configured = await self.line.configure(
            row.event_id, self._config(row), after_epoch=epoch, rebuild_seconds=self._rebuild_seconds
        )
        self._opened.add(row.event_id)
        self._counted.pop(row.event_id, None)
        if configured == "created" and epoch > 0 and row.state != "off":
            logger.warning("event %d: Redis had lost the room, it is being rebuilt", row.event_id)
            await self._retake_held(row.event_id)

    async def _retake_held(self, event_id: int) -> None:
        """Slots to the fans with live holds. Should this fail midway, the worker's housekeeping does it."""
        try:
            async with self._engine.connect() as connection:
                holds = await live_holds(connection, event_id)
            await self.line.retake(
                event_id,
                [
                    Slot(hold.user_id, to_ms(hold.ends_at) + HOLD_MARGIN_SECONDS * 1000, to_ms(hold.began_at))
                    for hold in holds
                ],
            )
        except (SQLAlchemyError, RedisError, OSError) as error:
            logger.warning("event %d: slots of live holds not retaken: %s", event_id, error)

    def _config(self, row: RoomRow) -> RoomConfig:
        return RoomConfig(
            state=row.state,  # type: ignore[arg-type]
            rate_per_minute=row.rate_per_minute,
            capacity=row.capacity,
            line_cap=row.line_cap,
            claim_window_seconds=row.claim_window_seconds,
            pass_seconds=row.pass_seconds,
            absence_seconds=self._absence_seconds,
            connected_seconds=self.connected_seconds,
            lobby_at_ms=to_ms(row.on_sale_at - dt.timedelta(minutes=row.lobby_minutes)) if row.has_draw else 0,
            draw_at_ms=to_ms(row.on_sale_at) if row.has_draw else 0,
            receipt_entries_max=self._receipt_entries_max,
            receipt_fans_max=self._receipt_fans_max,
            autopilot=int(row.autopilot),
            priority_share=row.priority_share,
            revision=row.revision,
        )

    async def row(self, event_id: int, *, revision_min: int = 0) -> RoomRow | None:
        """A room's configuration, read anew where this process knows it not or only before ``revision_min``.

        None for an event without a room. An event younger than the last refresh has one all the same: taking
        it for roomless would let fans past its door.
        """
        known = self.rows.get(event_id)
        if known is not None and known.revision >= revision_min:
            return known
        if not 1 <= event_id <= ID_MAX or self._roomless.get(event_id, 0) > time.monotonic():
            return None
        async with self._engine.connect() as connection:
            try:
                found = await room(connection, event_id)
            except UnknownRoomError:
                if len(self._roomless) >= ROOMLESS_MAX:
                    self._roomless.clear()
                self._roomless[event_id] = time.monotonic() + ROOMLESS_SECONDS
                return None
        await self.configure(found)
        return found

    async def renew(self, event_id: int) -> None:
        """The room was just made or changed: configure it at once.

        Raises:
            UnknownRoomError: the event has none.
        """
        self._roomless.pop(event_id, None)
        async with self._engine.connect() as connection:
            found = await room(connection, event_id)
        await self.configure(found)

    def revisions(self) -> dict[int, int]:
        """Which revision of each room that was ever changed this process goes by."""
        return {event_id: row.revision for event_id, row in self.rows.items() if row.revision > REVISION_FIRST}

    async def keep_refreshed(self) -> None:
        """Refresh for as long as the process runs."""
        while True:
            await asyncio.sleep(CONFIG_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311 - spreads gateways
            try:
                await self.refresh()
            except (SQLAlchemyError, RedisError, OSError) as error:
                logger.warning("rooms not refreshed: %s", error)

    # -- the door

    async def keep_admitting(self) -> None:
        """Tick every room for as long as the process runs."""
        while True:
            await asyncio.sleep(TICK_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311 - spreads gateways
            for event_id, row in list(self.rows.items()):
                if row.state == "off" or self._empty_until.get(event_id, 0) > time.monotonic():
                    continue
                try:
                    await self._tick(event_id, row)
                except (RedisError, OSError) as error:
                    logger.warning("event %d: no tick: %s", event_id, error)
                    break

    async def _tick(self, event_id: int, row: RoomRow) -> None:
        for _ in range(TICKS_AT_ONCE_MAX):
            try:
                tick = await self.line.admit(event_id)
            except RoomUnknown:
                logger.warning("event %d: Redis knows no such room, configuring it anew", event_id)
                await self.configure(row)
                return
            if tick.draw_due:
                self._draws.begin(event_id)
            if tick.is_empty:
                self._empty_until[event_id] = time.monotonic() + EMPTY_TICK_SECONDS * random.uniform(0.8, 1.2)  # noqa: S311 - spreads gateways
            if not tick.more:
                return

    # -- counts

    async def counts(self, event_id: int) -> RoomCounts | None:
        """The room in numbers, a second old at most; None for an event without a room."""
        known = self._counted.get(event_id)
        if known is not None and time.monotonic() - known.at < COUNTS_SECONDS:
            return known.counts
        row = await self.row(event_id)
        if row is None:
            return None
        task = self._counting.get(event_id)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._count(event_id))
            self._counting[event_id] = task
            task.add_done_callback(lambda _: self._counting.pop(event_id, None))
        try:
            return await asyncio.shield(task)
        except RoomUnknown:
            await self.configure(row)
            return await self._count(event_id)

    async def _count(self, event_id: int) -> RoomCounts:
        counts = await self._forecast(event_id, await self.line.counts(event_id))
        counts = dataclasses.replace(counts, holds_end_at_ms=await self._holds_end_at_ms(event_id, counts.stock))
        self._counted[event_id] = _Counted(counts, time.monotonic())
        return counts

    async def _forecast(self, event_id: int, counts: RoomCounts) -> RoomCounts:
        """The counts with the forecast that every gateway tells: another, where it is time for one."""
        told = forecast(counts)
        if told is None or told == counts.forecast:
            return counts
        try:
            if await self.line.tell(event_id, counts, told):
                return dataclasses.replace(counts, forecast=told)
            return await self.line.counts(event_id)
        except RedisError as error:
            logger.warning("event %d: forecast not told: %s", event_id, error)
            return counts

    async def _holds_end_at_ms(self, event_id: int, stock: Stock | None) -> int:
        """When the seats in holds are back at the latest, where there are no others; else 0."""
        if stock is None or stock.free > 0 or stock.held <= 0:
            return 0
        known_version, ends_at_ms = self._holds_end.get(event_id, (-1, 0))
        if known_version != stock.version:
            try:
                async with self._engine.connect() as connection:
                    ends_at = await holds_end_at(connection, event_id)
            except (SQLAlchemyError, OSError) as error:
                logger.warning("event %d: the holds' end not read: %s", event_id, error)
                return 0
            ends_at_ms = 0 if ends_at is None else to_ms(ends_at)
            self._holds_end[event_id] = (stock.version, ends_at_ms)
        return ends_at_ms

    def forget_counts(self, event_id: int) -> None:
        """The next `counts` reads anew: something was just changed. Who came to an empty room wakes its door."""
        self._counted.pop(event_id, None)
        self._empty_until.pop(event_id, None)

    # -- what Redis lost

    async def restore(
        self, event_id: int, fan: int, place: PlaceToken | None, admission: AdmissionPass | None
    ) -> PlaceToken | None:
        """Undo the loss for a fan of whom Redis knows nothing; the tokens are verified ones.

        A pass whose nominal end, or whose fan's live hold, is still to come takes its slot again. Returns the
        place to join with: None without one, and for a place that ended or was bought from.

        Raises:
            sqlalchemy.exc.SQLAlchemyError, redis.exceptions.RedisError
        """
        async with self._engine.connect() as connection:
            record = await fan_record(connection, event_id, fan)
            if place is not None and place.lobby:
                # Who has drawn stands there; who has not is still to draw.
                number = await drawn_number(connection, event_id, fan)
                drawn = await draw_row(connection, event_id) if number is not None else None
                if number is not None and drawn is not None and drawn.epoch is not None:
                    place = msgspec.structs.replace(place, epoch=drawn.epoch, number=number, lobby=False)
        if place is not None and not _lives(place, record):
            place = None
        if place is not None and record.redeemed_at is not None and to_ms(record.redeemed_at) >= place.joined_at_ms:
            # The code was redeemed for this place, and the token is an older one.
            place = msgspec.structs.replace(place, priority=True)
        if admission is not None:
            row = await self.row(event_id)
            # A pass tells its end only. No purchase or departure of its admission is older than this.
            since_ms = admission.until_ms - max(self._hold_ms, row.pass_seconds * 1000 if row else 0)
            ended = [to_ms(at) for at in (record.departed_at, record.bought_at) if at is not None]
            until_ms = admission.until_ms
            if record.hold_ends_at is not None:
                until_ms = max(until_ms, to_ms(record.hold_ends_at) + HOLD_MARGIN_SECONDS * 1000)
            if all(at_ms < since_ms for at_ms in ended):
                await self.line.retake(event_id, [Slot(fan, until_ms, since_ms)])
        return place

    # -- what a fan is told

    def place(self, event_id: int, standing: Standing, counts: RoomCounts, fan: int, session: str) -> Place:
        """A standing as the API tells it, with its tokens signed."""
        # The counts may be a second older than the standing.
        state = room_state(counts)
        if "rebuilding" in (state, standing.room_state) or "lobby" in (state, standing.room_state):
            state = standing.room_state
        told = state if state in ("closed", "sold_out") and standing.state in ("waiting", "none") else standing.state
        waits = told == "waiting"
        ahead = standing.shown - 1 if waits and standing.shown else None
        estimate = eta_in(counts, ahead, priority=standing.priority) if ahead is not None else None
        speed, reach = speed_in(counts), seats_reach(counts)
        before = counts.ahead_in_both(ahead or 0, priority=standing.priority)
        token = None
        if standing.number and standing.joined_at_ms is not None:
            token = self.tokens.sign_place(
                PlaceToken(
                    event=event_id,
                    fan=fan,
                    epoch=standing.epoch,
                    number=standing.number,
                    joined_at_ms=standing.joined_at_ms,
                    session=session,
                    lobby=standing.state == "lobby",
                    priority=standing.priority,
                )
            )
        admission = None
        if standing.pass_until_ms is not None:
            admission = self.sign_pass(event_id, fan, standing.pass_until_ms)
        return Place(
            state=told,
            room_state=state,
            token=token,
            ticket_number=None if standing.state == "lobby" else standing.number or None,
            position=None if ahead is None else ahead + 1,
            ahead=ahead,
            waiting=standing.waiting,
            eta_seconds=None if estimate is None else estimate.eta_seconds,
            eta_range=None if estimate is None else estimate.eta_range,
            line_per_minute=None if estimate is None or speed is None else round(speed.expected, 1),
            may_run_out=ahead is not None and reach is not None and before >= reach,
            stock=stock_left(counts),
            claim_by_seconds=standing.claim_by_seconds,
            admission_pass=admission,
            expires_at=None if standing.pass_until_ms is None else from_ms(standing.pass_until_ms),
            href=f"/api/queue/{event_id}",
            stream_href=f"/api/queue/{event_id}/stream",
            lobby=self.lobby(event_id, counts, fan) if state in ("lobby", "closed", "rebuilding") else None,
            message=self.message(event_id),
            priority=standing.priority,
        )

    def message(self, event_id: int) -> str:
        """The operators' message to the line; empty: none."""
        row = self.rows.get(event_id)
        return "" if row is None else row.message

    def lobby(self, event_id: int, counts: RoomCounts, fan: int | None = None) -> Lobby | None:
        """The lobby, with the fan's hash; None where there is none, or it was drawn."""
        commitment = self.commitments.get(event_id)
        if commitment is None or not counts.undrawn:
            return None
        seconds = counts.config.draw_at_ms / 1000 - self._now()
        state: Literal["early", "open", "drawing"] = "open"
        if seconds <= 0:
            state = "drawing"
        elif counts.config.lobby_at_ms / 1000 > self._now():
            state = "early"
        return Lobby(
            state=state,
            opens_at=from_ms(counts.config.lobby_at_ms),
            on_sale_at=from_ms(counts.config.draw_at_ms),
            seconds_to_on_sale=round(max(0.0, seconds), 3),
            participants=counts.lobby + counts.drawn,
            drawn=counts.drawn,
            seed_hash=commitment.seed_hash,
            fan_hash=None if fan is None else fan_hash(commitment.fan_key, fan),
        )

    def sign_pass(self, event_id: int, fan: int, until_ms: int) -> str:
        return self.tokens.sign_pass(AdmissionPass(event=event_id, fan=fan, until_ms=until_ms))


def _lives(place: PlaceToken, record: FanRecord) -> bool:
    """Whether the place may come back: no later departure nor purchase speaks against it."""
    if record.departed is not None and record.departed >= (place.epoch, place.number):
        return False
    return record.bought_at is None or to_ms(record.bought_at) < place.joined_at_ms


def to_ms(moment: dt.datetime) -> int:
    return round(moment.timestamp() * 1000)


def from_ms(moment_ms: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(moment_ms / 1000, dt.UTC)
