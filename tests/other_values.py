"""A value of a dial that is not its default, for tests that must see it arrive."""

from __future__ import annotations

from db.rooms.dials import Dial, DialValue


def other_value(dial: Dial) -> DialValue:
    if isinstance(dial.default, str):
        return "Doors at eight"
    if isinstance(dial.default, bool):
        return not dial.default
    return dial.least + 7
