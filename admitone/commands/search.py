"""The commands about the search's index at Elasticsearch."""

from __future__ import annotations

import asyncio

import typer

from admitone.commands.environment import fail, load_settings


def rebuild() -> None:
    """Build the index anew beside the old one, which answers meanwhile; prints how many events stand in it."""
    settings = load_settings()
    if not settings.search_index.is_used:
        raise fail("Postgres alone searches here: ADMITONE_SEARCH_INDEX_URLS names no Elasticsearch.")
    import psycopg

    from db.connections import primary
    from db.search.index import building
    from db.search.index.client import FAILURES, client_of

    async def run() -> int:
        index = settings.search_index
        client = client_of(index, seconds=index.write_seconds)
        try:
            async with await primary.connect_async(settings.db.url, "admitone-search") as connection:
                return await building.rebuild(connection, client, index.name)
        finally:
            await client.close()

    try:
        typer.echo(asyncio.run(run()))
    except (*FAILURES, psycopg.Error, ValueError) as error:
        raise fail(f"The old index stays: {error}") from None
