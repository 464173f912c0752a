"""The one rule by which rooms are steered.

The console, the API, ``admitone room``, rehearsals, the autopilot and all code that makes an event use this module.
`decide` is the rule and needs no database; `steer` is the only function that writes its outcome. The caller commits.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import func, update
from sqlalchemy.ext.asyncio import AsyncConnection

from db.change_log.changes import Change, ChangeRow, Subject, as_text, change_rows, insert_changes, select_changes
from db.draws.draws import commit_seed
from db.events.sale import EventState
from db.languages import Texts
from db.outbox.kinds import EventEdited, OutboxKind, RoomSteered
from db.outbox.writer import insert_news
from db.rooms.dials import DIALS, DialValue
from db.rooms.rooms import ROOMS, RoomRow, UnknownRoomError
from db.rooms.states import RoomState
from db.tables.rooms import Room
from db.texts import tidy

CHANGES_SINCE_MAX: Final = 50
STATES_AT_START: Final = frozenset({RoomState.OFF, RoomState.OPEN, RoomState.PAUSED, RoomState.CLOSED})
STATE_OF_A_COPY: Final = RoomState.PAUSED
"""A rehearsal's copy begins paused, and is opened when the fans are in line."""

_KINDS: Final[Mapping[tuple[RoomState | None, RoomState], OutboxKind]] = {
    (None, RoomState.PAUSED): OutboxKind.ROOM_PAUSED,
    (None, RoomState.CLOSED): OutboxKind.ROOM_CLOSED,
    (RoomState.PAUSED, RoomState.OPEN): OutboxKind.ROOM_RESUMED,
}


class Refusal(StrEnum):
    """The reasons why a room is not steered as asked."""

    NOTHING_ASKED = "nothing_asked"
    NO_SUCH_DIAL = "no_such_dial"
    OUT_OF_BOUNDS = "out_of_bounds"
    ROOM_OFF = "room_off"
    SALE_BEGUN = "sale_begun"
    EVENT_CANCELLED = "event_cancelled"


class SteeringRefusedError(ValueError):
    """The room is not steered as asked. The text is a sentence for the operator, without its full stop.

    Attributes:
        field: the field of `Ask` or the dial that is the reason; empty if no single one is.
    """

    def __init__(self, refusal: Refusal, sentence: str, field: str = "") -> None:
        super().__init__(sentence)
        self.refusal = refusal
        self.field = field


class RoomChangedError(Exception):
    """The room was changed after the revision that a change was meant for.

    Attributes:
        revision: the room's revision now.
        since: the changes made meanwhile, the oldest first.
    """

    def __init__(self, revision: int, since: list[ChangeRow]) -> None:
        super().__init__(f"the room stands at revision {revision}")
        self.revision = revision
        self.since = since


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What an operator asks of a room. None asks nothing; ``dials`` has the value of each dial that is to change."""

    paused: bool | None = None
    closed: bool | None = None
    dials: Mapping[str, DialValue] = field(default_factory=dict)


def decide(before: RoomRow, ask: Ask, now: dt.datetime) -> dict[str, DialValue]:
    """The columns of ``room`` that the ask changes, each with its new value; none where nothing would differ.

    Args:
        now: by Postgres' clock, which judges the on-sale elsewhere too.

    Raises:
        SteeringRefusedError: the room cannot be steered so, or nothing is asked.
    """
    values = {name: _checked(name, value) for name, value in ask.dials.items()}
    if "lobby_minutes" in values and before.on_sale_at <= now:
        raise SteeringRefusedError(
            Refusal.SALE_BEGUN, "the sale has begun, there is no lobby before it any more", "lobby_minutes"
        )
    if ask.paused is not None or ask.closed is not None:
        if before.event_state is EventState.CANCELLED:
            at_fault = "paused" if ask.paused is not None else "closed"
            raise SteeringRefusedError(
                Refusal.EVENT_CANCELLED, "this event was cancelled; its line stays closed", at_fault
            )
        values["state"] = _state_after(before.state, ask)
    if not values:
        raise SteeringRefusedError(Refusal.NOTHING_ASKED, "nothing to change is named")
    return {name: value for name, value in values.items() if value != getattr(before, name)}


def _checked(name: str, value: DialValue) -> DialValue:
    dial = DIALS.get(name)
    if dial is None:
        raise SteeringRefusedError(Refusal.NO_SUCH_DIAL, f"a room has no dial {name}, so it cannot be set", name)
    if isinstance(value, str):
        value = tidy(value)
    elif isinstance(value, Texts):
        value = value.tidied()
    refusal = dial.refusal_of(value)
    if refusal is not None:
        raise SteeringRefusedError(Refusal.OUT_OF_BOUNDS, refusal, name)
    return value


def _state_after(state: RoomState, ask: Ask) -> RoomState:
    """The state that the ask leads to. A closed room stays closed until ``closed`` is set to False: to pause it or to
    resume it changes nothing.
    """
    if state is RoomState.OFF:
        at_fault = "paused" if ask.paused is not None else "closed"
        raise SteeringRefusedError(Refusal.ROOM_OFF, "this event's room is off; there is no door to steer", at_fault)
    if ask.closed or (state is RoomState.CLOSED and ask.closed is None):
        return RoomState.CLOSED
    if ask.paused:
        return RoomState.PAUSED
    if state is RoomState.CLOSED or (state is RoomState.PAUSED and ask.paused is False):
        return RoomState.OPEN
    return state


def has_lobby(lobby_minutes: int, on_sale_at: dt.datetime, now: dt.datetime) -> bool:
    """Whether a new event has a lobby: it needs minutes for one, and an on-sale that is still to come."""
    return lobby_minutes > 0 and on_sale_at > now


def state_at_start(state: str) -> RoomState:
    """The state that a new event's room is made in.

    Raises:
        SteeringRefusedError: no room starts in that state.
    """
    if state not in STATES_AT_START:
        raise SteeringRefusedError(Refusal.OUT_OF_BOUNDS, f"no room starts as {state!r}", "state")
    return RoomState(state)


def autopilot_steers(room: RoomRow) -> bool:
    """Whether the autopilot may set the rate. It never opens a door that an operator closed, nor that of an event that
    is off sale or cancelled.
    """
    return room.autopilot and room.state is RoomState.OPEN and room.event_state is EventState.PUBLISHED


async def locked_room(connection: AsyncConnection, event_id: int) -> tuple[RoomRow, dt.datetime]:
    """The room, whose row is locked until the transaction ends, and the time by Postgres' clock.

    Raises:
        UnknownRoomError: the event has no room.
    """
    query = ROOMS.add_columns(func.clock_timestamp().label("now")).where(Room.event_id == event_id)
    row = (await connection.execute(query.with_for_update(of=Room))).one_or_none()
    if row is None:
        raise UnknownRoomError
    facts = row._asdict()
    now: dt.datetime = facts.pop("now")
    return RoomRow(**facts), now


async def refuse_stale(connection: AsyncConnection, room: RoomRow, revision: int | None) -> None:
    """Refuse a change that was meant for another revision of the room; None: for any.

    Raises:
        RoomChangedError: with what was changed meanwhile.
    """
    if revision is not None and revision != room.revision:
        since = select_changes(Subject.ROOM, room.event_id, limit=CHANGES_SINCE_MAX, after_revision=revision)
        raise RoomChangedError(room.revision, change_rows(await connection.exec_driver_sql(*since))[::-1])


async def steer(
    connection: AsyncConnection, event_id: int, ask: Ask, operator: str, why: str, *, revision: int | None = None
) -> RoomRow:
    """Change the room as asked, log each field that differs, and write news into the outbox if its state changes.

    If nothing differs, nothing is written. The room's row is read once, and locked.

    Args:
        revision: the room's revision that the change is meant for; None: any.

    Returns:
        The room as it now stands.

    Raises:
        UnknownRoomError: the event has no room.
        SteeringRefusedError: the room cannot be steered so.
        RoomChangedError: the room has another ``revision``.
    """
    before, now = await locked_room(connection, event_id)
    changes: dict[str, Any] = decide(before, ask, now)
    await refuse_stale(connection, before, revision)
    if not changes:
        return before
    after = dataclasses.replace(
        before,
        revision=before.revision + 1,
        has_draw=before.has_draw or bool(changes.get("lobby_minutes")),
        **changes,
    )
    if changes.get("lobby_minutes"):
        await commit_seed(connection, event_id)
    columns: dict[str, object] = {**changes, "revision": after.revision}
    if after.state != before.state and before.state is RoomState.CLOSED:
        # The dispatcher publishes the opening again, once the on-sale is there (`db.rooms.room_news`).
        columns["opened_for"] = None
    await connection.execute(update(Room).where(Room.event_id == event_id).values(columns))
    kind = _news_kind(before.state, after.state)
    if kind is not None:
        news = RoomSteered(event_id=event_id, state=after.state, revision=after.revision)
        await connection.exec_driver_sql(*insert_news(kind, [news]))
    if changes.keys() - {"state"}:
        edited = EventEdited(event_id=event_id, revision=after.revision)
        await connection.exec_driver_sql(*insert_news(OutboxKind.EVENT_EDITED, [edited]))
    lines = [Change(name, as_text(getattr(before, name)), as_text(value)) for name, value in changes.items()]
    logged = insert_changes(Subject.ROOM, event_id, lines, operator, why=why, revision=after.revision)
    await connection.exec_driver_sql(*logged)
    return after


def _news_kind(before: RoomState, after: RoomState) -> OutboxKind | None:
    """The kind of news that a change of state is; None if it is none."""
    if before == after:
        return None
    return _KINDS.get((before, after)) or _KINDS.get((None, after))
