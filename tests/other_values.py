"""A value of a dial that is not its default, for tests that must see it arrive."""

from __future__ import annotations

from db.languages import Texts
from db.rooms.dials import Dial, DialValue


def other_value(dial: Dial) -> DialValue:
    if isinstance(dial.default, str):
        return "Doors at eight"
    if isinstance(dial.default, bool):
        return not dial.default
    if isinstance(dial.default, Texts):
        return Texts(de="Einlass um acht", ja="開場は八時")
    return dial.least + 7
