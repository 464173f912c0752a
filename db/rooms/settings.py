"""Settings of the room that a new event starts with: its state, and every dial that has a default for settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from db.rooms.dials import SETTING_DIALS, Dial
from db.settings import Section, bounded, setting


def _field(dial: Dial) -> tuple[str, Any, Any]:
    meta = bounded(dial.meaning, dial.least, dial.most, variable=f"ADMITONE_{dial.name.upper()}")
    return dial.name, Annotated[int, meta], dial.setting_default


if TYPE_CHECKING:
    _DialSettings = Section
else:
    _DialSettings = msgspec.defstruct(
        "_DialSettings", [_field(dial) for dial in SETTING_DIALS], bases=(Section,), frozen=True, kw_only=True
    )


class RoomSettings(_DialSettings, frozen=True, kw_only=True):
    """A new event's room: beside ``state`` the fields are the dials of `db.rooms.dials.SETTING_DIALS`."""

    state: Annotated[Literal["off", "open"], setting("state of a seeded event's room")] = "open"
