"""What a gateway process tells of itself in the jobs' Redis, so that an operator sees which ones are up."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

GATEWAYS_KEY: Final = "gateway:known"
"""Set of the ids of gateways; of one that died it keeps the id until another begins."""
PRESENT_SECONDS: Final = 5
"""A gateway that said nothing for so long is not up."""
KNOWN_MAX: Final = 1000
"""Gateways looked at by whoever reads the set."""


class Presence(msgspec.Struct, frozen=True, kw_only=True):
    """One gateway process: where it runs, what it has open, and what must be equal everywhere.

    ``files_max`` is its limit of open files. ``key_print`` tells apart secrets and gives none away.
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


def presence_key(gateway: str) -> str:
    """Lives `PRESENT_SECONDS` from the gateway's last word on."""
    return f"gateway:present:{gateway}"


def key_print(secret: str) -> str:
    """Sixteen bits of a hash: enough to see that two gateways sign with different secrets."""
    return hashlib.blake2b(secret.encode(), digest_size=2, person=b"admitone").hexdigest()


encode_presence: Final = msgspec.json.Encoder().encode
decode_presence: Final = msgspec.json.Decoder(Presence).decode
