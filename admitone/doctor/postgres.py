"""Postgres: whether it is up, writable, migrated and durable, and allows as many connections as the site needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from admitone.doctor.finding import Finding, error, fine, warning
from admitone.doctor.site import Site
from db.connections.schema_head import head
from db.connections.urls import NO_POOLER

DURABLE: Final = {
    "fsync": "a crash of the machine can destroy the whole database",
    "synchronous_commit": "a crash can lose purchases that fans were told of",
    "full_page_writes": "a crash of the machine can leave torn pages",
}
WORKERS_BESIDE_LANES: Final = 2
"""Besides the lanes, housekeeping and webhooks have a connection each; cron has none."""
TOOLS: Final = 3
"""So many connections are kept free for migrations, the audit and an operator's psql."""

_REVISION: Final = "SELECT version_num FROM alembic_version"
_HAS_REVISION: Final = "SELECT to_regclass('alembic_version') IS NOT NULL"
_SETTING: Final = "SELECT current_setting(%(name)s)"
_CONNECTIONS: Final = """
SELECT current_setting('max_connections')::int
       - current_setting('superuser_reserved_connections')::int
       - current_setting('reserved_connections')::int,
       (SELECT count(*) FROM pg_stat_activity
         WHERE backend_type = 'client backend' AND application_name NOT LIKE 'admitone%%'
           AND datname IS DISTINCT FROM current_database())
"""


def examine(site: Site) -> Iterator[Finding]:
    if site.postgres is None:
        yield error(
            "up",
            "postgres",
            f"Postgres does not answer: {site.errors['postgres']}",
            "Start it, or correct DATABASE_URL.",
        )
        return
    version = site.value(_SETTING, {"name": "server_version"}).split()[0]
    if site.value("SELECT pg_is_in_recovery()"):
        yield error(
            "up",
            "postgres",
            f"Postgres {version} is a standby: it takes no bookings",
            "Promote it, or let DATABASE_URL name the primary.",
        )
    elif site.value(_SETTING, {"name": "default_transaction_read_only"}) == "on":
        yield error(
            "up",
            "postgres",
            f"Postgres {version} takes no writes: default_transaction_read_only is on",
            "Set default_transaction_read_only to off where it was set (ALTER SYSTEM, DATABASE or ROLE).",
        )
    else:
        yield fine("up", "postgres", f"Postgres {version} answers")
    yield _migrations(site)
    for name, harm in DURABLE.items():
        if site.value(_SETTING, {"name": name}) == "off":
            yield site.misconfigured(
                "setup", f"postgres_{name}", f"Postgres has {name} off: {harm}", f"Set {name} = on in postgresql.conf."
            )
    yield _connections(site)


def _migrations(site: Site) -> Finding:
    revision = str(site.value(_REVISION)) if site.value(_HAS_REVISION) else ""
    if revision < head():
        at = f"stand at {revision}" if revision else "are missing"
        return error("up", "migrations", f"The tables {at}, this release needs {head()}", "Run `admitone migrate`.")
    if revision > head():
        return warning(
            "up",
            "migrations",
            f"The tables stand at {revision}, ahead of this release's {head()}",
            "Bring gateways and workers to the newer release, which the tables are already made for.",
        )
    return fine("up", "migrations", f"Tables at {revision}, the newest")


def _connections(site: Site) -> Finding:
    settings = site.settings
    most, others = site.rows(_CONNECTIONS)[0]
    gateways = sum(one.connections_max for one in site.gateways)
    workers = settings.lane.count + WORKERS_BESIDE_LANES
    wanted = gateways + workers + others + TOOLS
    if settings.db.pooler != NO_POOLER:
        says = f"{gateways + workers} connections to the pooler at most, which its max_client_conn must allow"
        return fine("setup", "postgres_connections", says)
    says = (
        f"{wanted} Postgres connections at most ({gateways} of {len(site.gateways)} gateway processes, {workers} of "
        f"workers, {others} of others, {TOOLS} for tools) of {most}"
    )
    if wanted > most:
        fix = f"Raise max_connections by {wanted - most}, lower ADMITONE_DB_POOL_MAX, or put PgBouncer in between."
        return site.misconfigured("setup", "postgres_connections", says, fix)
    return fine("setup", "postgres_connections", says)
