"""Writes the index: changes as they come, and the whole of it anew without a gap.

Only one process writes at a time, which an advisory lock of Postgres sees to. While the index is built anew its changes
wait in Postgres, and fans are answered by the old one. Then the alias moves in one call, and the changes follow. So
nothing is lost that changed meanwhile.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any, Final

from elasticsearch import AsyncElasticsearch, NotFoundError

from db.search.index import changes
from db.search.index.documents import INDEX_SETTINGS, MAPPINGS, SHAPE, Connection, next_documents, read_documents

logger = logging.getLogger(__name__)

EVENTS_AT_ONCE_MAX: Final = 500
BUILD_LOCK: Final = 0x5EA2C4
"""The key of the advisory lock."""

LOCK: Final = "SELECT pg_advisory_xact_lock(%(key)s)"
TRY_LOCK: Final = "SELECT pg_try_advisory_xact_lock(%(key)s)"
NO_LIMIT: Final = "SELECT set_config('lock_timeout', '0', true), set_config('statement_timeout', '0', true)"


async def is_current(client: AsyncElasticsearch, name: str) -> bool:
    """Whether the alias leads to an index of today's shape."""
    try:
        found = await client.indices.get(index=name)
    except NotFoundError:
        return False
    return all(one["mappings"].get("_meta", {}).get("shape") == SHAPE for one in found.values())


async def rebuild(connection: Connection, client: AsyncElasticsearch, name: str) -> int:
    """Build the index anew beside the old one, and let the alias lead to it. Gives how many events stand in it.

    Raises:
        elasticsearch.ApiError, elasticsearch.TransportError: Elasticsearch refuses or does not answer; the old index
            stays.
        psycopg.Error: Postgres fails; the old index stays.
    """
    async with connection.transaction():
        await connection.execute(NO_LIMIT)
        await connection.execute(LOCK, {"key": BUILD_LOCK})
        return await _rebuild(connection, client, name)


async def build_if_needed(connection: Connection, client: AsyncElasticsearch, name: str) -> None:
    """`rebuild`, unless the index is there and of today's shape, or another process is at it."""
    async with connection.transaction():
        await connection.execute(NO_LIMIT)
        if await _gets_lock(connection) and not await is_current(client, name):
            logger.info("the index %s is built", name)
            await _rebuild(connection, client, name)


async def apply_changes(connection: Connection, client: AsyncElasticsearch, name: str) -> int:
    """Write the documents of the events that changed first, `EVENTS_AT_ONCE_MAX` at most. Gives how many of them are
    done; none where another process writes.

    Raises:
        elasticsearch.NotFoundError: there is no such alias.
        elasticsearch.ApiError, elasticsearch.TransportError: Elasticsearch refuses or does not answer.
        psycopg.Error: Postgres fails.
    """
    async with connection.transaction():
        if not await _gets_lock(connection):
            return 0
        taken = await (await connection.execute(changes.TAKE, {"rows_max": EVENTS_AT_ONCE_MAX})).fetchall()
        if not taken:
            return 0
        numbers = {int(event_id): int(number) for event_id, number in taken}
        found = await read_documents(connection, list(numbers))
        refused = await _write(client, name, {event_id: found.get(event_id) for event_id in numbers}, by_alias=True)
        done = [event_id for event_id in numbers if event_id not in refused]
        parameters = {"event_ids": done, "numbers": [numbers[event_id] for event_id in done]}
        await connection.execute(changes.DONE, parameters)
        return len(done)


async def _gets_lock(connection: Connection) -> bool:
    row = await (await connection.execute(TRY_LOCK, {"key": BUILD_LOCK})).fetchone()
    return row is not None and bool(row[0])


async def _rebuild(connection: Connection, client: AsyncElasticsearch, name: str) -> int:
    index = f"{name}-{time.time_ns() // 1_000_000}"
    await client.indices.create(index=index, mappings=MAPPINGS, settings=INDEX_SETTINGS)
    try:
        total, last = 0, 0
        while documents := await next_documents(connection, last, EVENTS_AT_ONCE_MAX):
            refused = await _write(client, index, documents, by_alias=False)
            total += len(documents) - len(refused)
            last = max(documents)
        await client.indices.refresh(index=index)
        olds = await _indices_of(client, name)
        removals: list[dict[str, Any]] = [{"remove": {"index": old, "alias": name}} for old in olds]
        await client.indices.update_aliases(actions=[*removals, {"add": {"index": index, "alias": name}}])
    except BaseException:
        # A cancelled build must not leave half an index behind either.
        await client.indices.delete(index=index, ignore_unavailable=True)
        raise
    # Also what a process left behind that died while it built.
    for other in await client.indices.get(index=f"{name}-*", expand_wildcards="open"):
        if other != index:
            await client.indices.delete(index=other, ignore_unavailable=True)
    return total


async def _indices_of(client: AsyncElasticsearch, name: str) -> list[str]:
    try:
        return list(await client.indices.get_alias(name=name))
    except NotFoundError:
        return []


async def _write(
    client: AsyncElasticsearch, index: str, documents: Mapping[int, dict[str, Any] | None], *, by_alias: bool
) -> set[int]:
    """Write documents by their events' ids, or delete those that are None. Gives the ids that were refused."""
    operations: list[dict[str, Any]] = []
    for event_id, document in documents.items():
        if document is None:
            operations.append({"delete": {"_id": str(event_id)}})
        else:
            operations += [{"index": {"_id": str(event_id)}}, document]
    # Without `require_alias` a missing index would be made on the fly, with a mapping that is guessed.
    answer = await client.bulk(index=index, operations=operations, require_alias=by_alias)
    refused: dict[int, str] = {}
    for item in answer["items"]:
        ((action, result),) = item.items()
        status = result["status"]
        if status == 404 and action == "index":
            raise NotFoundError(str(result.get("error")), answer.meta, answer.body)
        if not (200 <= status < 300 or (status == 404 and action == "delete" and "error" not in result)):
            refused[int(result["_id"])] = str(result.get("error"))
    if refused:
        event_id, error = next(iter(refused.items()))
        logger.error("the index refused %d events, first event %d: %s", len(refused), event_id, error)
    return set(refused)
