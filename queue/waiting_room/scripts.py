"""The Lua scripts. They are read once from package data and run by their hash; a server that lacks one is sent its
text.

A script consists of the reading of the room (`reading`), the files that the operations share (`SHARED`), and its own
file. Of the shared functions it has only those that it uses: Redis makes each of them anew whenever the script runs,
which for all of them takes 20 µs, half as long as an operation.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final, TypeAlias

from redis import Redis
from redis import asyncio as aioredis
from redis.exceptions import NoScriptError, RedisError

from db.channels import database_of
from db.shards import is_cluster

from .reading import CHANNELS, channels, names, reading

Args: TypeAlias = Sequence[str | bytes | int | float]

ALONE = frozenset(
    "admitted admitted_page allow departing extend front history lease pace positions ranks recorded".split()  # noqa: SIM905
    + "stock tickers try".split()  # noqa: SIM905
)
"""The scripts that run without the shared files before them. They take only the keys that they name."""

SHARED: Final = ("room", "history", "places", "door", "restoring", "standing", "close")
"""The files of the folder ``room``, in the order in which they use each other."""

SHARED_HERE: Final = "-- Here stands what operations share.\n"
"""An operation may do before this line what needs no more than the names of the keys."""

_comment_lines: Final = re.compile(r"^ *--.*\n", re.MULTILINE).sub
_functions: Final = re.compile(r"(^local function \w+\(.*?^end\n)", re.MULTILINE | re.DOTALL).split
"""The functions of a text, which begin and end at the beginning of a line, and what stands between them."""
_function_name: Final = re.compile(r"local function (\w+)").match


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
        shared = "".join((folder / "room" / f"{part}.lua").read_text() for part in SHARED)
        first, _, rest = text.rpartition(SHARED_HERE)
        rest = _with_used(_without_comments(shared), _without_comments(rest))
        text = names() + _without_comments(first) + reading(rest) + rest
    return _script(text)


def _without_comments(text: str) -> str:
    return _comment_lines("", text)


def _with_used(shared: str, operation: str) -> str:
    """The operation behind what it uses of the shared text. A function is used by what stands behind it alone."""
    used = operation
    for part in reversed(_functions(shared)):
        name = _function_name(part)
        if name is None or re.search(rf"\b{name[1]}\b", used):
            used = part + used
    return used


def _script(text: str) -> Script:
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


@cache
def _of_site(operation: Script, database: int, *, in_cluster: bool) -> Script:
    """The script for a site in that database: it publishes on the site's own channels. No script can ask Redis which
    database it works in.
    """
    return _script(operation.text.replace(CHANNELS, channels(database, is_cluster=in_cluster)))


def _script_for(client: Any, name: str) -> Script:
    database, in_cluster = database_of(client), is_cluster(client)
    return _of_site(script(name), database, in_cluster=in_cluster) if database or in_cluster else script(name)


class Begun:
    """A script that was begun; who awaits it gets the reply as redis-py gives it (bytes, int, or lists of these).

    A client that gathers has had the command at once, so that it leaves with what else is asked in this turn of the
    loop.
    """

    __slots__ = ("_asked", "_client", "_keys", "_keys_and_args", "_script")

    def __init__(self, client: aioredis.Redis, name: str, keys: Sequence[str], args: Args) -> None:
        self._client = client
        self._script = _script_for(client, name)
        self._keys = len(keys)
        self._keys_and_args = (*keys, *args)
        ask_soon = getattr(client, "ask_soon", None)
        asked = ("EVALSHA", self._script.sha, self._keys, *self._keys_and_args)
        self._asked = None if ask_soon is None else ask_soon(*asked)

    def __await__(self) -> Generator[Any, None, Any]:
        return self._reply().__await__()

    async def _reply(self) -> Any:
        try:
            if self._asked is None:
                return await self._client.evalsha(self._script.sha, self._keys, *self._keys_and_args)
            return await self._asked
        except NoScriptError:
            # What was asked has the error, which has this call: with it the three would wait for the garbage collector.
            self._asked = None
            return await self._client.eval(self._script.text, self._keys, *self._keys_and_args)


async def run(client: aioredis.Redis, name: str, keys: Sequence[str], args: Args) -> Any:
    """Run a script; return its reply as redis-py gives it (bytes, int, or lists of these)."""
    return await Begun(client, name, keys, args)


def run_sync(client: Redis, name: str, keys: Sequence[str], args: Args) -> Any:
    """Run a script with a synchronous client; see `run`."""
    operation = _script_for(client, name)
    try:
        return client.evalsha(operation.sha, len(keys), *keys, *args)
    except NoScriptError:
        return client.eval(operation.text, len(keys), *keys, *args)


def run_all_sync(client: Redis, asked: Sequence[tuple[str, Sequence[str], Args]]) -> list[Any]:
    """Run scripts in one round trip, as `run_sync` runs one; in a cluster each at its server. Returns the replies, some
    of which are errors that are of one script alone.
    """
    if is_cluster(client):
        return [_run_or_error(client, *one) for one in asked]
    with client.pipeline(transaction=False) as pipe:
        for name, keys, args in asked:
            pipe.evalsha(_script_for(client, name).sha, len(keys), *keys, *args)
        replies = pipe.execute(raise_on_error=False)
    return [
        _run_or_error(client, *one) if isinstance(reply, NoScriptError) else reply
        for one, reply in zip(asked, replies, strict=True)
    ]


def _run_or_error(client: Redis, name: str, keys: Sequence[str], args: Args) -> Any:
    try:
        return run_sync(client, name, keys, args)
    except RedisError as error:
        return error
