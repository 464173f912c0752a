"""The Lua scripts. They are read once from package data and run by their hash; a server that lacks one is sent its
text.

A script consists of the reading of the room (`reading`), the files that the operations share (`SHARED`), and its own
file.
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
"""The scripts that run without the shared files before them. They take only the keys that they name."""

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
    """Run a script; return its reply as redis-py gives it (bytes, int, or lists of these)."""
    operation = script(name)
    try:
        return await client.evalsha(operation.sha, len(keys), *keys, *args)
    except NoScriptError:
        return await client.eval(operation.text, len(keys), *keys, *args)


def run_sync(client: Redis, name: str, keys: Sequence[str], args: Args) -> Any:
    """Run a script with a synchronous client; see `run`."""
    operation = script(name)
    try:
        return client.evalsha(operation.sha, len(keys), *keys, *args)
    except NoScriptError:
        return client.eval(operation.text, len(keys), *keys, *args)
