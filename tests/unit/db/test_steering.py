"""The rule of steering, where no door is needed to see it."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from db.events.sale import EventState
from db.rooms.rooms import RoomRow
from db.rooms.states import RoomState
from db.rooms.steering import (
    Ask,
    Refusal,
    SteeringRefusedError,
    autopilot_steers,
    decide,
    has_lobby,
    state_at_start,
)
from tests.transitions import TRANSITIONS, Transition

NOW = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)


def row(state: RoomState, *, on_sale_in: dt.timedelta = dt.timedelta(), autopilot: bool = False) -> RoomRow:
    return RoomRow(
        event_id=1,
        state=state,
        revision=1,
        epoch=0,
        on_sale_at=NOW + on_sale_in,
        off_sale_at=NOW + dt.timedelta(days=30),
        has_draw=False,
        autopilot=autopilot,
    )


@pytest.mark.parametrize("wanted", TRANSITIONS, ids=str)
def test_an_ask_becomes_changes_or_a_refusal(wanted: Transition) -> None:
    before = row(wanted.before, on_sale_in=wanted.on_sale_in)
    if not isinstance(wanted.after, RoomState):
        with pytest.raises(SteeringRefusedError) as refused:
            decide(before, wanted.ask, NOW)
        assert (refused.value.refusal, refused.value.field) == (wanted.after, wanted.field)
        return
    changes = decide(before, wanted.ask, NOW)
    assert changes.pop("state", wanted.before) == wanted.after
    assert changes.keys() == wanted.ask.dials.keys()


def test_the_sale_begins_at_its_very_moment() -> None:
    assert not has_lobby(30, NOW, NOW)
    assert has_lobby(30, NOW + dt.timedelta(microseconds=1), NOW)
    assert not has_lobby(0, NOW + dt.timedelta(hours=1), NOW)


@pytest.mark.parametrize("state", RoomState)
def test_the_autopilot_steers_an_open_room_only(state: RoomState) -> None:
    assert autopilot_steers(row(state, autopilot=True)) == (state is RoomState.OPEN)
    assert not autopilot_steers(row(state))


def test_the_line_of_a_cancelled_event_is_neither_opened_nor_paused_and_its_autopilot_rests() -> None:
    cancelled = replace(row(RoomState.OPEN, autopilot=True), event_state=EventState.CANCELLED)
    assert not autopilot_steers(cancelled)
    for ask, field in ((Ask(paused=True), "paused"), (Ask(closed=False), "closed")):
        with pytest.raises(SteeringRefusedError, match="was cancelled") as refused:
            decide(cancelled, ask, NOW)
        assert (refused.value.refusal, refused.value.field) == (Refusal.EVENT_CANCELLED, field)
    assert decide(cancelled, Ask(dials={"message": "Sorry."}), NOW) == {"message": "Sorry."}


@pytest.mark.parametrize("state", ["lobby", "rebuilding", "sold_out", "ajar", ""])
def test_no_room_starts_in_a_state_that_follows_from_something_else(state: str) -> None:
    with pytest.raises(SteeringRefusedError, match="no room starts as"):
        state_at_start(state)


@pytest.mark.parametrize("state", ["off", "open", "paused", "closed"])
def test_a_room_starts_as_its_maker_says(state: str) -> None:
    assert state_at_start(state) == state
