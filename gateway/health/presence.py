"""What each gateway process writes about itself into the jobs' Redis, so that an operator sees which ones are up."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final, cast

import msgspec
import redis.asyncio

GATEWAYS_KEY: Final = "gateway:known"
"""Set of the ids of gateways; of one that died it keeps the id until another begins."""
PRESENT_SECONDS: Final = 5
"""A gateway that said nothing for so long is not up."""
REVISION_FIRST: Final = 1
"""Of a room that nobody changed."""
KNOWN_MAX: Final = 1000
"""A reader of the set looks at so many gateways."""


class Presence(msgspec.Struct, frozen=True, kw_only=True):
    """One gateway process: where it runs, what it has open, and what must be equal everywhere.

    ``files_max`` is its limit of open files. ``key_print`` tells apart secrets and gives none away. ``rooms`` are the
    revisions it knows of rooms that were ever changed, by event.
    """

    host: str
    pid: int
    version: str
    streams: int
    streams_max: int
    files_max: int
    backlog: int
    lanes: int
    connections_max: int
    key_print: str
    failing: tuple[str, ...] = ()
    rooms: dict[int, int] = {}

    def knows(self, event_id: int, revision: int) -> bool:
        """Whether it goes by this revision of the room, or a later one."""
        return self.rooms.get(event_id, REVISION_FIRST) >= revision


def presence_key(gateway: str) -> str:
    """Lives `PRESENT_SECONDS` from the gateway's last word on."""
    return f"gateway:present:{gateway}"


def key_print(secret: str) -> str:
    """Sixteen bits of a hash: enough to see that two gateways sign with different secrets."""
    return hashlib.blake2b(secret.encode(), digest_size=2, person=b"admitone").hexdigest()


encode_presence: Final = msgspec.json.Encoder().encode
decode_presence: Final = msgspec.json.Decoder(Presence).decode


async def present(client: redis.asyncio.Redis) -> tuple[Presence, ...]:
    """The gateways that are up, `KNOWN_MAX` looked at.

    Raises:
        redis.RedisError
    """
    known = sorted(cast(Iterable[bytes], await client.smembers(GATEWAYS_KEY)))[:KNOWN_MAX]
    if not known:
        return ()
    presences = await client.mget([presence_key(gateway.decode()) for gateway in known])
    return tuple(decode_presence(one) for one in presences if one is not None)
