"""DATABASE_URL as psycopg takes it. SQLAlchemy's form is in `db.connections.engines`.

A URL says whether it leads to a pooler, by a parameter that `admitone.settings` adds and that libpq never sees. So each
maker of connections knows it without being told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo

NO_POOLER: Final = "none"
PREPARING: Final = "transaction_prepared"
"""The pooler in between keeps prepared statements."""
_POOLER: Final = "admitone_pooler="
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
        return make_conninfo("postgresql://" + with_pooler(database_url, NO_POOLER).removeprefix(scheme))
    except ProgrammingError:
        # libpq's sentence quotes the URL, which holds the password.
        raise ValueError("the database URL is malformed") from None


def with_pooler(database_url: str, pooler: str) -> str:
    """The URL, saying that it leads to this sort of pooler (`db.settings.DatabaseSettings.pooler`)."""
    address, _, query = database_url.partition("?")
    parts = [part for part in query.split("&") if part and not part.startswith(_POOLER)]
    if pooler != NO_POOLER:
        parts.append(_POOLER + pooler)
    return "?".join([address, "&".join(parts)] if parts else [address])


def pooler_of(database_url: str) -> str:
    """The sort of pooler that the URL leads to, `NO_POOLER` for none."""
    parts = database_url.partition("?")[2].split("&")
    return next((part.removeprefix(_POOLER) for part in parts if part.startswith(_POOLER)), NO_POOLER)


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
