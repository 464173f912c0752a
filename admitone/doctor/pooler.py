"""The pooler before Postgres: whether it is there as the settings say, and keeps what they rely on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, LiteralString

from admitone.doctor.finding import Finding, error, fine, warning
from admitone.doctor.site import Site
from db.connections.urls import NO_POOLER, PREPARING

REFUSES: Final = "unsupported startup parameter"
_PREPARED: Final[LiteralString] = "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE %(names)s"


def examine(site: Site) -> Iterator[Finding]:
    connection, pooler = site.postgres, site.settings.db.pooler
    if connection is None:
        if REFUSES in site.errors["postgres"]:
            yield _unnamed()
        return
    # A pooler makes up the number that a client is told of its session.
    is_pooled = connection.info.backend_pid != site.value("SELECT pg_backend_pid()")
    if is_pooled and pooler == NO_POOLER:
        yield _unnamed()
    elif pooler != NO_POOLER and not is_pooled:
        yield warning(
            "setup",
            "pooler",
            "DATABASE_URL leads to Postgres itself and not to a pooler: the settings that every transaction says there "
            "cost time for nothing",
            "Unset ADMITONE_DB_POOLER, or let DATABASE_URL name the pooler.",
        )
    elif pooler == PREPARING and not _keeps_statements(site):
        yield error(
            "setup",
            "pooler",
            "The pooler does not keep prepared statements: bookings and reads will fail",
            "Set ADMITONE_DB_POOLER=transaction, or use PgBouncer 1.22 or later with max_prepared_statements.",
        )
    elif is_pooled:
        keeps = "kept" if pooler == PREPARING else "not used"
        yield fine("setup", "pooler", f"A pooler stands before Postgres; prepared statements are {keeps}")


def _unnamed() -> Finding:
    return error(
        "setup",
        "pooler",
        "DATABASE_URL leads to a pooler, which refuses or forgets what the connections of a site rely on",
        "Set ADMITONE_DB_POOLER=transaction for every gateway, worker and command.",
    )


def _keeps_statements(site: Site) -> bool:
    """Whether the pooler gives prepared statements names of its own, by which it finds them again."""
    assert site.postgres is not None
    with site.postgres.transaction(force_rollback=True):
        site.postgres.execute("SELECT %(number)s::int", {"number": 1}, prepare=True)
        (found,) = site.postgres.execute(_PREPARED, {"names": r"\_pg3\_%"}, prepare=False).fetchall()
        if found[0]:
            # It would be in the way of the next client that gets this connection.
            site.postgres.execute("DEALLOCATE ALL", prepare=False)
        return not found[0]
