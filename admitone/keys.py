"""``admitone keys``: rotates the site's keys, lists them, and removes old ones."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from admitone.settings import Settings
from booking_lane.clients import plain_async_client
from db.change_log.changes import Change
from db.connections.engines import transaction
from db.keys import signing_keys
from db.keys.signing_keys import KeyRow
from db.operators import accounts, factors
from gateway.health.presence import Presence, present
from gateway.identity.totp import Authenticators
from waiting_room.key_ring import FIRST, KeyGroup, KeyRing, SealedElsewhereError

BY: Final = "command line"
KNOWN_SECONDS_MAX: Final = 30.0
"""A new key is known to every gateway after a second; one that takes longer than this is not well."""
LOOK_SECONDS: Final = 0.1


class KeysError(Exception):
    """Nothing was rotated or removed; the message says why."""


def _transaction(settings: Settings) -> AbstractAsyncContextManager[AsyncConnection]:
    return transaction(settings.db.url, "admitone-keys")


async def ring(settings: Settings) -> KeyRing:
    """The site's keys; without a database the first ones, which are made of the secret."""
    keys = KeyRing(settings.site.secret)
    if settings.db.url:
        async with _transaction(settings) as connection:
            keys.take(await signing_keys.read_keys(connection))
    return keys


async def rotate(settings: Settings, groups: Iterable[KeyGroup]) -> list[str]:
    """Make a new key for each group, wait until every gateway knows it, and have it sign from then on.

    Returns:
        A line for each group.

    Raises:
        KeysError: a gateway did not hear of the new keys, or there are too many. A key that a gateway does not know
            signs nothing, and the next rotation takes it up.
    """
    made: dict[KeyGroup, str] = {}
    async with _transaction(settings) as connection:
        await signing_keys.lock_keys(connection)
        rows = await signing_keys.read_keys(connection)
        keys = _opened(settings, rows)
        for group in groups:
            of_group = [row for row in rows if row.key_group == group]
            waiting = [row.key_id for row in of_group if row.signs_at is None]
            if waiting:
                made[group] = waiting[0]
                continue
            if len(of_group) >= signing_keys.KEYS_OF_A_GROUP_MAX:
                raise KeysError(f"there are {len(of_group)} keys for {group}: remove old ones first")
            if not of_group:
                await signing_keys.add_first(connection, group)
            key_id, sealed = keys.new_key(group)
            await signing_keys.add_key(connection, group, key_id, sealed, BY)
            made[group] = key_id
    await _all_know(settings, {f"{group}:{key_id}" for group, key_id in made.items()})
    async with _transaction(settings) as connection:
        for group, key_id in made.items():
            await signing_keys.let_sign(connection, group, key_id)
            await accounts.log(connection, Change(f"key for {group}", "", key_id), BY)
    return [f"{group}: {key_id} signs" for group, key_id in made.items()]


async def _all_know(settings: Settings, names: set[str]) -> None:
    async with contextlib.aclosing(plain_async_client(settings.redis.jobs)) as jobs:
        deadline = time.monotonic() + KNOWN_SECONDS_MAX
        while behind := [one for one in await present(jobs) if not names.issubset(one.keys)]:
            if time.monotonic() > deadline:
                raise KeysError(
                    f"{_named(behind)} did not hear of the new keys, which sign nothing yet: see to it that every "
                    "gateway is well and of this release, and run the same again"
                )
            await asyncio.sleep(LOOK_SECONDS)


def _named(gateways: Sequence[Presence]) -> str:
    return "the gateway " + ", ".join(f"{one.host}:{one.pid}" for one in gateways[:4])


async def listed(settings: Settings) -> list[str]:
    """A line for each key: its group, its id, and since when it has signed."""
    async with _transaction(settings) as connection:
        rows = await signing_keys.read_keys(connection)
    lines = []
    for group in KeyGroup:
        of_group = [row for row in rows if row.key_group == group]
        signing = next((row for row in of_group if row.signs_at is not None), None)
        lines += [f"{group}  {_line(row, signs=row is signing)}" for row in of_group]
        if not of_group:
            lines.append(f"{group}  first  signs")
    return lines


def _line(row: KeyRow, *, signs: bool) -> str:
    words = "signs" if signs else "verifies"
    if row.key_id == FIRST:
        return f"first  {words}"
    if row.signs_at is None:
        return f"{row.key_id}  {words}, made {row.made_at:%Y-%m-%d %H:%M} UTC, not signed with yet"
    return f"{row.key_id}  {words}, signed with since {row.signs_at:%Y-%m-%d %H:%M} UTC"


async def remove(settings: Settings, group: KeyGroup, key_id: str) -> None:
    """Forget a key. Operators' authenticators that an earlier release encrypted with it are sealed first.

    Raises:
        KeysError: there is no such key, or it is the one that signs.
    """
    async with _transaction(settings) as connection:
        await signing_keys.lock_keys(connection)
        rows = await signing_keys.read_keys(connection)
        of_group = [row for row in rows if row.key_group == group]
        signing = next((row.key_id for row in of_group if row.signs_at is not None), FIRST)
        if key_id == signing:
            raise KeysError(f"the key signs for {group}: rotate first")
        if all(row.key_id != key_id for row in of_group):
            raise KeysError(f"there is no key {key_id} for {group}; `admitone keys list` lists them")
        if group is KeyGroup.OPERATORS:
            await _seal_authenticators(connection, _opened(settings, rows))
        await signing_keys.remove_key(connection, group, key_id)
        await accounts.log(connection, Change(f"key for {group}", key_id or "first", "removed"), BY)


async def seal_authenticators(settings: Settings) -> None:
    """Seal operators' authenticators with the newest data key, those too that an earlier release encrypted.

    Raises:
        KeysError: the site's secret is another one than the signing keys were sealed with.
    """
    async with _transaction(settings) as connection:
        await _seal_authenticators(connection, _opened(settings, await signing_keys.read_keys(connection)))


async def _seal_authenticators(connection: AsyncConnection, keys: KeyRing) -> None:
    await factors.reseal_totps(connection, Authenticators(keys, time.time).sealed_anew)


def _opened(settings: Settings, rows: Sequence[KeyRow]) -> KeyRing:
    keys = KeyRing(settings.site.secret)
    try:
        keys.take(rows)
    except SealedElsewhereError as error:
        raise KeysError(f"{error}: give this command the site's ADMITONE_SECRET") from None
    return keys
