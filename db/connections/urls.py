"""DATABASE_URL as psycopg takes it. SQLAlchemy's form is in `db.connections.engines`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo

_SCHEMES = ("postgresql://", "postgres://", "postgresql+psycopg://")


def psycopg_conninfo(database_url: str) -> str:
    """The libpq connection string that ``psycopg.connect`` takes.

    Raises:
        ValueError: the URL is not one of Postgres.
    """
    scheme = next((scheme for scheme in _SCHEMES if database_url.startswith(scheme)), None)
    if scheme is None:
        raise ValueError("the database URL must start with postgresql://")
    try:
        return make_conninfo("postgresql://" + database_url.removeprefix(scheme))
    except ProgrammingError:
        # libpq's sentence quotes the URL, which holds the password.
        raise ValueError("the database URL is malformed") from None


# A server that went silent, as after a failover, is noticed within about ten seconds.
_KEEPALIVES: Final[Mapping[str, Any]] = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}


def conninfo_of(database_url: str, *, name: str, connect_seconds: int, session: Mapping[str, object]) -> str:
    """The libpq connection string of one client.

    Args:
        name: how Postgres lists its connections (``application_name``).
        session: Postgres' settings for them, beside those that the URL's ``options`` name.

    Raises:
        ValueError: the URL is not one of Postgres.
    """
    conninfo = psycopg_conninfo(database_url)
    given = conninfo_to_dict(conninfo).get("options")
    options = [*([str(given)] if given else []), *(f"-c {setting}={value}" for setting, value in session.items())]
    return make_conninfo(
        conninfo,
        application_name=name,
        connect_timeout=connect_seconds,
        **({"options": " ".join(options)} if options else {}),
        **_KEEPALIVES,
    )
