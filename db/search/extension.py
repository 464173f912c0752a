"""The extension of Postgres that the search needs: ``pg_trgm``, which finds words that are spelt alike."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

HINT: Final = (
    "The search needs Postgres' extension pg_trgm, and this role may not create it or the server does not have it."
    " Have an administrator run CREATE EXTENSION pg_trgm in this database (Debian has it in postgresql-contrib), and"
    " migrate again."
)


class NoTrigramsError(Exception):
    """The database has no ``pg_trgm``, and this role cannot create it; its text says what to do."""


def require_trigrams(connection: Connection) -> None:
    """Create the extension unless it is there. Postgres trusts it: a role that may create in the database may do so.

    Raises:
        NoTrigramsError: it is not there, and cannot be created.
    """
    if connection.scalar(text("SELECT 1 FROM pg_extension WHERE extname = 'pg_trgm'")):
        return
    try:
        with connection.begin_nested():
            connection.execute(text("CREATE EXTENSION pg_trgm"))
    except DBAPIError as error:
        raise NoTrigramsError(f"{HINT} ({str(error.orig).strip()})") from error
