"""Steps of rooms: dials that an operator scheduled for a moment, set when Postgres' clock reaches it.

Whoever changes a room's steps locks the room's row first. So two gateways never set the same step, and a step that is
taken back in time is not set. A change of the steps raises the room's revision, as a change of a dial does: that is how
every gateway and every console hears of it. The caller commits.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, LiteralString

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from db.change_log.changes import Change, Subject, as_text, insert_changes
from db.ids import uuid7
from db.rooms.dials import DIALS, Dial, DialValue
from db.rooms.rooms import RoomRow
from db.rooms.steering import Ask, SteeringRefusedError, decide, locked_room, refuse_stale, steer
from db.tables.rooms import Room, RoomStep
from db.texts import tidy

STEPS_MAX: Final = 50
"""A room has at most this many steps to come."""
AHEAD_MAX: Final = dt.timedelta(days=366)
DUE_ROOMS_MAX: Final = 100
STEP_DIALS: Final[tuple[Dial, ...]] = tuple(
    DIALS[name] for name in ("rate_per_minute", "capacity", "line_cap", "claim_window_seconds")
)
"""The dials that a step may set, beside ``paused``: those that the console shows."""


class StepRefusedError(ValueError):
    """The step cannot be scheduled for that moment. The text is a sentence for the operator, without its full stop."""


class TooManyStepsError(Exception):
    """The room has `STEPS_MAX` steps already."""


class UnknownStepError(LookupError):
    """The room has no such step: it was set, or taken back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRow:
    """A step to come. ``asks`` has values of `STEP_DIALS` by their names, and perhaps ``paused``."""

    step_id: uuid.UUID
    at: dt.datetime
    asks: Mapping[str, DialValue]
    scheduled_by: str
    scheduled_at: dt.datetime
    why: str


_COLUMNS: Final = tuple(RoomStep.__table__.c[field.name] for field in dataclasses.fields(StepRow))


async def steps(connection: AsyncConnection, event_id: int) -> list[StepRow]:
    """The room's steps to come, the first to come first."""
    found = await connection.execute(
        select(*_COLUMNS).where(RoomStep.event_id == event_id).order_by(RoomStep.at, RoomStep.scheduled_at)
    )
    return [StepRow(**row._asdict()) for row in found]


async def schedule(
    connection: AsyncConnection,
    event_id: int,
    at: dt.datetime,
    ask: Ask,
    operator: str,
    why: str,
    *,
    revision: int | None = None,
) -> tuple[StepRow, RoomRow]:
    """Schedule a step, and log it.

    Args:
        revision: the room's revision that the step is meant for; None: any.

    Returns:
        The step, and the room as it now stands.

    Raises:
        UnknownRoomError: the event has no room.
        RoomChangedError: the room has another ``revision``.
        SteeringRefusedError: the room could not be steered so now.
        StepRefusedError: the moment has passed, or is too far ahead.
        TooManyStepsError: the room has `STEPS_MAX` steps.
    """
    room, now = await locked_room(connection, event_id)
    await refuse_stale(connection, room, revision)
    decide(room, ask, now)
    if at <= now:
        raise StepRefusedError("a step is scheduled for a moment to come; this one has passed")
    if at > now + AHEAD_MAX:
        raise StepRefusedError(f"a step is scheduled for at most {AHEAD_MAX.days} days ahead")
    count = select(func.count()).select_from(RoomStep).where(RoomStep.event_id == event_id)
    if (await connection.execute(count)).scalar_one() >= STEPS_MAX:
        raise TooManyStepsError
    values = {
        "event_id": event_id,
        "step_id": uuid7(),
        "at": at,
        "asks": {**ask.dials, **({} if ask.paused is None else {"paused": ask.paused})},
        "scheduled_by": operator,
        "why": tidy(why),
    }
    row = (await connection.execute(insert(RoomStep).values(values).returning(*_COLUMNS))).one()
    step = StepRow(**row._asdict())
    return step, await _changed(connection, room, operator, [Change("steps", "", words(step))], step.why)


async def take_back(connection: AsyncConnection, event_id: int, step_id: uuid.UUID, operator: str) -> RoomRow:
    """Take a step back before it is set, and log it.

    Returns:
        The room as it now stands.

    Raises:
        UnknownRoomError: the event has no room.
        UnknownStepError: the room has no such step.
    """
    room, _ = await locked_room(connection, event_id)
    gone = await connection.execute(
        delete(RoomStep).where(RoomStep.event_id == event_id, RoomStep.step_id == step_id).returning(*_COLUMNS)
    )
    row = gone.one_or_none()
    if row is None:
        raise UnknownStepError
    return await _changed(connection, room, operator, [Change("steps", words(StepRow(**row._asdict())), "")])


DUE_ROOMS: Final[LiteralString] = f"""
SELECT DISTINCT event_id FROM room_step WHERE at <= clock_timestamp() LIMIT {DUE_ROOMS_MAX}
"""  # noqa: S608 - of constants alone
"""The ids of events whose rooms have steps that are due, `DUE_ROOMS_MAX` at most."""


async def set_due(connection: AsyncConnection, event_id: int) -> RoomRow | None:
    """Set the room's steps that are due, in the name of who scheduled them.

    After an outage several may be due: what a later one sets anew, an earlier one does not set. A step that the room no
    longer allows is logged and dropped.

    Returns:
        The room as it now stands; None if another gateway is at it, or nothing is due.
    """
    lock = select(Room.event_id).where(Room.event_id == event_id).with_for_update(skip_locked=True)
    if (await connection.execute(lock)).one_or_none() is None:
        return None
    due = (RoomStep.event_id == event_id, RoomStep.at <= func.clock_timestamp())
    gone = await connection.execute(delete(RoomStep).where(*due).returning(*_COLUMNS))
    rows = sorted((StepRow(**row._asdict()) for row in gone), key=lambda step: (step.at, step.scheduled_at))
    if not rows:
        return None
    before, _ = await locked_room(connection, event_id)
    after = before
    for number, step in enumerate(rows):
        overtaken = {name for later in rows[number + 1 :] for name in later.asks}
        asks: dict[str, Any] = {name: value for name, value in step.asks.items() if name not in overtaken}
        if not asks:
            continue
        why = f"scheduled for {as_text(step.at)}" + (f": {step.why}" if step.why else "")
        try:
            ask = Ask(paused=asks.pop("paused", None), dials=asks)
            after = await steer(connection, event_id, ask, step.scheduled_by, why)
        except SteeringRefusedError as refused:
            change = Change("steps", words(step), "")
            after = await _changed(connection, after, step.scheduled_by, [change], f"not set: {refused}")
    # A step that changed nothing is gone all the same, and the consoles must hear of it.
    return after if after.revision > before.revision else await _changed(connection, before)


def words(step: StepRow) -> str:
    """A step in the log's words, for example ``2026-06-01T10:00:00+00:00 rate_per_minute=200``."""
    return " ".join([as_text(step.at), *(f"{name}={as_text(value)}" for name, value in step.asks.items())])


async def _changed(
    connection: AsyncConnection, room: RoomRow, operator: str = "", changes: Sequence[Change] = (), why: str = ""
) -> RoomRow:
    """The room at its next revision, with the changes logged."""
    revision = room.revision + 1
    await connection.execute(update(Room).where(Room.event_id == room.event_id).values(revision=revision))
    if changes:
        logged = insert_changes(Subject.ROOM, room.event_id, changes, operator, why=why, revision=revision)
        await connection.exec_driver_sql(*logged)
    return dataclasses.replace(room, revision=revision)
