"""Writes the Lua with which each operation on a room begins: it names the room's keys, and reads the room's fields.

If the scripts themselves went through a table of names, this would take 10 µs, a tenth of their time. So the names are
written out here, once for each process.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from db.channels import channel_of
from db.rooms.dials import DIALS

from .keys import NEWS_CHANNEL, ROOM_KEYS, ROOM_NEWS

TEXTS: Final[Mapping[str, str]] = {
    "state": "nil",
    "draw": "'pending'",  # then closed (its list), then done
    "histories_before": "nil",  # there is an older generation of them
}
"""The fields that are texts, each with its value in Lua if it was never written."""

NUMBERS: Final[Mapping[str, str]] = {
    "revision": "0",
    "epoch": "0",
    "number": "0",
    "first_epoch": "0",  # this Redis' own; places before it were restored
    "ended_top": "0",  # highest score in `ended`
    "ended_before_top": "0",  # and in `ended_before`
    "forgotten": "0",  # and in what was forgotten of both
    "ticked_at": "0",
    "resumed_at": "0",
    "rebuilt_at": "0",  # when Redis was found to have lost the room; 0: never
    "rebuild_until": "0",
    "lobby_at_ms": "0",
    "draw_at_ms": "0",  # the on-sale that ends the lobby; 0: there is none
    "on_sale_at_ms": "0",  # nobody is let in before; 0: the sale is not bounded so
    "off_sale_at_ms": "0",  # nobody is let in from then on; 0: the sale has no end
    "is_cancelled": "0",
    "drawn": "0",  # places given by the draw so far
    "absence_seconds": "0",
    "connected_seconds": "0",
    "stock_factor": "0",
    "stock_spare": "0",
    "work_seconds": "0",  # 0: whoever holds a pass counts as at work
    "choose_seconds": "0",
    "idle_seconds": "0",  # 0: no pass shrinks
    "scarce_since": "0",  # since when more fans than seats choose, and others wait; 0: it is not so
    "crowded_since": "0",  # since when no slot is free, and others wait; 0: it is not so
    "swept_to": "0",  # how far a full line was looked through for silent fans
    "receipt_entries_max": "50",
    "news_ms": "0",  # 0: each operation's news are published at once
    "news_at": "0",  # when news were published last
    "news_waits": "0",  # bytes of `news`
    "steered_rate": "nil",
    # Text is for people: no script reads it.
    **{name: str(int(dial.default)) for name, dial in DIALS.items() if isinstance(dial.default, int)},
}
"""The fields that are numbers, including the dials, each with its value in Lua if it was never written."""


def names() -> str:
    """Lua that makes a local of each key and of the news' channels."""
    keys = ", ".join(name.upper() for name in ROOM_KEYS)
    return f"local {keys} = unpack(KEYS)\n{CHANNELS}"


def reading(of: str) -> str:
    """Lua that makes a table ``room`` of the fields that the text ``of`` uses, with seconds turned into milliseconds.
    For each field Redis looks through all that the room has.
    """
    used = {*_used(of)}
    read = [name for name in (*TEXTS, *NUMBERS) if name_in_lua(name) in used]
    fields = ", ".join(_field(name, at) for at, name in enumerate(read, 1))
    return f"local values = redis.call('HMGET', CONFIG, {', '.join(map(repr, read))})\nlocal room = {{ {fields} }}\n"


def channels(database: int, *, is_cluster: bool) -> str:
    """The line of Lua that names the channels of the news for a site in that database: that of all rooms, that of one
    room, and the command by which a room's own news is published.
    """
    publish = "SPUBLISH" if is_cluster else "PUBLISH"
    names = channel_of(NEWS_CHANNEL, database), channel_of(ROOM_NEWS, database)
    return f"local NEWS_CHANNEL, ROOM_NEWS, ROOM_PUBLISH = '{names[0]}', '{names[1]}', '{publish}'\n"


CHANNELS: Final = channels(0, is_cluster=False)
_used: Final = re.compile(r"\broom\.(\w+)").findall


def name_in_lua(field: str) -> str:
    """What scripts call a field in their table ``room``."""
    return f"{field.removesuffix('_seconds')}_ms" if field.endswith("_seconds") else field


def _field(name: str, at: int) -> str:
    if name in TEXTS:
        return f"{name} = values[{at}] or {TEXTS[name]}"
    read = f"tonumber(values[{at}]) or {NUMBERS[name]}"
    return f"{name_in_lua(name)} = ({read}) * 1000" if name.endswith("_seconds") else f"{name} = {read}"
