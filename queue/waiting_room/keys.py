"""The names of a room's keys. Their hash tag keeps all keys of a room on one node of a Redis Cluster."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from db.channels import channel_of

NEWS_CHANNEL: Final = "room:news"
"""The channel on which the scripts publish that a room's configuration changed, at a site in database 0
(`news_channel`). Every gateway listens to it.
"""

ROOM_NEWS: Final = "room:{%s}:news"
"""The channel on which the scripts publish what happened to the fans of one event, at a site in database 0
(`room_channel`). Only gateways that have some of these fans listen. In a cluster it is a channel of the room's server.
"""

FIGURES_HISTORY: Final = "hour"
"""The key of a stream with the figures of a room's last hour. No script uses it (`gateway.line.history`)."""

TICKERS: Final = "door:tickers"
"""The key of the leases of the processes that tick doors (`waiting_room.tickers`)."""

ROOM_KEYS: Final = (
    "config",  # hash: RoomConfig's fields, and epoch, number, ended_top, forgotten, ticked_at, resumed_at …
    "line",  # zset fan → score: in line, of the ordinary class
    "places",  # hash fan → "score:joined_at_ms:admitted_at_ms", and ":1" of the priority class: fans who hold a place
    "seen",  # hash fan → ms of the last heartbeat
    "away",  # zset fan → ms at which the absence ends the place: skipped at the front
    "called",  # zset fan → ms by which to claim
    "missed",  # hash fan → claims missed
    "admitted",  # zset fan → ms at which the pass ends
    "ended",  # hash fan → "state:score:at_ms", at most 100,000 (places.lua)
    "ended_before",  # the generation before it
    "shown",  # hash fan → lowest position shown
    "bucket",  # hash tokens, at: the rate's token bucket; credit: what the priority class has saved of its share
    "pace",  # hash slot → "index:called:claimed:missed:admitted:…" (operations.read_pace), a ring of ten minutes
    "stock",  # hash free, held, version
    "departing",  # hash fan → "state:score:at_ms": ended, and not yet recorded in Postgres
    "lobby",  # zset fan → score by which the lobby was entered: until its draw
    "history",  # hash fan → "what:at_ms;…", for the receipt
    "history_before",  # the generation before it
    "priority",  # zset fan → score: in line, of the priority class
    "acted",  # zset fan → ms at which an admitted fan was last seen at work; while the fan holds seats, the hold's end
    "tried",  # hash fan → ms of an admitted fan's last try to book
    "idle",  # zset fan → ms until which the place is kept: lost the pass by doing nothing, keeps the place in front
    "listed",  # hash fan → names of the lists on which the fan is, with spaces between (listing.lua)
    "leases",  # hash name of a list → "ms of the last renewal:how often the list was told"
    "moves",  # what changed in the order of line and priority lately, as ranks.lua tells it (places.lua)
    "news",  # string: what happened to fans and is not published yet (close.lua)
)
"""The keys in the order in which scripts take them from KEYS (`reading`)."""


@lru_cache(maxsize=1024)
def room_keys(event: int) -> tuple[str, ...]:
    """The keys of an event's room, in the order of `ROOM_KEYS`."""
    return tuple(room_key(event, name) for name in ROOM_KEYS)


def room_key(event: int, name: str) -> str:
    """One key of an event's room."""
    return f"room:{{{event}}}:{name}"


def news_channel(database: int) -> str:
    """The channel of the rooms of the site in that database of its Redis."""
    return channel_of(NEWS_CHANNEL, database)


def room_channel(event: int, database: int) -> str:
    """The channel of one room of the site in that database of its Redis."""
    return channel_of(ROOM_NEWS % event, database)


def pace_keys(event: int) -> tuple[str, str]:
    """The first keys of ``pace.lua``: the paces at this event that changed in even minutes, and in odd ones."""
    return f"pace:{{{event}}}:even", f"pace:{{{event}}}:odd"


def proof_key(event: int, fan: int) -> str:
    """The fan's proof to be a person, which stands at this event while there is one."""
    return f"proof:{{{event}}}:{fan}"


def arrived_key(event: int, token_id: str) -> str:
    """The key that says that a fan has arrived at the event's shop by this token, which ends with it."""
    return f"shop:arrived:{{{event}}}:{token_id}"


def shop_figures_key(event: int, what: str) -> str:
    """A key of the figures of the event's shop: ``looks``, ``pushed`` or ``looking`` (`waiting_room.shop_figures`)."""
    return f"shop:{what}:{{{event}}}"


def allow_key(name: str, key: str) -> str:
    """The key of the counter of limit ``name`` for ``key``, for example of joins for an address prefix."""
    return f"allow:{name}:{key}"


def seen_key(minute: int) -> str:
    """The key of what networks did in a minute (Unix time), a sorted set."""
    return f"networks:seen:{minute}"


def suspects_key(minute: int) -> str:
    """The key of what suspicious fans and kinds of devices did in a minute (Unix time), a sorted set."""
    return f"suspects:seen:{minute}"


def device_salt_key(event: int) -> str:
    """The key of the salt that names an event's devices; it ends by itself."""
    return f"device:salt:{event}"


def tries_keys(whose: str) -> tuple[str, str]:
    """The keys of the tries at a secret, and of the networks that had a first try while others were delayed. They are
    at one server of a cluster.
    """
    tries = f"tries:{whose}"
    return tries, f"first-tries:{{{tries}}}"
