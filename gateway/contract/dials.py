"""The dials of a room as fields of bodies and answers, made from `db.rooms.dials`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from db.languages import Texts
from db.rooms.dials import Dial, DialValue
from db.texts import NO_NUL


def body_of_dials(name: str, dials: Iterable[Dial], base: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """A body with an optional field for each dial, within the bounds of the dial."""
    fields: list[tuple[str, Any, Any]] = [
        (dial.name, _within_bounds(dial) | msgspec.UnsetType, msgspec.UNSET) for dial in dials
    ]
    return msgspec.defstruct(name, fields, bases=(base,), kw_only=True)


def answer_of_dials(name: str, dials: Iterable[Dial], base: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """An answer with a field for each dial."""
    return msgspec.defstruct(name, [(dial.name, dial.type) for dial in dials], bases=(base,), kw_only=True)


def dials_in(body: msgspec.Struct, dials: Iterable[Dial]) -> dict[str, DialValue]:
    """The dials that the body names, with their values."""
    return {dial.name: value for dial in dials if (value := getattr(body, dial.name)) is not msgspec.UNSET}


def _within_bounds(dial: Dial) -> Any:
    if dial.type is str:
        return Annotated[str, Meta(max_length=dial.most, pattern=NO_NUL)]
    if dial.type in (bool, Texts):
        return dial.type
    return Annotated[int, Meta(ge=dial.least, le=dial.most)]
