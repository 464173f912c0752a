"""Draws of lobbies: a seed is committed to, used once for the draw, and then published. The caller commits.

The formula of `waiting_room.draw` is written in SQL here, so that only one statement needs the seed, and a million fans
are drawn without taking a gateway's time. HMAC-SHA256 (RFC 2104) is two rounds of Postgres' sha256 over keys that are
padded here.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from dataclasses import dataclass
from typing import Final

import psycopg
from sqlalchemy import case, func, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from db.sealing.keyring import SealedField, keyring
from db.tables.draws import Draw, DrawEntry
from db.tables.events import Event

KEY_BYTES: Final = 32
HASHES_MAX: Final = 10_000
_BLOCK_BYTES: Final = 64
_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))


@dataclass(frozen=True, slots=True)
class DrawRow:
    """An event's draw; ``seed``, ``participants`` and ``epoch`` are None until it was drawn."""

    seed_hash: bytes
    fan_key: bytes
    seed: bytes | None
    drawn_at: dt.datetime | None
    participants: int | None
    epoch: int | None


_DRAWN = select(
    Draw.seed_hash,
    Draw.fan_key,
    # The seed does not leave Postgres while it is secret.
    case((Draw.drawn_at.is_not(None), Draw.seed)).label("seed"),
    Draw.drawn_at,
    Draw.participants,
    Draw.epoch,
)

_RECORD: Final = text(
    """
    WITH entered AS (
        SELECT DISTINCT unnest(CAST(string_to_array(:fans, ',') AS bigint[])) AS user_id
    ), hashed AS (
        SELECT user_id,
               substr(sha256(:fan_outer || sha256(:fan_inner || convert_to(user_id::text, 'UTF8'))), 1, 16) AS fan_hash
          FROM entered
    ), valued AS (
        SELECT user_id, fan_hash,
               sha256(:seed_outer || sha256(:seed_inner || convert_to(encode(fan_hash, 'hex'), 'UTF8'))) AS value
          FROM hashed
    )
    INSERT INTO draw_entry (event_id, user_id, number, fan_hash)
    SELECT :event_id, user_id, row_number() OVER (ORDER BY value, fan_hash), fan_hash FROM valued
    """
)
_FINISH: Final = text(
    """
    UPDATE draw
       SET drawn_at = clock_timestamp(), epoch = :epoch,
           participants = (SELECT count(*) FROM draw_entry WHERE event_id = :event_id)
     WHERE event_id = :event_id
    """
)


def _padded(key: bytes) -> tuple[bytes, bytes]:
    """The bytes that HMAC puts before the message in its inner and its outer round; the key has 64 bytes at most."""
    block = key.ljust(_BLOCK_BYTES, b"\0")
    return block.translate(_INNER), block.translate(_OUTER)


def _new_draw(event_id: int) -> dict[str, object]:
    seed = secrets.token_bytes(KEY_BYTES)
    return {
        "event_id": event_id,
        "seed": keyring().seal_bytes(SealedField.DRAW_KEY, seed),
        "seed_hash": hashlib.sha256(seed).digest(),
        "fan_key": keyring().seal_bytes(SealedField.DRAW_KEY, secrets.token_bytes(KEY_BYTES)),
    }


async def commit_seed(connection: AsyncConnection, event_id: int) -> None:
    """Make the event's seed, unless it has one."""
    await connection.execute(postgresql.insert(Draw).values(_new_draw(event_id)).on_conflict_do_nothing())


def commit_seed_sync(connection: psycopg.Connection, event_id: int) -> None:
    """As `commit_seed`."""
    connection.execute(
        """
        INSERT INTO draw (event_id, seed, seed_hash, fan_key)
        VALUES (%(event_id)s, %(seed)s, %(seed_hash)s, %(fan_key)s) ON CONFLICT DO NOTHING
        """,
        _new_draw(event_id),
    )


async def draw_row(connection: AsyncConnection, event_id: int) -> DrawRow | None:
    """The event's draw; None where it has no lobby."""
    row = (await connection.execute(_DRAWN.where(Draw.event_id == event_id))).one_or_none()
    if row is None:
        return None
    seed = None if row.seed is None else open_draw_key(row.seed)
    return DrawRow(**{**row._asdict(), "seed": seed, "fan_key": open_draw_key(row.fan_key)})


def open_draw_key(stored: bytes) -> bytes:
    """A draw's seed or the key of its fans' hashes.

    Raises:
        SealError: no key of this site opens it.
    """
    return keyring().open_bytes(SealedField.DRAW_KEY, stored)


async def record_draw(connection: AsyncConnection, event_id: int, fans: str) -> DrawRow | None:
    """Draw the fans (user ids with commas between). A draw happens once; later calls return its outcome.

    Returns:
        The draw; None before the on-sale by Postgres' clock, and while another caller is drawing.
    """
    draw = (
        await connection.execute(
            select(Draw.seed, Draw.fan_key, Draw.drawn_at, Event.on_sale_at)
            .join(Event, Event.event_id == Draw.event_id)
            .where(Draw.event_id == event_id, Event.on_sale_at <= func.clock_timestamp())
            .with_for_update(of=Draw, skip_locked=True)
        )
    ).one_or_none()
    if draw is None:
        return None
    if draw.drawn_at is None:
        seed_inner, seed_outer = _padded(open_draw_key(draw.seed))
        fan_inner, fan_outer = _padded(open_draw_key(draw.fan_key))
        await connection.execute(
            _RECORD,
            {
                "event_id": event_id,
                "fans": fans,
                "seed_inner": seed_inner,
                "seed_outer": seed_outer,
                "fan_inner": fan_inner,
                "fan_outer": fan_outer,
            },
        )
        await connection.execute(_FINISH, {"event_id": event_id, "epoch": int(draw.on_sale_at.timestamp())})
    return await draw_row(connection, event_id)


async def drawn_fans(connection: AsyncConnection, event_id: int, first: int, limit: int) -> list[int]:
    """User ids in the drawn order, from number ``first`` on."""
    user_ids = await connection.scalars(
        select(DrawEntry.user_id)
        .where(DrawEntry.event_id == event_id, DrawEntry.number >= first)
        .order_by(DrawEntry.number)
        .limit(limit)
    )
    return list(user_ids)


async def fan_hashes(connection: AsyncConnection, event_id: int, first: int, limit: int) -> list[bytes]:
    """The fans' hashes in the drawn order, from number ``first`` on; ``limit`` is cut to `HASHES_MAX`."""
    hashes = await connection.scalars(
        select(DrawEntry.fan_hash)
        .where(DrawEntry.event_id == event_id, DrawEntry.number >= first)
        .order_by(DrawEntry.number)
        .limit(min(limit, HASHES_MAX))
    )
    return list(hashes)


async def drawn_number(connection: AsyncConnection, event_id: int, user_id: int) -> int | None:
    """The number that the fan drew; None for a fan that was not in the lobby."""
    return await connection.scalar(
        select(DrawEntry.number).where(DrawEntry.user_id == user_id, DrawEntry.event_id == event_id)
    )
