"""The presence that each gateway process writes to the jobs' Redis, so that an operator sees which ones are up."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final, cast

import msgspec
import redis.asyncio

GATEWAYS_KEY: Final = "gateway:known"
"""The key of the set of gateways' ids. The id of a gateway that died stays in it until the next gateway starts."""
PRESENT_SECONDS: Final = 5
"""A gateway that wrote no presence for this long counts as down."""
ROOM_REVISION_FIRST: Final = 1
GATEWAYS_READ_MAX: Final = 1000


class Presence(msgspec.Struct, frozen=True, kw_only=True):
    """One gateway process: where it runs, what it has open, and the settings that must be equal in all gateways.

    ``files_max`` is its limit of open files. ``key_print`` differs for different secrets and reveals none of them.
    ``rooms`` maps the event ids of rooms that were ever changed to the revision that the gateway uses. ``keys`` are the
    signing keys that it verifies with, as `KeyRing.names` writes them. ``replica_fresh`` says whether it reads of the
    replica at this moment; None if it knows of none.
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
    keys: tuple[str, ...] = ()
    replica_fresh: bool | None = None

    def knows(self, event_id: int, revision: int) -> bool:
        """Whether the gateway uses this revision of the room, or a later one."""
        return self.rooms.get(event_id, ROOM_REVISION_FIRST) >= revision


def presence_key(gateway: str) -> str:
    """The key of a gateway's presence, which expires `PRESENT_SECONDS` after the gateway last wrote it."""
    return f"gateway:present:{gateway}"


def key_print(secret: bytes) -> str:
    """Sixteen bits of the secret's hash: enough to see that two gateways sign with different secrets."""
    return hashlib.blake2b(secret, digest_size=2, person=b"admitone").hexdigest()


encode_presence: Final = msgspec.json.Encoder().encode
decode_presence: Final = msgspec.json.Decoder(Presence).decode


async def present(client: redis.asyncio.Redis) -> tuple[Presence, ...]:
    """The gateways that are up; at most `GATEWAYS_READ_MAX` are read.

    Raises:
        redis.RedisError: Redis does not answer.
    """
    gateways = sorted(cast(Iterable[bytes], await client.smembers(GATEWAYS_KEY)))[:GATEWAYS_READ_MAX]
    if not gateways:
        return ()
    presences = await client.mget([presence_key(gateway.decode()) for gateway in gateways])
    return tuple(decode_presence(presence) for presence in presences if presence is not None)
