"""The line's real scripts under the tests' conditions: a clock that a test moves, bounds that a few fans reach.

Only text is exchanged: ``redis.call('TIME')`` for a read of two keys, which has the same form, and constants. A
negative control exchanges more (`Change`). What is to be exchanged must be there, so that no change goes stale.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final, TypeVar

from redis import Redis
from redis.exceptions import NoScriptError

from waiting_room.operations import Operation
from waiting_room.scripts import ALONE, Script
from waiting_room.scripts import script as real_script

T = TypeVar("T")

CLOCK_KEYS: Final = ("clock:seconds", "clock:micros")
START_MS: Final = 1_790_000_000_000
PURGE_CHUNK: Final = 1
WALK_CHUNK: Final = 2
ENDED_MAX: Final = 6
"""One tick ends at most four lapses and those it walks past: six in all, so that it forgets once at most, as
with the real bounds."""


@dataclass(frozen=True, slots=True)
class Change:
    """``old`` becomes ``new`` in a script, or (``room``) in the shared files, in each script that has that function."""

    script: str
    old: str
    new: str


SMALL: Final = (
    Change("room", "local ENDED_MAX = 100000", f"local ENDED_MAX = {ENDED_MAX}"),
    Change("admit", "local PURGE_CHUNK = 50", f"local PURGE_CHUNK = {PURGE_CHUNK}"),
    Change("admit", "local WALK_CHUNK = 150", f"local WALK_CHUNK = {WALK_CHUNK}"),
)


_SHARED: Final = "".join(entry.read_text() for entry in (files("waiting_room") / "lua" / "room").iterdir())


class Scripts:
    """Stands in for `waiting_room.scripts.script`."""

    def __init__(self, *changes: Change) -> None:
        self._changes = changes
        self._made: dict[str, Script] = {}

    def __call__(self, name: str) -> Script:
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def _make(self, name: str) -> Script:
        text = real_script(name).text
        for change in self._changes:
            is_shared = change.script == "room" and name not in ALONE
            if change.script == name or is_shared:
                if change.old not in (_SHARED if is_shared else text):
                    # No AssertionError: a control that waits for one would take this for its own.
                    raise LookupError(f"{change.script}.lua has no {change.old!r} any more")
                text = text.replace(change.old, change.new)
        text = text.replace("redis.call('TIME')", "redis.call('MGET', '{}', '{}')".format(*CLOCK_KEYS))
        return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


class Valkey:
    """A real Valkey, and the clock its scripts go by."""

    def __init__(self, client: Redis, scripts: Scripts) -> None:
        self.client: Any = client  # redis-py says Awaitable of every reply
        self._scripts = scripts
        self.now_ms = START_MS
        client.flushall()
        self.set_clock(START_MS)

    def set_clock(self, now_ms: int) -> None:
        self.now_ms = now_ms
        seconds, rest_ms = divmod(now_ms, 1000)
        self.client.mset(dict(zip(CLOCK_KEYS, (seconds, rest_ms * 1000), strict=True)))

    def do(self, operation: Operation[T]) -> T:
        """Run an operation as `waiting_room.line` does."""
        script, keys = self._scripts(operation.script), operation.keys
        try:
            reply = self.client.evalsha(script.sha, len(keys), *keys, *operation.args)
        except NoScriptError:
            reply = self.client.eval(script.text, len(keys), *keys, *operation.args)
        return operation.read(reply)
