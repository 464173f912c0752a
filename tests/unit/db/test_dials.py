"""A dial is one line: whatever has a room's dials has all of them, with the bounds of the table."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from admitone.dial_options import with_dials
from admitone.settings import Settings, SettingsError
from db.events.seed import RoomSeed, room_seed
from db.languages import Texts
from db.rehearsals import rehearsals
from db.rooms.dials import DIALS, SETTING_DIALS, Dial, DialValue
from db.rooms.rooms import ROOMS, RoomRow
from gateway.contract.rooms import NewRoomBody, RoomAnswer, RoomPatch
from tests.other_values import other_value
from waiting_room import operations
from waiting_room.model import BOUNDS, PACES, RoomConfig
from waiting_room.reading import reading

every_dial = pytest.mark.parametrize("dial", DIALS.values(), ids=lambda dial: dial.name)
every_number = pytest.mark.parametrize(
    "dial", [dial for dial in DIALS.values() if dial.type is int], ids=lambda dial: dial.name
)
every_setting = pytest.mark.parametrize("dial", SETTING_DIALS, ids=lambda dial: dial.name)


def wire_name(dial: Dial) -> str:
    first, *rest = dial.name.split("_")
    return first + "".join(part.capitalize() for part in rest)


@every_dial
def test_a_dial_says_what_it_is(dial: Dial) -> None:
    assert re.fullmatch(r"[a-z].{10,120}[^.]", dial.meaning), "a sentence without its capital and its full stop"
    assert dial.refusal_of(dial.default) is None or dial.least > 0
    assert dial.type is not int or dial.unit


@every_dial
def test_rows_seeds_and_copies_have_it(dial: Dial) -> None:
    for kind in (RoomRow, RoomSeed, rehearsals.Copy):
        assert dial.name in {field.name for field in dataclasses.fields(kind)}
    assert dial.name in ROOMS.selected_columns


@every_dial
def test_a_patch_takes_it_within_its_bounds(dial: Dial) -> None:
    name = wire_name(dial)
    value = other_value(dial)
    assert getattr(msgspec.convert({name: msgspec.to_builtins(value)}, RoomPatch), dial.name) == value
    assert getattr(RoomPatch(), dial.name) is msgspec.UNSET
    outside: dict[type[DialValue], list[Any]] = {
        int: [dial.least - 1, dial.most + 1, 1.5, "7", None, True],
        bool: [0, "yes", None],
        str: ["x" * (dial.most + 1), "nul\0", None, 7],
        Texts: [{"de": "x" * (dial.most + 1)}, {"ar": "nul\0"}, {"de": None}, {"tlh": "nuqneH"}, "Doors", None],
    }
    for wrong in outside[dial.type]:
        with pytest.raises(msgspec.ValidationError, match=re.escape(f"$.{name}")):
            msgspec.convert({name: wrong}, RoomPatch)


@every_dial
def test_an_answer_tells_it(dial: Dial) -> None:
    assert wire_name(dial) in RoomAnswer.__struct_encode_fields__
    assert dial.name in RoomAnswer.__struct_fields__


@every_dial
def test_the_command_has_an_option_for_it(dial: Dial) -> None:
    taken: dict[str, DialValue] = {}
    app = typer.Typer()

    @app.command()
    @with_dials
    def steer(dials: dict[str, DialValue]) -> None:
        taken.update(dials)

    value = other_value(dial)
    given = [f"--{dial.option_name}"] if value is True else [f"--{dial.option_name}", str(value)]
    assert CliRunner().invoke(app, given).exit_code == 0
    assert taken == {dial.name: value}
    if dial.type is int:
        assert CliRunner().invoke(app, [f"--{dial.option_name}", str(dial.most + 1)]).exit_code == 2


def test_the_options_that_scripts_use_keep_their_names() -> None:
    assert {dial.option_name for dial in DIALS.values()} >= {
        "rate", "capacity", "line-cap", "lobby-minutes", "priority-share",
    }  # fmt: skip


@every_setting
def test_a_setting_has_the_dials_bounds_and_default(dial: Dial) -> None:
    variable = f"ADMITONE_{dial.name.upper()}"
    assert getattr(room_seed(Settings.load({}).room), dial.name) == dial.setting_default
    for bound in (dial.least, dial.most):
        assert getattr(room_seed(Settings.load({variable: str(bound)}).room), dial.name) == bound
    for wrong in (dial.least - 1, dial.most + 1):
        with pytest.raises(SettingsError, match=variable):
            Settings.load({variable: str(wrong)})


@every_setting
def test_a_new_event_may_name_it(dial: Dial) -> None:
    named = msgspec.convert({wire_name(dial): dial.most}, NewRoomBody)
    assert getattr(named, dial.name) == dial.most
    with pytest.raises(msgspec.ValidationError, match=re.escape(f"$.{wire_name(dial)}")):
        msgspec.convert({wire_name(dial): dial.most + 1}, NewRoomBody)


def test_no_other_dial_is_named_by_a_new_event() -> None:
    assert set(NewRoomBody.__struct_fields__) == {"state"} | {dial.name for dial in SETTING_DIALS}


@every_dial
def test_redis_is_given_it(dial: Dial) -> None:
    value = other_value(dial)
    config = dataclasses.replace(RoomConfig(), **{dial.name: value})  # type: ignore[arg-type]
    args = operations.configure(1, config).args
    assert args[args.index(dial.name) + 1] == (str(value) if isinstance(value, Texts) else value)
    assert (dial.name in PACES) == dial.paces
    assert (dial.name in BOUNDS) == (dial.type is int)


@every_dial
def test_the_scripts_read_it_by_its_name_unless_it_is_text(dial: Dial) -> None:
    kept = dial.name.replace("_seconds", "_ms")
    is_text = isinstance(dial.default, str | Texts)
    read = reading(f"return room.{kept}")
    assert (f"'{dial.name}'" in read) == (f" {kept} = " in read) == (not is_text)
    if isinstance(dial.default, int):
        assert f") or {int(dial.default)}" in read
