"""The Lua scripts: read once from package data, run by their hash, sent whole where the server lacks them.

A script reads the room (`reading`), has what the operations on a room share (`SHARED`), and then its own file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final, TypeAlias

from redis import Redis
from redis import asyncio as aioredis
from redis.exceptions import NoScriptError

from .reading import reading

Args: TypeAlias = Sequence[str | int | float]

ALONE = frozenset(
    {"admitted", "admitted_page", "allow", "departing", "extend", "history", "positions", "recorded", "stock"}
)
"""Scripts that know one thing only and run without the shared files before them; they name the keys they take."""

SHARED: Final = ("room", "history", "places", "door", "standing", "close")
"""The files of the folder ``room``, in the order in which they use each other."""


@dataclass(frozen=True, slots=True)
class Script:
    """One operation's source and the hash that Redis knows it by."""

    text: str
    sha: str


@cache
def script(name: str) -> Script:
    """The operation's script, behind the shared files unless it runs alone."""
    folder = files(__package__) / "lua"
    text = (folder / f"{name}.lua").read_text()
    if name not in ALONE:
        text = "".join([reading(), *((folder / "room" / f"{part}.lua").read_text() for part in SHARED), text])
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


async def run(client: aioredis.Redis, name: str, keys: Sequence[str], args: Args) -> Any:
    """Run a script; its reply as redis-py gives it (bytes, int, lists of them)."""
    found = script(name)
    try:
        return await client.evalsha(found.sha, len(keys), *keys, *args)
    except NoScriptError:
        return await client.eval(found.text, len(keys), *keys, *args)


def run_sync(client: Redis, name: str, keys: Sequence[str], args: Args) -> Any:
    """As `run`, for a synchronous client."""
    found = script(name)
    try:
        return client.evalsha(found.sha, len(keys), *keys, *args)
    except NoScriptError:
        return client.eval(found.text, len(keys), *keys, *args)
