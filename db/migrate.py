"""Brings a database's tables up to date with Alembic, which is set up here: there is no alembic.ini."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import func, select, text

from db.connections.engines import migration_engine
from db.search.writing import index_all

MIGRATIONS = Path(__file__).with_name("migrations")
_LOCK_KEY = 0x41444D4954  # "ADMIT", of Postgres' advisory locks
_LOCK_WAIT = "60s"


def alembic_config() -> Config:
    """Alembic's configuration; ``attributes["connection"]`` is still to be set."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def migrate(database_url: str) -> None:
    """Upgrade to the newest revision, in one transaction; of two at once the second finds nothing to do. Then write
    what the search finds of events that are behind, a few at a time.

    Raises:
        sqlalchemy.exc.OperationalError: the database is out of reach, or another migration (or a long
            transaction on a table to be changed) was not done within a minute.
        NoTrigramsError: the database has no ``pg_trgm``, and this role cannot create it.
        ValueError: the URL is not one of Postgres.
    """
    with migration_engine(database_url).begin() as connection:
        connection.execute(text("SELECT set_config('lock_timeout', :wait, true)"), {"wait": _LOCK_WAIT})
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK_KEY)))
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    index_all(database_url)


def current(database_url: str) -> str | None:
    """The revision the database stands at, or None where `migrate` has never run."""
    with migration_engine(database_url).connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()
