"""Checks a lobby's draw again: from Postgres and the line, or from an exported list alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import msgspec
import psycopg
from msgspec import Meta

from booking_lane.clients import plain_client
from db.connections import replica
from db.draws.draws import open_draw_key
from db.sealing.keyring import SealError
from db.texts import END
from waiting_room.draw import SEED_BYTES, drawn_order, fan_hash
from waiting_room.line import Slots

DIFFERENCES_MAX: Final = 20

_Hex64 = Annotated[str, Meta(pattern="^[0-9a-f]{64}" + END)]
_FanHash = Annotated[str, Meta(pattern="^[0-9a-f]{32}" + END)]


class DrawError(Exception):
    """There is no draw to check: the event has no lobby, it is not drawn yet, or the file is no export."""


class Export(msgspec.Struct, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """A draw as it is published; ``fan_hashes`` are in the drawn order."""

    event_id: int
    seed_hash: _Hex64
    seed: _Hex64
    participants: int
    fan_hashes: list[_FanHash]


@dataclass(frozen=True, slots=True)
class Checked:
    """How many places were compared, how many of them in the line, and the differences (`DIFFERENCES_MAX` at most)."""

    participants: int
    in_line: int
    differences: tuple[str, ...]


def export(database_url: str, event: int, *, replica_url: str = "") -> bytes:
    """The draw as JSON, without any user id.

    Raises:
        DrawError: the event has no lobby, or it is not drawn.
    """
    with replica.connect(database_url, "admitone-draw", replica_url=replica_url) as connection:
        seed, seed_hash, _, participants, _ = _draw(connection, event)
        hashes = [hashed.hex() for _, hashed, _ in _entries(connection, event)]
    document = Export(
        event_id=event, seed_hash=seed_hash.hex(), seed=seed.hex(), participants=participants, fan_hashes=hashes
    )
    return msgspec.json.encode(document)


def verify_export(path: Path) -> Checked:
    """Recompute the order of an exported list.

    Raises:
        DrawError: the file is no export.
    """
    try:
        draw = msgspec.json.decode(path.read_bytes(), type=Export)
    except (OSError, msgspec.MsgspecError) as error:
        raise DrawError(f"{path}: {error}") from None
    differences = [
        *_seed_differences(bytes.fromhex(draw.seed), bytes.fromhex(draw.seed_hash)),
        *_count_differences(draw.participants, draw.fan_hashes),
        *_order_differences(bytes.fromhex(draw.seed), draw.fan_hashes),
    ]
    return Checked(len(draw.fan_hashes), 0, tuple(differences[:DIFFERENCES_MAX]))


def verify(database_url: str, redis_url: str, event: int) -> Checked:
    """Recompute the order of the fans recorded in Postgres, and compare the numbers there and in the line.

    Raises:
        DrawError: the event has no lobby, or it is not drawn.
    """
    with replica.connect(database_url, "admitone-draw") as connection:
        seed, seed_hash, fan_key, participants, epoch = _draw(connection, event)
        entries = list(_entries(connection, event))
    differences = [*_seed_differences(seed, seed_hash), *_count_differences(participants, entries)]
    for number, (fan, hashed, recorded) in enumerate(entries, 1):
        if hashed.hex() != fan_hash(fan_key, fan):
            differences.append(f"number {recorded}: the fan's hash is not that of the recorded user")
        if recorded != number:
            differences.append(f"number {recorded} is recorded where {number} is due")
    differences += _order_differences(seed, [hashed.hex() for _, hashed, _ in entries])
    numbers = {fan: recorded for fan, _, recorded in entries}
    in_line = 0
    with plain_client(redis_url, socket_timeout=10) as client:
        for fan, at_epoch, number in Slots(client).places(event):
            # A fan who came back to the lobby too late for the draw has a number behind all drawn ones.
            if at_epoch == epoch and (fan in numbers or number <= participants):
                in_line += 1
                if numbers.get(fan) != number:
                    differences.append(f"the line has number {number} for a fan who drew {numbers.get(fan)}")
    return Checked(participants, in_line, tuple(differences[:DIFFERENCES_MAX]))


def _draw(connection: psycopg.Connection, event: int) -> tuple[bytes, bytes, bytes, int, int]:
    row = connection.execute(
        "SELECT seed, seed_hash, fan_key, participants, epoch FROM draw WHERE event_id = %s", (event,)
    ).fetchone()
    if row is None:
        raise DrawError("the event has no lobby, so there is no draw")
    if row[3] is None:
        raise DrawError("the lobby is not drawn yet")
    try:
        return open_draw_key(row[0]), row[1], open_draw_key(row[2]), row[3], row[4]
    except SealError as error:
        raise DrawError(str(error)) from None


def _entries(connection: psycopg.Connection, event: int) -> Iterator[tuple[int, bytes, int]]:
    query = "SELECT user_id, fan_hash, number FROM draw_entry WHERE event_id = %s ORDER BY number"
    yield from connection.execute(query, (event,))


def _seed_differences(seed: bytes, seed_hash: bytes) -> Iterator[str]:
    if len(seed) != SEED_BYTES:
        yield f"the seed has {len(seed)} bytes instead of {SEED_BYTES}"
    if hashlib.sha256(seed).digest() != seed_hash:
        yield "the seed is not the one that was committed to"


def _count_differences(participants: int, listed: Sequence[object]) -> Iterator[str]:
    if participants != len(listed):
        yield f"{participants} took part, {len(listed)} are listed"


def _order_differences(seed: bytes, listed: Sequence[str]) -> Iterator[str]:
    if len(set(listed)) != len(listed):
        yield "a fan is listed twice"
    for number, (fan, due) in enumerate(zip(listed, drawn_order(seed, listed), strict=True), 1):
        if fan != due:
            yield f"number {number} is {fan}, and is due to {due}"
