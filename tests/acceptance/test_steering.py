"""Whichever door an operator comes by, a room answers the same: the API, the command line, a rehearsal, the rule."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import psycopg
import pytest

from admitone.room import show_or_steer
from admitone.settings import Settings
from db.connections.engines import create_engine
from db.events.seed import RoomSeed
from db.languages import Texts
from db.rehearsals.rehearsals import copy_event
from db.rooms.dials import DIALS, dials_of
from db.rooms.rooms import RoomRow, room
from db.rooms.steering import Refusal, SteeringRefusedError, decide
from tests.acceptance.conftest import Site
from tests.client import Client
from tests.other_values import other_value
from tests.transitions import TRANSITIONS, Transition

SENTENCES = {
    Refusal.ROOM_OFF: "this event's room is off; there is no door to steer",
    Refusal.SALE_BEGUN: "the sale has begun, there is no lobby before it any more",
    Refusal.NOTHING_ASKED: "nothing to change is named",
}
WIRE_NAMES = {"paused": "paused", "closed": "closed", "lobby_minutes": "lobbyMinutes", "": ""}


@dataclass(frozen=True)
class Answer:
    """What a door said: the sentence and the field of a refusal, or nothing."""

    sentence: str = ""
    field: str | None = None


Door = Callable[[Site, Client, int, Transition], Answer]


def by_api(site: Site, operator: Client, event_id: int, wanted: Transition) -> Answer:
    ask = wanted.ask
    names = {"lobby_minutes": "lobbyMinutes", "priority_share": "priorityShare"}
    body: dict[str, Any] = {names.get(name, name): value for name, value in ask.dials.items()}
    body |= {name: value for name, value in (("paused", ask.paused), ("closed", ask.closed)) if value is not None}
    answer = operator.patch(f"/api/ops/rooms/{event_id}", body)
    if answer.status == 200:
        return Answer()
    assert (answer.status, answer.code) == (400, "invalid_request"), answer.content
    (error,) = answer.json["errors"]
    return Answer(error["message"], error["path"].removeprefix("$").removeprefix("."))


def by_command(site: Site, operator: Client, event_id: int, wanted: Transition) -> Answer:
    settings = Settings.load(site.services.environ)
    try:
        asyncio.run(show_or_steer(settings, event_id, wanted.ask, ""))
    except SteeringRefusedError as refused:
        return Answer(str(refused), WIRE_NAMES[refused.field])
    return Answer()


def by_rule(site: Site, operator: Client, event_id: int, wanted: Transition) -> Answer:
    before = row(site, event_id)
    try:
        changes = decide(before, wanted.ask, dt.datetime.now(dt.UTC))
    except SteeringRefusedError as refused:
        return Answer(str(refused), WIRE_NAMES[refused.field])
    with psycopg.connect(site.database_url) as connection:
        for name, value in changes.items():
            connection.execute(f"UPDATE room SET {name} = %s WHERE event_id = %s", (value, event_id))
    return Answer()


def row(site: Site, event_id: int) -> RoomRow:
    """The row without its epoch, which no operator steers: a worker notes it whenever it opens the line."""

    async def read() -> RoomRow:
        engine = create_engine(site.database_url, 1)
        async with engine.connect() as connection:
            found = await room(connection, event_id)
        await engine.dispose()
        return replace(found, epoch=0)

    return asyncio.run(read())


@pytest.fixture(scope="module")
def operator(site: Site) -> Client:
    return site.operator()


@pytest.mark.parametrize("door", [by_api, by_command, by_rule])
@pytest.mark.parametrize("wanted", TRANSITIONS, ids=str)
def test_every_door_gives_the_same_answer(site: Site, operator: Client, door: Door, wanted: Transition) -> None:
    event_id = site.event(room=RoomSeed(state=wanted.before), on_sale_in=wanted.on_sale_in)
    before = row(site, event_id)
    answer = door(site, operator, event_id, wanted)
    after = row(site, event_id)
    if isinstance(wanted.after, Refusal):
        assert answer == Answer(SENTENCES[wanted.after], WIRE_NAMES[wanted.field])
        assert after == before
        return
    assert answer == Answer()
    assert after.state is wanted.after
    asked = {name: value.strip() if isinstance(value, str) else value for name, value in wanted.ask.dials.items()}
    assert dials_of(after) == dials_of(before) | asked
    if door is not by_rule:
        differs = (after.state, dials_of(after)) != (before.state, dials_of(before))
        assert after.revision == before.revision + differs


def test_the_command_takes_what_the_rule_takes(site: Site) -> None:
    """The real command, whose options become the ask."""
    closed, off, begun = (site.event(room=RoomSeed(state=state)) for state in ("closed", "off", "open"))
    message = ("--message", "Doors at eight", "--messages", '{"de": "Einlass um acht"}')
    paused = site.services.run("room", str(closed), "--pause", "--rate", "120", *message)
    assert paused.returncode == 0, paused.stderr
    assert row(site, closed).messages == Texts(de="Einlass um acht")
    assert f"event {closed}: closed, 120 a minute" in paused.stdout
    assert row(site, closed).message == "Doors at eight"
    resumed = site.services.run("room", str(off), "--resume")
    assert resumed.returncode == 1
    assert "This event's room is off; there is no door to steer." in resumed.stderr
    lobby = site.services.run("room", str(begun), "--lobby-minutes", "20")
    assert lobby.returncode == 1
    assert "The sale has begun, there is no lobby before it any more." in lobby.stderr
    assert row(site, begun).revision == 1


def test_a_rehearsals_copy_has_every_dial_of_its_original_and_is_steered_by_the_rule(
    site: Site, operator: Client
) -> None:
    event_id = site.event(on_sale_in=dt.timedelta(hours=1))
    turned = {name: other_value(dial) for name, dial in DIALS.items()}
    with psycopg.connect(site.database_url, autocommit=True) as connection:
        for name, value in turned.items():
            stored = str(value) if isinstance(value, Texts) else value
            connection.execute(f"UPDATE room SET {name} = %s WHERE event_id = %s", (stored, event_id))
        made = copy_event(connection, event_id)
    copied = row(site, made.event_id)
    assert dials_of(copied) == dials_of(made) == turned
    assert (copied.state, made.state) == ("paused", "open")
    for wanted, answer in [(TRANSITIONS[5], Answer()), (TRANSITIONS[2], Answer()), (TRANSITIONS[8], Answer())]:
        assert by_command(site, operator, made.event_id, wanted) == answer
        assert row(site, made.event_id).state is wanted.after
